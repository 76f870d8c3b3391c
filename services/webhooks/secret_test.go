package webhooks

import (
	"errors"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/webhook"
)

func TestRotation_HealsAnEndpointWhoseKeyIsLostAndKeepsItsScheme(t *testing.T) {
	t.Parallel()
	lost, err := webhook.NewSealingKey([]byte("the key that was lost"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := webhook.NewSealingKey([]byte("the key of today"))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_800_000_000, 0)
	for _, scheme := range []signing{signShared, signPair} {
		e, err := endpoint{ID: deal.ID{1}, Signing: scheme}.withSecret(lost, scheme.secret(), at)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.open(key, at); !errors.Is(err, webhook.ErrSealed) {
			t.Fatalf("%s opens with another key: %v", scheme, err)
		}
		if e, err = e.withSecret(key, e.Signing.secret(), at); err != nil {
			t.Fatal(err)
		}
		secrets, err := e.open(key, at)
		if err != nil || len(secrets) != 1 {
			t.Fatalf("%s: %d secrets sign, %v", scheme, len(secrets), err)
		}
		if _, pair := secrets[0].Public(); pair != (scheme == signPair) {
			t.Errorf("%s became the other scheme", scheme)
		}
	}
}

func TestRotation_EndsNoSecretBeforeItsDayIsOver(t *testing.T) {
	t.Parallel()
	key, err := webhook.NewSealingKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_800_000_000, 0)
	e := endpoint{ID: deal.ID{1}}
	for range maxSecrets {
		if e, err = e.withSecret(key, webhook.NewSecret(), at); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.withSecret(key, webhook.NewSecret(), at.Add(rotationLasts-1)); !errors.Is(err, errSecrets) {
		t.Errorf("one more: %v", err)
	}
	if e, err = e.withSecret(key, webhook.NewSecret(), at.Add(rotationLasts)); err != nil || len(e.Secrets) != 2 {
		t.Errorf("a day later: %v, %d sign", err, len(e.Secrets))
	}
}
