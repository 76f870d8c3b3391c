package roster

import (
	"context"
	"slices"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// SessionLasts is how long a session opens the API.
const SessionLasts = 12 * time.Hour

// Session is a short-lived key that somebody got for a key or for signing in. It has no rights of its own: whose it is
// says at every request what it may do, so it ends with that key or person, and changes as they change.
type Session struct {
	ID deal.ID `json:"id"`
	sealed
	KeyID     deal.ID   `json:"key_id,omitzero"`    // of the key that it was made for
	PersonID  deal.ID   `json:"person_id,omitzero"` // or of the person who signed in
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`

	Revision uint64 `json:"-"`
}

// Owner is the id of the key or the person that the session belongs to.
func (s Session) Owner() deal.ID {
	if s.PersonID.IsZero() {
		return s.KeyID
	}
	return s.PersonID
}

// StartSession makes a session of owner, which has KeyID or PersonID, stores it and gives its token.
func (s *Store) StartSession(ctx context.Context, id deal.ID, owner Session, at time.Time, pepper []byte) (Session, string, error) {
	token, kept := newToken(kindKey, pepper)
	started := Session{
		ID: id, sealed: kept, KeyID: owner.KeyID, PersonID: owner.PersonID, CreatedAt: at.UTC(), ExpiresAt: at.UTC().Add(SessionLasts),
	}
	var err error
	started.Revision, err = s.put(ctx, Sessions, kept.Prefix, started, 0)
	return started, token, err
}

// EndSession forgets a session and gives the revision at which it is gone.
func (s *Store) EndSession(ctx context.Context, ended Session) (uint64, error) {
	return s.purge(ctx, Sessions, ended.Prefix)
}

// Session finds a session by its ID.
func (r *Roster) Session(id deal.ID) (Session, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s, ok := r.sessions[r.sessionIDs[id]]
	return s, ok
}

// SessionsOf lists the sessions of a key or a person, the oldest first.
func (r *Roster) SessionsOf(owner deal.ID) []Session {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []Session
	for _, s := range r.sessions {
		if s.Owner() == owner {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b Session) int { return a.ID.Compare(b.ID) })
	return found
}

// holder finds who holds the token of this prefix and what is kept of the token; false when it opens nothing then.
func (r *Roster) holder(prefix string, at time.Time) (Principal, sealed, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if k, ok := r.keys[prefix]; ok {
		return k.Principal(), k.sealed, k.RevokedAt == nil
	}
	s, ok := r.sessions[prefix]
	if !ok || !at.Before(s.ExpiresAt) {
		return Principal{}, sealed{}, false
	}
	p, valid := r.principal(s)
	return p, s.sealed, valid
}

// SessionPrincipal is whoever acts in the session, as they are now; false when the key was revoked or the person may
// not sign in any more.
func (r *Roster) SessionPrincipal(s Session) (Principal, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.principal(s)
}

// principal is SessionPrincipal. The lock is held.
func (r *Roster) principal(s Session) (p Principal, valid bool) {
	if s.PersonID.IsZero() {
		k, ok := r.keys[r.keyIDs[s.KeyID]]
		p, valid = k.Principal(), ok && k.RevokedAt == nil
	} else {
		person, ok := r.people[s.PersonID]
		p, valid = person.Principal(), ok && person.DisabledAt == nil
	}
	p.SessionID = s.ID
	return p, valid
}

func (r *Roster) setSession(s Session) {
	r.sessions[s.Prefix] = s
	r.sessionIDs[s.ID] = s.Prefix
}

func (r *Roster) removeSession(prefix string) {
	delete(r.sessionIDs, r.sessions[prefix].ID)
	delete(r.sessions, prefix)
}
