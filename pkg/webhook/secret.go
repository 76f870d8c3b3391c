package webhook

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// The forms of keys in Standard Webhooks: a prefix that tells the kind, then base64.
const (
	sharedPrefix  = "whsec_"
	privatePrefix = "whsk_"
	publicPrefix  = "whpk_"

	leastSharedBytes, mostSharedBytes, newSharedBytes = 24, 64, 32
)

// Redacted is what a Secret shows in place of itself.
const Redacted = "[secret]"

// Secret signs what goes to one endpoint. It is either shared with the receiver (whsec_, HMAC-SHA256) or the private
// half of a pair (whsk_, ed25519), of which the receiver knows the Public half. A Secret shows itself only through
// Reveal: printed, logged or marshalled it is Redacted. The zero Secret signs nothing.
type Secret struct {
	// A function, because fmt prints what unexported fields hold, without asking their methods and with a verb that does
	// not fit through pointers too. Into functions it cannot look.
	keys func() keys
}

type keys struct {
	shared  []byte             // 24-64 bytes, or nil
	private ed25519.PrivateKey // or nil
}

func sharedSecret(key []byte) Secret { return Secret{func() keys { return keys{shared: key} }} }

func privateKey(key ed25519.PrivateKey) Secret {
	return Secret{func() keys { return keys{private: key} }}
}

// NewSecret makes a shared secret of 32 random bytes.
func NewSecret() Secret {
	key := make([]byte, newSharedBytes)
	_, _ = rand.Read(key) // never fails
	return sharedSecret(key)
}

// NewPrivateKey makes a random ed25519 pair.
func NewPrivateKey() Secret {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err) // the system's randomness never fails
	}
	return privateKey(private)
}

var errSecretForm = errors.New("a secret is whsec_ and the base64 of 24 to 64 bytes, or whsk_ and that of an ed25519 private key")

// ParseSecret reads what Reveal gives. A private key may also be the 32 bytes of its seed. Errors never repeat the text.
func ParseSecret(text string) (Secret, error) {
	if encoded, is := strings.CutPrefix(text, sharedPrefix); is {
		key, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(key) < leastSharedBytes || len(key) > mostSharedBytes {
			return Secret{}, errSecretForm
		}
		return sharedSecret(key), nil
	}
	encoded, is := strings.CutPrefix(text, privatePrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !is || err != nil || (len(key) != ed25519.SeedSize && len(key) != ed25519.PrivateKeySize) {
		return Secret{}, errSecretForm
	}
	private := ed25519.NewKeyFromSeed(key[:ed25519.SeedSize])
	if !bytes.HasPrefix(private, key) {
		return Secret{}, errSecretForm // the two halves are of different pairs
	}
	return privateKey(private), nil
}

// IsZero tells whether there is no key.
func (s Secret) IsZero() bool { return s.keys == nil }

// Reveal gives the secret as text, to be shown to its owner once or to be sealed. It is empty for the zero Secret.
func (s Secret) Reveal() string {
	switch {
	case s.IsZero():
		return ""
	case s.keys().private != nil:
		return privatePrefix + base64.StdEncoding.EncodeToString(s.keys().private)
	}
	return sharedPrefix + base64.StdEncoding.EncodeToString(s.keys().shared)
}

// Public gives the key with which a receiver checks the signatures of a private key, and false for a shared secret.
func (s Secret) Public() (PublicKey, bool) {
	if s.IsZero() || s.keys().private == nil {
		return PublicKey{}, false
	}
	public, is := s.keys().private.Public().(ed25519.PublicKey)
	return PublicKey{public}, is
}

// String gives Redacted.
func (s Secret) String() string { return Redacted }

// GoString gives Redacted.
func (s Secret) GoString() string { return Redacted }

// Format writes Redacted, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// MarshalText gives Redacted: a secret is stored sealed and shown through Reveal.
func (s Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// sign makes one signature as it stands in the header.
func (s Secret) sign(content []byte) string {
	if s.keys().private != nil {
		return schemePair + base64.StdEncoding.EncodeToString(ed25519.Sign(s.keys().private, content))
	}
	return schemeShared + base64.StdEncoding.EncodeToString(s.mac(content))
}

func (s Secret) mac(content []byte) []byte {
	h := hmac.New(sha256.New, s.keys().shared)
	h.Write(content)
	return h.Sum(nil)
}

// verifies tells whether the signature, as it stands in the header, is this secret's.
func (s Secret) verifies(content []byte, signature string) bool {
	if public, is := s.Public(); is {
		return public.verifies(content, signature)
	}
	given, err := signatureOf(schemeShared, signature)
	return !s.IsZero() && err == nil && hmac.Equal(given, s.mac(content))
}

// PublicKey checks the signatures of the private key that it belongs to.
type PublicKey struct{ key ed25519.PublicKey }

// ParsePublicKey reads whpk_ and the base64 of an ed25519 public key.
func ParsePublicKey(text string) (PublicKey, error) {
	encoded, is := strings.CutPrefix(text, publicPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !is || err != nil || len(key) != ed25519.PublicKeySize {
		return PublicKey{}, errors.New("a public key is whpk_ and the base64 of 32 bytes")
	}
	return PublicKey{key}, nil
}

// String gives the key as ParsePublicKey reads it.
func (p PublicKey) String() string { return publicPrefix + base64.StdEncoding.EncodeToString(p.key) }

func (p PublicKey) verifies(content []byte, signature string) bool {
	given, err := signatureOf(schemePair, signature)
	return len(p.key) == ed25519.PublicKeySize && err == nil && ed25519.Verify(p.key, content, given)
}

func signatureOf(scheme, signature string) ([]byte, error) {
	encoded, is := strings.CutPrefix(signature, scheme)
	if !is {
		return nil, errors.New("another scheme")
	}
	return base64.StdEncoding.DecodeString(encoded)
}
