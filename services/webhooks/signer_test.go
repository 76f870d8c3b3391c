package webhooks

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/webhook"
)

func signedEndpoint(t *testing.T, key webhook.SealingKey, at time.Time) (endpoint, webhook.Secret) {
	t.Helper()
	secret, value := webhook.NewSecret(), "their-own"
	e, err := endpoint{ID: deal.ID{1}}.withSecret(key, secret, at)
	if err != nil {
		t.Fatal(err)
	}
	if e, err = e.setHeaders(key, map[string]*string{"x-token": &value}); err != nil {
		t.Fatal(err)
	}
	return e, secret
}

func TestSigner_IsThatOfTheEndpointAsItIsNow(t *testing.T) {
	t.Parallel()
	key, err := webhook.NewSealingKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	at, body := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), []byte("{}")
	e, old := signedEndpoint(t, key, at)
	g := newGate(e.ID, 1, probing{})
	sign := func(at time.Time) (token string, by func(webhook.Secret) bool) {
		t.Helper()
		s, err := g.signerOf(e, key, at)
		if err != nil {
			t.Fatal(err)
		}
		header, err := s.sign("deal:1", at, body)
		if err != nil {
			t.Fatal(err)
		}
		return header.Get("X-Token"), func(s webhook.Secret) bool { return webhook.Verify(header, body, at, s) == nil }
	}
	if token, by := sign(at); token != "their-own" || !by(old) {
		t.Errorf("first: %q, signed by the secret: %t", token, by(old))
	}
	first := g.signer.Load()
	if sign(at.Add(time.Hour)); g.signer.Load() != first {
		t.Error("what did not change was opened again")
	}

	rotated := webhook.NewSecret()
	if e, err = e.withSecret(key, rotated, at); err != nil {
		t.Fatal(err)
	}
	if _, by := sign(at); !by(old) || !by(rotated) {
		t.Error("not signed by both during the rotation")
	}
	if _, by := sign(at.Add(rotationLasts)); by(old) || !by(rotated) {
		t.Error("the old secret signs after its end, or the new one does not")
	}

	value := "another"
	if e, err = e.setHeaders(key, map[string]*string{"x-token": &value}); err != nil {
		t.Fatal(err)
	}
	if token, _ := sign(at.Add(rotationLasts)); token != value {
		t.Errorf("header %q", token)
	}
}

func TestSigner_NeverShowsWhatItOpened(t *testing.T) {
	t.Parallel()
	key, err := webhook.NewSealingKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	e, secret := signedEndpoint(t, key, time.Time{})
	s, err := newSigner(e, key, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if shown := fmt.Sprintf(verb, *s); strings.Contains(shown, "their-own") || strings.Contains(shown, strings.TrimPrefix(secret.Reveal(), "whsec_")) {
			t.Errorf("%s shows it", verb)
		}
	}
}
