package disclosure_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/disclosure"
)

const eventsPerDay = 10_000

// likely makes a year like a real one: amounts are log-normal, some companies and chapters have many more deals than
// others, and a deal is confirmed within 40 days of the day on which it was won.
func likely(deals, companies, chapters int) disclosure.Year {
	rnd := rand.New(rand.NewPCG(uint64(deals), 1)) // #nosec G115 -- a number of deals
	y := disclosure.Year{Association: numbered(1, 0), Year: 2026, Policy: disclosure.Guarded}
	chapterOf := make([]deal.ID, companies)
	for i := range chapterOf {
		chapterOf[i] = numbered(3, int(float64(chapters)*math.Pow(rnd.Float64(), 1.5)))
	}
	for n := range deals {
		day := rnd.IntN(365)
		a := int(float64(companies) * math.Pow(rnd.Float64(), 2))
		b := (a + 1 + rnd.IntN(companies-1)) % companies
		amount := int64(math.Exp(rnd.NormFloat64()*1.2+11)) * 100
		share := amount * int64(20+rnd.IntN(60)) / 100
		s := disclosure.State{
			Sequence:  uint64((day+rnd.IntN(40))*eventsPerDay + n%eventsPerDay + 1), // #nosec G115 -- positive
			Groups:    []deal.ID{numbered(2, a), numbered(2, b)},
			Month:     (calendar.New(2026, time.January, 1) + calendar.Date(day)).FirstOfMonth(), // #nosec G115 -- a day of the year
			ByParties: rnd.IntN(5) > 0,
			Chapters:  []disclosure.Chapter{{Chapter: chapterOf[a], AmountMinor: share}, {Chapter: chapterOf[b], AmountMinor: amount - share}},
			Pairs:     []disclosure.PairAmount{{Pair: disclosure.NewPair(numbered(2, a), numbered(2, b)), AmountMinor: amount}},
		}
		if chapterOf[a] == chapterOf[b] {
			s.Chapters = []disclosure.Chapter{{Chapter: chapterOf[a], AmountMinor: amount}}
		}
		y.Deals = append(y.Deals, disclosure.Deal{ID: numbered(4, n), States: []disclosure.State{s}})
	}
	return y
}

func numbered(kind byte, n int) deal.ID {
	id := deal.ID{0: kind}
	binary.BigEndian.PutUint64(id[8:], uint64(n)) // #nosec G115 -- positive
	return id
}

// shown is which part of the value that had come by then the release includes.
func shown(y disclosure.Year, r disclosure.Release) float64 {
	var come, included float64
	for _, d := range y.Deals {
		come += float64(disclosure.Release{AsOf: r.AsOf}.Included(d).AmountMinor())
		included += float64(r.Included(d).AmountMinor())
	}
	return included / max(come, 1)
}

func TestNext_ShowsNearlyAllOfARealYear(t *testing.T) {
	t.Parallel()
	for deals, want := range map[int]float64{50: 0.5, 280: 0.9, 500: 0.9} {
		y := likely(deals, max(20, deals/4), 8)
		const last = 410 * eventsPerDay
		yearly := disclosure.Next(y, last, true, nil)
		if got := shown(y, yearly); got < 0.99 || !slices.Contains(yearly.Published.LeftOut(), disclosure.Chapters) && len(yearly.Published.Chapters()) == 0 {
			t.Errorf("one release of %d deals shows %.3f", deals, got)
		}
		least := 1.0
		detailed := 0
		for month := 1; month <= 12; month++ {
			r := disclosure.Next(y, uint64(month)*31*eventsPerDay, false, nil)
			y.Released = append(y.Released, r)
			if month >= 3 {
				least = min(least, shown(y, r))
			}
			if len(r.Published.LeftOut()) <= 2 {
				detailed++
			}
			t.Logf("%d deals, release %d: shows %.3f, leaves out %v", deals, r.Number, shown(y, r), r.Published.LeftOut())
		}
		if least < want || deals > 50 && detailed < 8 {
			t.Errorf("of twelve releases of %d deals one shows %.3f, and %d show two dimensions or more", deals, least, detailed)
		}
	}
}

// BenchmarkNext makes the twelve monthly releases of a large year.
func BenchmarkNext(b *testing.B) {
	y := likely(400_000, 5_000, 30)
	for b.Loop() {
		y.Released = nil
		var slowest time.Duration
		before := b.Elapsed()
		for month := 1; month <= 13; month++ {
			y.Released = append(y.Released, disclosure.Next(y, uint64(month)*31*eventsPerDay, month == 13, nil))
			slowest, before = max(slowest, b.Elapsed()-before), b.Elapsed()
		}
		b.ReportMetric(slowest.Seconds(), "s/slowest-release")
		b.ReportMetric(float64(len(y.Deals))/slowest.Seconds(), "deals/s")
		b.ReportMetric(100*shown(y, y.Released[11]), "%-shown")
		b.ReportMetric(float64(len(y.Released[11].Published.LeftOut())), "left-out")
	}
}
