package disclosure

import (
	"maps"
	"math/big"
	"slices"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

// sums adds up the figures of a release.
type sums struct {
	total, otherPairs *Cell
	coverage          map[bool]*Cell
	months            map[calendar.Date]*Cell
	chapters          map[deal.ID]*Cell
	pairs             map[Pair]*Cell
}

// publish adds up what the trial includes and shows what it may.
func (d *draft) publish(t *trial) Published {
	year := d.books[0].year
	open := year.Policy == Open
	s := sums{
		total: newCell(), otherPairs: newCell(), coverage: map[bool]*Cell{false: newCell(), true: newCell()},
		months: map[calendar.Date]*Cell{}, chapters: map[deal.ID]*Cell{}, pairs: map[Pair]*Cell{},
	}
	change := newCell()
	waiving := layout{pairs: d.waived}
	var unconverted []contribution
	for i, own := range year.Deals {
		if t.now[i] != d.before[i] {
			change.deals++
		}
		if at := d.before[i]; at != nothing {
			change.amount.Sub(change.amount, big.NewInt(own.States[at].AmountMinor()))
		}
		if t.now[i] == nothing {
			continue
		}
		state := own.States[t.now[i]]
		if state.Unconverted {
			unconverted = append(unconverted, contribution{groups: d.names.groups(state.Groups)})
		}
		if state.Counts() {
			change.amount.Add(change.amount, big.NewInt(state.AmountMinor()))
			s.add(state, open || waiving.shows(state))
		}
	}
	p := Published{policy: year.Policy, total: *s.total, first: len(year.Released) == 0, unconverted: hiddenCount}
	if !p.first {
		p.change = *change
	}
	if year.Policy != Strict && (open || weak(unconverted) == nil) {
		p.unconverted = len(unconverted)
	}
	for _, dimension := range dimensionsOf(year.Policy) {
		if !t.wants(dimension) {
			p.leftOut = append(p.leftOut, dimension)
		}
	}
	if t.wants(Coverage) {
		p.byParties, p.byRegistrar = *s.coverage[true], *s.coverage[false]
	}
	if t.wants(Months) {
		for _, month := range slices.Sorted(maps.Keys(s.months)) {
			p.months = append(p.months, MonthCell{month, t.cell(makeRow(0, 0, ofMonth, int32(month)), s.months[month])})
		}
	}
	if t.wants(Chapters) {
		for _, id := range slices.SortedFunc(maps.Keys(s.chapters), deal.ID.Compare) {
			p.chapters = append(p.chapters, ChapterCell{id, t.cell(makeRow(0, 0, ofChapter, d.names.chapter(id)), s.chapters[id])})
		}
	}
	if t.wants(Pairs) {
		for _, pair := range slices.SortedFunc(maps.Keys(s.pairs), Pair.Compare) {
			p.pairs = append(p.pairs, PairCell{pair, *s.pairs[pair]})
		}
		p.otherPairs = *s.otherPairs
	}
	return p
}

// cell is the sum, unless the trial hides it.
func (t *trial) cell(key row, sum *Cell) Cell {
	if t.hidden[key] {
		return Cell{}
	}
	return *sum
}

func newCell() *Cell { return &Cell{shown: true, amount: new(big.Int)} }

func (c *Cell) add(amount int64) {
	c.amount.Add(c.amount, big.NewInt(amount))
	c.deals++
}

// add counts one state. Its pairs are told apart when they may be shown.
func (s *sums) add(state State, pairs bool) {
	amount := state.AmountMinor()
	s.total.add(amount)
	s.coverage[state.ByParties].add(amount)
	grown(s.months, state.Month).add(amount)
	for _, c := range state.Chapters {
		grown(s.chapters, c.Chapter).add(c.AmountMinor)
	}
	if !pairs {
		s.otherPairs.add(amount)
		return
	}
	for _, p := range state.Pairs {
		grown(s.pairs, p.Pair).add(p.AmountMinor)
	}
}

// grown gives the cell of the key, and makes it when there is none.
func grown[K comparable](cells map[K]*Cell, key K) *Cell {
	if cells[key] == nil {
		cells[key] = newCell()
	}
	return cells[key]
}
