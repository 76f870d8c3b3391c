// Package oidclogintest runs a real OpenID provider for tests (oidc-provider, certified, on Node.js) and signs people in
// with its forms as a browser does. It needs Node.js 20 or later with npm.
package oidclogintest

import (
	"bufio"
	"context"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/oidclogin"
)

const patience = 2 * time.Minute // npm fetches packages the first time

// Account is somebody whom the provider knows; the login is also the subject.
type Account struct {
	Login    string `json:"login"`
	Email    string `json:"email"`
	Verified bool   `json:"verified"`
}

// Provider is a provider that runs until its test ends. It sends browsers back to RedirectURL, where nobody listens.
type Provider struct {
	Issuer, ClientID, ClientSecret, RedirectURL string
}

// Start runs a provider that knows the accounts.
func Start(t testing.TB, accounts ...Account) *Provider {
	t.Helper()
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{ClientID: "dealreg", ClientSecret: "a secret of tests", RedirectURL: "http://127.0.0.1:1/sign-in/callback"}
	config, err := json.Marshal(map[string]any{
		"port": port, "accounts": accounts, "client": map[string]any{"id": p.ClientID, "secret": p.ClientSecret, "redirect": p.RedirectURL},
	})
	if err != nil {
		t.Fatal(err)
	}
	node := exec.CommandContext(context.WithoutCancel(t.Context()), "node", "provider.js", string(config)) // #nosec G204 -- a test's own
	node.Dir = installed(t)
	var said strings.Builder
	node.Stderr = &said
	input, err := node.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := node.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Start(); err != nil {
		t.Fatalf("%v: install Node.js 20 or later", err)
	}
	t.Cleanup(func() {
		_ = input.Close() // ends it
		_ = node.Wait()
		http.DefaultClient.CloseIdleConnections()
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		_ = input.Close()
		_ = node.Wait()
		t.Fatalf("the provider did not start: %v\n%s", err, said.String())
	}
	p.Issuer = strings.TrimSpace(line)
	return p
}

// installed is the folder of the provider with its packages. Of several test processes at once one installs them.
func installed(t testing.TB) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(file), "provider")
	lock, err := os.Open(filepath.Join(dir, "package-lock.json")) // #nosec G304 -- beside this file
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Close() }()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	wanted, err := lock.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if have, err := os.Stat(filepath.Join(dir, "node_modules", ".package-lock.json")); err == nil && !have.ModTime().Before(wanted.ModTime()) {
		return dir
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	npm := exec.CommandContext(ctx, "npm", "ci", "--prefer-offline")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v: install Node.js 20 or later with npm\n%s", err, out)
	}
	return dir
}

// Config is what a system that trusts the provider is told.
func (p *Provider) Config() oidclogin.Config {
	return oidclogin.Config{Issuer: p.Issuer, ClientID: p.ClientID, ClientSecret: p.ClientSecret}
}

var (
	formAction = regexp.MustCompile(`<form[^>]* action="([^"]+)"`)
	formPrompt = regexp.MustCompile(`name="prompt" value="([^"]+)"`)
)

// LogIn follows authCodeURL as a browser does, logs in, consents, and gives where the provider then sends the browser:
// RedirectURL with code and state.
func (p *Provider) LogIn(t testing.TB, authCodeURL, login string) *url.URL {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: patience, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), p.RedirectURL) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	visit := func(method, address string, form url.Values) (page string, back *url.URL) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		back, _ = response.Location()
		return string(text), back
	}
	page, back := visit(http.MethodGet, authCodeURL, nil)
	for range 3 { // to log in, and to consent
		if back != nil {
			break
		}
		action, prompt := formAction.FindStringSubmatch(page), formPrompt.FindStringSubmatch(page)
		if action == nil || prompt == nil {
			t.Fatalf("no form of the provider: %s", page)
		}
		page, back = visit(http.MethodPost, html.UnescapeString(action[1]), url.Values{"prompt": {prompt[1]}, "login": {login}, "password": {"any"}})
	}
	if back == nil {
		t.Fatalf("the provider does not send the browser back: %s", page)
	}
	return back
}

// Token signs somebody in at the provider from beginning to end and gives the ID token.
func (p *Provider) Token(t testing.TB, system *oidclogin.Provider, attempt oidclogin.Attempt, login string) string {
	t.Helper()
	address, err := system.AuthCodeURL(t.Context(), attempt, p.RedirectURL)
	if err != nil {
		t.Fatal(err)
	}
	back := p.LogIn(t, address, login).Query()
	token, err := system.Exchange(t.Context(), attempt, p.RedirectURL, back.Get("state"), back.Get("code"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}
