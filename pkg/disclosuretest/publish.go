package disclosuretest

import (
	"math/rand/v2"
	"slices"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/disclosure"
)

// Publish makes the releases of a world, in turns, and gives what they tell.
func Publish(rnd *rand.Rand, w *World) ([]Statement, []disclosure.Year) {
	years := make([]disclosure.Year, len(w.Years))
	for i, y := range w.Years {
		years[i] = w.Year(rnd, y, nil)
	}
	var statements []Statement
	for at := uint64(between(rnd, int(w.Last)/3, int(w.Last))); ; at += uint64(between(rnd, 3, 12)) { // #nosec G115 -- worlds are small
		at = min(at, w.Last)
		for i, y := range w.Years {
			years[i].Policy, years[i].OpenUntil = y.At(at)
		}
		for i, y := range w.Years {
			if y.Silent || at < w.Last && between(rnd, 0, 3) == 0 {
				continue
			}
			if w.Wavering {
				years[i].Waived = slices.DeleteFunc(slices.Clone(y.Waived), func(disclosure.Pair) bool { return rnd.IntN(2) == 0 })
			}
			known := w.unforeseen(years, at)
			others := slices.Delete(slices.Clone(known), i, i+1)
			closing := at == w.Last && rnd.IntN(2) == 0
			r := disclosure.Next(known[i], at, closing, others)
			years[i].Released = append(slices.Clip(years[i].Released), r)
			statements = append(statements, w.read(i, years[i], r))
		}
		if at == w.Last {
			return statements, years
		}
	}
}

// unforeseen gives the years without the states that a rate brings which is not there when the log holds the sequence.
func (w *World) unforeseen(years []disclosure.Year, at uint64) []disclosure.Year {
	waits := map[deal.ID]bool{}
	for _, d := range w.Deals {
		for _, v := range d.Versions {
			if v.Sequence <= at {
				waits[d.ID] = v.NoRate
			}
		}
	}
	years = slices.Clone(years)
	for i := range years {
		years[i].Deals = slices.Clone(years[i].Deals)
		for j, d := range years[i].Deals {
			if waits[d.ID] {
				years[i].Deals[j].States = slices.DeleteFunc(slices.Clone(d.States), func(s disclosure.State) bool { return s.Sequence > at })
			}
		}
	}
	return years
}

// read takes the figures out of a release.
func (w *World) read(i int, y disclosure.Year, r disclosure.Release) Statement {
	s := Statement{Year: i, Figures: map[Figure]int64{}}
	for _, d := range w.Deals {
		at := -1
		if k := slices.IndexFunc(y.Deals, func(x disclosure.Deal) bool { return x.ID == d.ID }); k >= 0 {
			state := r.Included(y.Deals[k])
			at = slices.IndexFunc(d.Versions, func(v Version) bool { return v.Sequence == state.Sequence })
		}
		s.Included = append(s.Included, at)
	}
	take := func(f Figure, c disclosure.Cell) {
		if !c.Hidden() {
			s.Figures[f] = c.Amount().Int64()
		}
	}
	p := r.Published
	take(Total, p.Total())
	take(CoverageFigure(true), p.ByParties())
	take(CoverageFigure(false), p.ByRegistrar())
	for _, c := range p.Months() {
		take(MonthFigure(c.Month), c.Cell)
	}
	for _, c := range p.Chapters() {
		take(ChapterFigure(c.Chapter), c.Cell)
	}
	for _, c := range p.Pairs() {
		take(PairFigure(c.Pair), c.Cell)
	}
	return s
}

// Naive publishes all that it knows but for cells with fewer than three contributors, as many statistics do.
func Naive(w *World) []Statement {
	var statements []Statement
	for at := w.Last / 2; at <= w.Last; at += max(w.Last/6, 1) {
		for i, a := range w.Years {
			s := Statement{Year: i, Figures: map[Figure]int64{}}
			contributors := map[Figure][]int{}
			for _, d := range w.Deals {
				included := len(d.Versions) - 1
				for included >= 0 && d.Versions[included].Sequence > at {
					included--
				}
				s.Included = append(s.Included, included)
				if included < 0 {
					continue
				}
				for f, terms := range w.Figures(a, d, d.Versions[included]) {
					s.Figures[f] += d.Versions[included].Sum(terms)
					contributors[f] = append(contributors[f], w.Groups(d.Versions[included])...)
				}
			}
			for f := range s.Figures {
				slices.Sort(contributors[f])
				if f.IsPair() || len(slices.Compact(contributors[f])) < 3 {
					delete(s.Figures, f)
				}
			}
			statements = append(statements, s)
		}
	}
	return statements
}
