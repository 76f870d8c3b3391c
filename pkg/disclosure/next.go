package disclosure

import (
	"math/big"
	"slices"
)

// Next makes the next release of the year from the log up to the sequence asOf. Others are the years of other
// associations that share deals with this one, or with one of these, each with what it has released: one may see
// what both publish. Releases of associations that share deals must therefore be made one after the other.
//
// What is new and cannot be shown yet is Held, and is in no figure. When the year is closing, detail goes first and the
// total is whole if that can be. The same years give the same release, whatever the order of deals, waivers and others.
func Next(year Year, asOf uint64, closing bool, others []Year) Release {
	r := Release{Number: len(year.Released) + 1, AsOf: asOf, Closing: closing}
	total, deals := new(big.Int), 0
	var states []State
	for _, d := range year.Deals {
		if s := d.at(asOf); s.Counts() {
			states = append(states, s)
			total.Add(total, big.NewInt(s.AmountMinor()))
			deals++
		}
	}
	if year.Policy != Open && (len(year.Released) > 0 || len(others) > 0 || !passes(states)) {
		if n := len(year.Released); n > 0 {
			last := year.Released[n-1]
			last.Number, last.Published.first, last.Published.change = r.Number, false, Cell{shown: true, amount: new(big.Int)}
			return last
		}
		r.AsOf, total, deals = 0, new(big.Int), 0
	}
	r.Published = Published{
		policy: year.Policy, total: Cell{shown: true, amount: total, deals: deals}, first: true, unconverted: -1,
		leftOut: slices.Clone([]Dimension{Coverage, Months, Chapters, Pairs}),
	}
	return r
}

// passes is the rule of one cell.
func passes(states []State) bool { return len(states) == 0 }
