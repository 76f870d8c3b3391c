package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Problem is an RFC 9457 problem document. Handlers return one as their error; any other error becomes a 500
// whose text stays in the log.
type Problem struct {
	Type   string  `json:"type" doc:"Names the kind of problem: urn:dealreg:problem:<kind>" example:"urn:dealreg:problem:invalid"`
	Title  string  `json:"title" doc:"What kind of problem it is; the same for every problem of its type"`
	Status int     `json:"status" doc:"The HTTP status"`
	Detail string  `json:"detail,omitempty" doc:"What happened and what to do"`
	Errors []Fault `json:"errors,omitempty" doc:"Each fault of the request with its place"`

	headers http.Header
	cause   error // for the log only
}

// Fault is one thing that is wrong with a request, and its remedy.
type Fault struct {
	Detail    string `json:"detail" doc:"What is wrong and what to write instead"`
	Pointer   string `json:"pointer,omitempty" doc:"JSON pointer (RFC 6901) into the body; absent for the whole body"`
	Parameter string `json:"parameter,omitempty" doc:"Name of the path, query or header parameter"`
}

// kinds gives each status its problem type and title.
var kinds = map[int][2]string{
	http.StatusBadRequest:            {"malformed", "The request cannot be read"},
	http.StatusUnauthorized:          {"unauthorized", "A valid key is needed"},
	http.StatusForbidden:             {"forbidden", "This key may not do that"},
	http.StatusNotFound:              {"not-found", "There is nothing here"},
	http.StatusMethodNotAllowed:      {"method-not-allowed", "The resource does not know this method"},
	http.StatusNotAcceptable:         {"not-acceptable", "The resource has no such form"},
	http.StatusRequestTimeout:        {"timeout", "The request took too long to arrive"},
	http.StatusConflict:              {"conflict", "The request contradicts what is there"},
	http.StatusPreconditionFailed:    {"precondition-failed", "The resource has changed"},
	http.StatusRequestEntityTooLarge: {"too-large", "The body is too large"},
	http.StatusUnsupportedMediaType:  {"unsupported-media-type", "The body is of the wrong type"},
	http.StatusUnprocessableEntity:   {"invalid", "The request is not valid"},
	http.StatusPreconditionRequired:  {"precondition-required", "The request must name the revision it changes"},
	http.StatusTooManyRequests:       {"too-many-requests", "Too many requests"},
	http.StatusInternalServerError:   {"internal", "Something went wrong here"},
	http.StatusServiceUnavailable:    {"unavailable", "The service cannot answer now"},
}

// NewProblem makes the problem of a status. An unknown status below 500 is described as 400 is, any other as 500
// is, under its own number.
func NewProblem(status int, detail string, faults ...Fault) *Problem {
	kind, ok := kinds[status]
	switch {
	case ok:
	case status < 500:
		kind = kinds[http.StatusBadRequest]
	default:
		kind = kinds[http.StatusInternalServerError]
	}
	return &Problem{Type: "urn:dealreg:problem:" + kind[0], Title: kind[1], Status: status, Detail: detail, Errors: faults}
}

// NotFound answers 404: the thing does not exist, or the caller may not know that it does.
func NotFound() *Problem {
	return NotFoundBecause("it does not exist, or this key may not see it: check the address and the key")
}

// NotFoundBecause answers 404 where the detail can say more than NotFound does.
func NotFoundBecause(detail string) *Problem { return NewProblem(http.StatusNotFound, detail) }

// Forbidden answers 403 about something that the caller may see; the detail says who may do it.
func Forbidden(detail string) *Problem { return NewProblem(http.StatusForbidden, detail) }

// Conflict answers 409; the detail says what is in the way and what to do.
func Conflict(detail string) *Problem { return NewProblem(http.StatusConflict, detail) }

// PreconditionRequired answers 428: the change came without If-Match.
func PreconditionRequired() *Problem {
	return NewProblem(http.StatusPreconditionRequired, "send If-Match with the ETag of the revision that you read",
		Fault{Parameter: "If-Match", Detail: "missing: send the ETag of the last GET"})
}

// PreconditionFailed answers 412 with the ETag of the current revision; 0 means that it is not known.
func PreconditionFailed(current uint64) *Problem {
	p := NewProblem(http.StatusPreconditionFailed, "somebody changed it after you read it: get it again and repeat the change on what is there now")
	if current != 0 {
		p = p.WithHeader("ETag", ETag(current))
	}
	return p
}

// Invalid answers 422 with every fault and its JSON pointer.
func Invalid(faults deal.Invalid) *Problem {
	p := NewProblem(http.StatusUnprocessableEntity, "correct what errors lists and send it again")
	for _, f := range faults {
		p.Errors = append(p.Errors, Fault{Detail: f.Message, Pointer: f.Pointer})
	}
	return p
}

// InvalidParameter answers 422 about a path, query or header parameter.
func InvalidParameter(name, detail string) *Problem {
	return NewProblem(http.StatusUnprocessableEntity, "correct what errors lists and send it again", Fault{Parameter: name, Detail: detail})
}

// KeyUsed answers 422 to an Idempotency-Key that came with another request before.
func KeyUsed() *Problem {
	return InvalidParameter(headerKey, "was used for another request: send a new key with a new request")
}

// Unavailable answers 503 with Retry-After: 1. The reason is shown to the client; the cause, which may be nil, is
// only logged.
func Unavailable(reason string, cause error) *Problem {
	return NewProblem(http.StatusServiceUnavailable, reason+": try again in a second").WithHeader("Retry-After", "1").WithCause(cause)
}

const refusedKey = "send a key that is not revoked, or that of a session that has not ended, as Authorization: Bearer drk_..."

// Unauthorized answers 401 to a request that nobody signed.
func Unauthorized() *Problem { return unauthorized(refusedKey) }

func unauthorized(detail string) *Problem {
	return NewProblem(http.StatusUnauthorized, detail).WithHeader("WWW-Authenticate", `Bearer realm="dealreg"`)
}

// TooMany answers 429 and asks the client to wait, at least one second.
func TooMany(retryAfterSeconds int) *Problem {
	return NewProblem(http.StatusTooManyRequests, "send fewer requests and wait as Retry-After says").
		WithHeader("Retry-After", strconv.Itoa(max(1, retryAfterSeconds)))
}

// Internal answers 500 and logs the cause.
func Internal(cause error) *Problem {
	return NewProblem(http.StatusInternalServerError, "the operator's log has the reason: try again later").WithCause(cause)
}

// FromError is err as a Problem: itself when it is one, 422 for deal.Invalid, else 500. It is nil for nil.
func FromError(err error) error {
	var p *Problem
	var invalid deal.Invalid
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		return p
	case errors.As(err, &invalid):
		return Invalid(invalid)
	default:
		return Internal(err)
	}
}

// WithHeader adds a header to the answer.
func (p *Problem) WithHeader(name, value string) *Problem {
	if p.headers == nil {
		p.headers = http.Header{}
	}
	p.headers.Add(name, value)
	return p
}

// WithCause keeps err for the log; the client never sees it.
func (p *Problem) WithCause(err error) *Problem {
	p.cause = err
	return p
}

// Error gives the detail for people who call the code, with the cause.
func (p *Problem) Error() string {
	if p.cause != nil {
		return p.Detail + ": " + p.cause.Error()
	}
	return p.Detail
}

// Unwrap gives the cause.
func (p *Problem) Unwrap() error { return p.cause }

// GetStatus is what huma asks for.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders is what huma asks for.
func (p *Problem) GetHeaders() http.Header { return p.headers }

// ContentType is what huma asks for: a problem is always application/problem+json.
func (p *Problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

// Write sends the problem as a whole answer.
func (p *Problem) Write(w http.ResponseWriter) {
	for name, values := range p.headers {
		for _, v := range values {
			w.Header().Add(name, v)
		}
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may be gone, and nobody else could be told
}
