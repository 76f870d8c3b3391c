package disclosure_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/disclosure"
)

// world is a small random truth: deals of companies, some in one association and some in two, with all that happened to
// them. An attacker knows all of it but for the shares.
type world struct {
	companies    int
	groupOf      []int
	associations []association
	deals        []history
	last         uint64 // sequence
}

// association is one of the associations of a world.
type association struct {
	id        deal.ID
	policy    disclosure.Policy
	chapterOf map[int]int // by company that is a member
	waived    []disclosure.Pair
	foreign   bool // reports in another currency: each deal has a rate of its own
}

// history is one deal through time.
type history struct {
	id       deal.ID
	rate     int64 // of a foreign association
	versions []version
}

// version is the deal after one event.
type version struct {
	sequence  uint64
	void      bool
	month     calendar.Date
	byParties bool
	companies []int
	shares    []int64 // even, so that pairs of three need no rounding
}

func id(kind byte, n int) deal.ID { return deal.ID{0: kind, 15: byte(n)} }

// draw makes a world with the given number of associations.
func draw(rnd *rand.Rand, associations int) *world {
	w := &world{companies: between(rnd, 6, 14)}
	for company := range w.companies {
		w.groupOf = append(w.groupOf, company-between(rnd, 0, min(company, 5))/5)
	}
	for n := range associations {
		a := association{id: id(1, n), policy: disclosure.Guarded, chapterOf: map[int]int{}}
		if between(rnd, 0, 5) == 0 {
			a.policy = disclosure.Strict
		}
		a.foreign = n > 0 && (rnd.IntN(2) == 0)
		chapters := between(rnd, 1, 3)
		for company := range w.companies {
			if associations == 1 || between(rnd, 0, 4) > 0 {
				a.chapterOf[company] = between(rnd, 1, chapters)
			}
		}
		for x := range w.companies {
			for y := range x {
				if between(rnd, 0, 7) == 0 {
					a.waived = append(a.waived, disclosure.NewPair(id(2, x), id(2, y)))
				}
			}
		}
		w.associations = append(w.associations, a)
	}
	for n := range between(rnd, 8, 30) {
		w.deals = append(w.deals, history{id: id(4, n), rate: int64(between(rnd, 2, 4))})
		w.change(rnd, n)
	}
	for range between(rnd, 0, 12) {
		w.change(rnd, rnd.IntN(len(w.deals)))
	}
	return w
}

// change adds an event to a deal: it is won, corrected, moved to another month, or void.
func (w *world) change(rnd *rand.Rand, n int) {
	w.last++
	d := &w.deals[n]
	v := version{sequence: w.last, byParties: between(rnd, 0, 4) > 0}
	v.month = calendar.New(2026, time.Month(between(rnd, 1, 3)), 1)
	kind := 0
	if len(d.versions) > 0 {
		kind = between(rnd, 0, 3)
	}
	switch before := len(d.versions) - 1; {
	case kind == 3:
		v.void = true
	case kind == 2 && !d.versions[before].void:
		v.companies, v.shares = d.versions[before].companies, d.versions[before].shares
	case kind == 1 && !d.versions[before].void:
		v.companies, v.shares = d.versions[before].companies, slices.Clone(d.versions[before].shares)
		v.shares[0] = drawShare(rnd)
	default:
		v.companies = rnd.Perm(w.companies)[:between(rnd, 2, 3)]
		for range v.companies {
			v.shares = append(v.shares, drawShare(rnd))
		}
	}
	d.versions = append(d.versions, v)
}

func drawShare(rnd *rand.Rand) int64 {
	switch rnd.IntN(12) {
	case 0:
		return 2 * int64(between(rnd, 0, 300))
	case 1:
		return 80
	}
	return 2 * int64(between(rnd, 20, 60))
}

func between(rnd *rand.Rand, from, to int) int { return from + rnd.IntN(to-from+1) }

func shuffled[T any](rnd *rand.Rand, list []T) []T {
	list = slices.Clone(list)
	rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// groups are those that know the version.
func (w *world) groups(v version) []int {
	var groups []int
	for _, company := range v.companies {
		if g := w.groupOf[company]; !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	return groups
}

// term is one share of a sum: how often it counts there.
type term struct {
	company int
	factor  *big.Rat
}

// members gives what each share of the version counts for in the association; none when it does not count there.
func (w *world) members(a association, d history, v version) []term {
	factor := big.NewRat(1, 1)
	if a.foreign {
		factor.SetInt64(d.rate)
	}
	var terms []term
	var groups []int
	for _, company := range v.companies {
		if a.chapterOf[company] > 0 {
			terms = append(terms, term{company, factor})
			if g := w.groupOf[company]; !slices.Contains(groups, g) {
				groups = append(groups, g)
			}
		}
	}
	if v.void || len(groups) < 2 {
		return nil
	}
	return terms
}

// figure names one thing that may be published.
type figure string

// figures gives every figure that the version is part of, as the shares that it sums.
func (w *world) figures(a association, d history, v version) map[figure][]term {
	members := w.members(a, d, v)
	if members == nil {
		return nil
	}
	figures := map[figure][]term{"total": members, figure(v.month.String()): members, figure(fmt.Sprint("by parties ", v.byParties)): members}
	for i, m := range members {
		chapter := figure(fmt.Sprint("chapter ", id(3, a.chapterOf[m.company])))
		figures[chapter] = append(figures[chapter], m)
		for _, n := range members[:i] {
			half := new(big.Rat).Quo(m.factor, big.NewRat(int64(len(members)-1), 1))
			pair := disclosure.NewPair(id(2, m.company), id(2, n.company))
			figures[pairFigure(pair)] = []term{{m.company, half}, {n.company, half}}
		}
	}
	return figures
}

func pairFigure(p disclosure.Pair) figure { return figure(fmt.Sprint("pair ", p.A, p.B)) }

func (v version) share(company int) int64 { return v.shares[slices.Index(v.companies, company)] }

// sum evaluates terms.
func (v version) sum(terms []term) int64 {
	sum := new(big.Rat)
	for _, each := range terms {
		sum.Add(sum, new(big.Rat).Mul(each.factor, big.NewRat(v.share(each.company), 1)))
	}
	if !sum.IsInt() {
		panic("the shares of a world are even")
	}
	return sum.Num().Int64()
}

// year gives what package disclosure gets to know of an association.
func (w *world) year(rnd *rand.Rand, a association, released []disclosure.Release) disclosure.Year {
	y := disclosure.Year{Association: a.id, Year: 2026, Policy: a.policy, Waived: shuffled(rnd, a.waived), Released: released}
	for _, d := range shuffled(rnd, w.deals) {
		given := disclosure.Deal{ID: d.id}
		for _, v := range d.versions {
			state := disclosure.State{Sequence: v.sequence, Month: v.month, ByParties: v.byParties}
			for _, g := range w.groups(v) {
				state.Groups = append(state.Groups, id(5, g))
			}
			figures := w.figures(a, d, v)
			for chapter := 1; chapter <= 3; chapter++ {
				if terms := figures[figure(fmt.Sprint("chapter ", id(3, chapter)))]; terms != nil {
					state.Chapters = append(state.Chapters, disclosure.Chapter{Chapter: id(3, chapter), AmountMinor: v.sum(terms)})
				}
			}
			for x := range w.companies {
				for y := range x {
					pair := disclosure.NewPair(id(2, x), id(2, y))
					if terms := figures[pairFigure(pair)]; terms != nil {
						state.Pairs = append(state.Pairs, disclosure.PairAmount{Pair: pair, AmountMinor: v.sum(terms)})
					}
				}
			}
			given.States = append(given.States, state)
		}
		if slices.ContainsFunc(given.States, disclosure.State.Counts) {
			y.Deals = append(y.Deals, given)
		}
	}
	return y
}
