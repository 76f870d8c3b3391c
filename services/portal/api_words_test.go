package portal

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dealreg/dealreg/pkg/dealcsv"
)

func visitIn(t *testing.T, code string) *visit {
	t.Helper()
	all := speeches(t)
	words, err := readAPIWords()
	if err != nil {
		t.Fatal(err)
	}
	return &visit{s: &Service{apiWords: words}, speech: all[code]}
}

// TestReasons_OfRowsAreAllKnown reads a file that has every fault that a row can have by itself.
func TestReasons_OfRowsAreAllKnown(t *testing.T) {
	t.Parallel()
	v := visitIn(t, "de")
	const header = "external_ref,title,customer,customer_country,customer_domain,currency,amount,status,won_on,party_1,party_1_role,party_1_share,party_2,party_2_role,party_2_share\n"
	row := func(change ...string) string {
		cells := map[string]string{
			"external_ref": "R", "title": "Dam", "customer": "Office", "customer_country": "DE", "currency": "EUR", "amount": "10", "won_on": "2024-01-02",
			"party_1": "A", "party_2": "B",
		}
		for i := 0; i < len(change); i += 2 {
			cells[change[i]] = change[i+1]
		}
		var record []string
		for name := range strings.SplitSeq(strings.TrimSpace(header), ",") {
			record = append(record, `"`+cells[name]+`"`)
		}
		return strings.Join(record, ",") + "\n"
	}
	file := header + row() + row() + "1,2\n" +
		row("title", "") + row("title", strings.Repeat("x", 600)) + row("title", "a\x01b") + row("party_1", "a\u202eb") + row("title", "\xff") +
		row("customer_country", "Germany") + row("customer_country", "UK") + row("customer_country", "EL") + row("customer_domain", "https://a") +
		row("currency", "pesos") + row("currency", "eur") + row("amount", "") + row("amount", "0") + row("amount", "1.005") + row("currency", "JPY", "amount", "1.5") +
		row("amount", "9999999999999999") + row("amount", "ten") + row("status", "open") + row("won_on", "2.1.2024") + row("won_on", "") +
		row("party_2", "", "party_2_role", "other") + row("party_2", "A", "party_2_role", "other") + row("party_2", "A") + row("party_1_role", "boss") +
		row("party_1_role", "other") + row("party_1_role", "lead", "party_2_role", "lead") + row("party_1_share", "5") +
		row("party_1_share", "5", "party_2_share", "6")
	for _, mapping := range []string{`{}`, `{"decimal":",","dates":"dmy"}`, `{"dates":"mdy"}`} {
		m, err := dealcsv.ParseMap([]byte(mapping))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := dealcsv.NewReader(strings.NewReader(file), m)
		if err != nil {
			t.Fatal(err)
		}
		for {
			row, err := rows.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range row.Reasons {
				if r := v.reason(text); r.Foreign {
					t.Errorf("not told in German: %s", text)
				}
			}
			if got := v.joinedReasons(strings.Join(row.Reasons, "; ")); !row.Sound() && len(got) != len(row.Reasons) {
				t.Errorf("%d reasons of %q", len(got), row.Reasons)
			}
		}
	}
	for _, broken := range []string{"", "a,b\n", "title\nx\n", "title,title\n1,2\n", "a\n1\"\n", "a\n1\n2\n3\n"} {
		_, err := dealcsv.Look(strings.NewReader(broken), 1, 2)
		if err == nil {
			_, err = dealcsv.NewReader(strings.NewReader(broken), dealcsv.Map{})
		}
		faults, _ := errors.AsType[dealcsv.Faults](err)
		for _, text := range faults {
			if r := v.reason(text); r.Foreign && !strings.HasPrefix(text, "unknown columns") { // the pages send a map
				t.Errorf("not told in German: %s", text)
			}
		}
	}
}

func TestReasons_AreToldInTheReadersLanguageWithTheirColumn(t *testing.T) {
	t.Parallel()
	cell := "Tag: lies before 2021-11-22: a member reaches 5 years back; ask the registrar to import older deals; " +
		"Firma: is no company here: write its exact name, its web domain or its id, or ask your registrar to add it; something new: it is"
	var got []string
	for _, r := range visitIn(t, "de").joinedReasons(cell) {
		if r.Foreign {
			r.Text = "(en) " + r.Text
		}
		got = append(got, r.Text)
	}
	want := []string{
		"Tag: liegt vor dem 2021-11-22: Ein Mitglied reicht 5 Jahre zurück; bitten Sie die Registerstelle, ältere Geschäfte zu importieren",
		"Firma: ist hier kein Unternehmen: Schreiben Sie den genauen Namen, die Webdomain oder die Kennung, oder bitten Sie Ihre Registerstelle, es anzulegen",
		"(en) something new: it is",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if r := visitIn(t, "en").reason("something new: it is"); r.Foreign || r.Text != "something new: it is" {
		t.Errorf("%+v", r)
	}
	if r := visitIn(t, "de").reason("column party_2 is missing: add it"); !strings.HasPrefix(r.Text, "Unternehmen 2: Wählen") {
		t.Errorf("%+v", r)
	}
}
