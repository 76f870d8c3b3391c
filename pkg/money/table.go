package money

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/dealreg/dealreg/pkg/calendar"
)

// MaxRateAgeDays is how many days before the won date a rate may have been published.
const MaxRateAgeDays = 7

// Day is what one source published on one day: units of each currency per euro, as it wrote them.
type Day struct {
	Date   calendar.Date
	Source string
	Rates  map[Currency]string
}

// Table holds the published days. It may be read by many at once, but not while it is written.
type Table struct {
	source string
	days   map[calendar.Date]Day
}

// NewTable returns an empty table. Days that name no source get this one.
func NewTable(source string) *Table {
	return &Table{source: source, days: map[calendar.Date]Day{}}
}

// Put stores a copy of day in place of all that the table knew of that day. It refuses a day without rates or out
// of the calendar's range, and one with an unknown currency, a rate for EUR (it is 1) or a rate that is no positive decimal; then the table
// stays as it was.
func (t *Table) Put(day Day) error {
	if !day.Date.Valid() {
		return fmt.Errorf("rates of %s: the day is not between %s and %s", day.Date, calendar.First, calendar.Last)
	}
	if len(day.Rates) == 0 {
		return fmt.Errorf("rates of %s: there are none", day.Date)
	}
	for _, c := range slices.Sorted(maps.Keys(day.Rates)) {
		if err := checkRate(c, day.Rates[c]); err != nil {
			return fmt.Errorf("rate of %s on %s: %w", shorten(string(c)), day.Date, err)
		}
	}
	if day.Source == "" {
		day.Source = t.source
	}
	day.Rates = maps.Clone(day.Rates)
	t.days[day.Date] = day
	return nil
}

// Set stores one rate beside the others of its day, and refuses what Put refuses.
func (t *Table) Set(on calendar.Date, c Currency, rate string) error {
	day, ok := t.Day(on)
	if !ok {
		day = Day{Date: on, Rates: map[Currency]string{}}
	}
	day.Rates[c] = rate
	return t.Put(day)
}

// Day returns a copy of what was published on a day.
func (t *Table) Day(on calendar.Date) (Day, bool) {
	day, ok := t.days[on]
	day.Rates = maps.Clone(day.Rates)
	return day, ok
}

// Days returns copies of all days, the earliest first.
func (t *Table) Days() []Day {
	days := make([]Day, 0, len(t.days))
	for _, on := range slices.Sorted(maps.Keys(t.days)) {
		day, _ := t.Day(on)
		days = append(days, day)
	}
	return days
}

// Find returns the quote for a deal won on a day: of the latest day with rates for both currencies that lies on it
// or at most MaxRateAgeDays before it, never later. Equal currencies give the identity, which needs no rate and is
// dated on. False means that the deal cannot be converted yet.
func (t *Table) Find(from, to Currency, on calendar.Date) (Quote, bool) {
	if from == to {
		return Quote{From: from, To: to, Date: on}, true
	}
	for age := range MaxRateAgeDays + 1 {
		day := t.days[on.AddDays(-age)]
		fromRate, hasFrom := day.perEUR(from)
		toRate, hasTo := day.perEUR(to)
		if hasFrom && hasTo {
			return Quote{From: from, To: to, FromPerEUR: fromRate, ToPerEUR: toRate, Date: day.Date, Source: day.Source}, true
		}
	}
	return Quote{}, false
}

// perEUR returns the published rate of c; EUR has one on every day.
func (d Day) perEUR(c Currency) (string, bool) {
	if c == EUR {
		return "1", true
	}
	rate, ok := d.Rates[c]
	return rate, ok
}

func checkRate(c Currency, rate string) error {
	if !c.Known() {
		return errors.New("not the code of an active currency")
	}
	if c == EUR {
		return errors.New("leave it out: the rates are per euro")
	}
	_, err := ParseRate(rate)
	return err
}
