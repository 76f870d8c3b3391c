package roster

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// The kinds of tokens: what opens the API, and what signs a person in once.
const (
	kindKey  = "drk"
	kindLink = "drl"
)

const (
	prefixLength = 10 // 50 bits
	secretBytes  = 32 // 256 bits
)

const base32Letters = "abcdefghijklmnopqrstuvwxyz234567"

var base32Lower = base32.NewEncoding(base32Letters).WithPadding(base32.NoPadding)

// sealed is what is kept of a token: the prefix, which finds the record, and the HMAC-SHA256 of the whole token under
// the pepper. The secret is nowhere.
type sealed struct {
	Prefix string `json:"prefix"` // 10 characters
	Hash   []byte `json:"hash"`
}

// newToken makes a token, which is shown once and never again, and what is kept of it.
func newToken(kind string, pepper []byte) (token string, kept sealed) {
	random := make([]byte, prefixLength+secretBytes)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	prefix := base32Lower.EncodeToString(random[:prefixLength])[:prefixLength]
	token = kind + "_" + prefix + "_" + base32Lower.EncodeToString(random[prefixLength:])
	return token, sealed{Prefix: prefix, Hash: hashToken(token, pepper)}
}

// is tells in constant time whether this was kept of the token.
func (s sealed) is(token string, pepper []byte) bool {
	return hmac.Equal(hashToken(token, pepper), s.Hash)
}

// prefixOf finds the prefix of a token; false when the text is no token of the kind.
func prefixOf(kind, token string) (string, bool) {
	rest, isKind := strings.CutPrefix(token, kind+"_")
	prefix, secret, _ := strings.Cut(rest, "_")
	if !isKind || len(prefix) != prefixLength || len(secret) != base32Lower.EncodedLen(secretBytes) ||
		strings.Trim(prefix+secret, base32Letters) != "" {
		return "", false
	}
	return prefix, true
}

func hashToken(token string, pepper []byte) []byte {
	mac := hmac.New(sha256.New, pepper)
	mac.Write([]byte(token))
	return mac.Sum(nil)
}
