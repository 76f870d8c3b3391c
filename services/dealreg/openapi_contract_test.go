package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

// contract holds every answer against the document: a status that the operation names, its media type, the headers
// that it promises, and a body of its schema without a field that is not described.
type contract struct {
	t    *testing.T
	api  *huma.OpenAPI
	mux  *http.ServeMux // finds the operation of a request
	next http.RoundTripper

	mu       sync.Mutex
	answered map[string]bool // operations that succeeded
}

func newContract(t *testing.T, api *huma.OpenAPI) *contract {
	t.Helper()
	c := &contract{t: t, api: api, mux: http.NewServeMux(), next: http.DefaultTransport, answered: map[string]bool{}}
	for _, op := range operationsOf(api) {
		c.mux.Handle(op.Method+" "+op.Path, http.NotFoundHandler())
	}
	return c
}

// operationsOf are all operations of the document, in the order of their ids.
func operationsOf(api *huma.OpenAPI) []*huma.Operation {
	var all []*huma.Operation
	for _, item := range api.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op != nil {
				all = append(all, op)
			}
		}
	}
	slices.SortFunc(all, func(a, b *huma.Operation) int { return strings.Compare(a.OperationID, b.OperationID) })
	return all
}

// RoundTrip sends the request and checks the answer.
func (c *contract) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	_, pattern := c.mux.Handler(r)
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(body))
	for _, op := range operationsOf(c.api) {
		if op.Method+" "+op.Path == pattern {
			c.check(op, response, body)
		}
	}
	return response, nil
}

func (c *contract) check(op *huma.Operation, response *http.Response, body []byte) {
	fault := func(format string, args ...any) {
		c.t.Errorf("%s answers %d: "+format, append([]any{op.OperationID, response.StatusCode}, args...)...)
	}
	promised := op.Responses[strconv.Itoa(response.StatusCode)]
	if promised == nil {
		fault("the document does not name that status: %s", body)
		return
	}
	if name, is := strings.CutPrefix(promised.Ref, "#/components/responses/"); is {
		promised = c.api.Components.Responses[name]
	}
	if response.StatusCode < 300 {
		c.mu.Lock()
		c.answered[op.OperationID] = true
		c.mu.Unlock()
	}
	for name, header := range promised.Headers {
		if header.Required && response.Header.Get(name) == "" {
			fault("the header %s is missing", name)
		}
	}
	for _, name := range []string{"ETag", "Location", "Idempotency-Replayed", "Dealreg-Sequence", "Retry-After", "WWW-Authenticate", "Content-Disposition", "RateLimit", "RateLimit-Policy"} {
		if response.Header.Get(name) != "" && promised.Headers[name] == nil {
			fault("the document does not name the header %s", name)
		}
	}
	if len(promised.Content) == 0 {
		if len(body) > 0 {
			fault("a body that the document does not name")
		}
		return
	}
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	media := promised.Content[kind]
	switch {
	case media == nil:
		fault("Content-Type %q", kind)
	case strings.HasSuffix(kind, "json"):
		var value any
		if err := json.Unmarshal(body, &value); err != nil {
			fault("%v", err)
			return
		}
		found := &huma.ValidateResult{}
		huma.Validate(c.api.Components.Schemas, media.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, value, found)
		for _, err := range found.Errors {
			fault("%v", err)
		}
	}
}

// inProcess answers requests without a network, each as if it came from another address, because an address may fail to
// sign only so often.
type inProcess struct {
	handler http.Handler
	sent    atomic.Uint32
}

// RoundTrip gives the whole answer.
func (p *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	n := p.sent.Add(1)
	r = r.Clone(r.Context())
	r.RemoteAddr = fmt.Sprintf("198.18.%d.%d:1024", n>>8&255, n&255)
	if r.Body == nil {
		r.Body = http.NoBody
	}
	answer := httptest.NewRecorder()
	p.handler.ServeHTTP(answer, r)
	return answer.Result(), nil
}
