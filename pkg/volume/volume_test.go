package volume_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/volume"
)

var (
	assoc        = deal.ID{0xA5}
	other        = deal.ID{0xA6}
	north, south = chapter(1), chapter(2)
	wonOn        = calendar.New(2026, time.November, 22)
	month        = calendar.New(2026, time.November, 1)
)

func company(n byte) deal.ID { return deal.ID{0xC0, 15: n} }
func chapter(n byte) deal.ID { return deal.ID{0xC4, 15: n} }

// won is a won deal of companies 1, 2, ..., each its own group, with the shares.
func won(currency money.Currency, shares ...int64) deal.Deal {
	d := deal.Deal{Status: deal.Won, Evidence: deal.ByParties}
	day := wonOn
	d.WonOn, d.Value.Currency = &day, currency
	for i, share := range shares {
		n := byte(i + 1) // #nosec G115 -- at most ten
		d.Value.Minor += share
		d.Parties = append(d.Parties, deal.Party{Company: company(n), Group: deal.ID{0x60, 15: n}, Role: deal.Other, ShareMinor: share})
	}
	return d
}

// reporting is an association in which company 1 is in the first chapter, 2 in the second, and so on; a zero chapter is
// no member.
func reporting(currency money.Currency, chapters ...deal.ID) volume.Association {
	a := volume.Association{ID: assoc, Currency: currency, YearStartsIn: time.January, Chapters: map[deal.ID]deal.ID{}}
	for i, c := range chapters {
		if !c.IsZero() {
			a.Chapters[company(byte(i+1))] = c // #nosec G115 -- at most ten
		}
	}
	return a
}

func pair(a, b byte, amount int64) volume.Pair {
	return volume.Pair{A: company(a), B: company(b), AmountMinor: amount}
}

// fataler is a *testing.T or a *rapid.T.
type fataler interface {
	Helper()
	Fatal(...any)
}

func table(t fataler, on calendar.Date, rates map[money.Currency]string) *money.Table {
	t.Helper()
	table := money.NewTable("ECB")
	if err := table.Put(money.Day{Date: on, Rates: rates}); err != nil {
		t.Fatal(err)
	}
	return table
}

func TestAttribute_CountsSharesChaptersAndPairs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		shares   []int64
		in       []deal.ID // chapters of the companies
		amount   int64
		chapters []volume.Chapter
		pairs    []volume.Pair
	}{
		"two parties: the pair is the deal": {
			[]int64{300, 180},
			[]deal.ID{north, south},
			480,
			[]volume.Chapter{{north, 300}, {south, 180}},
			[]volume.Pair{pair(1, 2, 480)},
		},
		"two parties of one chapter": {
			[]int64{300, 180},
			[]deal.ID{south, south},
			480,
			[]volume.Chapter{{south, 480}},
			[]volume.Pair{pair(1, 2, 480)},
		},
		// Pairs: (100+70)/2 = 85, (100+30)/2 = 65, (70+30)/2 = 50.
		"three parties without remainders": {
			[]int64{100, 70, 30},
			[]deal.ID{north, north, south},
			200,
			[]volume.Chapter{{north, 170}, {south, 30}},
			[]volume.Pair{pair(1, 2, 85), pair(1, 3, 65), pair(2, 3, 50)},
		},
		// Pairs: 3/2 = 1.5, 4/2 = 2, 5/2 = 2.5: one unit is left for two halves, and the lower pair gets it.
		"three parties with a remainder": {
			[]int64{1, 2, 3},
			[]deal.ID{north, south, north},
			6,
			[]volume.Chapter{{north, 4}, {south, 2}},
			[]volume.Pair{pair(1, 2, 2), pair(1, 3, 2), pair(2, 3, 2)},
		},
		// Pairs of four are a third of two shares: 20/3 = 6.67, 17/3 = 5.67, 13/3 = 4.33, 17/3 = 5.67, 13/3 = 4.33, 10/3 = 3.33.
		"four parties": {
			[]int64{10, 10, 7, 3},
			[]deal.ID{north, north, south, south},
			30,
			[]volume.Chapter{{north, 20}, {south, 10}},
			[]volume.Pair{pair(1, 2, 7), pair(1, 3, 6), pair(1, 4, 4), pair(2, 3, 6), pair(2, 4, 4), pair(3, 4, 3)},
		},
		"a party that is no member counts for nothing": {
			[]int64{100, 70, 30},
			[]deal.ID{north, {}, south},
			130,
			[]volume.Chapter{{north, 100}, {south, 30}},
			[]volume.Pair{pair(1, 3, 130)},
		},
		"a zero share": {
			[]int64{100, 0, 30},
			[]deal.ID{north, south, south},
			130,
			[]volume.Chapter{{north, 100}, {south, 30}},
			[]volume.Pair{pair(1, 2, 50), pair(1, 3, 65), pair(2, 3, 15)},
		},
		"members with zero shares only": {
			[]int64{0, 0, 30},
			[]deal.ID{north, south, {}},
			0,
			[]volume.Chapter{{north, 0}, {south, 0}},
			[]volume.Pair{pair(1, 2, 0)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, counts := volume.Attribute(won("EUR", c.shares...), reporting("EUR", c.in...), nil)
			want := volume.Attribution{
				Association: assoc, Year: 2026, Month: month, Currency: "EUR", Evidence: deal.ByParties,
				AmountMinor: c.amount, Chapters: c.chapters, Pairs: c.pairs,
			}
			if diff := cmp.Diff(want, got); !counts || diff != "" {
				t.Errorf("counts: %t\n%s", counts, diff)
			}
		})
	}
}

func TestAttribute_NeedsMembersOfTwoGroups(t *testing.T) {
	t.Parallel()
	oneGroup := won("EUR", 300, 180, 20)
	oneGroup.Parties[1].Group = oneGroup.Parties[0].Group
	for name, c := range map[string]struct {
		deal   deal.Deal
		in     []deal.ID
		counts bool
	}{
		"no member":                       {oneGroup, nil, false},
		"one member":                      {oneGroup, []deal.ID{north}, false},
		"two members of one group":        {oneGroup, []deal.ID{north, south}, false},
		"three members of two groups":     {oneGroup, []deal.ID{north, south, south}, true},
		"the second group in one company": {oneGroup, []deal.ID{north, {}, south}, true},
	} {
		if got, counts := volume.Attribute(c.deal, reporting("EUR", c.in...), nil); counts != c.counts {
			t.Errorf("%s: counts is %t with %+v", name, counts, got)
		}
	}
}

func TestAttribute_ConvertsTheTotalOnceAndThenSpreads(t *testing.T) {
	t.Parallel()
	rates := map[money.Currency]string{"USD": "1.25", "JPY": "160", "BHD": "0.4", "CHF": "0.95"}
	for name, c := range map[string]struct {
		from, to money.Currency
		shares   []int64
		amount   int64
		chapters []int64 // of north and south
	}{
		// 100 JPY = 0.625 EUR: 62.5 cents round up to 63, once; 50/100 of 63 is 31.5 each, and company 1 gets the odd cent.
		// Each share rounded by itself would be 31.25, so 31 and 31.
		"yen, half a cent up": {"JPY", "EUR", []int64{50, 50}, 63, []int64{32, 31}},
		// 1.000 BHD = 2.50 EUR.
		"dinars of a thousand fils": {"BHD", "EUR", []int64{600, 400}, 250, []int64{150, 100}},
		// 10.00 EUR = 4.000 BHD.
		"euros into dinars": {"EUR", "BHD", []int64{250, 750}, 4000, []int64{1000, 3000}},
		// 1.00 USD = 0.80 EUR = 128 JPY; 33 and 67 hundredths of it are 42.24 and 85.76.
		"dollars into yen through the euro": {"USD", "JPY", []int64{33, 67}, 128, []int64{42, 86}},
		// 0.02 EUR = 0.019 CHF = 1.9 cents: 2.
		"almost nothing": {"EUR", "CHF", []int64{1, 1}, 2, []int64{1, 1}},
		// 1 fils = 0.25 cents: 0.
		"nothing is left": {"BHD", "EUR", []int64{1, 0}, 0, []int64{0, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, counts := volume.Attribute(won(c.from, c.shares...), reporting(c.to, north, south), table(t, wonOn, rates))
			if !counts || got.AmountMinor != c.amount || got.Currency != c.to || got.Withheld != volume.Nothing {
				t.Fatalf("counts: %t, %+v; want %d %s", counts, got, c.amount, c.to)
			}
			if want := []volume.Chapter{{north, c.chapters[0]}, {south, c.chapters[1]}}; !cmp.Equal(want, got.Chapters) {
				t.Errorf("chapters %+v; want %+v", got.Chapters, want)
			}
			if want := []volume.Pair{pair(1, 2, c.amount)}; !cmp.Equal(want, got.Pairs) {
				t.Errorf("pairs %+v; want %+v", got.Pairs, want)
			}
			if q := got.Quote; q == nil || q.From != c.from || q.To != c.to || q.Date != wonOn || q.Source != "ECB" {
				t.Errorf("the quote is %+v", q)
			}
		})
	}
}

func TestAttribute_UsesTheNearestEarlierRateWithinSevenDays(t *testing.T) {
	t.Parallel()
	d, a := won("USD", 100, 100), reporting("EUR", north, south)
	for age, found := range map[int]bool{0: true, 1: true, 7: true, 8: false, -1: false} {
		published := wonOn.AddDays(-age)
		got, counts := volume.Attribute(d, a, table(t, published, map[money.Currency]string{"USD": "1.25"}))
		if !counts || (got.Withheld == volume.Nothing) != found {
			t.Errorf("with a rate %d days old it counts: %t, withheld: %q", age, counts, got.Withheld)
		}
		if found && (got.AmountMinor != 160 || got.Quote.Date != published) {
			t.Errorf("with a rate %d days old: %+v", age, got)
		}
	}
}

func TestAttribute_ListsWhatItCannotConvert(t *testing.T) {
	t.Parallel()
	tiny := table(t, wonOn, map[money.Currency]string{"USD": "0.0000000000000001"})
	for name, c := range map[string]struct {
		deal  deal.Deal
		rates *money.Table
	}{
		"no table":                      {won("USD", 300, 180), nil},
		"empty table":                   {won("USD", 300, 180), money.NewTable("ECB")},
		"no rate of the currency":       {won("USD", 300, 180), table(t, wonOn, map[money.Currency]string{"CHF": "0.95"})},
		"a result beyond what is sound": {won("USD", money.MaxMinor-1, 1), tiny},
	} {
		want := volume.Attribution{
			Association: assoc, Year: 2026, Month: month, Currency: "EUR", Evidence: deal.ByParties, Withheld: volume.Unconverted,
		}
		got, counts := volume.Attribute(c.deal, reporting("EUR", north, south), c.rates)
		if diff := cmp.Diff(want, got); !counts || diff != "" {
			t.Errorf("%s: counts %t\n%s", name, counts, diff)
		}
	}
}

func TestAttribute_LeavesOutWhatARegistrarTookElsewhere(t *testing.T) {
	t.Parallel()
	excluded, excludedElsewhere := won("EUR", 300, 180), won("EUR", 300, 180)
	excluded.Exclusions = []deal.Exclusion{{Association: other}, {Association: assoc}}
	excludedElsewhere.Exclusions = []deal.Exclusion{{Association: other}}
	imported, importedElsewhere := won("EUR", 300, 180), won("EUR", 300, 180)
	imported.ImportedBy, imported.Evidence = assoc, deal.ByRegistrar
	importedElsewhere.ImportedBy = other
	for name, c := range map[string]struct {
		deal   deal.Deal
		counts bool
	}{
		"excluded": {excluded, false}, "excluded elsewhere": {excludedElsewhere, true},
		"imported": {imported, true}, "imported elsewhere": {importedElsewhere, false},
	} {
		got, counts := volume.Attribute(c.deal, reporting("EUR", north, south), nil)
		if counts != c.counts {
			t.Errorf("%s: counts is %t", name, counts)
		}
		if counts && got.Evidence != c.deal.Evidence {
			t.Errorf("%s: the evidence is %q", name, got.Evidence)
		}
	}
}

func TestAttribute_CountsInTheAssociationsYear(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wonOn  calendar.Date
		starts time.Month
		year   int
		month  calendar.Date
	}{
		{calendar.New(2026, time.June, 30), time.July, 2025, calendar.New(2026, time.June, 1)},
		{calendar.New(2026, time.July, 1), time.July, 2026, calendar.New(2026, time.July, 1)},
		{calendar.New(2026, time.December, 31), time.January, 2026, calendar.New(2026, time.December, 1)},
		{calendar.New(2027, time.January, 1), time.December, 2026, calendar.New(2027, time.January, 1)},
	} {
		d, a := won("EUR", 1, 1), reporting("EUR", north, south)
		d.WonOn, a.YearStartsIn = &c.wonOn, c.starts
		if got, _ := volume.Attribute(d, a, nil); got.Year != c.year || got.Month != c.month {
			t.Errorf("won on %s with years from %s: year %d, month %s", c.wonOn, c.starts, got.Year, got.Month)
		}
	}
}

func TestUnduplicated_CountsEachShareOnce(t *testing.T) {
	t.Parallel()
	rates := table(t, wonOn, map[money.Currency]string{"USD": "1.25", "JPY": "160"})
	in := func(currency money.Currency, chapters ...deal.ID) volume.Association {
		a := reporting(currency, chapters...)
		a.YearStartsIn = time.July
		return a
	}
	for name, c := range map[string]struct {
		deal     deal.Deal
		counting []volume.Association
		amount   int64
		withheld volume.Withheld
	}{
		"one association": {won("EUR", 60, 40), []volume.Association{in("EUR", north, south)}, 100, volume.Nothing},
		"two companies that are both in two associations": {
			won("EUR", 60, 40),
			[]volume.Association{in("EUR", north, south), in("USD", south, north)},
			100, volume.Nothing,
		},
		"three companies, one of them in both associations": {
			won("EUR", 50, 30, 20),
			[]volume.Association{in("EUR", north, south), in("JPY", deal.ID{}, south, north)},
			100, volume.Nothing,
		},
		"a party that is in none": {won("EUR", 50, 30, 20), []volume.Association{in("EUR", north, south)}, 80, volume.Nothing},
		// 1.01 USD = 0.808 EUR, 81 cents; 51/101 and 50/101 of them are 40.9 and 40.1.
		"dollars, in associations that need no euros": {
			won("USD", 51, 50), []volume.Association{in("USD", north, south), in("USD", north, south)}, 81, volume.Nothing,
		},
		"no rate of the currency":        {won("CHF", 60, 40), []volume.Association{in("CHF", north, south)}, 0, volume.Unconverted},
		"an association without members": {won("EUR", 60, 40), []volume.Association{{}}, 0, volume.Nothing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, counts := volume.Unduplicated(c.deal, c.counting, rates)
			want := volume.Attribution{
				Year: 2026, Month: month, Currency: "EUR", AmountMinor: c.amount, Evidence: deal.ByParties, Withheld: c.withheld, Quote: got.Quote,
			}
			if diff := cmp.Diff(want, got); !counts || diff != "" {
				t.Errorf("counts: %t\n%s", counts, diff)
			}
			if needs := c.deal.Value.Currency != "EUR" && c.withheld == volume.Nothing; (got.Quote != nil) != needs {
				t.Errorf("the quote is %+v", got.Quote)
			}
		})
	}
	if got, counts := volume.Unduplicated(won("EUR", 60, 40), nil, rates); counts || !cmp.Equal(got, volume.Attribution{}) {
		t.Errorf("counts in no association: %+v", got)
	}
}

func TestUnduplicated_CountsInTheCalendarYear(t *testing.T) {
	t.Parallel()
	d, a := won("EUR", 1, 1), reporting("EUR", north, south)
	a.YearStartsIn = time.July
	for _, day := range []calendar.Date{calendar.New(2026, time.January, 1), calendar.New(2026, time.December, 31)} {
		d.WonOn = &day
		if got, _ := volume.Unduplicated(d, []volume.Association{a}, nil); got.Year != 2026 || got.Month != day.FirstOfMonth() {
			t.Errorf("won on %s: year %d, month %s", day, got.Year, got.Month)
		}
	}
}
