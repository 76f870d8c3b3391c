// Package calendar knows days and the years of associations. A day is a plain number without a clock time or a
// zone; a zone matters only once, where an instant becomes a day (DateOf). The package never asks what time it is.
package calendar

import (
	"fmt"
	"time"
)

// Date is a day as the number of days since 1970-01-01, negative before it: the form of ClickHouse's Date32 and
// of the log. The zero Date is the valid day 1970-01-01; a day that may be absent is a *Date. Dates compare and
// subtract as integers: later > earlier, and later - earlier is the number of days between them.
type Date int32

// First and Last bound the days that ClickHouse's Date32 can hold: 1900-01-01 and 2299-12-31.
const (
	First Date = -25567
	Last  Date = 120529
)

const (
	layout        = "2006-01-02"
	secondsPerDay = 24 * 60 * 60
)

// New returns the day of a calendar date. Values outside their range move on as in time.Date: 30 February 2026 is
// 2 March 2026. Text from users goes through ParseDate, which refuses such days.
func New(year int, month time.Month, day int) Date {
	return Date(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay) // #nosec G115 -- an int32 holds the days of 5 million years
}

// ParseDate reads a day written exactly as YYYY-MM-DD between 1900-01-01 and 2299-12-31. The error says how to
// write it.
func ParseDate(text string) (Date, error) {
	t, err := time.Parse(layout, text)
	if err != nil {
		return 0, fmt.Errorf("%q is not a day of the calendar: write 2026-11-22 (year-month-day)", shorten(text))
	}
	d := DateOf(t, time.UTC)
	if !d.Valid() {
		return 0, fmt.Errorf("%s is out of range: write a day between %s and %s", text, First, Last)
	}
	return d, nil
}

// DateOf returns the day that it is in loc at the instant t.
func DateOf(t time.Time, loc *time.Location) Date {
	return New(t.In(loc).Date())
}

// Valid says whether d lies between First and Last.
func (d Date) Valid() bool { return First <= d && d <= Last }

// String writes d as YYYY-MM-DD.
func (d Date) String() string { return d.Time().Format(layout) }

// MarshalText writes d as YYYY-MM-DD. A day that is not Valid is an error, because ParseDate would refuse it.
func (d Date) MarshalText() ([]byte, error) {
	if !d.Valid() {
		return nil, fmt.Errorf("day %d is not between %s and %s", int32(d), First, Last)
	}
	return []byte(d.String()), nil
}

// UnmarshalText reads what ParseDate reads, and leaves d alone on an error.
func (d *Date) UnmarshalText(text []byte) error {
	parsed, err := ParseDate(string(text))
	if err != nil {
		return err
	}
	*d = parsed
	return nil
}

// Time returns midnight UTC at the start of d.
func (d Date) Time() time.Time { return time.Unix(int64(d)*secondsPerDay, 0).UTC() }

// AddDays returns the day that lies days after d, before it when days is negative. The result may leave the range
// of Valid.
func (d Date) AddDays(days int) Date { return d + Date(days) } // #nosec G115 -- callers add days to years

// FirstOfMonth returns the first day of d's month.
func (d Date) FirstOfMonth() Date {
	year, month, _ := d.Time().Date()
	return New(year, month, 1)
}

// shorten keeps what a user wrote short enough for an error message.
func shorten(text string) string {
	const longest = 20
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return text
}
