package httpapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/roster"
)

// request is what the edge keeps about one request, for its log line and for Caller.
type request struct {
	principal roster.Principal
	cause     error // why the answer is what it is

	refuse func(detail string) *Problem      // answers credentials that open nothing
	take   func(p roster.Principal) *Problem // counts a request of a key
}

type requestKey struct{}

func requestOf(ctx context.Context) *request {
	r, _ := ctx.Value(requestKey{}).(*request)
	return r
}

// Caller is who signed the request; the zero Principal, who may do nothing, on public operations.
func Caller(ctx context.Context) roster.Principal {
	if r := requestOf(ctx); r != nil {
		return r.principal
	}
	return roster.Principal{}
}

// Refused is the answer of a Public operation to credentials that open nothing: 401 with the detail, which should be
// the same whatever is wrong with them, and 429 once the address sent too many of them.
func Refused(ctx context.Context, detail string) *Problem {
	if r := requestOf(ctx); r != nil && r.refuse != nil {
		return r.refuse(detail)
	}
	return unauthorized(detail)
}

// Admit counts the request of a Public operation against the limit of whom its credentials belong to. The error is a
// Problem with 429.
func Admit(ctx context.Context, p roster.Principal) error {
	if r := requestOf(ctx); r != nil && r.take != nil {
		if problem := r.take(p); problem != nil {
			return problem
		}
	}
	return nil
}

// WithCaller gives a context as a handler would meet it, for callers inside the process.
func WithCaller(ctx context.Context, p roster.Principal) context.Context {
	return context.WithValue(ctx, requestKey{}, &request{principal: p})
}

// authenticate lets only those through who are known and sent no more than they may, except to Public operations.
func (s *Server) authenticate(ctx huma.Context, next func(huma.Context)) {
	if security := ctx.Operation().Security; security != nil && len(security) == 0 {
		next(ctx)
		return
	}
	r, w := humago.Unwrap(ctx)
	principal, err := s.signer(r)
	switch {
	case errors.Is(err, roster.ErrNotLoaded):
		Unavailable("the directory of keys is still being read", nil).Write(w)
		return
	case err != nil:
		s.refuse(r.RemoteAddr, refusedKey).Write(w)
		return
	}
	note := requestOf(ctx.Context())
	if note == nil {
		ctx = huma.WithContext(ctx, WithCaller(ctx.Context(), principal))
	} else {
		note.principal = principal
	}
	switch {
	case !s.admit(w, principal):
	case principal.Role == roster.RoleGuest && !forGuests(ctx.Operation()):
		NotFound().Write(w)
	default:
		next(ctx)
	}
}

// signer tells who signed the request. This is the one place that knows how: with a key, or with the key of a session,
// in the Authorization header. There is no cookie, so no browser signs another site's request. Handlers meet only
// Caller.
func (s *Server) signer(r *http.Request) (roster.Principal, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" || s.cfg.Authenticate == nil {
		return roster.Principal{}, roster.ErrUnauthenticated
	}
	return s.cfg.Authenticate(token)
}

// checkContentType refuses a body of a type that the operation does not document. Types that end in +json are JSON.
func checkContentType(ctx huma.Context, next func(huma.Context)) {
	body, sent := ctx.Operation().RequestBody, ctx.Header("Content-Type")
	if body == nil || sent == "" {
		next(ctx)
		return
	}
	media, _, err := mime.ParseMediaType(sent)
	if strings.HasSuffix(media, "+json") {
		media = "application/json"
	}
	if _, known := body.Content[media]; err != nil || !known {
		_, w := humago.Unwrap(ctx)
		types := slices.Sorted(maps.Keys(body.Content))
		NewProblem(http.StatusUnsupportedMediaType, "set Content-Type to "+strings.Join(types, " or ")+" and send the body in that form").Write(w)
		return
	}
	next(ctx)
}

// checkQuery refuses a query that could be read in more than one way: badly encoded, not UTF-8, or with a parameter
// that stands there twice.
func checkQuery(ctx huma.Context, next func(huma.Context)) {
	u := ctx.URL()
	query, err := url.ParseQuery(u.RawQuery)
	var p *Problem
	if err != nil {
		p = NewProblem(http.StatusBadRequest, "the query cannot be read: encode it as name=value&name=value with %xx for other characters")
	}
	for name, values := range query {
		switch {
		case p != nil:
		case !utf8.ValidString(name):
			p = NewProblem(http.StatusBadRequest, "the query is not UTF-8: write it in that encoding")
		case len(values) > 1:
			p = InvalidParameter(shorten(name), "stands there more than once: write it once")
		case !utf8.ValidString(values[0]):
			p = InvalidParameter(shorten(name), "not UTF-8: write it in that encoding")
		}
	}
	if p != nil {
		_, w := humago.Unwrap(ctx)
		p.Write(w)
		return
	}
	next(ctx)
}

// noteProblem keeps the cause of a problem for the log line.
func noteProblem(ctx huma.Context, _ string, v any) (any, error) {
	if p, ok := v.(*Problem); ok {
		if r := requestOf(ctx.Context()); r != nil {
			r.cause = p.cause
		}
	}
	return v, nil
}

const unknownRoute = "none"

// serve is the whole way of a request. Durations are measured with the monotonic clock.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	start := s.cfg.Now()
	note := &request{refuse: func(detail string) *Problem { return s.refuse(r.RemoteAddr, detail) }, take: s.take}
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, note))
	answer := &answer{ResponseWriter: w}
	route := unknownRoute
	defer func() {
		if recovered := recover(); recovered != nil {
			s.recover(answer, r, note, recovered)
		}
		s.account(r, route, answer.status, s.cfg.Now().Sub(start), note)
		if answer.broken {
			panic(http.ErrAbortHandler) // the client must not take half an answer for a whole one
		}
	}()

	handler, pattern := s.Mux.Handler(r)
	if pattern == "" {
		unmatched(answer, r, handler)
		return
	}
	route = pattern[strings.Index(pattern, " ")+1:]
	s.Mux.ServeHTTP(answer, r)
}

// unmatched answers where no route is: what the mux would say, as a problem.
func unmatched(w http.ResponseWriter, r *http.Request, mux http.Handler) {
	said := &probe{header: http.Header{}}
	mux.ServeHTTP(said, r)
	if said.status == http.StatusMethodNotAllowed {
		allow := said.header.Get("Allow")
		NewProblem(said.status, "use one of "+allow).WithHeader("Allow", allow).Write(w)
		return
	}
	NewProblem(http.StatusNotFound, "no such address: /openapi.json lists all of them").Write(w)
}

func (s *Server) recover(w *answer, r *http.Request, note *request, recovered any) {
	if err, ok := recovered.(error); ok && (errors.Is(err, http.ErrAbortHandler) || r.Context().Err() != nil) {
		w.broken = true // the client is gone
		return
	}
	s.cfg.Log.Error("handler panicked", zap.String("panic", fmt.Sprint(recovered)), zap.ByteString("stack", debug.Stack()))
	if w.status != 0 {
		w.broken = true
		return
	}
	note.cause = nil // logged just now
	Internal(nil).Write(w)
}

// account writes the log line and the metric of an answered request. It knows the route, never the address.
func (s *Server) account(r *http.Request, route string, status int, took time.Duration, note *request) {
	if status == 0 {
		status = http.StatusOK
	}
	method := r.Method
	if route == unknownRoute {
		method = "any" // the client may have made it up
	}
	s.latency.WithLabelValues(route, method, strconv.Itoa(status)).Observe(took.Seconds())
	level, message := zap.DebugLevel, "request answered"
	switch {
	case note.cause != nil && status >= http.StatusInternalServerError:
		level, message = zap.ErrorLevel, "request not answered"
	case note.cause != nil:
		level, message = zap.InfoLevel, "request refused"
	}
	line := s.cfg.Log.Check(level, message)
	if line == nil {
		return // nobody keeps it
	}
	fields := []zap.Field{zap.String("method", method), zap.String("route", route), zap.Int("status", status), zap.Duration("took", took)}
	if !note.principal.KeyID.IsZero() {
		fields = append(fields, zap.Stringer("key_id", note.principal.KeyID))
	}
	if note.cause != nil {
		fields = append(fields, zap.Error(note.cause))
	}
	line.Write(fields...)
}

// answer remembers the status that went out.
type answer struct {
	http.ResponseWriter
	status int
	broken bool
}

// WriteHeader notes the final status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write notes the status that a first Write implies.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// probe takes an answer's status and header and drops its body.
type probe struct {
	header http.Header
	status int
}

// Header is that of the answer.
func (p *probe) Header() http.Header { return p.header }

// Write drops the body.
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }

// WriteHeader keeps the status.
func (p *probe) WriteHeader(status int) { p.status = status }
