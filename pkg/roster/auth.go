package roster

import (
	"crypto/hmac"
	"time"
)

// Authenticator tells who holds a token. It believes the roster: a revocation counts as soon as the watch brought
// it, and nobody gets in before the roster is loaded.
type Authenticator struct {
	Roster *Roster
	Pepper []byte // at least 32 bytes, the same everywhere, kept apart from the data

	Now func() time.Time // when a key is used; nil: the clock
}

// Authenticate gives the principal of a token and notes the use of its key. The error is ErrNotLoaded or
// ErrUnauthenticated.
func (a Authenticator) Authenticate(token string) (Principal, error) {
	if !a.Roster.IsLoaded() {
		return Principal{}, ErrNotLoaded
	}
	prefix, ok := prefixOf(token)
	if !ok {
		return Principal{}, ErrUnauthenticated
	}
	hash := hashToken(token, a.Pepper)
	key, ok := a.Roster.KeyByPrefix(prefix)
	if !ok || !hmac.Equal(hash, key.Hash) || key.RevokedAt != nil {
		return Principal{}, ErrUnauthenticated
	}
	now := a.Now
	if now == nil {
		now = time.Now //nolint:forbidigo // the clock of the running service
	}
	a.Roster.uses.note(key.ID, now())
	return key.Principal(), nil
}
