package registry

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/services/registry/imports"
)

func (w *world) previewed(key, file string, query url.Values) (imports.ImportPreview, reply) {
	w.t.Helper()
	r := w.send(key, http.MethodPost, "/v1/imports/deals/preview?"+query.Encode(), file, "Content-Type", "text/csv")
	var p imports.ImportPreview
	if r.status == http.StatusOK {
		if err := json.Unmarshal([]byte(r.text), &p); err != nil {
			w.t.Fatal(err, r.text)
		}
	}
	return p, r
}

func TestPreview_ReadsTheFirstRowsAsTheImportWouldAndKeepsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := "Nr;Projekt;Kunde;Betrag;Gewonnen am;Partner\n" +
		"1;Deich;Amt;1.250.000,50;" + germanDay() + ";birch.example\n" +
		"2;Wehr;Amt;zehn;" + germanDay() + ";Nobody GmbH\n" +
		"3;Pfeiler;Amt;5;1.2.1999;Birch GmbH\n"
	mapping := `{"external_ref":"Nr","title":"Projekt","customer":"Kunde","customer_country":"=DE","currency":"=EUR","amount":"Betrag",` +
		`"won_on":"Gewonnen am","party_1":"=alder.example","party_2":"Partner","decimal":",","dates":"dmy"}`
	p, r := w.previewed(w.keys[w.a], file, url.Values{"map": {mapping}})
	if len(p.Rows) != 3 || len(p.Faults) > 0 {
		t.Fatal(r.status, r.text)
	}
	first := p.Rows[0]
	if len(first.Faults) > 0 || first.Value.Amount != "1250000.50" || first.WonOn.String() != yesterday() || len(first.Parties) != 2 ||
		first.Parties[1].Name != "Birch GmbH" || *first.Parties[1].CompanyID != w.b || first.Parties[0].Share.Amount != "625000.25" {
		t.Errorf("%+v", first)
	}
	if f := p.Rows[1].Faults; len(f) != 1 || f[0].Column != "amount" || !strings.HasPrefix(f[0].Message, "not a number") || p.Rows[1].Value != nil ||
		p.Rows[1].Parties[1].CompanyID != nil {
		t.Errorf("%+v", p.Rows[1])
	}
	if f := p.Rows[2].Faults; len(f) != 1 || f[0].Column != "won_on" || !strings.Contains(f[0].Message, "five years") && !strings.Contains(f[0].Message, "5 years") {
		t.Errorf("%+v", p.Rows[2])
	}
	if last, err := w.service.log.LastSequence(t.Context()); err != nil || last != 0 {
		t.Errorf("the log has %d events, %v", last, err)
	}
}

func TestPreview_SaysWhyAFileCannotBeReadAndWhoMayNotAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if p, r := w.previewed(w.keys[w.a], "a,b\n1,2\n", nil); len(p.Faults) == 0 || len(p.Rows) > 0 {
		t.Error(r.status, r.text)
	}
	of := url.Values{"association_id": {w.association.String()}, "reference": {"Ledger 7"}, "map": {quirksMap}}
	p, r := w.previewed(w.registrar, quirks, of)
	if len(p.Rows) != 6 || len(p.Rows[0].Faults) > 0 || p.Rows[0].Parties[0].Name != "Elm, Oak & Co." || p.Rows[0].Chapter != "North" {
		t.Error(r.status, r.text)
	}
	if again := w.imported(w.registrar, quirks, quirksMap); again.Companies != 4 {
		t.Errorf("the preview made companies: %+v", again)
	}
	for name, key := range map[string]string{"board": w.board, "another company": w.keys[w.a]} {
		if _, r := w.previewed(key, quirks, of); r.status != http.StatusNotFound {
			t.Errorf("%s: %d", name, r.status)
		}
	}
}

// germanDay is yesterday as Germans write it.
func germanDay() string {
	p := strings.Split(yesterday(), "-")
	return p[2] + "." + p[1] + "." + p[0]
}
