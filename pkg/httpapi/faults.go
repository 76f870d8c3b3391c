package httpapi

import (
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"
)

// adoptHuma replaces huma's process-wide settings once: its error documents, its messages (so that each names the
// remedy) and its leniency about upper case in field names.
var adoptHuma = sync.OnceFunc(func() {
	huma.DefaultArrayNullable = false
	huma.ValidateStrictCasing = true
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return fromHuma(status, message, errs)
	}
	huma.NewErrorWithContext = func(_ huma.Context, status int, message string, errs ...error) huma.StatusError {
		return fromHuma(status, message, errs)
	}

	// "%.0s" takes an argument that huma gives and shows nothing of it, because it may hold what the client sent.
	validation.MsgUnexpectedProperty = "unknown field: remove it"
	validation.MsgExpectedRequiredProperty = requiredBefore + "%s" + requiredAfter
	validation.MsgExpectedRFC4122UUID = "not a UUID: write it as 0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d%.0s"
	validation.MsgExpectedRFC3339Date = "not a day: write 2026-11-22 (year-month-day)"
	validation.MsgExpectedRFC3339DateTime = "not a time: write 2026-11-22T09:30:00Z (RFC 3339)"
	validation.MsgExpectedRFC3986URI = "not a URI: write an absolute address such as https://example.com/hook%.0s"
	validation.MsgExpectedString = "wrong type: write a string"
	validation.MsgExpectedInteger = "wrong type: write a whole number without quotes"
	validation.MsgExpectedNumber = "wrong type: write a number without quotes"
	validation.MsgExpectedBoolean = "wrong type: write true or false"
	validation.MsgExpectedArray = "wrong type: write an array"
	validation.MsgExpectedObject = "wrong type: write an object"
	validation.MsgExpectedOneOf = "not one of the allowed values: write one of \"%s\""
	validation.MsgExpectedBePattern = "wrong form: write %s"
	validation.MsgExpectedMatchPattern = "wrong form: write what matches %s"
	validation.MsgExpectedMinLength = "too short: write at least %d characters"
	validation.MsgExpectedMaxLength = "too long: write at most %d characters"
	validation.MsgExpectedMinItems = "too few: write at least %d"
	validation.MsgExpectedMaxItems = "too many: write at most %d"
	validation.MsgExpectedMinimumNumber = "too small: write at least %v"
	validation.MsgExpectedMaximumNumber = "too large: write at most %v"
})

const (
	requiredBefore = "required field "
	requiredAfter  = " is missing: add it"
)

// fromHuma makes the problem for what huma found wrong. Messages of huma that may hold what the client sent are
// replaced.
func fromHuma(status int, message string, errs []error) *Problem {
	if status >= 500 {
		if len(errs) > 0 {
			return Internal(errs[0])
		}
		return Internal(errors.New(message))
	}
	p := NewProblem(status, "correct what errors lists and send it again")
	switch status {
	case http.StatusRequestEntityTooLarge:
		p.Detail = "the body is larger than this address accepts: send less at a time"
		return p
	case http.StatusRequestTimeout:
		p.Detail = "the body did not arrive in time: send it again"
		return p
	case http.StatusUnsupportedMediaType:
		p.Detail = "the body is not of a type that this address accepts: set Content-Type as /openapi.json says"
		return p
	case http.StatusBadRequest:
		p.Detail = "the request needs a body: send one as /openapi.json says"
	}
	for _, err := range errs {
		if f, ok := faultOf(err); ok {
			p.Errors = append(p.Errors, f)
		}
	}
	if status == http.StatusBadRequest && len(p.Errors) > 0 {
		p.Detail = p.Errors[0].Detail
	}
	return p
}

func faultOf(err error) (Fault, bool) {
	if err == nil {
		return Fault{}, false
	}
	detailer, ok := err.(huma.ErrorDetailer)
	if !ok {
		return Fault{Detail: remedyOf(err.Error())}, true
	}
	d := detailer.ErrorDetail()
	place, rest, _ := strings.Cut(d.Location, ".")
	if !strings.HasPrefix(place, "body") {
		detail := d.Message
		if parse, is := strings.CutPrefix(detail, "invalid value: "); is {
			detail = remedyOf(parse)
		}
		return Fault{Parameter: shorten(rest), Detail: parameterRemedy(detail)}, true
	}
	pointer := pointerOf(strings.TrimPrefix(d.Location, "body"))
	if name, is := strings.CutPrefix(d.Message, requiredBefore); is {
		pointer += "/" + escape(strings.TrimSuffix(name, requiredAfter))
		return Fault{Pointer: pointer, Detail: "missing: add it"}, true
	}
	return Fault{Pointer: pointer, Detail: d.Message}, true
}

// parameterRemedy is what huma says of a path, query or header parameter in the words of this project, with the remedy.
func parameterRemedy(message string) string {
	switch {
	case message == "unknown query parameter":
		return "unknown parameter: remove it"
	case strings.HasPrefix(message, "required "):
		return "missing: add it"
	case message == "invalid integer":
		return "not a whole number: write digits only"
	case message == "invalid boolean":
		return validation.MsgExpectedBoolean
	case strings.HasPrefix(message, "invalid date/time "):
		return validation.MsgExpectedRFC3339DateTime
	}
	return message
}

// remedyOf keeps the end of "fault: remedy". The fault may quote what was sent, the remedy never does: that is how
// this project writes errors.
func remedyOf(message string) string {
	if i := strings.LastIndex(message, ": write "); i >= 0 {
		return "wrong form" + message[i:]
	}
	return "wrong form: write it as /openapi.json says"
}

var index = regexp.MustCompile(`\[(\d+)\]`)

// pointerOf turns the rest of huma's path, such as .parties[0].share, into a JSON pointer. A dot inside a field's
// name reads as a step; huma does not tell them apart.
func pointerOf(path string) string {
	path = shorten(index.ReplaceAllString(path, ".$1"))
	if path == "" {
		return ""
	}
	steps := strings.Split(strings.TrimPrefix(path, "."), ".")
	for i := range steps {
		steps[i] = escape(steps[i])
	}
	return "/" + strings.Join(steps, "/")
}

var escapePointer = strings.NewReplacer("~", "~0", "/", "~1")

func escape(step string) string { return escapePointer.Replace(step) }

// shorten bounds a name that a client made up.
func shorten(name string) string {
	const longest = 200
	if len(name) > longest {
		return strings.ToValidUTF8(name[:longest], "") + "…"
	}
	return name
}
