package httpapi

import (
	"strconv"
	"strings"
)

// ETag is the strong entity tag of a revision: "7" in quotes.
func ETag(revision uint64) string { return `"` + strconv.FormatUint(revision, 10) + `"` }

// IfMatch is embedded in the input of an operation that changes a resource.
type IfMatch struct {
	IfMatch string `header:"If-Match" doc:"The ETag of the revision that you read; 428 without it, 412 when it is no longer the current one" example:"\"7\""`
}

// Revision is the revision that the client read. The error is a Problem: 428 without the header, 422 when it is
// not one strong tag of ours.
func (m IfMatch) Revision() (uint64, error) { return ParseIfMatch(m.IfMatch) }

// ParseIfMatch reads the revision out of an If-Match header. The error is a Problem as IfMatch.Revision says.
func ParseIfMatch(header string) (uint64, error) {
	header = strings.TrimSpace(header)
	if header == "" || header == "*" {
		return 0, PreconditionRequired()
	}
	digits, opened := strings.CutPrefix(header, `"`)
	digits, closed := strings.CutSuffix(digits, `"`)
	revision, err := strconv.ParseUint(digits, 10, 64)
	if !opened || !closed || err != nil || revision == 0 || ETag(revision) != header {
		return 0, InvalidParameter("If-Match", `not one of our tags: write the ETag of the last GET with its quotes, such as "7"`)
	}
	return revision, nil
}

// Tagged is the answer of an operation on one resource.
type Tagged[T any] struct {
	ETag string `header:"ETag" doc:"The revision, for If-Match" example:"\"7\""`
	Body T
}

// WithTag makes a Tagged.
func WithTag[T any](revision uint64, body T) *Tagged[T] {
	return &Tagged[T]{ETag: ETag(revision), Body: body}
}

// Created is the answer of an operation that makes a resource: 201, or 200 for a replay of the same request.
type Created[T any] struct {
	Status   int
	Location string `header:"Location" doc:"The address of the resource"`
	ETag     string `header:"ETag" doc:"The revision, for If-Match" example:"\"7\""`
	Replayed string `header:"Idempotency-Replayed" doc:"true when an earlier request with this key made it"`
	Body     T
}

// NewCreated is the answer 201 for a new resource.
func NewCreated[T any](location string, revision uint64, body T) *Created[T] {
	return &Created[T]{Status: 201, Location: location, ETag: ETag(revision), Body: body}
}

// NewReplayed is the answer 200 for a resource that the same request made before.
func NewReplayed[T any](location string, revision uint64, body T) *Created[T] {
	return &Created[T]{Status: 200, Location: location, ETag: ETag(revision), Replayed: "true", Body: body}
}
