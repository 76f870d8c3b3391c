package portal

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"

	"github.com/dealreg/dealreg/services/portal/api"
)

// signInForm is what the sign-in page shows.
type signInForm struct {
	Next       string
	Refused    bool   // the last try failed
	Link       string // the token of a sign-in link; empty for the form that asks for a key
	ByProvider bool   // the last try was with the OpenID provider
	OpenID     string // the address that leads to it; empty where there is none
}

func (s *Service) signInPage(v *visit) error {
	if v.person != nil {
		v.redirect(local(v.r.URL.Query().Get("next")), nil)
		return nil
	}
	v.signInForm(http.StatusOK, signInForm{Next: local(v.r.URL.Query().Get("next"))})
	return nil
}

// linkPage asks for a click before the link is used up: mail scanners open links, and do not send forms.
func (s *Service) linkPage(v *visit) error {
	v.signInForm(http.StatusOK, signInForm{Next: "/", Link: v.r.PathValue("token")})
	return nil
}

func (v *visit) signInForm(status int, form signInForm) {
	if v.s.cfg.OpenID != nil {
		form.OpenID = "/sign-in/openid?" + url.Values{"next": {form.Next}}.Encode()
	}
	v.w.Header().Set("Referrer-Policy", "no-referrer") // the address may hold a link's token
	v.render(status, "signin", v.speech.text("signin.title"), nil, form)
}

func (s *Service) signIn(v *visit) error {
	return v.exchange(api.Proof{Key: strings.TrimSpace(v.r.PostFormValue("key"))}, signInForm{Next: local(v.r.PostFormValue("next"))})
}

func (s *Service) signInByLink(v *visit) error {
	token := v.r.PathValue("token")
	return v.exchange(api.Proof{Link: token}, signInForm{Next: "/", Link: token})
}

// exchange signs in with a proof, under a new session token, or shows the form again.
func (v *visit) exchange(proof api.Proof, form signInForm) error {
	person, err := v.s.cfg.API.As("", v.r.RemoteAddr).SignIn(v.ctx, proof)
	switch api.StatusOf(err) {
	case http.StatusUnauthorized, http.StatusUnprocessableEntity, http.StatusNotFound, http.StatusForbidden, http.StatusBadRequest, http.StatusGone:
		form.Refused = true
		v.signInForm(http.StatusUnprocessableEntity, form)
		return nil
	}
	if err != nil {
		return err
	}
	text, err := json.Marshal(person) // #nosec G117 -- the session's store seals it
	if err != nil {
		return err
	}
	kept := v.s.sessions.GetString(v.ctx, sessionKept)
	if err := v.s.sessions.Clear(v.ctx); err != nil {
		return err
	}
	if err := v.s.sessions.RenewToken(v.ctx); err != nil {
		return err
	}
	v.s.sessions.Put(v.ctx, sessionPerson, string(text))
	if person.Language != "" {
		v.s.sessions.Put(v.ctx, sessionLanguage, person.Language)
	}
	if kept != "" {
		v.s.sessions.Put(v.ctx, sessionKept, kept)
	}
	v.redirect(goOn(kept, form.Next), nil)
	return nil
}

func (s *Service) signOut(v *visit) error {
	everywhere := v.r.PostFormValue("everywhere") != ""
	err := v.api.SignOut(v.ctx, everywhere)
	if err != nil && everywhere {
		return err // the other sessions still live: say so
	}
	if err != nil {
		s.cfg.Log.Warn("key of a session not revoked; it ends by itself", zap.Error(err))
	}
	if err := s.sessions.Destroy(v.ctx); err != nil {
		return err
	}
	v.redirect("/sign-in", url.Values{})
	return nil
}
