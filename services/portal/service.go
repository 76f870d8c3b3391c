// Package portal is the pages of dealreg for people: an association's year for its board, a company's own deals, a
// registrar's desk. The server renders them; a chart is drawn beside its table by one script of our own. It shows what
// the API answers to the person's own key and decides nothing about who may see what.
package portal

import (
	"context"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

const (
	answerWithin  = 15 * time.Second
	publishWithin = 2*time.Minute + answerWithin // what the API takes at most to make a release, and a page
	arriveWithin  = 5 * time.Minute              // a file of a person who signed in, over a slow line
	askAgain      = 250 * time.Millisecond
	askWhenWell   = 5 * time.Second
	maxForm       = 64 << 10 // bytes
)

// Service answers the portal's pages.
type Service struct {
	cfg       Config
	store     *sessions
	sessions  *scs.SessionManager
	speech    map[string]*speech
	templates map[string]map[string]*template.Template // by language and page
	assets    []*asset
	guard     *http.CrossOriginProtection
	drafts    *drafts
	apiWords  []apiSentence
	workbooks chan struct{} // holds a token while one is read
	keeping   *rate.Limiter // of forms that came without a session
}

// New checks the configuration and reads the pages. Nothing needs to be alive.
func New(cfg Config) (*Service, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, speech: map[string]*speech{}, templates: map[string]map[string]*template.Template{},
		store:  &sessions{js: cfg.JetStream, replicas: cfg.Replicas, now: cfg.Now},
		drafts: &drafts{js: cfg.JetStream, replicas: cfg.Replicas}, workbooks: make(chan struct{}, 1),
		guard: http.NewCrossOriginProtection(), keeping: newKeeping(),
	}
	s.sessions = s.manager()
	for _, file := range []struct{ name, mediaType string }{
		{"portal.css", "text/css; charset=utf-8"}, {"portal.js", "text/javascript; charset=utf-8"},
	} {
		a, err := loadAsset(file.name, file.mediaType)
		if err != nil {
			return nil, fmt.Errorf("portal: %w", err)
		}
		s.assets = append(s.assets, a)
	}
	var err error
	if s.apiWords, err = readAPIWords(); err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	for _, code := range languages {
		speech, err := newSpeech(code)
		if err != nil {
			return nil, fmt.Errorf("portal: %w", err)
		}
		s.speech[code] = speech
		if s.templates[code], err = parsePages(speech); err != nil {
			return nil, fmt.Errorf("portal: %w", err)
		}
	}
	return s, nil
}

func (s *Service) manager() *scs.SessionManager {
	m := scs.New()
	m.Store = s.store
	m.IdleTimeout, m.Lifetime = idleFor, sessionFor
	m.Cookie.Name = "dealreg"
	if s.cfg.SecureCookies {
		m.Cookie.Name = "__Host-dealreg" // browsers take it by TLS and from this very host only
	}
	m.Cookie.Secure, m.Cookie.HttpOnly, m.Cookie.SameSite = s.cfg.SecureCookies, true, http.SameSiteLaxMode
	m.Cookie.Persist = false
	m.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) {
		s.cfg.Log.Error("session", zap.Error(err))
		s.stranger(w, r).fail(http.StatusServiceUnavailable)
	}
	return m
}

// Run reports whether sessions can be kept until ctx ends. Pages answer with and without it.
func (s *Service) Run(ctx context.Context) error {
	for {
		_, err := s.store.open(ctx)
		if ctx.Err() != nil {
			return nil
		}
		s.cfg.Health.Report("portal", err)
		wait := askWhenWell
		if err != nil {
			wait = askAgain
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// Mux takes the portal's routes. *http.ServeMux is one.
type Mux interface {
	Handle(pattern string, handler http.Handler)
}

// Routes registers the pages and what they load.
func (s *Service) Routes(mux Mux) {
	for _, a := range s.assets {
		mux.Handle("GET "+a.address, a)
	}
	open := map[string]page{
		"GET /sign-in":          s.signInPage,
		"POST /sign-in":         s.signIn,
		"GET /sign-in/openid":   s.signInByOpenID,
		"GET " + openIDCallback: s.openIDBack,
		"GET /sign-in/{token}":  s.linkPage,
		"POST /sign-in/{token}": s.signInByLink,
	}
	signedIn := map[string]page{
		"GET /{$}":                           s.home,
		"POST /sign-out":                     s.signOut,
		"GET /a/":                            nothing,
		"GET /c/":                            nothing,
		"GET /a/{association}":               s.goToYear,
		"GET /a/{association}/desk":          s.desk,
		"GET /a/{association}/{year}":        s.yearPage,
		"GET /a/{association}/{year}/{view}": s.yearPage,
		"GET /a/{association}/{year}/{release}/{view}": s.yearPage,
		"GET /c/{company}":          s.goToCompanyYear,
		"GET /c/{company}/{year}":   s.companyPage,
		"GET /deals":                s.deals,
		"GET /deals/":               nothing,
		"GET /deals/new":            s.newDeal,
		"POST /deals/new":           s.registerDeal,
		"GET /deals/partners":       s.findPartners,
		"GET /deals/{deal}":         s.dealPage,
		"GET /deals/{deal}/{move}":  s.movePage,
		"POST /deals/{deal}/{move}": s.move,
	}
	both := map[string]page{ // GET shows what POST changes
		webhooksPath:                               s.webhooks,
		webhooksPath + "/{endpoint}":               s.endpoint,
		mePath:                                     s.me,
		associationPath:                            s.createAssociation,
		ratesPath:                                  s.rates,
		"/c/{company}/people":                      s.people,
		"/c/{company}/keys":                        s.keys,
		"/c/{company}/waivers":                     s.waivers,
		"/a/{association}/people":                  s.people,
		"/a/{association}/keys":                    s.keys,
		"/deals/{deal}/registrar":                  s.deskDeal,
		publishPath:                                s.publish,
		"/a/{association}/setup":                   s.setup,
		"/a/{association}/setup/chapters":          s.chaptersPage,
		"/a/{association}/setup/members":           s.membersSetupPage,
		"/a/{association}/setup/members/{company}": s.enrol,
	}
	for pattern, p := range both {
		signedIn["GET "+pattern], signedIn["POST "+pattern] = p, p
	}
	for pattern, p := range open {
		mux.Handle(pattern, s.handler(p))
	}
	maps.Copy(signedIn, s.importRoutes())
	for pattern, p := range signedIn {
		mux.Handle(pattern, s.handler(s.known(p)))
	}
}
