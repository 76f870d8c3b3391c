package stream_test

import "google.golang.org/protobuf/reflect/protoreflect"

// emptyFields names every field of the message, and of the messages in it, that is not set. Of a list the first
// message speaks for all, of the messages of google.protobuf only their presence counts.
func emptyFields(m protoreflect.Message, path string) []string {
	var empty []string
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		name := path + "." + string(field.Name())
		switch {
		case !m.Has(field):
			empty = append(empty, name)
		case field.Message() == nil || field.Message().ParentFile().Package() == "google.protobuf":
		case field.IsList():
			empty = append(empty, emptyFields(m.Get(field).List().Get(0).Message(), name)...)
		default:
			empty = append(empty, emptyFields(m.Get(field).Message(), name)...)
		}
	}
	return empty
}
