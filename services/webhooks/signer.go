package webhooks

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/dealreg/dealreg/pkg/webhook"
)

// signer makes the headers of one endpoint's webhooks. What is sealed is opened once for all of them, until the endpoint
// changes or one of its secrets ends. A signer lives in memory only, beside the key that opens everything.
type signer struct {
	secrets []sealedSecret
	headers map[string]string
	until   time.Time // when a secret ends, zero for never
	// sign holds what was opened, since fmt cannot look into functions.
	sign func(id string, at time.Time, body []byte) (http.Header, error)
}

var errHeadersSealed = errors.New("the endpoint's headers do not open with this operator's key: set them again")

// newSigner gives the signer of the endpoint as it is. Errors are in words for its owner.
func newSigner(e endpoint, key webhook.SealingKey, at time.Time) (*signer, error) {
	secrets, err := e.open(key, at)
	if err != nil {
		return nil, err
	}
	own, err := e.openHeaders(key)
	if err != nil {
		return nil, errHeadersSealed
	}
	s := &signer{secrets: e.Secrets, headers: e.Headers}
	for _, secret := range e.Secrets {
		if u := secret.Until; u != nil && at.Before(*u) && (s.until.IsZero() || u.Before(s.until)) {
			s.until = *u
		}
	}
	s.sign = func(id string, at time.Time, body []byte) (http.Header, error) {
		header, err := webhook.Sign(id, at, body, secrets...)
		if err == nil {
			maps.Copy(header, own)
		}
		return header, err
	}
	return s, nil
}

// fits tells whether the signer is that of the endpoint at the time. The nil signer is no endpoint's.
func (s *signer) fits(e endpoint, at time.Time) bool {
	return s != nil && (s.until.IsZero() || at.Before(s.until)) && slices.Equal(s.secrets, e.Secrets) && maps.Equal(s.headers, e.Headers)
}

// signerOf gives the endpoint's signer. Errors are those of newSigner.
func (g *gate) signerOf(e endpoint, key webhook.SealingKey, at time.Time) (*signer, error) {
	if s := g.signer.Load(); s.fits(e, at) {
		return s, nil
	}
	s, err := newSigner(e, key, at)
	if err == nil {
		g.signer.Store(s)
	}
	return s, err
}
