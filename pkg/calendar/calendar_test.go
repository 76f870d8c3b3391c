package calendar_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/calendar"
)

func TestDate_CountsDaysSince1970(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]calendar.Date{
		"1900-01-01": calendar.First,
		"1969-12-31": -1,
		"1970-01-01": 0,
		"1970-01-02": 1,
		"2000-02-29": 11016,
		"2026-11-22": 20779,
		"2299-12-31": calendar.Last,
	} {
		got, err := calendar.ParseDate(text)
		if err != nil || got != want {
			t.Errorf("ParseDate(%q) = %d, %v; want %d", text, got, err, want)
		}
		if want.String() != text {
			t.Errorf("Date(%d).String() = %s; want %s", want, want, text)
		}
	}
}

func TestParseDate_RefusesWhatIsNoDayAndSaysHowToWriteIt(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "2026-11", "2026-1-2", "22.11.2026", "2026-02-30", "2025-02-29", "1900-02-29", "2026-13-01", "2026-00-10",
		" 2026-11-22", "2026-11-22 ", "2026-11-22T00:00:00Z", "20261122", "+2026-11-2", "٢٠٢٦-11-22",
		strings.Repeat("9", 1000),
	} {
		_, err := calendar.ParseDate(text)
		if err == nil || !strings.Contains(err.Error(), "write 2026-11-22") {
			t.Errorf("ParseDate(%q): %v; want an error that says what to write", text, err)
		}
		if err != nil && len(err.Error()) > 150 {
			t.Errorf("ParseDate: the error repeats %d bytes of input", len(text))
		}
	}
	for _, text := range []string{"1899-12-31", "2300-01-01", "0000-01-01"} {
		_, err := calendar.ParseDate(text)
		if err == nil || !strings.Contains(err.Error(), "between 1900-01-01 and 2299-12-31") {
			t.Errorf("ParseDate(%q): %v; want an error that names the range", text, err)
		}
	}
}

func TestDateOf_TheZoneDecidesTheDay(t *testing.T) {
	t.Parallel()
	instant := time.Date(2026, 12, 31, 23, 30, 0, 0, time.UTC)
	for offsetHours, want := range map[int]string{-12: "2026-12-31", 0: "2026-12-31", 1: "2027-01-01", 14: "2027-01-01"} {
		zone := time.FixedZone("", offsetHours*60*60)
		if got := calendar.DateOf(instant, zone); got.String() != want {
			t.Errorf("at UTC%+d: %s; want %s", offsetHours, got, want)
		}
	}
	before := time.Date(1960, 1, 1, 1, 0, 0, 0, time.UTC)
	if got := calendar.DateOf(before, time.FixedZone("", -2*60*60)); got.String() != "1959-12-31" {
		t.Errorf("before 1970: %s; want 1959-12-31", got)
	}
}

func TestDate_TravelsAsText(t *testing.T) {
	t.Parallel()
	type record struct {
		On    calendar.Date
		Until *calendar.Date
	}
	in := record{On: calendar.New(2026, 11, 22)}
	text, err := json.Marshal(in)
	if err != nil || string(text) != `{"On":"2026-11-22","Until":null}` {
		t.Fatalf("Marshal: %s, %v", text, err)
	}
	var out record
	if err := json.Unmarshal(text, &out); err != nil || out != in {
		t.Fatalf("Unmarshal: %v, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"On":"yesterday"}`), &out); err == nil {
		t.Error("Unmarshal took a word for a day")
	}
	if _, err := (calendar.Last + 1).MarshalText(); err == nil {
		t.Error("MarshalText wrote a day that ParseDate refuses")
	}
}

func TestFirstOfMonth_KeepsTheMonth(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2026-11-22": "2026-11-01", "2026-11-01": "2026-11-01", "2024-02-29": "2024-02-01", "1969-12-31": "1969-12-01",
	} {
		d, err := calendar.ParseDate(text)
		if err != nil || d.FirstOfMonth().String() != want {
			t.Errorf("%s: %s, %v; want %s", text, d.FirstOfMonth(), err, want)
		}
	}
}

func TestYearOf_IsNamedAfterTheYearInWhichItStarts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		day      calendar.Date
		startsIn time.Month
		want     int
	}{
		{calendar.New(2026, 1, 1), time.January, 2026},
		{calendar.New(2026, 12, 31), time.January, 2026},
		{calendar.New(2026, 6, 30), time.July, 2025},
		{calendar.New(2026, 7, 1), time.July, 2026},
		{calendar.New(2026, 11, 30), time.December, 2025},
		{calendar.New(2026, 12, 1), time.December, 2026},
	} {
		if got := calendar.YearOf(c.day, c.startsIn); got != c.want {
			t.Errorf("YearOf(%s, %s) = %d; want %d", c.day, c.startsIn, got, c.want)
		}
	}
	from, to := calendar.Bounds(2023, time.April)
	if from.String() != "2023-04-01" || to.String() != "2024-03-31" {
		t.Errorf("Bounds(2023, April) = %s, %s", from, to)
	}
}

var anyDay = rapid.Map(rapid.Int32Range(int32(calendar.First), int32(calendar.Last)),
	func(n int32) calendar.Date { return calendar.Date(n) })

func TestDate_ReadsBackWhatItWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := anyDay.Draw(t, "day")
		if got, err := calendar.ParseDate(d.String()); err != nil || got != d {
			t.Fatalf("ParseDate(%s) = %d, %v; want %d", d, got, err, d)
		}
		if got := calendar.DateOf(d.Time(), time.UTC); got != d {
			t.Fatalf("DateOf(%s.Time()) = %s", d, got)
		}
		if days := rapid.IntRange(-1000, 1000).Draw(t, "days"); d.AddDays(days) != calendar.DateOf(d.Time().AddDate(0, 0, days), time.UTC) {
			t.Fatalf("%s.AddDays(%d) = %s", d, days, d.AddDays(days))
		}
	})
}

func TestBounds_HoldExactlyTheDaysOfTheirYear(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := anyDay.Draw(t, "day")
		startsIn := time.Month(rapid.IntRange(1, 12).Draw(t, "starts in"))
		year := calendar.YearOf(d, startsIn)
		from, to := calendar.Bounds(year, startsIn)
		if d < from || d > to {
			t.Fatalf("%s lies in %d, outside of %s..%s", d, year, from, to)
		}
		next, _ := calendar.Bounds(year+1, startsIn)
		if next != to+1 {
			t.Fatalf("the year %d ends on %s, the next starts on %s", year, to, next)
		}
	})
}
