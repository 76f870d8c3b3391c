package money_test

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/money"
)

type rates = map[money.Currency]string

func TestParseECB_ReadsTheLayoutInAllItsForms(t *testing.T) {
	t.Parallel()
	want := money.Sheet{Days: []money.Day{
		{Date: calendar.New(2026, 11, 19), Rates: rates{"JPY": "170"}},
		{Date: calendar.New(2026, 11, 20), Rates: rates{"USD": "1.10", "JPY": "171.5"}},
	}}
	for name, text := range map[string]string{
		"plain":                       "Date,USD,JPY\n2026-11-20,1.10,171.5\n2026-11-19,N/A,170\n",
		"oldest first":                "Date,USD,JPY\n2026-11-19,,170\n2026-11-20,1.10,171.5\n",
		"comma at the end, BOM, CRLF": "\ufeffDate,USD,JPY,\r\n2026-11-20,1.10,171.5,\r\n2026-11-19,N/A,170,\r\n",
		"spaces":                      "Date, USD, JPY, \n2026-11-20, 1.10, 171.5, \n2026-11-19, N/A , 170, \n",
		"quotes, no last line end":    "\"Date\",\"USD\",\"JPY\"\n\"2026-11-20\",\"1.10\",\"171.5\"\n2026-11-19,,170",
		"a day without any rate":      "Date,USD,JPY\n2026-11-20,1.10,171.5\n2026-11-19,,170\n2026-11-18,,N/A\n",
		"an empty line":               "Date,USD,JPY\n\n2026-11-20,1.10,171.5\n2026-11-19,,170\n\n",
		"no comma at the row's end":   "Date,USD,JPY,\n2026-11-20,1.10,171.5\n2026-11-19,,170\n",
	} {
		got, err := money.ParseECB(strings.NewReader(text))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}

func TestParseECB_NamesIgnoredColumnsOnce(t *testing.T) {
	t.Parallel()
	got, err := money.ParseECB(strings.NewReader("Date,CYP,USD,EUR,CYP,,usd\n2026-11-20,x,1.10,1,y,z,\n"))
	want := money.Sheet{
		Days:    []money.Day{{Date: calendar.New(2026, 11, 20), Rates: rates{"USD": "1.10"}}},
		Ignored: []string{"CYP", "EUR", "usd"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func TestParseECB_NamesLineAndColumnOfEachErrorAndReadsTheRest(t *testing.T) {
	t.Parallel()
	const number = "write 1.136072: units per euro above 0, digits and a point, at most 32 characters, or N/A when there is none"
	for name, c := range map[string]struct {
		text string
		days int
		want []money.RowError
	}{
		"bad numbers": {
			"Date,USD,JPY\n2026-11-20,1.10,171.5\n2026-11-19,-1,1e2\n2026-11-18,1.1,170\n", 2,
			[]money.RowError{{3, "USD", number}, {3, "JPY", number}},
		},
		"bad day": {
			"Date,USD\n20 November 2026,1.10\n", 0,
			[]money.RowError{{2, "Date", `"20 November 2026" is not a day of the calendar: write 2026-11-22 (year-month-day)`}},
		},
		"a day twice": {
			"Date,USD\n2026-11-20,1.10\n2026-11-20,1.11\n", 1,
			[]money.RowError{{3, "Date", "leave out this line: 2026-11-20 is on line 2 already"}},
		},
		"a line cut short": {
			"Date,USD,JPY\n2026-11-20,1.10\n2026-11-19,1.1,170\n", 1,
			[]money.RowError{{2, "", "write as many values as the header has columns, 3: here are 2"}},
		},
		"decimal commas": {
			"Date,USD,\n2026-11-20,1,10,\n", 0,
			[]money.RowError{{2, "", "write as many values as the header has columns, 2: here are 4"}},
		},
		"a stray quote": {
			"Date,USD\n2026-11-20,1\"10\n2026-11-19,1.1\n", 1,
			[]money.RowError{{2, "", `write values without quotes: bare " in non-quoted-field`}},
		},
		"nothing": {"", 0, []money.RowError{{1, "", "the file is empty: write a first line such as Date,USD,JPY"}}},
		"another file": {
			"deal,title\n1,x\n", 0,
			[]money.RowError{{1, "Date", "this is not the header of a rates file: write a first line such as Date,USD,JPY"}},
		},
		"a column twice": {
			"Date,USD,USD\n2026-11-20,1.10,1.11\n", 0,
			[]money.RowError{{1, "USD", "leave out this column: there is another one of the same name"}},
		},
	} {
		got, err := money.ParseECB(strings.NewReader(c.text))
		if diff := cmp.Diff(c.want, got.Errors); err != nil || diff != "" || len(got.Days) != c.days {
			t.Errorf("%s: %v, %d days; want %d\n%s", name, err, len(got.Days), c.days, diff)
		}
	}
}

func TestParseECB_ReturnsTheErrorOfItsReader(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection lost")
	if _, err := money.ParseECB(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("%v; want %v", err, broken)
	}
}

func FuzzParseECB(f *testing.F) {
	for _, text := range []string{
		"Date,USD,JPY,CYP,\n2026-11-20,1.10,171.5,N/A,\n2026-11-19,N/A,,0.58,\n",
		"\ufeffDate,USD\r\n2026-11-20,1.10\r\n",
		"Date,USD\n2026-11-20,\"1.10\n",
		"Date\n2026-11-20\n",
		"Date,USD\n,\n\"\"\n2026-02-30,0\n",
		",,,\n", "\"", "",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		sheet, err := money.ParseECB(strings.NewReader(text))
		if err != nil {
			t.Fatalf("an error without a broken reader: %v", err)
		}
		table := money.NewTable("fuzz")
		for i, day := range sheet.Days {
			if err := table.Put(day); err != nil {
				t.Fatalf("the table refuses what was read: %v", err)
			}
			if i > 0 && sheet.Days[i-1].Date >= day.Date {
				t.Fatalf("%s comes before %s", sheet.Days[i-1].Date, day.Date)
			}
		}
		for _, e := range sheet.Errors {
			if e.Line < 1 || e.Message == "" {
				t.Fatalf("an error without a place or a remedy: %+v", e)
			}
		}
	})
}
