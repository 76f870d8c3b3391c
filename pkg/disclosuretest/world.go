// Package disclosuretest attacks what boards are shown. It makes small random truths, publishes them, and works out what
// anybody can of the deals: share by share, with exact fractions and linear programs. It knows nothing of how package
// disclosure decides.
package disclosuretest

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

// World is a small random truth: deals of companies, some in one association and some in two, with all that happened to
// them. An attacker knows all of it but for the shares.
type World struct {
	Companies int
	GroupOf   []int // by company
	Years     []Year
	Deals     []History
	Last      uint64 // sequence
	Wavering  bool   // pairs waive and take it back: Publish draws for each release which of Waived hold
}

// Year is one year of one of the associations of a world.
type Year struct {
	Association deal.ID
	Year        int
	Policy      disclosure.Policy
	OpenUntil   uint64      // the board saw everything live up to this event, and Policy holds since; 0 when it never did
	OpenedAfter uint64      // Policy is open, and holds since this event; before, the year was guarded
	Silent      bool        // releases nothing
	ChapterOf   map[int]int // by company that is a member
	Waived      []disclosure.Pair
	Foreign     bool // reports in another currency: each deal has a rate of its own
}

// History is one deal through time.
type History struct {
	ID       deal.ID
	Rate     int64 // of a foreign association
	Versions []Version
}

// Version is the deal after one event.
type Version struct {
	Sequence  uint64
	Void      bool
	NoRate    bool // counts for nothing yet in foreign associations
	Month     calendar.Date
	ByParties bool
	Companies []int
	Shares    []int64 // even, so that pairs of three need no rounding
	Told      []int   // companies that heard of it and are no party: they declined, or a correction that failed named them
}

// ID makes the id of a thing of a world.
func ID(kind byte, n int) deal.ID { return deal.ID{0: kind, 15: byte(n)} } // #nosec G115 -- worlds are small

// The kinds of ids.
const (
	Association byte = iota + 1
	Company
	Chapter
	Deal
	Group
)

const firstYear = 2026

// Draw makes a world with the given number of associations, each with one year.
func Draw(rnd *rand.Rand, associations int) *World {
	w := &World{Companies: between(rnd, 6, 14)}
	for company := range w.Companies {
		w.GroupOf = append(w.GroupOf, company-between(rnd, 0, min(company, 5))/5)
	}
	for n := range associations {
		y := Year{Association: ID(Association, n), Year: firstYear, Policy: disclosure.Guarded, ChapterOf: map[int]int{}}
		if between(rnd, 0, 5) == 0 {
			y.Policy = disclosure.Strict
		}
		y.Foreign = n > 0 && (rnd.IntN(2) == 0)
		chapters := between(rnd, 1, 3)
		for company := range w.Companies {
			if associations == 1 || between(rnd, 0, 4) > 0 {
				y.ChapterOf[company] = between(rnd, 1, chapters)
			}
		}
		for a := range w.Companies {
			for b := range a {
				if between(rnd, 0, 7) == 0 {
					y.Waived = append(y.Waived, disclosure.NewPair(ID(Company, a), ID(Company, b)))
				}
			}
		}
		w.Years = append(w.Years, y)
	}
	for n := range between(rnd, 8, 30) {
		w.Deals = append(w.Deals, History{ID: ID(Deal, n), Rate: int64(between(rnd, 2, 4))})
		w.change(rnd, n)
	}
	for range between(rnd, 0, 12) {
		w.change(rnd, rnd.IntN(len(w.Deals)))
	}
	return w
}

// change adds an event to a deal: it is won, corrected, moved to another month, or void.
func (w *World) change(rnd *rand.Rand, n int) {
	w.Last++
	d := &w.Deals[n]
	v := Version{Sequence: w.Last, ByParties: between(rnd, 0, 4) > 0}
	v.Month = calendar.New(firstYear, time.Month(between(rnd, 1, 3)), 1)
	kind := 0
	if len(d.Versions) > 0 {
		kind = between(rnd, 0, 3)
	}
	switch before := len(d.Versions) - 1; {
	case kind == 3:
		v.Void = true
	case kind == 2 && !d.Versions[before].Void:
		v.Companies, v.Shares = d.Versions[before].Companies, d.Versions[before].Shares
	case kind == 1 && !d.Versions[before].Void:
		v.Companies, v.Shares = d.Versions[before].Companies, slices.Clone(d.Versions[before].Shares)
		v.Shares[0] = drawShare(rnd)
	default:
		v.Companies = rnd.Perm(w.Companies)[:between(rnd, 2, 3)]
		for range v.Companies {
			v.Shares = append(v.Shares, drawShare(rnd))
		}
	}
	d.Versions = append(d.Versions, v)
}

// Twist makes a world harder to keep secrets in.
type Twist struct {
	Name string
	Do   func(rnd *rand.Rand, w *World)
}

// Twists are what happens beside deals that are won, corrected and void. They are for worlds of two associations.
var Twists = []Twist{
	{"two years of one association, and deals that are corrected from one to the other", func(rnd *rand.Rand, w *World) {
		next := w.Years[0]
		next.Year++
		w.Years = slices.Insert(w.Years, 1, next)
		month := func(year int) calendar.Date { return calendar.New(year, time.Month(between(rnd, 1, 2)), 1) }
		for i := range w.Deals {
			if rnd.IntN(2) == 0 {
				for j := range w.Deals[i].Versions {
					w.Deals[i].Versions[j].Month = month(firstYear + 1)
				}
			}
		}
		moves := between(rnd, 3, 4) // as many as may be told that went, with hardly more that came
		for _, i := range rnd.Perm(len(w.Deals)) {
			moved := w.Deals[i].Versions[len(w.Deals[i].Versions)-1]
			if moves > 0 && w.members(w.Years[0], w.Deals[i], moved) != nil {
				w.Last++
				moves--
				moved.Sequence, moved.Month = w.Last, month(firstYear+1)
				w.Deals[i].Versions = append(w.Deals[i].Versions, moved)
			}
		}
		n := len(w.Deals)
		w.Deals = append(w.Deals, History{ID: ID(Deal, n), Rate: 2})
		w.change(rnd, n)
		w.Deals[n].Versions[0].Month = month(firstYear + 1)
	}},
	{"an open neighbour that releases nothing", func(rnd *rand.Rand, w *World) {
		w.Years[rnd.IntN(len(w.Years))].open(true, 0)
	}},
	{"an association that was open", func(rnd *rand.Rand, w *World) {
		i := rnd.IntN(len(w.Years))
		w.Years[i].open(false, uint64(between(rnd, 1, int(w.Last)))) // #nosec G115 -- worlds are small
		w.Years[i].Policy = disclosure.Guarded
	}},
	{"an association that becomes open", func(rnd *rand.Rand, w *World) { w.BecomeOpen(rnd) }},
	{"companies that declined, or were in a correction that failed", func(rnd *rand.Rand, w *World) {
		for i := range w.Deals {
			for j := range w.Deals[i].Versions {
				if v := &w.Deals[i].Versions[j]; rnd.IntN(4) == 0 {
					v.Told = append(v.Told, rnd.IntN(w.Companies))
				}
			}
		}
	}},
	{"a party that is no member makes way for another one", func(rnd *rand.Rand, w *World) {
		strangers := rnd.Perm(w.Companies)[:3]
		for i := range w.Years {
			for _, company := range strangers {
				delete(w.Years[i].ChapterOf, company)
			}
		}
		for i := range w.Deals {
			d := &w.Deals[i]
			last := d.Versions[len(d.Versions)-1]
			at := slices.IndexFunc(last.Companies, func(c int) bool { return slices.Contains(strangers, c) })
			others := slices.DeleteFunc(slices.Clone(strangers), func(c int) bool { return slices.Contains(last.Companies, c) })
			if last.Void || at < 0 || len(others) == 0 || rnd.IntN(3) == 0 {
				continue
			}
			w.Last++
			last.Sequence, last.Companies = w.Last, slices.Clone(last.Companies)
			last.Companies[at] = others[0]
			d.Versions = append(d.Versions, last)
		}
	}},
	{"rates that come late, of an association that may be open", func(rnd *rand.Rand, w *World) {
		y := &w.Years[1]
		y.Foreign = true
		if rnd.IntN(2) == 0 {
			y.open(rnd.IntN(2) == 0, 0)
		}
		for i := range w.Deals {
			d := &w.Deals[i]
			if last := len(d.Versions) - 1; rnd.IntN(3) == 0 {
				w.Last++
				restated := d.Versions[last]
				restated.Sequence, d.Versions[last].NoRate = w.Last, true
				d.Versions = append(d.Versions, restated)
			}
		}
	}},
}

// Waver lets pairs waive and take it back, those of some deals of two among them.
func (w *World) Waver(rnd *rand.Rand) {
	w.Wavering = true
	for i := range w.Years {
		for _, d := range w.Deals {
			if v := d.Versions[0]; len(v.Companies) == 2 && rnd.IntN(3) == 0 {
				w.Years[i].Waived = append(w.Years[i].Waived, disclosure.NewPair(ID(Company, v.Companies[0]), ID(Company, v.Companies[1])))
			}
		}
	}
}

// BecomeOpen lets the board of an association see everything of the year that follows, in which deals are won and from
// which some are corrected back into the year before. Deals of the year before change, too. Nothing happens when there
// are two years already, or when no association is left that is not open.
func (w *World) BecomeOpen(rnd *rand.Rand) {
	years := len(w.Years)
	closed := slices.DeleteFunc(rnd.Perm(years), func(i int) bool { return w.Years[i].Policy == disclosure.Open })
	if len(closed) == 0 || slices.ContainsFunc(w.Years, func(y Year) bool { return y.Year > firstYear }) {
		return
	}
	for i := range years {
		next := w.Years[i]
		next.Year++
		if i == closed[0] {
			next.open(rnd.IntN(2) == 0, 0)
			next.OpenedAfter = w.Last
		}
		w.Years = append(w.Years, next)
	}
	var won []int
	for range between(rnd, 6, 12) {
		n := len(w.Deals)
		w.Deals = append(w.Deals, History{ID: ID(Deal, n), Rate: int64(between(rnd, 2, 4))})
		w.change(rnd, n)
		w.Deals[n].Versions[0].Month = calendar.New(firstYear+1, time.Month(between(rnd, 1, 2)), 1)
		won = append(won, n)
		switch before := n - len(won); rnd.IntN(4) {
		case 0:
			w.change(rnd, rnd.IntN(before+1))
		case 1:
			w.change(rnd, won[rnd.IntN(len(won))]) // into the first year, if it counts
		}
	}
}

// Reopened is the world in which an association that becomes open becomes so for the year that had begun, too.
func (w *World) Reopened() *World {
	reopened := *w
	reopened.Years = slices.Clone(w.Years)
	for _, next := range w.Years {
		for i := range reopened.Years {
			if y := &reopened.Years[i]; next.OpenedAfter > 0 && y.Association == next.Association {
				y.Policy, y.OpenedAfter = disclosure.Open, next.OpenedAfter
			}
		}
	}
	return &reopened
}

func (y *Year) open(silent bool, until uint64) {
	y.Policy, y.Silent, y.OpenUntil = disclosure.Open, silent, until
}

// live tells whether the board of the year saw all that the version counts for.
func (y Year) live(v Version) bool { return y.Policy == disclosure.Open || v.Sequence <= y.OpenUntil }

// At gives the policy when the log held the sequence, and up to where the board had seen everything before.
func (y Year) At(sequence uint64) (disclosure.Policy, uint64) {
	switch {
	case sequence <= y.OpenUntil:
		return disclosure.Open, 0
	case sequence <= y.OpenedAfter:
		return disclosure.Guarded, 0
	}
	return y.Policy, y.OpenUntil
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

// Groups are those of the parties of the version.
func (w *World) Groups(v Version) []int { return w.groups(v.Companies) }

// told are the groups that know the version.
func (w *World) told(v Version) []int { return w.groups(slices.Concat(v.Companies, v.Told)) }

func (w *World) groups(companies []int) []int {
	var groups []int
	for _, company := range companies {
		if g := w.GroupOf[company]; !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	return groups
}

// Term is one share of a sum: how often it counts there.
type Term struct {
	Company int
	factor  *big.Rat
}

// members gives what each share of the version counts for in the year; none when it does not count there, or not yet.
func (w *World) members(y Year, d History, v Version) []Term {
	if v.NoRate && y.Foreign {
		return nil
	}
	return w.converted(y, d, v)
}

// waits tells whether the version counts in the year as soon as there is a rate.
func (w *World) waits(y Year, d History, v Version) bool {
	return v.NoRate && y.Foreign && w.converted(y, d, v) != nil
}

func (w *World) converted(y Year, d History, v Version) []Term {
	factor := big.NewRat(1, 1)
	if y.Foreign {
		factor.SetInt64(d.Rate)
	}
	var terms []Term
	var groups []int
	for _, company := range v.Companies {
		if y.ChapterOf[company] > 0 {
			terms = append(terms, Term{company, factor})
			if g := w.GroupOf[company]; !slices.Contains(groups, g) {
				groups = append(groups, g)
			}
		}
	}
	if v.Void || len(groups) < 2 || calendar.YearOf(v.Month, time.January) != y.Year {
		return nil
	}
	return terms
}

// Figure names one thing that may be published.
type Figure string

// Total is the figure of all that counts in the year.
const Total Figure = "total"

// MonthFigure is that of the deals won in a month.
func MonthFigure(month calendar.Date) Figure { return Figure(month.String()) }

// CoverageFigure is that of the deals that parties, or a registrar, stand for.
func CoverageFigure(byParties bool) Figure { return Figure(fmt.Sprint("by parties ", byParties)) }

// ChapterFigure is that of a chapter.
func ChapterFigure(id deal.ID) Figure { return Figure(fmt.Sprint("chapter ", id)) }

// PairFigure is that of two companies.
func PairFigure(p disclosure.Pair) Figure { return Figure(fmt.Sprint("pair ", p.A, p.B)) }

// IsPair tells whether it is the figure of two companies.
func (f Figure) IsPair() bool { return len(f) > 5 && f[:5] == "pair " }

func (f Figure) isChapter() bool { return f[0] == 'c' }

// Figures gives every figure of the year that the version is part of, as the shares that it sums.
func (w *World) Figures(y Year, d History, v Version) map[Figure][]Term {
	members := w.members(y, d, v)
	if members == nil {
		return nil
	}
	figures := map[Figure][]Term{Total: members, MonthFigure(v.Month): members, CoverageFigure(v.ByParties): members}
	for i, m := range members {
		chapter := ChapterFigure(ID(Chapter, y.ChapterOf[m.Company]))
		figures[chapter] = append(figures[chapter], m)
		for _, n := range members[:i] {
			half := new(big.Rat).Quo(m.factor, big.NewRat(int64(len(members)-1), 1))
			pair := disclosure.NewPair(ID(Company, m.Company), ID(Company, n.Company))
			figures[PairFigure(pair)] = []Term{{m.Company, half}, {n.Company, half}}
		}
	}
	return figures
}

func (v Version) share(company int) int64 { return v.Shares[slices.Index(v.Companies, company)] }

// Sum evaluates terms.
func (v Version) Sum(terms []Term) int64 {
	sum := new(big.Rat)
	for _, each := range terms {
		sum.Add(sum, new(big.Rat).Mul(each.factor, big.NewRat(v.share(each.Company), 1)))
	}
	if !sum.IsInt() {
		panic("the shares of a world are even")
	}
	return sum.Num().Int64()
}

// State gives what the version counts for in the year.
func (w *World) State(y Year, d History, v Version) disclosure.State {
	state := disclosure.State{Sequence: v.Sequence, Month: v.Month, ByParties: v.ByParties, Unconverted: w.waits(y, d, v)}
	for _, g := range w.Groups(v) {
		state.Groups = append(state.Groups, ID(Group, g))
	}
	figures := w.Figures(y, d, v)
	for chapter := 1; chapter <= 3; chapter++ {
		if terms := figures[ChapterFigure(ID(Chapter, chapter))]; terms != nil {
			state.Chapters = append(state.Chapters, disclosure.Chapter{Chapter: ID(Chapter, chapter), AmountMinor: v.Sum(terms)})
		}
	}
	for a := range w.Companies {
		for b := range a {
			pair := disclosure.NewPair(ID(Company, a), ID(Company, b))
			if terms := figures[PairFigure(pair)]; terms != nil {
				state.Pairs = append(state.Pairs, disclosure.PairAmount{Pair: pair, AmountMinor: v.Sum(terms)})
			}
		}
	}
	return state
}

// Year gives what package disclosure gets to know of a year, in any order.
func (w *World) Year(rnd *rand.Rand, y Year, released []disclosure.Release) disclosure.Year {
	result := disclosure.Year{
		Association: y.Association, Year: y.Year, Policy: y.Policy, OpenUntil: y.OpenUntil, Waived: shuffled(rnd, y.Waived), Released: released,
	}
	for _, d := range shuffled(rnd, w.Deals) {
		given := disclosure.Deal{ID: d.ID}
		for _, v := range d.Versions {
			for _, g := range w.told(v) {
				given.Insiders = append(given.Insiders, ID(Group, g))
			}
			state := w.State(y, d, v)
			if n := len(given.States); n > 0 && sameFigures(given.States[n-1], state) {
				continue // it changes nothing here, as one of another year or of parties that are no members
			}
			given.States = append(given.States, state)
		}
		if slices.ContainsFunc(given.States, func(s disclosure.State) bool { return s.Counts() || s.Unconverted }) {
			result.Deals = append(result.Deals, given)
		}
	}
	return result
}

func sameFigures(a, b disclosure.State) bool {
	if a.Counts() != b.Counts() || !a.Counts() {
		return a.Counts() == b.Counts() && a.Unconverted == b.Unconverted
	}
	return a.Month == b.Month && a.ByParties == b.ByParties && slices.Equal(a.Chapters, b.Chapters) && slices.Equal(a.Pairs, b.Pairs)
}
