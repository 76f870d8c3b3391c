package roster

import (
	"context"
	"errors"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Link is a sign-in link that was made and not used yet: it signs the person in once. A later one takes its place.
type Link struct {
	sealed
	ExpiresAt time.Time `json:"expires_at"`
}

// PutPerson writes p over p.Revision and gives the new revision.
func (s *Store) PutPerson(ctx context.Context, p Person) (uint64, error) {
	return s.put(ctx, People, p.ID.String(), p, p.Revision)
}

// Person reads the current person past the copy in memory, or ErrNotFound.
func (s *Store) Person(ctx context.Context, id deal.ID) (Person, error) {
	var p Person
	revision, err := s.get(ctx, People, id.String(), &p)
	p.Revision = revision
	return p, err
}

// ForgetPerson takes the person out of the bucket, with every earlier value of it, and gives the revision at which it
// is gone. Only the ID stays.
func (s *Store) ForgetPerson(ctx context.Context, id deal.ID) (uint64, error) {
	return s.purge(ctx, People, id.String())
}

// UpdatePerson changes a person from what it is to what change makes of it, again when another writer was first. An
// error of change ends it and is returned as it is.
func (s *Store) UpdatePerson(ctx context.Context, id deal.ID, change func(Person) (Person, error)) (Person, error) {
	for {
		current, err := s.Person(ctx, id)
		if err != nil {
			return Person{}, err
		}
		next, err := change(current)
		if err != nil {
			return Person{}, err
		}
		next.Revision, err = s.PutPerson(ctx, next)
		if _, conflict := errors.AsType[*ConflictError](err); conflict && ctx.Err() == nil {
			continue
		}
		return next, err
	}
}

// IssueLink gives the person a sign-in link that works once, until it expires, and gives its token: the only time that
// anyone sees it. The link before it, if any, works no more.
func (s *Store) IssueLink(ctx context.Context, id deal.ID, expires time.Time, pepper []byte) (Person, string, error) {
	token, kept := newToken(kindLink, pepper)
	p, err := s.UpdatePerson(ctx, id, func(p Person) (Person, error) {
		p.Link = &Link{sealed: kept, ExpiresAt: expires.UTC()}
		return p, nil
	})
	return p, token, err
}

// UseLink takes a person's sign-in link. Of any number of callers with one token exactly one gets the person; the
// others, and all with a token that is no link of the person or too late, get ErrUnauthenticated.
func (s *Store) UseLink(ctx context.Context, id deal.ID, token string, at time.Time, pepper []byte) (Person, error) {
	p, err := s.UpdatePerson(ctx, id, func(p Person) (Person, error) {
		if p.DisabledAt != nil || p.Link == nil || !at.Before(p.Link.ExpiresAt) || !p.Link.is(token, pepper) {
			return Person{}, ErrUnauthenticated
		}
		p.Link = nil
		return p, nil
	})
	if errors.Is(err, ErrNotFound) {
		err = ErrUnauthenticated
	}
	return p, err
}

// AddSubject remembers how a provider knows a person who has the address and whom no provider knows yet; any other
// gets ErrUnauthenticated, so that a second account with the same address never takes a person over.
func (s *Store) AddSubject(ctx context.Context, id deal.ID, email string, subject Subject) (Person, error) {
	return s.UpdatePerson(ctx, id, func(p Person) (Person, error) {
		if p.DisabledAt != nil || len(p.Subjects) > 0 || emailKey(p.Email) != emailKey(email) {
			return Person{}, ErrUnauthenticated
		}
		p.Subjects = []Subject{subject}
		return p, nil
	})
}
