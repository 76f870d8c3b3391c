package webhook_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dealreg/dealreg/pkg/webhook"
)

// delivery is one attempt as a library of somebody else gets it.
type delivery struct {
	Library string            `json:"library"`
	Key     string            `json:"key"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body"`
}

// TestSign_IsVerifiedByTheLibrariesOfOthers signs as in a rotation, with a new secret, an old one and a pair, and asks
// the libraries that receivers use. Each must take what is right and refuse what was changed, is old, or is from another.
func TestSign_IsVerifiedByTheLibrariesOfOthers(t *testing.T) {
	t.Parallel()
	now := time.Now() //nolint:forbidigo // the libraries read the clock
	fresh, old, pair := webhook.NewSecret(), webhook.NewSecret(), webhook.NewPrivateKey()
	public, _ := pair.Public()
	keys := map[string][]string{
		"go": {fresh.Reveal(), old.Reveal()}, "standardwebhooks": {fresh.Reveal(), old.Reveal()},
		"svix": {fresh.Reveal(), old.Reveal()}, "ed25519": {public.String()},
	}
	strangers := webhook.NewPrivateKey()
	strangersPublic, _ := strangers.Public()

	right := plainHeaders(signed(t, "0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d:7", now, body, fresh, old, pair))
	foreign := plainHeaders(signed(t, "0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d:7", now, body, webhook.NewSecret(), strangers))
	stale := plainHeaders(signed(t, "0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d:7", now.Add(-6*time.Minute), body, fresh, old))
	otherID := maps.Clone(right)
	otherID["webhook-id"] = "0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d:8"

	var asked []delivery
	var takes []bool
	ask := func(library, key string, headers map[string]string, body string, want bool) {
		asked, takes = append(asked, delivery{library, key, headers, body}), append(takes, want)
	}
	for library, known := range keys {
		for _, key := range known {
			ask(library, key, right, string(body), true)
			ask(library, key, right, strings.Replace(string(body), "won", "one", 1), false)
			ask(library, key, otherID, string(body), false)
			ask(library, key, foreign, string(body), false)
			if library != "ed25519" {
				ask(library, key, stale, string(body), false)
			}
		}
	}
	ask("ed25519", strangersPublic.String(), foreign, string(body), true)

	var toNode []delivery
	for i, d := range asked {
		if d.Library != "go" {
			toNode = append(toNode, d)
		} else if err := verifyInGo(d); takes[i] != (err == nil) {
			t.Errorf("the Go library, %v: %v", d.Headers, err)
		}
	}
	answers := node[delivery, string](t, "verify.mjs", toNode)
	for i, d := range asked {
		if d.Library == "go" {
			continue
		}
		if takes[i] != (answers[0] == "ok") {
			t.Errorf("%s, %v: %s", d.Library, d.Headers, answers[0])
		}
		answers = answers[1:]
	}
}

func verifyInGo(d delivery) error {
	library, err := standardwebhooks.NewWebhook(d.Key)
	if err != nil {
		return err
	}
	h := http.Header{}
	for name, value := range d.Headers {
		h.Set(name, value)
	}
	return library.Verify([]byte(d.Body), h)
}

func plainHeaders(h http.Header) map[string]string {
	plain := map[string]string{}
	for name := range h {
		plain[strings.ToLower(name)] = h.Get(name)
	}
	return plain
}

// TestVerify_TakesWhatTheReferenceLibrarySigns is the way back.
func TestVerify_TakesWhatTheReferenceLibrarySigns(t *testing.T) {
	t.Parallel()
	secret := webhook.NewSecret()
	library, err := standardwebhooks.NewWebhook(secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	signature, err := library.Sign("deal:1", sentAt, body)
	if err != nil {
		t.Fatal(err)
	}
	h := signed(t, "deal:1", sentAt, body, secret)
	if h.Get(webhook.HeaderSignature) != signature {
		t.Errorf("%s instead of %s", h.Get(webhook.HeaderSignature), signature)
	}
}
