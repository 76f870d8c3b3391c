package webhook_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/webhook"
)

var (
	sentAt = time.Date(2026, time.November, 22, 9, 30, 0, 999, time.UTC)
	body   = []byte(`{"type":"dealreg.deal.won","data":{"note":"Größe €"}}`)
)

// signed are the headers of an attempt, or the test ends.
func signed(t *testing.T, id string, at time.Time, body []byte, secrets ...webhook.Secret) http.Header {
	t.Helper()
	h, err := webhook.Sign(id, at, body, secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestSign_IsWhatOpenSSLMakes holds the signature against one that was made with openssl:
// printf %s "$id.$timestamp.$body" | openssl dgst -sha256 -mac HMAC -macopt hexkey:... -binary | base64.
func TestSign_IsWhatOpenSSLMakes(t *testing.T) {
	t.Parallel()
	secret, err := webhook.ParseSecret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX")
	if err != nil {
		t.Fatal(err)
	}
	h := signed(t, "msg_1", time.Unix(1674087231, 0), []byte(`{"a":1}`), secret)
	want := http.Header{
		"Webhook-Id": {"msg_1"}, "Webhook-Timestamp": {"1674087231"},
		"Webhook-Signature": {"v1,37Ju4gWdHmMAd7aREn3FsxDufvnnrcp8sRkn3TQERiI="},
	}
	for name := range want {
		if h.Get(name) != want.Get(name) {
			t.Errorf("%s: %q instead of %q", name, h.Get(name), want.Get(name))
		}
	}
}

func TestSign_RefusesWhatCouldBeReadInTwoWays(t *testing.T) {
	t.Parallel()
	secret := webhook.NewSecret()
	for _, id := range []string{"", "a.b", "a b", "a\n", "ä"} {
		if _, err := webhook.Sign(id, sentAt, body, secret); err == nil {
			t.Errorf("the id %q was signed", id)
		}
	}
	if _, err := webhook.Sign("id", sentAt, body); err == nil {
		t.Error("signed without a secret")
	}
	if _, err := webhook.Sign("id", sentAt, body, secret, webhook.Secret{}); err == nil {
		t.Error("signed with an empty secret")
	}
}

func TestVerify_TakesOnlyWhatWasSigned(t *testing.T) {
	t.Parallel()
	secret, old, pair := webhook.NewSecret(), webhook.NewSecret(), webhook.NewPrivateKey()
	public, _ := pair.Public()
	change := func(name, value string) func(http.Header) {
		return func(h http.Header) { h.Set(name, value) }
	}
	for name, c := range map[string]struct {
		by     []webhook.Verifier
		change func(http.Header)
		body   string
		late   time.Duration
		want   error
	}{
		"secret":              {},
		"during a rotation":   {by: []webhook.Verifier{old}},
		"public key":          {by: []webhook.Verifier{public}},
		"private key":         {by: []webhook.Verifier{pair}},
		"several verifiers":   {by: []webhook.Verifier{webhook.NewSecret(), old}},
		"five minutes late":   {late: webhook.Tolerance},
		"five minutes early":  {late: -webhook.Tolerance},
		"too late":            {late: webhook.Tolerance + 2*time.Second, want: webhook.ErrTooOld},
		"too early":           {late: -webhook.Tolerance - 2*time.Second, want: webhook.ErrTooNew},
		"another body":        {body: string(body) + " ", want: webhook.ErrSignature},
		"another secret":      {by: []webhook.Verifier{webhook.NewSecret()}, want: webhook.ErrSignature},
		"another pair":        {by: []webhook.Verifier{webhook.NewPrivateKey()}, want: webhook.ErrSignature},
		"no verifier":         {by: []webhook.Verifier{}, want: webhook.ErrSignature},
		"empty verifiers":     {by: []webhook.Verifier{webhook.Secret{}, webhook.PublicKey{}}, want: webhook.ErrSignature},
		"another id":          {change: change("webhook-id", "other:1"), want: webhook.ErrSignature},
		"another time":        {change: change("webhook-timestamp", "1795339801"), want: webhook.ErrSignature},
		"no id":               {change: change("webhook-id", ""), want: webhook.ErrHeaders},
		"no number":           {change: change("webhook-timestamp", "now"), want: webhook.ErrHeaders},
		"no signature":        {change: change("webhook-signature", ""), want: webhook.ErrHeaders},
		"another scheme":      {change: func(h http.Header) { replace(h, "v1,", "v2,") }, want: webhook.ErrSignature},
		"schemes interchange": {by: []webhook.Verifier{public}, change: func(h http.Header) { replace(h, "v1a,", "v1,") }, want: webhook.ErrSignature},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := signed(t, "deal:1", sentAt, body, secret, old, pair)
			if c.change != nil {
				c.change(h)
			}
			if c.by == nil {
				c.by = []webhook.Verifier{secret}
			}
			if c.body == "" {
				c.body = string(body)
			}
			if err := webhook.Verify(h, []byte(c.body), sentAt.Truncate(time.Second).Add(c.late), c.by...); !errors.Is(err, c.want) {
				t.Errorf("%v instead of %v", err, c.want)
			}
		})
	}
}

func replace(h http.Header, old, with string) {
	h.Set(webhook.HeaderSignature, strings.ReplaceAll(h.Get(webhook.HeaderSignature), old, with))
}

func TestVerify_RefusesEveryChangedByte(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 24, 64).Draw(r, "key")
		secret, err := webhook.ParseSecret("whsec_" + encode(key))
		if err != nil {
			r.Fatal(err)
		}
		sent := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(r, "body")
		h, err := webhook.Sign("deal:1", sentAt, sent, secret)
		if err != nil {
			r.Fatal(err)
		}
		if err := webhook.Verify(h, sent, sentAt, secret); err != nil {
			r.Fatalf("its own signature: %v", err)
		}
		came := append([]byte(nil), sent...)
		came[rapid.IntRange(0, len(came)-1).Draw(r, "at")] ^= byte(rapid.IntRange(1, 255).Draw(r, "by"))
		if err := webhook.Verify(h, came, sentAt, secret); !errors.Is(err, webhook.ErrSignature) {
			r.Fatalf("a changed body: %v", err)
		}
	})
}
