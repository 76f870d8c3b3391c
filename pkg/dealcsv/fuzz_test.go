package dealcsv_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealcsv"
	"github.com/dealreg/dealreg/pkg/roster"
)

// FuzzReader holds every sound row against the rules of a deal, and every row against its place in the file.
func FuzzReader(f *testing.F) {
	f.Add(quirks, contracts)
	f.Add(plainHeader+"r,T,C,DE,EUR,1,2026-01-01,A,B\n", "")
	f.Add(strings.Join(dealcsv.Columns(), ",")+"\nr,T,C,DE,,EUR,1,won,,2026-01-01,A,lead,0.4,B,other,0.6"+strings.Repeat(",", 25)+"\n", "")
	f.Add(strings.ReplaceAll(plainHeader, ",", ";")+"r;T;C;DE;JPY;1;2026-01-01;A;B;x\n", "{}")
	f.Add(strings.TrimSpace(plainHeader)+",line,reasons\nr,'=T,C,DE,JPY,1,2026-01-01,A,B,7,why\n", "")
	f.Add(plainHeader+"r,12\" pipe,\xff\n", "")
	f.Fuzz(func(t *testing.T, file, fields string) {
		var m dealcsv.Map
		if fields != "" {
			var err error
			if m, err = dealcsv.ParseMap([]byte(fields)); err != nil {
				return
			}
		}
		r, err := dealcsv.NewReader(strings.NewReader(file), m)
		if err != nil {
			wantRemedy(t, err)
			return
		}
		var rejected []dealcsv.Row
		refs := map[string]bool{}
		line := 1
		for {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				wantRemedy(t, err)
				break
			}
			if row.Line <= line || row.Line > strings.Count(file, "\n")+1 {
				t.Fatalf("line %d after line %d", row.Line, line)
			}
			line = row.Line
			if !row.Sound() {
				rejected = append(rejected, row)
				continue
			}
			if refs[row.ExternalRef] {
				t.Fatalf("two sound rows have the reference %q", row.ExternalRef)
			}
			refs[row.ExternalRef] = true
			wantDeal(t, row)
		}
		again := readAll(t, open(t, rejectsOf(t, r.Header(), rejected), m))
		if len(again) != len(rejected) {
			t.Fatalf("%d rejected rows came back as %d", len(rejected), len(again))
		}
	})
}

func wantRemedy(t *testing.T, err error) {
	t.Helper()
	if faults, is := errors.AsType[dealcsv.Faults](err); !is || len(faults) == 0 {
		t.Fatalf("%v; want faults that the sender can mend", err)
	}
}

// wantDeal makes a registrar import the row, with a company of its own for each name.
func wantDeal(t *testing.T, row dealcsv.Row) {
	t.Helper()
	details := row.Details()
	terms := deal.Terms{Value: row.Value, WonOn: row.WonOn}
	if terms.WonOn == nil && row.Status == deal.Pending || terms.WonOn != nil && *terms.WonOn < deal.EarliestImport {
		day := deal.EarliestImport
		terms.WonOn = &day
	}
	companies := map[string]deal.ID{}
	for i, share := range row.Shares() {
		company := deal.ID{byte(i + 1)}
		companies[roster.NameKey(row.Parties[i].Name)] = company
		terms.Parties = append(terms.Parties, deal.Party{Company: company, Group: company, Role: row.Parties[i].Role, ShareMinor: share})
	}
	if len(companies) != len(row.Parties) {
		t.Fatalf("two of %d parties are one company", len(row.Parties))
	}
	command := deal.Command{
		Move: deal.Import, By: deal.Actor{Association: deal.ID{1}}, Today: calendar.Last, Deal: deal.ID{2},
		Details: &details, Terms: &terms, Reference: "minutes",
	}
	if _, err := deal.Decide(deal.Deal{}, command, time.Unix(0, 0)); err != nil {
		t.Fatalf("line %d is sound and yet no deal: %v", row.Line, err)
	}
	if !roster.IsCountry(row.Customer.Country) {
		t.Fatalf("country %q", row.Customer.Country)
	}
}

// FuzzParseMap wants a map or faults, and never both.
func FuzzParseMap(f *testing.F) {
	for _, text := range []string{
		contracts, "{}", "", "[]", "null", `{"title":"a","title":"b"}`, `{"party_*":"*","party_1_role":"=lead"}`,
		`{"party_*_share":"**"}`, `{"create_companies":null}`, `{"amount":{"a":[1]}}`, "{\"title\":\"\xff\"}", `{"customer":"="} x`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := dealcsv.ParseMap([]byte(text))
		if err != nil {
			wantRemedy(t, err)
			return
		}
		if _, err := dealcsv.NewReader(strings.NewReader(plainHeader), m); err != nil {
			wantRemedy(t, err)
		}
	})
}
