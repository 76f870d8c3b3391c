package disclosure

import (
	"cmp"
	"slices"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

// book is a year with its releases as an attacker reads them: which cells each one shows, and which deals are in them.
// The last release may be one that is only thought of.
type book struct {
	year     Year // its deals in the order of their IDs
	layouts  []layout
	included [][]int32 // by release and deal: the index of the state, or nothing
}

// layout is which cells a release shows, beside the total.
type layout struct {
	open     bool
	coverage bool
	months   map[calendar.Date]bool
	chapters map[deal.ID]bool
	pairs    map[Pair]bool
}

func layoutOf(p Published) layout {
	l := layout{
		open: p.policy == Open, coverage: !p.byParties.Hidden(),
		months: map[calendar.Date]bool{}, chapters: map[deal.ID]bool{}, pairs: map[Pair]bool{},
	}
	for _, c := range p.months {
		l.months[c.Month] = !c.Hidden()
	}
	for _, c := range p.chapters {
		l.chapters[c.Chapter] = !c.Hidden()
	}
	for _, c := range p.pairs {
		l.pairs[c.Pair] = !c.Hidden()
	}
	return l
}

// newBook reads a year and what it has released.
func newBook(year Year) *book {
	year.Deals = slices.Clone(year.Deals)
	slices.SortFunc(year.Deals, func(a, b Deal) int { return a.ID.Compare(b.ID) })
	b := &book{year: year}
	for _, r := range year.Released {
		b.layouts = append(b.layouts, layoutOf(r.Published))
		b.included = append(b.included, b.counting(b.positions(r)))
	}
	return b
}

// positions gives the positions of the states that a release includes.
func (b *book) positions(r Release) []int32 {
	positions := make([]int32, len(b.year.Deals))
	held := r.Held
	for i, d := range b.year.Deals {
		for len(held) > 0 && held[0].Deal.Compare(d.ID) < 0 {
			held = held[1:]
		}
		until := r.AsOf
		if len(held) > 0 && held[0].Deal == d.ID {
			until = min(until, held[0].From-1)
		}
		positions[i] = d.position(until)
	}
	return positions
}

// counting keeps the positions of states that count for an amount.
func (b *book) counting(positions []int32) []int32 {
	positions = slices.Clone(positions)
	for i, at := range positions {
		if at != nothing && !b.year.Deals[i].States[at].Counts() {
			positions[i] = nothing
		}
	}
	return positions
}

// shows tells whether everybody may see the deal by itself in the release: its companies agreed, each pair of them or
// the whole association.
func (b *book) shows(release, index int) bool {
	at := b.included[release][index]
	return at != nothing && (b.layouts[release].open || b.layouts[release].shows(b.year.Deals[index].States[at]))
}

func (l layout) shows(s State) bool {
	return len(s.Pairs) > 0 && !slices.ContainsFunc(s.Pairs, func(p PairAmount) bool { return !l.pairs[p.Pair] })
}

// connected gives the books of the year and of all others that share deals with it, or with one of these.
func connected(year Year, others []Year) []*book {
	books := []*book{newBook(year)}
	rest := slices.Clone(others)
	slices.SortFunc(rest, func(a, b Year) int {
		return cmp.Or(a.Association.Compare(b.Association), cmp.Compare(a.Year, b.Year))
	})
	seen := map[deal.ID]bool{}
	for next := 0; next < len(books) && len(rest) > 0; next++ {
		for _, d := range books[next].year.Deals {
			seen[d.ID] = true
		}
		rest = slices.DeleteFunc(rest, func(y Year) bool {
			shares := slices.ContainsFunc(y.Deals, func(d Deal) bool { return seen[d.ID] })
			if shares {
				books = append(books, newBook(y))
			}
			return shares
		})
	}
	return books
}

// places finds each deal in the books, and those of the first book among them.
func places(books []*book) (deals []dealAt, own []int) {
	index := map[deal.ID]int{}
	for b, each := range books {
		for i, d := range each.year.Deals {
			at := len(deals)
			if len(books) > 1 {
				var found bool
				if at, found = index[d.ID]; !found {
					at = len(deals)
					index[d.ID] = at
				}
			}
			if at == len(deals) {
				deals = append(deals, nil)
			}
			deals[at] = append(deals[at], place{book: b, index: i})
			if b == 0 {
				own = append(own, at)
			}
		}
	}
	return deals, own
}
