package roster

import (
	"maps"
	"slices"
	"strings"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
)

// Company finds a company by its ID.
func (r *Roster) Company(id deal.ID) (Company, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c, ok := r.companies[id]
	return c, ok
}

// CompanyByDomain finds the one company with a domain, written in any case; false when there is none or several.
func (r *Roster) CompanyByDomain(domain string) (Company, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	ids := r.byDomain[strings.ToLower(strings.TrimSpace(domain))]
	if len(ids) != 1 {
		return Company{}, false
	}
	return r.companies[ids[0]], true
}

// CompaniesByName finds the companies whose names have this NameKey, by ID.
func (r *Roster) CompaniesByName(key string) []Company {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []Company
	for _, id := range r.byName[key] {
		found = append(found, r.companies[id])
	}
	slices.SortFunc(found, func(a, b Company) int { return a.ID.Compare(b.ID) })
	return found
}

// FindCompanies finds the company that people mean by a text: its id, its domain or its exact name. Several companies may
// have one name.
func (r *Roster) FindCompanies(text string) []Company {
	if id, err := deal.ParseID(text); err == nil {
		if c, known := r.Company(id); known {
			return []Company{c}
		}
		return nil
	}
	if c, known := r.CompanyByDomain(text); known {
		return []Company{c}
	}
	return r.CompaniesByName(NameKey(text))
}

// CompanyWithLEI finds the company with an LEI. It looks at all of them.
func (r *Roster) CompanyWithLEI(lei string) (Company, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, c := range r.companies {
		if lei != "" && c.LEI == lei {
			return c, true
		}
	}
	return Company{}, false
}

// GroupSize is how many companies name this one as the head of their group, itself included.
func (r *Roster) GroupSize(head deal.ID) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.inGroup[head]
}

// Association finds an association by its ID.
func (r *Roster) Association(id deal.ID) (Association, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	a, ok := r.associations[id]
	return a, ok
}

// Associations lists all of them by ID.
func (r *Roster) Associations() []Association {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Values(r.associations), func(a, b Association) int { return a.ID.Compare(b.ID) })
}

// Chapter finds a chapter by its ID.
func (r *Roster) Chapter(id deal.ID) (Chapter, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c, ok := r.chapters[id]
	return c, ok
}

// Chapters lists the chapters of an association by ID, which is the order in which they were made.
func (r *Roster) Chapters(association deal.ID) []Chapter {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []Chapter
	for _, id := range r.chaptersOf[association] {
		found = append(found, r.chapters[id])
	}
	slices.SortFunc(found, func(a, b Chapter) int { return a.ID.Compare(b.ID) })
	return found
}

// Members lists the memberships of an association that have a period, by company ID.
func (r *Roster) Members(association deal.ID) []Membership {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []Membership
	for _, m := range r.members[association] {
		if len(m.Periods) > 0 {
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b Membership) int { return a.CompanyID.Compare(b.CompanyID) })
	return found
}

// HadMembers tells whether a company was ever said to be a member of the association, also where that was taken back.
func (r *Roster) HadMembers(association deal.ID) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.members[association]) > 0
}

// Membership finds what was said about a company in an association; false when there is no period.
func (r *Roster) Membership(company, association deal.ID) (Membership, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	m := r.members[association][company]
	return m, len(m.Periods) > 0
}

// Memberships lists the memberships of a company that have a period, by association ID.
func (r *Roster) Memberships(company deal.ID) []Membership {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []Membership
	for _, m := range r.membershipOf[company] {
		if len(m.Periods) > 0 {
			found = append(found, m)
		}
	}
	slices.SortFunc(found, func(a, b Membership) int { return a.AssociationID.Compare(b.AssociationID) })
	return found
}

// MembershipOn is the period in which the company was a member of the association on a day.
func (r *Roster) MembershipOn(company, association deal.ID, day calendar.Date) (Period, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.members[association][company].On(day)
}

// MemberPeriod is a period in which a company was a member of the association.
type MemberPeriod struct {
	Association deal.ID
	Period
}

// MembershipsOn is the company's period in each association of which it was a member on a day, in no order.
func (r *Roster) MembershipsOn(company deal.ID, day calendar.Date) []MemberPeriod {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var found []MemberPeriod
	for association, m := range r.membershipOf[company] {
		if p, ok := m.On(day); ok {
			found = append(found, MemberPeriod{Association: association, Period: p})
		}
	}
	return found
}

// Key finds a key by its ID, revoked ones too.
func (r *Roster) Key(id deal.ID) (Key, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok := r.keys[r.keyIDs[id]]
	return k, ok
}

// Keys lists all keys by ID, which is the order in which they were issued.
func (r *Roster) Keys() []Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Values(r.keys), func(a, b Key) int { return a.ID.Compare(b.ID) })
}

// Rates is the table of all reference rates. It never changes: a later call gives a later table.
func (r *Roster) Rates() *money.Table {
	r.mu.RLock()
	table := r.table
	r.mu.RUnlock()
	if table != nil {
		return table
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.table == nil {
		r.table = money.NewTable("")
		for _, day := range r.rates {
			_ = r.table.Put(day) // a day that is not valid is as good as none: the deal stays unconverted
		}
	}
	return r.table
}
