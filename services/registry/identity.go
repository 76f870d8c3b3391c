package registry

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/deal"
)

// dealID gives the deal of an owner its ID: a UUIDv5 of the external reference, which makes the reference unique
// without a second store, or of the Idempotency-Key where there is none. The same request meets the same subject.
func dealID(owner deal.ID, externalRef, key string) deal.ID {
	name := "ref:" + externalRef
	if externalRef == "" {
		name = "key:" + key
	}
	return deal.ID(uuid.NewSHA1(uuid.UUID(owner), []byte(name)))
}

// requestHash is the SHA-256 of what a request means: the move and its typed body, written in one canonical form, so
// that white space and the order of fields do not matter.
func requestHash(move deal.Move, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("hash the request: %w", err)
	}
	hash := sha256.New()
	hash.Write([]byte(move + "\n"))
	hash.Write(text)
	return hash.Sum(nil), nil
}
