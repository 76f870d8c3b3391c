package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

// strictJSON reads JSON so that no error repeats what was sent, and refuses what encoding/json would silently repair: text
// that is not UTF-8, and a field that stands there twice.
var strictJSON = huma.Format{
	Marshal: func(w io.Writer, v any) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	},
	Unmarshal: func(data []byte, v any) error {
		if !utf8.Valid(data) {
			return errors.New("the body is not UTF-8: write it in that encoding")
		}
		err := jsonv2.Unmarshal(data, v)
		var syntax *jsontext.SyntacticError
		switch {
		case err == nil:
			return nil
		case errors.Is(err, jsontext.ErrDuplicateName) && errors.As(err, &syntax):
			return fmt.Errorf("the body has %s twice: write it once", shorten(string(syntax.JSONPointer)))
		case errors.As(err, &syntax):
			return fmt.Errorf("the body is not JSON at byte %d: correct the quotes, commas and brackets there", syntax.ByteOffset+1)
		default:
			return errors.New(remedyOf(err.Error()))
		}
	},
}

type (
	idText   struct{}
	dateText struct{}
)

// Schema describes a deal.ID.
func (idText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "uuid", Examples: []any{"0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"}}
}

// Schema describes a calendar.Date.
func (dateText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Format: "date", Examples: []any{"2026-11-22"},
		Pattern: `^(19|2[0-2])[0-9]{2}-`, PatternDescription: "a day between 1900-01-01 and 2299-12-31",
	}
}

// describeOwnTypes tells the registry how the project's types are written.
func describeOwnTypes(r huma.Registry) {
	r.RegisterTypeAlias(reflect.TypeFor[deal.ID](), reflect.TypeFor[idText]())
	r.RegisterTypeAlias(reflect.TypeFor[calendar.Date](), reflect.TypeFor[dateText]())
}

// Optional is a field of a merge patch (RFC 7396): absent leaves the value alone, null removes it, anything else
// replaces it. Declare it with omitempty or required:"false".
type Optional[T any] struct {
	Sent  bool // the field was in the body
	Null  bool // as null
	Value T
}

// UnmarshalJSON is called only when the field is in the body.
func (o *Optional[T]) UnmarshalJSON(data []byte) error {
	o.Sent = true
	if string(data) == "null" {
		o.Null = true
		return nil
	}
	return json.Unmarshal(data, &o.Value)
}

// Schema is that of the value, or null.
func (o Optional[T]) Schema(r huma.Registry) *huma.Schema {
	s := *r.Schema(reflect.TypeFor[T](), true, "")
	if s.Ref == "" {
		s.Nullable = true
	}
	return &s
}

// Apply changes target as the field says: null sets the zero value.
func (o Optional[T]) Apply(target *T) {
	if o.Sent {
		*target = o.Value
	}
}

var typePath = regexp.MustCompile(`(?:[\w.-]+/)*\w+\.(\w+)`)

// schemaName names a type in the API document as Go does, without its package: directory.Company is Company,
// Page[directory.Company] is PageCompany. Services of one process share the document; two types of one name end its
// start with a panic, so one of them has to be called otherwise.
func schemaName(t reflect.Type, hint string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Name() == "" || t.PkgPath() == "" {
		return huma.DefaultSchemaNamer(t, hint)
	}
	var name strings.Builder
	for _, m := range typePath.FindAllStringSubmatch(t.PkgPath()+"."+strings.NewReplacer("[", " ", "]", " ", ",", " ").Replace(t.Name()), -1) {
		name.WriteString(capital(m[1]))
	}
	return name.String()
}

func capital(word string) string { return strings.ToUpper(word[:1]) + word[1:] }
