package dealtest

import (
	"cmp"
	"math/big"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/volume"
)

// By names a way to cut an association's year, as the API does.
type By string

// The ways to cut.
const (
	ByTotal   By = "total"
	ByChapter By = "chapter"
	ByPair    By = "pair"
	ByMonth   By = "month"
)

// Key is one figure of a report.
type Key struct {
	Association deal.ID // zero for all together, each share counted once
	Year        int
	By          By
	A, B        deal.ID       // the chapter, or the companies of the pair
	Month       calendar.Date // the first day of the month
}

// Sums are the figure's value.
type Sums struct {
	Amount, ByParties *big.Int // minor units
	Deals             int64
	Unconverted       int64
}

// Fold adds up what the deals count for after the events, from the state that each deal is in then. It reads neither what
// an event replaces nor any event of a deal but the last, so it shares nothing with a ledger of changes. Figures that are
// nothing are not in the result.
func Fold(events []stream.Stored) map[Key]Sums {
	latest := map[deal.ID]stream.Stored{}
	for _, e := range events {
		latest[e.Deal.ID] = e
	}
	figures := map[Key]Sums{}
	for _, e := range latest {
		for _, a := range e.Attributions {
			foldAttribution(figures, a)
		}
		if e.Unduplicated != nil {
			foldAttribution(figures, *e.Unduplicated)
		}
	}
	return figures
}

func foldAttribution(figures map[Key]Sums, a volume.Attribution) {
	add := func(key Key, minor int64) {
		if a.Withheld == volume.Duplicate {
			return
		}
		key.Association, key.Year = a.Association, a.Year
		old := figures[key]
		s := Sums{
			Amount: new(big.Int).Set(cmp.Or(old.Amount, new(big.Int))), ByParties: new(big.Int).Set(cmp.Or(old.ByParties, new(big.Int))),
			Deals: old.Deals, Unconverted: old.Unconverted,
		}
		if a.Withheld == volume.Unconverted {
			s.Unconverted++
		} else {
			s.Deals++
			s.Amount.Add(s.Amount, big.NewInt(minor))
			if a.Evidence == deal.ByParties {
				s.ByParties.Add(s.ByParties, big.NewInt(minor))
			}
		}
		figures[key] = s
	}
	add(Key{By: ByTotal}, a.AmountMinor)
	add(Key{By: ByMonth, Month: a.Month}, a.AmountMinor)
	for _, c := range a.Chapters {
		add(Key{By: ByChapter, A: c.Chapter}, c.AmountMinor)
	}
	for _, p := range a.Pairs {
		add(Key{By: ByPair, A: p.A, B: p.B}, p.AmountMinor)
	}
}
