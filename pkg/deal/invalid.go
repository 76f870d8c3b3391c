package deal

import "strings"

// FieldError says what is wrong with one field and what to write instead.
type FieldError struct {
	Pointer string // JSON pointer (RFC 6901) into the request, such as /parties/0/share
	Message string // the fault and its remedy, without the value that was sent
}

// Invalid is every fault found in one request, in the order of its fields.
type Invalid []FieldError

// Error names every field and its fault.
func (e Invalid) Error() string {
	parts := make([]string, len(e))
	for i, f := range e {
		parts[i] = f.Pointer + ": " + f.Message
	}
	return strings.Join(parts, "; ")
}

// Add records a fault of the field at pointer.
func (e *Invalid) Add(pointer, message string) {
	*e = append(*e, FieldError{Pointer: pointer, Message: message})
}

// Err gives the faults as an error, or nil when there are none.
func (e Invalid) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}
