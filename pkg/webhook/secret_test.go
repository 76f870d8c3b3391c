package webhook_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/webhook"
)

func encode(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }

func TestParseSecret_TakesWhatTheSpecificationAllows(t *testing.T) {
	t.Parallel()
	pair := webhook.NewPrivateKey().Reveal()
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(pair, "whsk_"))
	if err != nil {
		t.Fatal(err)
	}
	mixed := bytes.Clone(raw)
	mixed[63] ^= 1
	for text, takes := range map[string]bool{
		"whsec_" + encode(make([]byte, 24)): true,
		"whsec_" + encode(make([]byte, 64)): true,
		"whsec_" + encode(make([]byte, 23)): false,
		"whsec_" + encode(make([]byte, 65)): false,
		"whsec_not base64":                  false,
		encode(make([]byte, 32)):            false,
		"":                                  false,
		pair:                                true,
		"whsk_" + encode(raw[:32]):          true,
		"whsk_" + encode(mixed):             false,
		"whsk_" + encode(raw[:33]):          false,
		"whpk_" + encode(raw[32:]):          false,
	} {
		s, err := webhook.ParseSecret(text)
		if takes != (err == nil) || takes == s.IsZero() {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && len(text) > 10 && strings.Contains(err.Error(), text[6:]) {
			t.Errorf("the error repeats the secret: %v", err)
		}
	}
}

func TestSecret_IsReadBackFromWhatItReveals(t *testing.T) {
	t.Parallel()
	for _, s := range []webhook.Secret{webhook.NewSecret(), webhook.NewPrivateKey()} {
		again, err := webhook.ParseSecret(s.Reveal())
		if err != nil || again.Reveal() != s.Reveal() {
			t.Error(err)
		}
		public, is := s.Public()
		if is != strings.HasPrefix(s.Reveal(), "whsk_") {
			t.Error("only a pair has a public half")
		}
		if key, err := webhook.ParseVerifier(public.String()); is && (err != nil || webhook.Verify(signed(t, "id", sentAt, body, s), body, sentAt, key) != nil) {
			t.Errorf("the public half does not verify: %v", err)
		}
	}
}

// TestSecret_NeverShowsItself tries every way in which a value usually gets into a log or an answer, also from within
// structs whose fields are not exported, which fmt prints without asking their methods.
func TestSecret_NeverShowsItself(t *testing.T) {
	t.Parallel()
	operatorKey := []byte("the operator's key, 32 bytes long")
	key, err := webhook.NewSealingKey(operatorKey)
	if err != nil {
		t.Fatal(err)
	}
	derived, err := hkdf.Key(sha256.New, operatorKey, nil, "dealreg webhook secrets v1", 32)
	if err != nil {
		t.Fatal(err)
	}
	shared, pair := webhook.NewSecret(), webhook.NewPrivateKey()
	type holder struct {
		Shown  webhook.Secret
		hidden webhook.Secret
		Key    webhook.SealingKey
		inside webhook.SealingKey
	}
	var out strings.Builder
	for _, h := range []holder{{shared, shared, key, key}, {pair, pair, key, key}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c"} {
			fmt.Fprintf(&out, verb, h)
			fmt.Fprintf(&out, verb, &h)
			fmt.Fprintf(&out, verb, h.hidden)
			fmt.Fprintf(&out, verb, []any{h.inside, map[string]webhook.Secret{"s": h.Shown}})
		}
		if err := json.NewEncoder(&out).Encode(map[string]any{"h": h, "s": h.Shown, "k": h.Key}); err != nil {
			t.Fatal(err)
		}
	}
	var logged bytes.Buffer
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&logged), zap.DebugLevel))
	log.Info("", zap.Any("a", shared), zap.Stringer("b", pair), zap.Reflect("c", holder{shared, shared, key, key}), zap.Any("d", key))
	text := out.String() + logged.String()
	bytesOf := func(s webhook.Secret) []byte {
		raw, err := base64.StdEncoding.DecodeString(s.Reveal()[strings.Index(s.Reveal(), "_")+1:])
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for _, raw := range [][]byte{bytesOf(shared), bytesOf(pair), derived} {
		for _, form := range []string{
			encode(raw[:9]), fmt.Sprintf("%x", raw[:4]), fmt.Sprintf("%X", raw[:4]), strings.Trim(fmt.Sprintf("%d", raw[:5]), "[]"), string(raw[:5]),
		} {
			if strings.Contains(text, form) {
				t.Errorf("a secret shows as %q", form)
			}
		}
	}
	if !strings.Contains(text, webhook.Redacted) {
		t.Error("nothing was redacted")
	}
}

func TestSeal_OpensForItsEndpointAndKeyOnly(t *testing.T) {
	t.Parallel()
	key, err := webhook.NewSealingKey([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	same, _ := webhook.NewSealingKey([]byte("0123456789abcdef"))
	other, _ := webhook.NewSealingKey([]byte("0123456789abcdeg"))
	endpoint, secret := deal.ID{1}, webhook.NewSecret()
	sealed, err := webhook.Seal(key, endpoint, secret)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := webhook.Seal(key, endpoint, secret)
	if sealed == again {
		t.Error("the same secret was sealed to the same text: its nonce is not random")
	}
	if opened, err := webhook.Open(same, endpoint, sealed); err != nil || opened.Reveal() != secret.Reveal() {
		t.Errorf("does not open: %v", err)
	}
	for name, open := range map[string]func() (webhook.Secret, error){
		"another endpoint": func() (webhook.Secret, error) { return webhook.Open(key, deal.ID{2}, sealed) },
		"another key":      func() (webhook.Secret, error) { return webhook.Open(other, endpoint, sealed) },
		"no key":           func() (webhook.Secret, error) { return webhook.Open(webhook.SealingKey{}, endpoint, sealed) },
		"another version":  func() (webhook.Secret, error) { return webhook.Open(key, endpoint, "xc2."+sealed[4:]) },
		"cut off":          func() (webhook.Secret, error) { return webhook.Open(key, endpoint, sealed[:20]) },
		"nothing":          func() (webhook.Secret, error) { return webhook.Open(key, endpoint, "") },
		"plain":            func() (webhook.Secret, error) { return webhook.Open(key, endpoint, secret.Reveal()) },
	} {
		if s, err := open(); !errors.Is(err, webhook.ErrSealed) || !s.IsZero() {
			t.Errorf("%s: %v", name, err)
		}
	}
	raw, err := base64.StdEncoding.DecodeString(sealed[4:])
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		raw[i] ^= 1
		if _, err := webhook.Open(key, endpoint, "xc1."+encode(raw)); !errors.Is(err, webhook.ErrSealed) {
			t.Fatalf("opens with byte %d changed: %v", i, err)
		}
		raw[i] ^= 1
	}
}

// TestSeal_OpensWhatAnEarlierReleaseSealed keeps stored secrets readable: it fails when the derivation, the cipher or
// the form changes without a new version.
func TestSeal_OpensWhatAnEarlierReleaseSealed(t *testing.T) {
	t.Parallel()
	key, err := webhook.NewSealingKey([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := webhook.Open(key, deal.ID{1}, sealedByRelease1)
	if err != nil || s.Reveal() != "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX" {
		t.Errorf("does not open: %v", err)
	}
}

const sealedByRelease1 = "xc1.h+v1hWYbg2f/IyHeZjEbqgfHlfNfmm7zqp9C0Qhq4iKhQzBGLtJOZ8FwWnxoT3kovboJUpHd8Nql1hAaruIttrRQ1vxFYNk91Bb3gqsf"

func TestNewSealingKey_RefusesAShortOperatorsKey(t *testing.T) {
	t.Parallel()
	if _, err := webhook.NewSealingKey(make([]byte, 15)); err == nil {
		t.Error("15 bytes were taken")
	}
}

func TestSeal_RefusesNothing(t *testing.T) {
	t.Parallel()
	key, _ := webhook.NewSealingKey(make([]byte, 16))
	if _, err := webhook.Seal(key, deal.ID{1}, webhook.Secret{}); err == nil {
		t.Error("an empty secret was sealed")
	}
	if _, err := webhook.Seal(webhook.SealingKey{}, deal.ID{1}, webhook.NewSecret()); err == nil {
		t.Error("sealed without a key")
	}
}
