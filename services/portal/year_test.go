package portal

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

func shown(amount string) api.Cell { return api.Cell{Amount: amount, Deals: 1} }

func theYear(today string) *Year {
	day, err := calendar.ParseDate(today)
	if err != nil {
		panic(err)
	}
	y := &Year{Year: 2026, Today: day, Total: shown("600"), Previous: new(shown("1200"))}
	y.Association.YearStartsIn = 1
	for m := range 12 {
		y.Months = append(y.Months, Month{Month: fmt.Sprintf("2026-%02d", m+1), Cell: shown("50"), Before: new(shown("100"))})
	}
	return y
}

func TestGrowth_ComparesWholeYearsOrTheMonthsThatHaveEnded(t *testing.T) {
	t.Parallel()
	hidden := theYear("2026-03-31")
	hidden.Months[1].Cell = api.Cell{Hidden: true}
	unknown := theYear("2027-01-01")
	unknown.Previous = nil
	nothing := theYear("2027-01-01")
	nothing.Previous = new(shown("0.00"))
	for name, c := range map[string]struct {
		year    *Year
		through string
		now     string
		none    bool
	}{
		"after its end":          {year: theYear("2027-01-01"), now: "600"},
		"on its last day":        {year: theYear("2026-12-31"), through: "2026-11", now: "550"},
		"in March":               {year: theYear("2026-03-31"), through: "2026-02", now: "100"},
		"in January":             {year: theYear("2026-01-31"), none: true},
		"a month is hidden":      {year: hidden, none: true},
		"nothing known before":   {year: unknown, none: true},
		"nothing was won before": {year: nothing, none: true},
	} {
		g := c.year.Growth()
		if c.none {
			if g != nil {
				t.Errorf("%s: %+v", name, g)
			}
			continue
		}
		if g == nil || g.Through != c.through || g.Now != c.now || g.Change.Cmp(big.NewRat(-1, 2)) != 0 {
			t.Errorf("%s: %+v", name, g)
		}
	}
}

// drawPairs makes pairs of up to 40 members; some are hidden.
func drawPairs(t *rapid.T) []Pair {
	members := rapid.IntRange(2, 40).Draw(t, "members")
	member := func(i int) api.Named { return api.Named{ID: deal.ID{byte(i + 1)}, Name: fmt.Sprintf("M%d", i)} }
	var pairs []Pair
	for i := range members {
		for j := range i {
			if rapid.IntRange(0, 3).Draw(t, "won") > 0 {
				continue
			}
			cell := shown(fmt.Sprintf("%d.%02d", rapid.IntRange(0, 1_000_000).Draw(t, "units"), rapid.IntRange(0, 99).Draw(t, "cents")))
			cell.Hidden = rapid.IntRange(0, 9).Draw(t, "hidden") == 0
			pairs = append(pairs, Pair{A: member(i), B: member(j), Cell: cell})
		}
	}
	return pairs
}

func TestTop_SumsUpTheRestExactly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pairs := drawPairs(t)
		top := newTop(pairs, 5)
		if len(top.members) > 5 || top.size() > 6 {
			t.Fatalf("%d members, size %d", len(top.members), top.size())
		}
		want, got := "0", "0"
		for _, p := range pairs {
			if !p.Cell.Hidden {
				want = add(want, p.Cell.Amount)
			}
		}
		for _, c := range top.cells {
			got = add(got, c.Amount)
		}
		if compare(want, got) != 0 {
			t.Fatalf("the pairs are %s, the cells %s", want, got)
		}
	})
}

func TestLargest_SumsUpTheRestExactlyOrHidesItWhereSomethingInItIsHidden(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		y := &Year{Pairs: drawPairs(t)}
		y.sort()
		first, rest := largest(y.Pairs, 3, func(p Pair) api.Cell { return p.Cell })
		others := y.Pairs[len(first):]
		if len(first) > 3 || (rest == nil) != (len(others) == 0) {
			t.Fatalf("%d rows of %d and the rest %v", len(first), len(y.Pairs), rest)
		}
		if rest == nil {
			return
		}
		want, deals := "0", int64(0)
		for _, p := range others {
			want, deals = add(want, p.Cell.Amount), deals+p.Cell.Deals
		}
		hidden := slices.ContainsFunc(others, func(p Pair) bool { return p.Cell.Hidden })
		if rest.Hidden != hidden || !hidden && (compare(rest.Amount, want) != 0 || rest.Deals != deals) {
			t.Fatalf("the rest is %+v; it should be %s in %d deals, hidden: %v", *rest, want, deals, hidden)
		}
	})
}

func TestYear_SaysTrulyWhyNoPairIsShown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		year Year
		show bool
		why  string
	}{
		{Year{Live: true}, true, ""},
		{Year{Policy: policyOpen}, true, ""}, // no pair won anything
		{Year{Policy: "guarded", Pairs: make([]Pair, 1)}, true, ""},
		{Year{Policy: "guarded"}, false, "pairs.notshown"},
		{Year{Policy: "guarded", LeftOut: []string{"months", "pairs"}}, false, ""},
		{Year{Policy: policyStrict}, false, "pairs.strict"},
	} {
		if c.year.ShowPairs() != c.show || !c.show && c.year.WhyNoPairs() != c.why {
			t.Errorf("%+v: %v, %q", c.year, c.year.ShowPairs(), c.year.WhyNoPairs())
		}
	}
}

func TestYear_ClaimsOnlyWhatIsKnownOfItsCoverage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		year  Year
		known bool
	}{
		{Year{Missing: new(int64(0))}, true},
		{Year{Missing: new(int64(0)), Unread: 1}, false},
		{Year{Missing: new(int64(1))}, false},
		{Year{}, false}, // hidden
	} {
		if c.year.ReadAndConverted() != c.known {
			t.Errorf("%+v: not %v", c.year, c.known)
		}
	}
	for policy, want := range map[string]bool{policyOpen: false, "guarded": true, policyStrict: true} {
		if y := (&Year{Policy: policy}); y.Withholds() != want {
			t.Errorf("%s: not %v", policy, want)
		}
	}
	if (&Year{Live: true}).Withholds() {
		t.Error("live figures wait for nothing")
	}
}

func TestYear_PutsTheMonthsOnTheSecondSheetWhereLittleElseIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		chapters, pairs int
		reason          string
		want            bool
	}{
		{2, 0, "", true},
		{2, 1, "", true},
		{3, 10, "", false},
		{7, 0, "", false},
		{2, 0, strings.Repeat("why ", 125), false},
	} {
		y := theYear("2027-06-01")
		y.Reason = c.reason
		b := &body{Year: y, TopChapters: make([]Row, c.chapters), TopPairs: make([]Pair, c.pairs)}
		if b.SecondIsShort() != c.want {
			t.Errorf("%d chapters, %d pairs, a reason of %d: not %v", c.chapters, c.pairs, len(c.reason), c.want)
		}
	}
	if (&body{Year: &Year{}}).SecondIsShort() {
		t.Error("without months there is one sheet")
	}
}
