package portal

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/dealreg/dealreg/services/portal/api"
)

// page answers one request. An error of the API becomes the page that says what to do.
type page func(v *visit) error

// visit is one request for a page: who asks, in which language.
type visit struct {
	s      *Service
	w      http.ResponseWriter
	r      *http.Request
	ctx    context.Context
	person *api.Session // nil before sign-in
	api    *api.Client  // asks with the person's key
	speech *speech
}

// What a session holds.
const (
	sessionPerson   = "person"
	sessionLanguage = "language"
)

// policy lets a page load, ask and send to this server only. It needs no exception: charts set their styles through the
// document's object model, which a policy does not forbid.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// handler gives a page its session, refuses changes that another site sends, and makes pages of errors.
func (s *Service) handler(p page) http.Handler {
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), mayTake(r.Pattern))
		defer cancel()
		v := s.visit(w, r.WithContext(ctx))
		if err := p(v); err != nil {
			v.failed(err)
		}
	})
	guarded := s.sessions.LoadAndSave(inner)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header())
		r.Body = http.MaxBytesReader(w, r.Body, maxForm+largestFile(r.URL.Path))
		if err := s.guard.Check(r); err != nil {
			s.stranger(w, r).fail(http.StatusForbidden)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

// mayTake bounds the answer to a request of the pattern.
func mayTake(pattern string) time.Duration {
	method, path, _ := strings.Cut(pattern, " ")
	switch {
	case method != http.MethodPost:
	case path == publishPath:
		return publishWithin
	case largestFile(path) > 0:
		return arriveWithin + answerWithin
	}
	return answerWithin
}

// largestFile is how many bytes a file may have that is sent to an address; 0 where none is.
func largestFile(path string) int64 {
	switch path {
	case ratesPath:
		return maxRatesFile
	case importPath:
		return maxFile
	}
	return 0
}

func secure(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store") // what a person may see stays with that person
}

// stranger is a request of nobody: before its session was read, or when it cannot be.
func (s *Service) stranger(w http.ResponseWriter, r *http.Request) *visit {
	return &visit{
		s: s, w: w, r: r, ctx: r.Context(), api: s.cfg.API.As("", r.RemoteAddr), speech: s.speech[choose(r, r.URL.Query().Get("lang"))],
	}
}

// visit reads from the session who asks, and in which language: that of the address, which the session then keeps, else
// that of the session, which was the person's at sign-in, else the browser's.
func (s *Service) visit(w http.ResponseWriter, r *http.Request) *visit {
	v := s.stranger(w, r)
	text := s.sessions.GetString(v.ctx, sessionPerson)
	var p api.Session
	if text == "" || json.Unmarshal([]byte(text), &p) != nil || !s.cfg.Now().Before(p.ExpiresAt) {
		return v
	}
	v.person, v.api = &p, s.cfg.API.As(p.Secret, r.RemoteAddr)
	asked, kept := r.URL.Query().Get("lang"), s.sessions.GetString(v.ctx, sessionLanguage)
	v.speech = s.speech[choose(r, asked, kept)]
	if asked == v.speech.Code && asked != kept {
		s.sessions.Put(v.ctx, sessionLanguage, asked)
	}
	return v
}

// known lets only those through who signed in, and takes the others to where they do so.
func (s *Service) known(p page) page {
	return func(v *visit) error {
		if v.person == nil {
			v.toSignIn()
			return nil
		}
		if v.r.Method == http.MethodPost && largestFile(v.r.URL.Path) > 0 { // a stranger's has as little time as any form
			_ = http.NewResponseController(v.w).SetReadDeadline(time.Now().Add(arriveWithin)) //nolint:forbidigo // the clock of the connection
		}
		return p(v)
	}
}

func (v *visit) toSignIn() {
	query := url.Values{}
	if v.r.Method == http.MethodGet && v.r.URL.Path != "/" {
		query.Set("next", v.r.URL.RequestURI())
	}
	v.keep()
	v.redirect("/sign-in", query)
}

// redirect goes on with GET.
func (v *visit) redirect(path string, query url.Values) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	http.Redirect(v.w, v.r, path, http.StatusSeeOther) // #nosec G710 -- an address of ours, or one that local let through
}

// local is the address to go on with after sign-in: one of this server's, or its first page.
func local(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//") ||
		strings.ContainsAny(address, "\\\n\r\t") {
		return "/"
	}
	return address
}

// failed answers with the page of an error.
func (v *visit) failed(err error) {
	switch status := api.StatusOf(err); status {
	case http.StatusUnauthorized: // the key was revoked or has ended
		if err := v.s.sessions.Destroy(v.ctx); err != nil {
			v.s.cfg.Log.Warn("session not ended", zap.Error(err))
		}
		v.toSignIn()
	case http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusBadRequest, http.StatusForbidden:
		v.fail(http.StatusNotFound) // addresses of ours ask for nothing else that the API refuses
	case http.StatusTooManyRequests:
		v.fail(status)
	case http.StatusServiceUnavailable, 0:
		v.s.cfg.Log.Error("page not answered", zap.String("route", v.r.Pattern), zap.Error(err))
		v.fail(http.StatusServiceUnavailable)
	default:
		v.s.cfg.Log.Error("page not answered", zap.String("route", v.r.Pattern), zap.Error(err))
		v.fail(http.StatusInternalServerError)
	}
}

var errNotFound = &api.Error{Status: http.StatusNotFound}

func nothing(*visit) error { return errNotFound }

// errorPage names the texts of a status.
type errorPage struct{ Status int }

func (v *visit) fail(status int) {
	v.render(status, "error", v.speech.text("error.title"), nil, errorPage{Status: status})
}

// frame is what every page shows around its own part.
type frame struct {
	Language  string
	Languages []link
	Title     string
	Person    *api.Session
	Nav       []link
	Menu      []link // of the person
	Done      string // what the request before this page did
	Refused   reason // or why it did not
	CSS, JS   string
	NoMail    bool // nothing but the pages tells the person what waits
	Body      any
}

// link is a way on. Here marks the page itself.
type link struct {
	Text, Address string
	Here          bool
}

// saysNoMail tells whether nothing but the pages tells the person what waits.
func saysNoMail(cfg Config, p *api.Session) bool {
	return !cfg.MailOn && p != nil && !p.CompanyID.IsZero()
}

func (v *visit) render(status int, name, title string, nav []link, body any) {
	f := frame{
		Language: v.speech.Code, Title: title, Person: v.person, Nav: nav, Body: body,
		CSS: v.s.assets[0].address, JS: v.s.assets[1].address,
	}
	f.NoMail = saysNoMail(v.s.cfg, v.person)
	for _, code := range languages {
		query := v.r.URL.Query()
		query.Set("lang", code)
		f.Languages = append(f.Languages, link{
			Text: v.s.speech[code].text("language.name"), Address: v.r.URL.Path + "?" + query.Encode(), Here: code == v.speech.Code,
		})
	}
	if v.person != nil {
		f.Menu, f.Done, f.Refused = v.menu(), v.said(), v.refusal(v.s.sessions.PopString(v.ctx, sessionRefused))
	}
	var text bytes.Buffer
	if err := v.s.templates[v.speech.Code][name].ExecuteTemplate(&text, "layout", f); err != nil {
		panic(err) // the edge answers 500 and logs it
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	_, _ = v.w.Write(text.Bytes()) // the client may be gone
}

// renderPart answers with a part of a page, for a script.
func (v *visit) renderPart(page, name string, data any) {
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := v.s.templates[v.speech.Code][page].ExecuteTemplate(v.w, name, data); err != nil {
		panic(err) // the edge answers 500 and logs it
	}
}
