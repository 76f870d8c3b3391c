package money_test

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/money"
)

func TestConvert_RoundsHalfUpOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from         money.Currency
		fromRate     string
		to           money.Currency
		toRate       string
		minor, want  int64
		whatItProves string
	}{
		{"EUR", "1", "USD", "1.136072", 10000, 11361, "100.00 EUR are 113.6072 USD"},
		{"USD", "1.136072", "EUR", "1", 11361, 10000, "113.61 USD are 100.0024 EUR"},
		{"EUR", "1", "JPY", "178.90555", 100, 179, "1.00 EUR is 178.90555 JPY: no decimals in yen"},
		{"JPY", "160", "EUR", "1", 1000, 625, "1000 JPY are 6.25 EUR"},
		{"BHD", "0.4", "EUR", "1", 1000, 250, "1.000 BHD is 2.50 EUR"},
		{"BHD", "0.4", "JPY", "160", 1234, 494, "1.234 BHD are 493.6 JPY"},
		{"JPY", "160", "BHD", "0.4", 1, 3, "1 JPY is 2.5 fils"},
		{"JPY", "160", "BHD", "0.4", 3, 8, "3 JPY are 7.5 fils"},
		{"USD", "2", "EUR", "1", 1, 1, "half a cent goes up"},
		{"USD", "2", "EUR", "1", 5, 3, "two and a half cents go up, not to the even one"},
		{"USD", "2", "EUR", "1", -5, -3, "a negated amount gives the negated result"},
		{"USD", "2.000001", "EUR", "1", 1, 0, "just below half a cent goes down"},
		{"USD", "2", "JPY", "10", 9, 0, "0.45 JPY: rounding to 0.05 EUR on the way would give 1"},
		{"EUR", "1", "VND", "29478.533", money.MaxMinor, 294_785_330_000_000_000, "the largest amount in small units"},
		{"EUR", "", "EUR", "", 12345, 12345, "the identity needs no rate"},
		{"EUR", "1", "USD", "9000", money.MaxMinor, 9_000_000_000_000_000_000, "the largest result"},
	} {
		q := money.Quote{From: c.from, To: c.to, FromPerEUR: c.fromRate, ToPerEUR: c.toRate}
		if got, err := q.Convert(c.minor); err != nil || got != c.want {
			t.Errorf("%s: %d, %v; want %d", c.whatItProves, got, err, c.want)
		}
	}
}

func TestConvert_RefusesWhatItCannotDoExactly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		quote money.Quote
		minor int64
		want  string
	}{
		"beyond the range":       {money.Quote{From: "EUR", To: "IDR", FromPerEUR: "1", ToPerEUR: "20467.863"}, money.MaxMinor, "beyond 9*10^18"},
		"beyond it, negative":    {money.Quote{From: "EUR", To: "IDR", FromPerEUR: "1", ToPerEUR: "20467.863"}, -money.MaxMinor, "beyond 9*10^18"},
		"beyond it, identity":    {money.Quote{From: "EUR", To: "EUR"}, math.MinInt64, "beyond 9*10^18"},
		"no rate to divide by":   {money.Quote{From: "USD", To: "EUR", ToPerEUR: "1"}, 1, "rate of USD on 1970-01-01: write 1.136072"},
		"no rate to multiply by": {money.Quote{From: "EUR", To: "USD", FromPerEUR: "1"}, 1, "rate of USD on 1970-01-01: write 1.136072"},
		"unknown currency":       {money.Quote{From: "EUR", To: "DEM", FromPerEUR: "1", ToPerEUR: "1"}, 1, "not the codes of active currencies"},
	} {
		if got, err := c.quote.Convert(c.minor); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d, %v; want %q", name, got, err, c.want)
		}
	}
}

func TestConvert_IsWithinHalfAUnitOfTheExactValue(t *testing.T) {
	t.Parallel()
	anyRate := rapid.StringMatching(`[1-9][0-9]{0,4}\.[0-9]{1,6}`)
	rapid.Check(t, func(t *rapid.T) {
		q := money.Quote{
			From: anyCurrency.Draw(t, "from"), To: anyCurrency.Draw(t, "to"),
			FromPerEUR: anyRate.Draw(t, "from rate"), ToPerEUR: anyRate.Draw(t, "to rate"),
		}
		minor := rapid.Int64Range(-1e9, 1e9).Draw(t, "minor")
		if q.Identity() {
			return
		}
		got, err := q.Convert(minor)
		if err != nil {
			t.Fatal(err)
		}
		if negated, err := q.Convert(-minor); err != nil || negated != -got {
			t.Fatalf("Convert(%d) = %d, %v; want %d", -minor, negated, err, -got)
		}
		exact := rat(t, money.Decimal(big.NewInt(minor), q.From))
		exact.Quo(exact, rat(t, q.FromPerEUR)).Mul(exact, rat(t, q.ToPerEUR))
		unit := rat(t, "1")
		for range q.To.Exponent() {
			unit.Quo(unit, rat(t, "10"))
		}
		off := exact.Sub(rat(t, money.Decimal(big.NewInt(got), q.To)), exact)
		if off.Abs(off).Cmp(unit.Quo(unit, rat(t, "2"))) > 0 {
			t.Fatalf("%d is off by %s", got, off.FloatString(9))
		}
	})
}

func rat(t *rapid.T, text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is no number", text)
	}
	return r
}

func TestParseRate_TakesPositiveDecimalsOnly(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"1", "1.136072", "20467.863", "0.00001", "0.5"} {
		if rate, err := money.ParseRate(text); err != nil || string(rate) != text {
			t.Errorf("ParseRate(%q) = %q, %v", text, rate, err)
		}
	}
	for _, text := range []string{"", "0", "0.000", "-1", "+1", "1e5", "1/2", "1,5", ".5", "1.", "0x1", "Inf", "N/A", strings.Repeat("1", 33)} {
		if _, err := money.ParseRate(text); err == nil || !strings.Contains(err.Error(), "write 1.136072") {
			t.Errorf("ParseRate(%q): %v; want an error that says what to write", text, err)
		}
	}
}

func TestFind_TakesTheLatestDayWithBothRates(t *testing.T) {
	t.Parallel()
	friday := calendar.New(2026, 11, 20)
	table := money.NewTable("central bank")
	set(t, table, friday.AddDays(-1), "USD", "1.10")
	set(t, table, friday.AddDays(-1), "JPY", "170")
	set(t, table, friday, "USD", "1.20")
	set(t, table, friday.AddDays(1), "JPY", "180")
	for _, c := range []struct {
		from, to  money.Currency
		on        calendar.Date
		want      money.Quote
		wantFound bool
	}{
		{"USD", "EUR", friday, money.Quote{"USD", "EUR", "1.20", "1", friday, "central bank"}, true},
		{"EUR", "USD", friday.AddDays(2), money.Quote{"EUR", "USD", "1", "1.20", friday, "central bank"}, true},
		{"USD", "JPY", friday, money.Quote{"USD", "JPY", "1.10", "170", friday.AddDays(-1), "central bank"}, true},
		{"USD", "EUR", friday.AddDays(7), money.Quote{"USD", "EUR", "1.20", "1", friday, "central bank"}, true},
		{"USD", "EUR", friday.AddDays(8), money.Quote{}, false},
		{"USD", "EUR", friday.AddDays(-2), money.Quote{}, false},
		{"USD", "GBP", friday, money.Quote{}, false},
		{"GBP", "GBP", friday, money.Quote{From: "GBP", To: "GBP", Date: friday}, true},
		{"EUR", "EUR", friday.AddDays(99), money.Quote{From: "EUR", To: "EUR", Date: friday.AddDays(99)}, true},
	} {
		got, found := table.Find(c.from, c.to, c.on)
		if got != c.want || found != c.wantFound {
			t.Errorf("Find(%s, %s, %s) = %+v, %v; want %+v, %v", c.from, c.to, c.on, got, found, c.want, c.wantFound)
		}
	}
}

func TestFind_NeverReturnsALaterDayNorOneOlderThanSevenDays(t *testing.T) {
	t.Parallel()
	currencies := []money.Currency{"EUR", "USD", "JPY", "BHD"}
	rapid.Check(t, func(t *rapid.T) {
		on := calendar.New(2026, 11, 22)
		table := money.NewTable("")
		published := map[calendar.Date]map[money.Currency]bool{}
		for range rapid.IntRange(0, 12).Draw(t, "rates") {
			day := on.AddDays(rapid.IntRange(-10, 3).Draw(t, "day"))
			c := rapid.SampledFrom(currencies[1:]).Draw(t, "currency")
			if err := table.Set(day, c, "2"); err != nil {
				t.Fatal(err)
			}
			if published[day] == nil {
				published[day] = map[money.Currency]bool{"EUR": true}
			}
			published[day][c] = true
		}
		from, to := rapid.SampledFrom(currencies).Draw(t, "from"), rapid.SampledFrom(currencies).Draw(t, "to")
		if from == to {
			return
		}
		var want calendar.Date
		var wantFound bool
		for day, has := range published {
			if day <= on && on-day <= 7 && has[from] && has[to] && (!wantFound || day > want) {
				want, wantFound = day, true
			}
		}
		got, found := table.Find(from, to, on)
		if found != wantFound || got.Date != want {
			t.Fatalf("Find(%s, %s) = %s, %v; want %s, %v", from, to, got.Date, found, want, wantFound)
		}
	})
}

func TestTable_KeepsTheSourceOfEachDayAndItsOwnCopy(t *testing.T) {
	t.Parallel()
	table := money.NewTable("central bank")
	day := money.Day{Date: 20000, Source: "national bank", Rates: map[money.Currency]string{"USD": "1.10", "JPY": "170"}}
	for _, err := range []error{
		table.Put(day),
		table.Put(money.Day{Date: 19999, Rates: map[money.Currency]string{"USD": "1.05"}}),
		table.Set(20000, "GBP", "0.8"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	day.Rates["USD"] = "9"
	days := table.Days()
	if len(days) != 2 || days[0].Date != 19999 || days[0].Source != "central bank" || days[1].Source != "national bank" {
		t.Fatalf("Days() = %v", days)
	}
	days[1].Rates["USD"] = "9"
	if got, ok := table.Day(20000); !ok || len(got.Rates) != 3 || got.Rates["USD"] != "1.10" {
		t.Errorf("Day() = %v, %v", got, ok)
	}
	if err := table.Put(money.Day{Date: 20000, Rates: map[money.Currency]string{"USD": "1.2"}}); err != nil {
		t.Fatal(err)
	}
	if got, _ := table.Day(20000); len(got.Rates) != 1 || got.Source != "central bank" {
		t.Errorf("Put did not replace the day: %v", got)
	}
}

func TestTable_RefusesADayWithAnythingWrong(t *testing.T) {
	t.Parallel()
	for name, day := range map[string]money.Day{
		"no rates":         {Date: 1},
		"out of range":     {Date: calendar.Last + 1, Rates: map[money.Currency]string{"USD": "1"}},
		"unknown currency": {Date: 1, Rates: map[money.Currency]string{"USD": "1", "DEM": "1.95583"}},
		"rate of the euro": {Date: 1, Rates: map[money.Currency]string{"EUR": "1"}},
		"zero":             {Date: 1, Rates: map[money.Currency]string{"USD": "0"}},
	} {
		table := money.NewTable("")
		if err := table.Put(day); err == nil || len(table.Days()) != 0 {
			t.Errorf("%s: %v and %d days; want an error and none", name, err, len(table.Days()))
		}
	}
}

func set(t *testing.T, table *money.Table, on calendar.Date, c money.Currency, rate string) {
	t.Helper()
	if err := table.Set(on, c, rate); err != nil {
		t.Fatal(err)
	}
}
