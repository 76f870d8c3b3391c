package portal

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/dealreg/dealreg/pkg/oidclogin"
	"github.com/dealreg/dealreg/services/portal/api"
)

// sessionAttempt is where a session that is no person's yet keeps a sign-in with the OpenID provider on its way.
const sessionAttempt = "attempt"

const openIDCallback = "/sign-in/callback"

// attempt is a sign-in on its way, and where to go on after it.
type attempt struct {
	oidclogin.Attempt
	Next string `json:"next"`
}

// signInByOpenID sends the browser to the provider.
func (s *Service) signInByOpenID(v *visit) error {
	if s.cfg.OpenID == nil {
		return errNotFound
	}
	a := attempt{Attempt: oidclogin.NewAttempt(), Next: local(v.r.URL.Query().Get("next"))}
	address, err := s.cfg.OpenID.AuthCodeURL(v.ctx, a.Attempt, v.callback())
	if err != nil {
		return err
	}
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	s.sessions.Put(v.ctx, sessionAttempt, string(text))
	http.Redirect(v.w, v.r, address, http.StatusSeeOther) // #nosec G710 -- the provider's own
	return nil
}

// openIDBack is where the provider sends the browser. An attempt is good for one answer.
func (s *Service) openIDBack(v *visit) error {
	if s.cfg.OpenID == nil {
		return errNotFound
	}
	var a attempt
	if err := json.Unmarshal([]byte(s.sessions.PopString(v.ctx, sessionAttempt)), &a); err != nil {
		v.redirect("/sign-in", nil) // sent twice, or by a stranger
		return nil
	}
	query := v.r.URL.Query()
	token, err := s.cfg.OpenID.Exchange(v.ctx, a.Attempt, v.callback(), query.Get("state"), query.Get("code"))
	if errors.Is(err, oidclogin.ErrRefused) {
		v.signInForm(http.StatusUnprocessableEntity, signInForm{Next: a.Next, ByProvider: true, Refused: true})
		return nil
	}
	if err != nil {
		return err
	}
	return v.exchange(api.Proof{IDToken: token, Nonce: a.Nonce}, signInForm{Next: a.Next, ByProvider: true})
}

// callback is the address to which the provider sends the browser back; the provider sends nobody to one that it was
// not told of before.
func (v *visit) callback() string {
	scheme := "http"
	if v.s.cfg.SecureCookies {
		scheme = "https"
	}
	return scheme + "://" + v.r.Host + openIDCallback
}
