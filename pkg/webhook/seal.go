package webhook

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/dealreg/dealreg/pkg/deal"
)

// SealingKey seals the secrets of endpoints, and what their headers say, for storage. Like a Secret it never shows itself.
type SealingKey struct {
	key func() []byte // a function for the reason for which a Secret has one
}

// sealVersion stands before what was sealed and tells how: XChaCha20-Poly1305 with a random nonce of 24 bytes before the
// ciphertext, the endpoint's id as additional data, in base64.
const sealVersion = "xc1."

// sealPurpose sets the key apart from others that are derived from the same operator's key.
const sealPurpose = "dealreg webhook secrets v1"

// leastOperatorKeyBytes is 128 bits: less could be guessed.
const leastOperatorKeyBytes = 16

// NewSealingKey derives the key from the operator's (HKDF-SHA256 with a purpose of its own), at least 16 random bytes.
// The same operator's key always gives the same sealing key.
func NewSealingKey(operatorKey []byte) (SealingKey, error) {
	if len(operatorKey) < leastOperatorKeyBytes {
		return SealingKey{}, fmt.Errorf("the operator's key has %d bytes, and needs at least %d", len(operatorKey), leastOperatorKeyBytes)
	}
	derived, err := hkdf.Key(sha256.New, operatorKey, nil, sealPurpose, chacha20poly1305.KeySize)
	if err != nil {
		return SealingKey{}, fmt.Errorf("derive the key for webhook secrets: %w", err)
	}
	return SealingKey{func() []byte { return derived }}, nil
}

// String gives Redacted.
func (k SealingKey) String() string { return Redacted }

// GoString gives Redacted.
func (k SealingKey) GoString() string { return Redacted }

// Format writes Redacted, whatever the verb.
func (k SealingKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Redacted)) }

// MarshalText gives Redacted.
func (k SealingKey) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// Seal gives the endpoint's secret as text for storage, other text each time. Only Open with the same key and the same
// endpoint reads it, so a sealed secret that is moved to another endpoint opens nothing.
func Seal(key SealingKey, endpoint deal.ID, s Secret) (string, error) {
	if s.IsZero() {
		return "", errors.New("seal a webhook secret: it is empty")
	}
	return SealText(key, endpoint, s.Reveal())
}

// SealText does for any text what Seal does for a secret. OpenText reads it.
func SealText(key SealingKey, endpoint deal.ID, text string) (string, error) {
	if key.key == nil {
		return "", errors.New("seal for a webhook endpoint: the key is empty")
	}
	aead, err := chacha20poly1305.NewX(key.key())
	if err != nil {
		return "", fmt.Errorf("seal for a webhook endpoint: %w", err)
	}
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	_, _ = rand.Read(nonce) // never fails
	sealed := aead.Seal(nonce, nonce, []byte(text), endpoint[:])
	return sealVersion + base64.StdEncoding.EncodeToString(sealed), nil
}

// ErrSealed says that a sealed secret does not open: the operator's key changed, the text was altered, or it was sealed
// for another endpoint. A new secret for the endpoint is the way out.
var ErrSealed = errors.New("the webhook secret does not open with this operator's key: rotate the endpoint's secret")

// Open gives the secret back that was sealed for the endpoint. The error is ErrSealed.
func Open(key SealingKey, endpoint deal.ID, sealed string) (Secret, error) {
	text, err := OpenText(key, endpoint, sealed)
	if err != nil {
		return Secret{}, err
	}
	s, err := ParseSecret(text)
	if err != nil {
		return Secret{}, ErrSealed
	}
	return s, nil
}

// OpenText gives the text back that was sealed for the endpoint. The error is ErrSealed.
func OpenText(key SealingKey, endpoint deal.ID, sealed string) (string, error) {
	encoded, is := strings.CutPrefix(sealed, sealVersion)
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !is || err != nil || len(raw) < chacha20poly1305.NonceSizeX || key.key == nil {
		return "", ErrSealed
	}
	aead, err := chacha20poly1305.NewX(key.key())
	if err != nil {
		return "", ErrSealed
	}
	text, err := aead.Open(nil, raw[:chacha20poly1305.NonceSizeX], raw[chacha20poly1305.NonceSizeX:], endpoint[:])
	if err != nil {
		return "", ErrSealed
	}
	return string(text), nil
}
