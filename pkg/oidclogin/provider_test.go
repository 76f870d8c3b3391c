package oidclogin_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/oidclogin"
	"github.com/dealreg/dealreg/pkg/oidclogin/oidclogintest"
)

func system(t *testing.T, cfg oidclogin.Config) *oidclogin.Provider {
	t.Helper()
	p, err := oidclogin.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSignIn_WithARealProvider(t *testing.T) {
	t.Parallel()
	provider := oidclogintest.Start(t, oidclogintest.Account{Login: "ada", Email: "ada@contoso.example", Verified: true},
		oidclogintest.Account{Login: "eve", Email: "eve@contoso.example"})
	p := system(t, provider.Config())
	attempt := oidclogin.NewAttempt()
	address, err := p.AuthCodeURL(t.Context(), attempt, provider.RedirectURL)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"code_challenge_method=S256", "state=" + attempt.State, "nonce=" + attempt.Nonce} {
		if !strings.Contains(address, want) || strings.Contains(address, attempt.Verifier) {
			t.Errorf("%s without %s, or with the verifier", address, want)
		}
	}
	back := provider.LogIn(t, address, "ada").Query()
	exchange := func(a oidclogin.Attempt, state, code string) (string, error) {
		return p.Exchange(t.Context(), a, provider.RedirectURL, state, code)
	}
	refused := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, oidclogin.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = exchange(attempt, "another", back.Get("code"))
	refused("another state", err)
	_, err = exchange(oidclogin.Attempt{}, "", back.Get("code"))
	refused("no state", err)
	token, err := exchange(attempt, back.Get("state"), back.Get("code"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = exchange(attempt, back.Get("state"), back.Get("code"))
	refused("a code sent twice", err)

	who, err := p.Verify(t.Context(), token, attempt.Nonce)
	if want := (oidclogin.Identity{Issuer: provider.Issuer, Subject: "ada", Email: "ada@contoso.example"}); err != nil || who != want {
		t.Errorf("%+v, %v, want %+v", who, err, want)
	}
	for what, bad := range map[string]struct{ token, nonce string }{
		"another nonce": {token, "another"}, "no nonce": {token, ""}, "no token": {"", attempt.Nonce},
		"another payload": {forged(token, `{"sub":"eve"}`), attempt.Nonce},
		"no signature":    {token[:strings.LastIndex(token, ".")+1], attempt.Nonce},
		"no algorithm":    {unsigned(token), attempt.Nonce},
	} {
		_, err := p.Verify(t.Context(), bad.token, bad.nonce)
		refused(what, err)
	}
	other := provider.Config()
	other.ClientID = "another"
	_, err = system(t, other).Verify(t.Context(), token, attempt.Nonce)
	refused("another audience", err)
	later := provider.Config()
	later.Now = func() time.Time { return time.Unix(1<<40, 0) }
	_, err = system(t, later).Verify(t.Context(), token, attempt.Nonce)
	refused("an expired token", err)
	_, err = system(t, oidclogintest.Start(t).Config()).Verify(t.Context(), token, attempt.Nonce)
	refused("another issuer", err)

	again := oidclogin.NewAttempt()
	if address, err = p.AuthCodeURL(t.Context(), again, provider.RedirectURL); err != nil {
		t.Fatal(err)
	}
	back = provider.LogIn(t, address, "ada").Query()
	_, err = exchange(oidclogin.Attempt{State: again.State, Nonce: again.Nonce, Verifier: attempt.Verifier}, back.Get("state"), back.Get("code"))
	refused("another PKCE verifier", err)

	unverified, err := p.Verify(t.Context(), provider.Token(t, p, attempt, "eve"), attempt.Nonce)
	if err != nil || unverified.Subject != "eve" || unverified.Email != "" {
		t.Errorf("%+v, %v: an address that the provider did not verify is none", unverified, err)
	}
}

// forged is the token with another payload.
func forged(token, payload string) string {
	parts := strings.Split(token, ".")
	parts[1] = base64.RawURLEncoding.EncodeToString([]byte(payload))
	return strings.Join(parts, ".")
}

// unsigned is the token as if no signature were needed.
func unsigned(token string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(token, ".")[1] + "."
}

func TestProvider_NeedNotBeThereAtTheStartNorAlways(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	var asked atomic.Int32
	var web *httptest.Server
	web = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if !up.Load() || r.URL.Path == "/keys" {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": web.URL, "authorization_endpoint": web.URL + "/auth", "token_endpoint": web.URL + "/token", "jwks_uri": web.URL + "/keys",
		})
	}))
	t.Cleanup(web.Close)
	p := system(t, oidclogin.Config{Issuer: web.URL, ClientID: "dealreg"})
	away := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, oidclogin.ErrUnreachable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	attempt := oidclogin.NewAttempt()
	_, err := p.AuthCodeURL(t.Context(), attempt, web.URL)
	away("before it is there", err)
	up.Store(true)
	if address, err := p.AuthCodeURL(t.Context(), attempt, web.URL); err != nil || !strings.HasPrefix(address, web.URL+"/auth?") {
		t.Errorf("once it is there: %s, %v", address, err)
	}
	part := base64.RawURLEncoding.EncodeToString
	for range 100 {
		_, err = p.Verify(t.Context(), part([]byte(`{"alg":"RS256"}`))+"."+part([]byte(`{}`))+"."+part([]byte("signature")), attempt.Nonce)
		away("while it does not give its keys", err)
	}
	if n := asked.Load(); n < 3 || n > 50 {
		t.Errorf("a hundred tokens that anyone can make asked the provider %d times", n)
	}
	up.Store(false)
	_, err = p.Exchange(t.Context(), attempt, web.URL, attempt.State, "code")
	away("while it does not take codes", err)
}

func TestNew_RefusesWhatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	for what, cfg := range map[string]oidclogin.Config{
		"plain http": {Issuer: "http://login.example", ClientID: "dealreg"}, "no issuer": {ClientID: "dealreg"},
		"no address": {Issuer: "login.example", ClientID: "dealreg"}, "no client": {Issuer: "https://login.example"},
	} {
		if _, err := oidclogin.New(cfg); err == nil {
			t.Errorf("takes %s", what)
		}
	}
}
