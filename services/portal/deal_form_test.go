package portal

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/services/portal/api"
)

func TestReadAmount_TakesAmountsAsPeopleWriteThem(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, decimal, want string }{
		{"480000", ".", "480000"},
		{"480,000", ".", "480000"},
		{"1,250,000.50", ".", "1250000.50"},
		{"1.250.000,50", ",", "1250000.50"},
		{"480 000,5", ",", "480000.5"},
		{"480\u00a0000", ".", "480000"},
		{"480'000.50", ".", "480000.50"},
		{"1.250", ",", "1250"},
		{"1250.50", ",", "1250.50"}, // can be nothing else
		{"1250,5", ".", "1250.5"},
		{"12,34,567", ".", "12,34,567"}, // the API says what is wrong with it
		{"1,250.50.1", ".", "1,250.50.1"},
		{"-5", ".", "-5"},
		{"", ".", ""},
		{"many", ".", "many"},
	} {
		if got := readAmount(c.text, c.decimal); got != c.want {
			t.Errorf("%q where the decimal sign is %q: %q, want %q", c.text, c.decimal, got, c.want)
		}
	}
}

func TestDayWon_IsOnlyOfFiguresThatHoldOrWait(t *testing.T) {
	t.Parallel()
	day := calendar.New(2026, time.October, 21)
	for status, want := range map[string]bool{
		"pending": false, "active": false, "closing": true, "won": true, "disputed": true, "void": true,
		"declined": false, "expired": false, "withdrawn": false, "lost": false,
	} {
		d := &dealView{}
		d.Status, d.WonOn = status, &day
		if got := d.DayWon() != nil; got != want {
			t.Errorf("%s shows a day: %v", status, got)
		}
	}
}

func TestDealForm_GivesOneEmptyShareWhatRemains(t *testing.T) {
	t.Parallel()
	en := speeches(t)["en"]
	for name, c := range map[string]struct {
		own    bool
		shares []string
		want   string // the shares, or the place and the sum of a fault
	}{
		"the own company's":     {true, []string{"180,000"}, "300000.00 180000.00"},
		"of three":              {true, []string{"180,000", "0"}, "300000.00 180000.00 0.00"},
		"any":                   {false, []string{"", "180,000"}, "300000.00 180000.00"},
		"nothing remains":       {false, []string{"300,000", "180,000"}, "300000.00 180000.00"},
		"nothing remains of it": {false, []string{"480,000", ""}, "480000.00 0.00"},
		"too much":              {true, []string{"480,000.01"}, "shares €0.01"},
		"too little":            {false, []string{"1", "2"}, "shares €479,997.00"},
		"two are empty":         {true, []string{""}, "share.0 Fill"},
		"none is an amount":     {true, []string{"half"}, "share.0 €1,250,000.50"},
		"too fine":              {true, []string{"0.001"}, "share.0 €1,250,000.50"},
	} {
		posted := url.Values{"value": {"480,000"}, "currency": {"EUR"}}
		for i, share := range c.shares {
			posted.Set("share."+string(rune('0'+i)), share)
		}
		f := readDealForm(en, posted)
		f.OwnGetsRest = c.own
		_, shares := f.figures()
		var got []string
		for _, s := range shares {
			got = append(got, s.Amount)
		}
		said := strings.Join(got, " ")
		for field, fault := range f.Faults {
			said = field + " " + fault.Text
		}
		place, what, _ := strings.Cut(c.want, " ")
		if said != c.want && (f.sound() || !strings.HasPrefix(said, place) || !strings.Contains(said, what)) {
			t.Errorf("%s: %s, want %s", name, said, c.want)
		}
	}
}

func TestDealForm_ShowsEachFaultOfTheAPIAtItsField(t *testing.T) {
	t.Parallel()
	f := newDealForm(speeches(t)["en"])
	f.OwnGetsRest = true // then the first party of the request has no row
	f.blame([]api.Fault{
		{Pointer: "/customer/name", Detail: "name"},
		{Pointer: "/parties/1/share/amount", Detail: "share"},
		{Pointer: "/parties/2/company_id", Detail: "company"},
		{Pointer: "/elsewhere", Detail: "else"},
	}, func(text string) reason { return reason{Text: "told: " + text} })
	for field, detail := range map[string]string{"customer": "name", "share.0": "share", "company.1": "company"} {
		if f.Faults[field].Text != "told: "+detail {
			t.Errorf("%s: %+v", field, f.Faults[field])
		}
	}
	if len(f.Notices) != 1 || !strings.Contains(f.Notices[0].Text, "told: else") {
		t.Errorf("what has no field: %v", f.Notices)
	}
}
