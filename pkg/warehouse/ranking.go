package warehouse

import (
	"cmp"
	"maps"
	"math/big"
	"slices"

	"github.com/dealreg/dealreg/pkg/deal"
)

// ranking is what roll-ups add up to, in order, so that a report of the largest items need not look at the others. It
// never changes.
type ranking struct {
	part            part
	cells           map[cellKey]Sums
	currency        string
	total, previous Sums
	items           []Item
	sum             Sums            // of the items
	pairs           map[deal.ID]int // in how many each company is
}

func rank(p part, cells map[cellKey]Sums) (*ranking, error) {
	r := &ranking{part: p, cells: cells, total: NoSums(), previous: NoSums(), sum: NoSums(), pairs: map[deal.ID]int{}}
	v := Volume{Total: r.total, PreviousYear: r.previous}
	for key, s := range cells {
		if err := v.add(p, key, s); err != nil {
			return nil, err
		}
		if !p.isItem(key) || s.nothing() {
			continue
		}
		r.items = append(r.items, itemOf(key, s))
		r.sum.add(s)
		if p.kind == KindPair {
			r.pairs[key.a]++
			r.pairs[key.b]++
		}
	}
	r.currency, r.total, r.previous = v.Currency, v.Total, v.PreviousYear
	slices.SortFunc(r.items, inOrder)
	return r, nil
}

func inOrder(x, y Item) int {
	return cmp.Or(cmp.Compare(x.Month, y.Month), y.Amount.Cmp(x.Amount), x.Chapter.Compare(y.Chapter), x.A.Compare(y.A), x.B.Compare(y.B))
}

// and gives the volume of the roll-ups and of the cells behind them, which it uses up.
func (r *ranking) and(q VolumeQuery, behind map[cellKey]Sums) (Volume, error) {
	v := Volume{Currency: r.currency, Total: r.total.clone(), PreviousYear: r.previous.clone()}
	items, rest := r.of(q.Company)
	moved, pairs := map[cellKey]bool{}, map[deal.ID]int{}
	for key, s := range behind {
		if err := v.add(r.part, key, s); err != nil {
			return Volume{}, err
		}
		if !r.part.isItem(key) {
			continue
		}
		before, there := r.cells[key]
		if !there {
			before = NoSums()
		}
		s.add(before)
		item := itemOf(key, s)
		moved[key] = true
		if !before.nothing() {
			rest.take(item.of(q.Company), before)
			pairs[key.a]--
			pairs[key.b]--
		}
		if s.nothing() {
			continue
		}
		pairs[key.a]++
		pairs[key.b]++
		if item.of(q.Company) {
			rest.Items++
			rest.add(s)
			v.Items = append(v.Items, item)
		}
	}
	most := q.Limit
	if most == 0 {
		most = rest.Items
	}
	for unmoved := 0; unmoved < most && len(items) > 0; items = items[1:] {
		if !moved[keyOf(r.part, v.Currency, items[0])] {
			v.Items = append(v.Items, items[0])
			unmoved++
		}
	}
	slices.SortFunc(v.Items, inOrder)
	v.Items = v.Items[:min(most, len(v.Items))]
	if q.Limit > 0 {
		for _, item := range v.Items {
			rest.take(true, item.Sums)
		}
		v.Rest = &rest
	}
	if q.By == ByTotal {
		v.Items = nil
	}
	if r.part.kind == KindPair {
		v.Partners = r.partners(pairs)
	}
	return v, nil
}

// of gives the items of a company, all of them for the zero id, and what they add up to.
func (r *ranking) of(company deal.ID) ([]Item, Rest) {
	if company.IsZero() {
		return r.items, Rest{Items: len(r.items), Sums: r.sum.clone()}
	}
	var items []Item
	sum := NoSums()
	for _, item := range r.items {
		if item.of(company) {
			items = append(items, item)
			sum.add(item.Sums)
		}
	}
	return items, Rest{Items: len(items), Sums: sum}
}

// partners tells of how many pairs each company is, when so many came or went.
func (r *ranking) partners(changes map[deal.ID]int) map[deal.ID]int {
	if len(changes) == 0 {
		return r.pairs
	}
	partners := maps.Clone(r.pairs)
	for company, change := range changes {
		if partners[company] += change; partners[company] == 0 {
			delete(partners, company)
		}
	}
	return partners
}

func itemOf(key cellKey, s Sums) Item {
	item := Item{Month: key.month, Sums: s}
	switch key.kind { //nolint:exhaustive // the others have no companies
	case KindChapter:
		item.Chapter = key.a
	case KindPair:
		item.A, item.B = key.a, key.b
	}
	return item
}

func keyOf(p part, currency string, item Item) cellKey {
	key := cellKey{kind: p.kind, year: int32(p.year), month: item.Month, a: item.A, b: item.B, currency: currency} // #nosec G115 -- a year
	if p.kind == KindChapter {
		key.a = item.Chapter
	}
	return key
}

// isItem tells whether a cell is one of the items and not a month of the totals beside them.
func (p part) isItem(key cellKey) bool { return key.kind == p.kind && int(key.year) == p.year }

// of tells whether a pair is the company's; with the zero id every item is.
func (item *Item) of(company deal.ID) bool {
	return company.IsZero() || item.A == company || item.B == company
}

// take takes an item out that was counted.
func (r *Rest) take(counted bool, s Sums) {
	if counted {
		r.Items--
		r.subtract(s)
	}
}

func (s *Sums) clone() Sums {
	c := NoSums()
	c.add(*s)
	return c
}

func (s *Sums) subtract(t Sums) {
	s.add(Sums{
		Amount: new(big.Int).Neg(t.Amount), AttestedByParties: new(big.Int).Neg(t.AttestedByParties), Deals: -t.Deals, Unconverted: -t.Unconverted,
	})
}
