package disclosure_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dealreg/dealreg/pkg/disclosure"
)

const storedRelease = `{"number":2,"as_of_sequence":90,"closing":true,` +
	`"held":[{"deal":"04000000-0000-0000-0000-000000000001","from_sequence":7},{"deal":"04000000-0000-0000-0000-000000000002","from_sequence":90}],` +
	`"published":{"policy":"guarded","total":{"amount_minor":"400000000000000000000","deals":400000},` +
	`"attested_by_parties":{"hidden":true},"attested_by_registrar":{"hidden":true},` +
	`"months":[{"month":"2026-01-01","amount_minor":"12","deals":3},{"month":"2026-02-01","hidden":true}],` +
	`"chapters":[{"chapter":"00000000-0000-0000-0000-000000000000","amount_minor":"12","deals":3}],` +
	`"pairs":[{"companies":["02000000-0000-0000-0000-000000000001","02000000-0000-0000-0000-000000000002"],"amount_minor":"1","deals":1}],` +
	`"other_pairs":{"amount_minor":"0"},"change":{"amount_minor":"-5","deals":1},"unconverted_deals":0,"left_out":["coverage"]}}`

func TestRelease_ReadsWhatItWroteYearsAgo(t *testing.T) {
	t.Parallel()
	var r disclosure.Release
	if err := json.Unmarshal([]byte(storedRelease), &r); err != nil {
		t.Fatal(err)
	}
	p := r.Published
	change, _ := p.Change()
	if p.Total().Amount().String() != "400000000000000000000" || p.Total().Deals() != 400000 || !p.Months()[1].Hidden() ||
		change.Amount().Int64() != -5 || r.Held[1].From != 90 || p.LeftOut()[0] != disclosure.Coverage {
		t.Errorf("%+v", r)
	}
	if got := stored(t, r); got != storedRelease {
		t.Errorf("writes\n%s\nread\n%s", got, storedRelease)
	}
}

func TestRelease_RefusesWhatItNeverWrites(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"unknown field":              {`"closing":true`, `"closing":true,"percent":10`},
		"unknown field of a cell":    {`"deals":400000`, `"deals":400000,"largest":"7"`},
		"number 0":                   {`"number":2`, `"number":0`},
		"a first release's change":   {`"number":2`, `"number":1`},
		"no change":                  {`"change":{"amount_minor":"-5","deals":1},`, ``},
		"unknown policy":             {`"guarded"`, `"lenient"`},
		"hidden total":               {`"total":{"amount_minor":"400000000000000000000","deals":400000}`, `"total":{"hidden":true}`},
		"value of a hidden cell":     {`"month":"2026-02-01","hidden":true`, `"month":"2026-02-01","hidden":true,"deals":3`},
		"half of the coverage":       {`"attested_by_registrar":{"hidden":true}`, `"attested_by_registrar":{"amount_minor":"5"}`},
		"negative cell":              {`"amount_minor":"12"`, `"amount_minor":"-12"`},
		"fraction":                   {`"amount_minor":"12"`, `"amount_minor":"12.0"`},
		"leading zero":               {`"amount_minor":"12"`, `"amount_minor":"012"`},
		"no amount":                  {`"amount_minor":"12","deals":3`, `"deals":3`},
		"endless amount":             {`"400000000000000000000"`, `"` + strings.Repeat("4", 99) + `"`},
		"negative deals":             {`"deals":400000`, `"deals":-1`},
		"day within a month":         {`"2026-01-01"`, `"2026-01-02"`},
		"months out of order":        {`"2026-01-01"`, `"2026-03-01"`},
		"pair out of order":          {`["02000000-0000-0000-0000-000000000001"`, `["02000000-0000-0000-0000-000000000003"`},
		"hidden pair":                {`"amount_minor":"1","deals":1`, `"hidden":true`},
		"held out of order":          {`"deal":"04000000-0000-0000-0000-000000000001"`, `"deal":"04000000-0000-0000-0000-000000000003"`},
		"held from nowhere":          {`"from_sequence":7`, `"from_sequence":0`},
		"held from the future":       {`"from_sequence":90`, `"from_sequence":91`},
		"fewer than no deals":        {`"unconverted_deals":0`, `"unconverted_deals":-1`},
		"unknown dimension":          {`["coverage"]`, `["customers"]`},
		"dimensions out of order":    {`["coverage"]`, `["coverage","months"]`},
		"hidden change":              {`"change":{"amount_minor":"-5","deals":1}`, `"change":{"hidden":true}`},
		"companies of a pair, three": {`"02000000-0000-0000-0000-000000000002"]`, `"02000000-0000-0000-0000-000000000002","02000000-0000-0000-0000-000000000003"]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(storedRelease, change[0], change[1], 1)
			if text == storedRelease {
				t.Fatal("nothing changed")
			}
			r := disclosure.Release{Number: 99}
			if err := r.UnmarshalJSON([]byte(text)); err == nil {
				t.Errorf("read %+v", r)
			}
			if !reflect.DeepEqual(r, disclosure.Release{Number: 99}) {
				t.Error("an error changed the release")
			}
		})
	}
}

func FuzzRelease_WritesWhatItReads(f *testing.F) {
	f.Add([]byte(storedRelease))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r, again disclosure.Release
		if r.UnmarshalJSON(data) != nil {
			return
		}
		if err := again.UnmarshalJSON([]byte(stored(t, r))); err != nil || stored(t, r) != stored(t, again) {
			t.Fatalf("%v: %+v came back as %+v", err, r, again)
		}
	})
}

func TestPublished_IsMadeByThisPackageOnlyAndTellsFiguresOnly(t *testing.T) {
	t.Parallel()
	published := reflect.TypeFor[*disclosure.Published]()
	for field := range published.Elem().Fields() {
		if field.IsExported() {
			t.Errorf("anybody may set %s", field.Name)
		}
	}
	var methods []string
	for method := range published.Methods() {
		methods = append(methods, method.Name)
	}
	want := []string{
		"ByParties", "ByRegistrar", "Change", "Chapters", "LeftOut", "Months", "OtherPairs", "Pairs", "Policy", "Total", "Unconverted",
	}
	if diff := cmp.Diff(want, methods); diff != "" {
		t.Errorf("not figures alone: %s", diff)
	}
}
