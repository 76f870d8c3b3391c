package roster

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Waiver is a company's consent that its association publishes what it won together with one partner. It is in force
// until the company withdraws it; the pair is shown while both have one.
type Waiver struct {
	AssociationID deal.ID   `json:"association_id"`
	CompanyID     deal.ID   `json:"company_id"`
	PartnerID     deal.ID   `json:"partner_id"`
	GivenAt       time.Time `json:"given_at"`
	GivenBy       deal.ID   `json:"given_by"` // the key or the person

	Revision uint64 `json:"-"`
}

// Key is where the waiver lies.
func (w Waiver) Key() WaiverKey { return WaiverKey{w.AssociationID, w.CompanyID, w.PartnerID} }

// WaiverKey names a waiver: in which association, whose, and for which partner.
type WaiverKey struct{ Association, Company, Partner deal.ID }

// Back is the waiver that the partner gives in turn.
func (k WaiverKey) Back() WaiverKey { return WaiverKey{k.Association, k.Partner, k.Company} }

func (k WaiverKey) slot() string {
	return k.Association.String() + "." + k.Company.String() + "." + k.Partner.String()
}

// GiveWaiver stores a waiver, or gives the one that is there already.
func (s *Store) GiveWaiver(ctx context.Context, w Waiver) (Waiver, error) {
	var before Waiver
	revision, err := s.get(ctx, Waivers, w.Key().slot(), &before)
	if err == nil {
		before.Revision = revision
		return before, nil
	}
	if !errors.Is(err, ErrNotFound) {
		return Waiver{}, err
	}
	msg, err := message(Waivers, w.Key().slot(), w, nil) // whoever else gives it at this moment says the same
	if err != nil {
		return Waiver{}, err
	}
	w.Revision, err = s.publish(ctx, Waivers, w.Key().slot(), msg, 0)
	return w, err
}

// WithdrawWaiver takes a waiver back, whether or not there is one, and gives the revision at which it is gone.
func (s *Store) WithdrawWaiver(ctx context.Context, k WaiverKey) (uint64, error) {
	return s.purge(ctx, Waivers, k.slot())
}

// Waiver finds a waiver that is in force.
func (r *Roster) Waiver(k WaiverKey) (Waiver, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	w, ok := r.waivers[k.slot()]
	return w, ok
}

// Waivers lists those that a company gave or that a partner gave it, by association, giver and partner.
func (r *Roster) Waivers(company deal.ID) []Waiver {
	return r.waiversWhere(func(w Waiver) bool { return w.CompanyID == company || w.PartnerID == company })
}

// WaivedPairs lists the pairs of companies that both waived in the association, the lesser ID of each first, in order.
func (r *Roster) WaivedPairs(association deal.ID) [][2]deal.ID {
	var pairs [][2]deal.ID
	for _, w := range r.waiversWhere(func(w Waiver) bool { return w.AssociationID == association && w.CompanyID.Compare(w.PartnerID) < 0 }) {
		if _, both := r.Waiver(w.Key().Back()); both {
			pairs = append(pairs, [2]deal.ID{w.CompanyID, w.PartnerID})
		}
	}
	return pairs
}

func (r *Roster) waiversWhere(wanted func(Waiver) bool) []Waiver {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []Waiver
	for _, w := range r.waivers {
		if wanted(w) {
			found = append(found, w)
		}
	}
	slices.SortFunc(found, func(a, b Waiver) int {
		return cmp.Or(a.AssociationID.Compare(b.AssociationID), a.CompanyID.Compare(b.CompanyID), a.PartnerID.Compare(b.PartnerID))
	})
	return found
}
