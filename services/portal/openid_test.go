package portal_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/oidclogin"
	"github.com/dealreg/dealreg/pkg/oidclogin/oidclogintest"
	"github.com/dealreg/dealreg/services/portal"
)

func TestOpenID_SignsInWithTheTokenOfThisAttemptOnce(t *testing.T) {
	t.Parallel()
	provider := oidclogintest.Start(t, oidclogintest.Account{Login: "ada", Email: "ada@contoso.example", Verified: true})
	system, err := oidclogin.New(provider.Config())
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, func(c *portal.Config) { c.OpenID = system })
	s.host = strings.TrimSuffix(strings.TrimPrefix(provider.RedirectURL, "http://"), "/sign-in/callback")
	_, text := s.do(http.MethodGet, "/sign-in?next="+yearPath, nil)
	if !strings.Contains(text, `href="/sign-in/openid?next=`) {
		t.Errorf("no way to the provider: %s", text)
	}
	response, _ := s.do(http.MethodGet, "/sign-in/openid?next="+yearPath, nil)
	back := provider.LogIn(t, response.Header.Get("Location"), "ada").RequestURI()

	stranger := *s
	stranger.browser = newBrowser(t)
	if response, _ := stranger.do(http.MethodGet, back, nil); response.Header.Get("Location") != "/sign-in" {
		t.Errorf("another browser: %d %s", response.StatusCode, response.Header.Get("Location"))
	}
	if response, text := s.do(http.MethodGet, back, nil); response.StatusCode != http.StatusSeeOther || response.Header.Get("Location") != yearPath {
		t.Errorf("%d %s %s", response.StatusCode, response.Header.Get("Location"), text)
	}
	if proof := s.backend.proof; proof.IDToken == "" || proof.Nonce == "" || proof.Key != "" {
		t.Errorf("the API was asked with %+v", proof)
	}
	if response, _ := s.do(http.MethodGet, yearPath, nil); response.StatusCode != http.StatusOK {
		t.Errorf("signed in: %d", response.StatusCode)
	}
	if response, _ := s.do(http.MethodGet, back, nil); response.Header.Get("Location") != "/sign-in" {
		t.Errorf("sent twice: %d", response.StatusCode)
	}
}

func TestOpenID_RefusesAnAnswerToAnotherAttempt(t *testing.T) {
	t.Parallel()
	provider := oidclogintest.Start(t)
	system, err := oidclogin.New(provider.Config())
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, func(c *portal.Config) { c.OpenID = system })
	s.do(http.MethodGet, "/sign-in/openid", nil)
	response, text := s.do(http.MethodGet, "/sign-in/callback?state=other&code=x", nil)
	if response.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, "organisation") {
		t.Errorf("%d %s", response.StatusCode, text)
	}
}
