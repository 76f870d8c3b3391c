// Package oidclogin signs people in with one OpenID provider: the authorization code flow with PKCE, state and nonce
// for whoever talks to browsers, and the check of ID tokens for whoever decides who gets in. It knows no people and
// keeps nothing: what lies between the two halves of the flow is an Attempt, which its caller keeps.
package oidclogin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/time/rate"
)

var (
	// ErrUnreachable means that the provider did not answer as one: try again.
	ErrUnreachable = errors.New("the OpenID provider does not answer")
	// ErrRefused means that a code, a state or a token opens nothing: begin the sign-in anew.
	ErrRefused = errors.New("the sign-in is not valid")
)

const (
	answerWithin  = 10 * time.Second // for each request to the provider
	mostBytes     = 1 << 20          // of an answer of the provider
	longestSecret = 1 << 10          // bytes

	// Each token under a key that is not known here asks the provider for its keys, and anyone may send such tokens.
	metadataPerSecond, metadataAtOnce = 1, 10
)

// Config is what a Provider needs.
type Config struct {
	Issuer       string // https, or http on this machine
	ClientID     string
	ClientSecret string           // empty for a public client
	Now          func() time.Time // for the expiry of tokens; nil: the clock
}

// Provider is an OpenID provider. It is asked for what it can do at the first use, and again until it answers, so it
// need not be there at the start. Safe for concurrent use.
type Provider struct {
	cfg      Config
	client   *http.Client // for codes
	metadata *http.Client // for what the provider says of itself
	found    atomic.Pointer[discovered]
}

type discovered struct {
	endpoint   oauth2.Endpoint
	keys       *oidc.RemoteKeySet
	algorithms []string
	mayAsk     bool // for single claims
}

// New checks the configuration.
func New(cfg Config) (*Provider, error) {
	issuer, err := url.Parse(cfg.Issuer)
	switch {
	case err != nil, issuer.Host == "", issuer.Scheme != "https" && (issuer.Scheme != "http" || !isLocal(issuer.Hostname())):
		return nil, errors.New("OpenID issuer: write the https address that the provider names as its issuer")
	case cfg.ClientID == "":
		return nil, errors.New("OpenID client id: write the one that the provider gave this system")
	case len(cfg.ClientSecret) > longestSecret:
		return nil, errors.New("OpenID client secret: the file holds more than a secret")
	}
	way := bounded{http.DefaultTransport}
	return &Provider{
		cfg:      cfg,
		client:   &http.Client{Timeout: answerWithin, Transport: way},
		metadata: &http.Client{Timeout: answerWithin, Transport: sparing{rate.NewLimiter(metadataPerSecond, metadataAtOnce), way}},
	}, nil
}

func isLocal(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// Attempt is one sign-in on its way: what the caller keeps, where only this browser's next request finds it, from
// AuthCodeURL until Exchange.
type Attempt struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"` // of PKCE
}

// NewAttempt begins a sign-in that nobody can guess.
func NewAttempt() Attempt {
	return Attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()}
}

// AuthCodeURL is where to send the browser. The provider sends it back to redirectURL with code and state. The error is
// ErrUnreachable.
func (p *Provider) AuthCodeURL(ctx context.Context, a Attempt, redirectURL string) (string, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)}
	if found.mayAsk {
		options = append(options, oauth2.SetAuthURLParam("claims", addressInToken))
	}
	return p.oauth(found, redirectURL).AuthCodeURL(a.State, options...), nil
}

// addressInToken asks for the e-mail address in the ID token, because strict providers tell it to the holder of an
// access token only (OpenID Connect Core 5.4).
const addressInToken = `{"id_token":{"email":null,"email_verified":null}}` // #nosec G101 -- names, no secret

// Exchange gives the ID token for the code that came back to redirectURL with state. Nobody has verified it yet. The
// error is ErrRefused, also for a code that was used before, or ErrUnreachable.
func (p *Provider) Exchange(ctx context.Context, a Attempt, redirectURL, state, code string) (idToken string, err error) {
	if !same(state, a.State) {
		return "", fmt.Errorf("%w: another state", ErrRefused)
	}
	found, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	token, err := p.oauth(found, redirectURL).Exchange(oidc.ClientContext(ctx, p.client), code, oauth2.VerifierOption(a.Verifier))
	if err != nil {
		return "", kindOf(err)
	}
	idToken, ok := token.Extra("id_token").(string)
	if !ok {
		return "", fmt.Errorf("%w: no ID token came for the code", ErrRefused)
	}
	return idToken, nil
}

// Identity is whom a provider vouches for.
type Identity struct {
	Issuer, Subject string
	Email           string // empty unless the provider verified it
}

// Verify checks that the token was signed by the provider, for this system, for the sign-in with this nonce, and has
// not expired. The error is ErrRefused or ErrUnreachable.
func (p *Provider) Verify(ctx context.Context, idToken, nonce string) (Identity, error) {
	found, err := p.discover(ctx)
	if err != nil {
		return Identity{}, err
	}
	keys := &watchedKeys{keys: found.keys}
	token, err := oidc.NewVerifier(p.cfg.Issuer, keys, &oidc.Config{
		ClientID: p.cfg.ClientID, SupportedSigningAlgs: found.algorithms, Now: p.cfg.Now,
	}).Verify(ctx, idToken)
	if err != nil {
		return Identity{}, kindOf(errors.Join(err, keys.err))
	}
	var claims struct {
		Email    string `json:"email"`
		Verified any    `json:"email_verified"`
		Party    string `json:"azp"`
	}
	switch err := token.Claims(&claims); {
	case err != nil:
		return Identity{}, fmt.Errorf("%w: %w", ErrRefused, err)
	case !same(token.Nonce, nonce):
		return Identity{}, fmt.Errorf("%w: another nonce", ErrRefused)
	case claims.Party != "" && claims.Party != p.cfg.ClientID:
		return Identity{}, fmt.Errorf("%w: issued to another party", ErrRefused)
	}
	who := Identity{Issuer: token.Issuer, Subject: token.Subject}
	if claims.Verified == true || claims.Verified == "true" { // some providers write text
		who.Email = claims.Email
	}
	return who, nil
}

func (p *Provider) oauth(found *discovered, redirectURL string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret, Endpoint: found.endpoint, RedirectURL: redirectURL,
		Scopes: []string{oidc.ScopeOpenID, "email"},
	}
}

// signatures are the algorithms with which a provider may sign: those that need no shared secret.
var signatures = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.EdDSA,
}

// discover reads what the provider can do, once.
func (p *Provider) discover(ctx context.Context) (*discovered, error) {
	if found := p.found.Load(); found != nil {
		return found, nil
	}
	ctx = oidc.ClientContext(ctx, p.metadata)
	provider, err := oidc.NewProvider(ctx, p.cfg.Issuer)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	var document struct {
		Keys       string   `json:"jwks_uri"`
		Algorithms []string `json:"id_token_signing_alg_values_supported"`
		MayAsk     bool     `json:"claims_parameter_supported"`
	}
	if err := provider.Claims(&document); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	found := &discovered{endpoint: provider.Endpoint(), keys: oidc.NewRemoteKeySet(ctx, document.Keys), mayAsk: document.MayAsk}
	for _, a := range document.Algorithms {
		if slices.Contains(signatures, a) {
			found.algorithms = append(found.algorithms, a)
		}
	}
	p.found.Store(found)
	return found, nil
}

// watchedKeys keeps the error of the provider's keys for one token, of which the verifier keeps the text only.
type watchedKeys struct {
	keys *oidc.RemoteKeySet
	err  error
}

// VerifySignature is what the verifier asks for.
func (w *watchedKeys) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := w.keys.VerifySignature(ctx, jwt)
	w.err = err
	return payload, err
}

// kindOf makes ErrUnreachable of what the way to the provider caused, and ErrRefused of all else.
func kindOf(err error) error {
	if _, onTheWay := errors.AsType[*url.Error](err); onTheWay || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

func same(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// sparing sends no more requests than the provider should have to answer.
type sparing struct {
	limit *rate.Limiter
	next  http.RoundTripper
}

// RoundTrip sends the request, or refuses to.
func (s sparing) RoundTrip(r *http.Request) (*http.Response, error) {
	if !s.limit.Allow() {
		return nil, errors.New("asked too often")
	}
	return s.next.RoundTrip(r)
}

// bounded takes no endless answer from a provider, and none that says that the provider is broken.
type bounded struct{ next http.RoundTripper }

// RoundTrip sends the request.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusInternalServerError {
		_ = response.Body.Close()
		return nil, fmt.Errorf("it answers %s", response.Status)
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(response.Body, mostBytes), response.Body}
	return response, nil
}
