package roster

import "time"

// Authenticator tells who holds the token of a key or a session. It believes the roster: a revocation counts as soon as
// the watch brought it, and nobody gets in before the roster is loaded.
type Authenticator struct {
	Roster *Roster
	Pepper []byte // at least 32 bytes, the same everywhere, kept apart from the data

	Now func() time.Time // when a token is used; nil: the clock
}

// Authenticate gives the principal of a token and notes that it was there. The error is ErrNotLoaded or
// ErrUnauthenticated.
func (a Authenticator) Authenticate(token string) (Principal, error) {
	if !a.Roster.IsLoaded() {
		return Principal{}, ErrNotLoaded
	}
	now := a.Now
	if now == nil {
		now = time.Now //nolint:forbidigo // the clock of the running service
	}
	prefix, _ := prefixOf(kindKey, token)
	at := now()
	principal, kept, ok := a.Roster.holder(prefix, at)
	if !ok || !kept.is(token, a.Pepper) {
		return Principal{}, ErrUnauthenticated
	}
	a.Roster.uses.note(principal.KeyID, at)
	return principal, nil
}
