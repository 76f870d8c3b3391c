package roster

import (
	"context"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// NewGuest makes of g, which has its ID, company, deal and association, whoever will hold a link that opens the deal for the
// company, and gives the link's token: the only time that anyone sees it. The link works once, until it expires, for one
// session; the guest is forgotten when that is over too.
func NewGuest(g Person, expires time.Time, pepper []byte) (Person, string) {
	token, kept := newToken(kindLink, pepper)
	forget := expires.UTC().Add(SessionLasts)
	g.Role, g.ForgetAt = RoleGuest, &forget
	g.Link = &Link{sealed: kept, ExpiresAt: expires.UTC()}
	return g.Clean(), token
}

// Guests lists the guests on a deal, in the order in which their links were issued.
func (r *Roster) Guests(on deal.ID) []Person {
	return r.peopleWho(func(p Person) bool { return p.Role == RoleGuest && p.DealID == on })
}

// ForgetGuests takes every guest out of the bucket whose time is over.
func (s *Store) ForgetGuests(ctx context.Context, r *Roster, at time.Time) error {
	for _, p := range r.peopleWho(func(p Person) bool { return p.ForgetAt != nil && !at.Before(*p.ForgetAt) }) {
		if _, err := s.ForgetPerson(ctx, p.ID); err != nil {
			return err
		}
	}
	return nil
}
