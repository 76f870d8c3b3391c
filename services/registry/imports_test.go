package registry

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/dealreg/dealreg/services/registry/imports"
)

// quirks is a file with the faults that registrars' files have: no number, one company twice, a name with a comma, one
// with a non-breaking space, a title over two lines, and a pair in both orders.
const quirks = "line_ref,title,customer,region,currency,amount,start_date,partner_1,partner_2,partner_3\r\n" +
	"L1,\"Dam, first\nphase\",Water Office,North,EUR,100.01,2024-02-15,\"Elm, Oak & Co.\",Fir\u00a0Works,\r\n" +
	"L2,Dam two,Water Office,South,EUR,200,2024-03-15,Fir Works,\"Elm, Oak & Co.\",Gum Builders\r\n" +
	"L3,Dam three,Water Office,South,EUR,n.a.,2024-03-15,Fir Works,Gum Builders,\r\n" +
	"L4,Dam four,Water Office,South,EUR,50.00,2024-03-15,Fir Works,FIR WORKS,\r\n" +
	"L5,Dam five,Water Office,North,EUR,10.00,2023-12-31,Niño Bros,Gum Builders,\r\n" +
	",Dam six,Water Office,North,EUR,10.00,2999-12-31,Niño Bros,,\r\n"

const quirksMap = `{"external_ref":"line_ref","won_on":"start_date","party_*":"partner_*","chapter":"region","customer_country":"=PH","status":"=won","create_companies":true}`

// imported uploads the file and waits for its end.
func (w *world) imported(key, file, mapping string, more ...string) imports.Import {
	w.t.Helper()
	query := url.Values{"association_id": {w.association.String()}, "map": {mapping}, "reference": {"Ledger 7"}}
	for i := 0; i < len(more); i += 2 {
		query.Set(more[i], more[i+1])
	}
	r := w.send(key, http.MethodPost, "/v1/imports/deals?"+query.Encode(), file, "Content-Type", "text/csv")
	if r.status != http.StatusAccepted {
		w.t.Fatalf("import: %d %s", r.status, r.text)
	}
	return w.ended(key, r.header.Get("Location"))
}

// ended waits for the end of the import.
func (w *world) ended(key, where string) (state imports.Import) {
	w.t.Helper()
	w.eventually("the import ends", func() bool {
		r := w.send(key, http.MethodGet, where, nil)
		state = imports.Import{}
		if err := json.Unmarshal([]byte(r.text), &state); err != nil {
			w.t.Fatalf("%v: %s", err, r.text)
		}
		return state.State == imports.Done || state.State == imports.Failed
	})
	return state
}

func TestImport_TakesWhatIsSoundAndGivesEveryOtherRowItsReasons(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	state := w.imported(w.registrar, quirks, quirksMap)
	if state.State != imports.Done || state.Rows != 6 || state.Registered != 3 || state.Rejected != 3 || state.Companies != 4 ||
		state.Chapters != 1 || state.Members != 4 || state.LastSequence != 3 {
		t.Errorf("%+v", state)
	}
	rejects := w.send(w.registrar, http.MethodGet, "/v1/imports/"+state.ID.String()+"/rejects", nil).text
	lines := strings.Split(strings.TrimSpace(rejects), "\n")
	if len(lines) != 4 {
		t.Fatalf("rejects: %s", rejects)
	}
	for i, want := range [][]string{{"line", "reasons"}, {",5,", "amount"}, {",6,", "two different"}, {",8,", "line_ref", "two different"}} {
		for _, part := range want {
			if !strings.Contains(lines[i], part) {
				t.Errorf("line %d lacks %q: %s", i, part, lines[i])
			}
		}
	}
	events, err := w.service.log.History(t.Context(), dealID(w.association, "L2", ""))
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	e := events[0]
	if e.Deal.Evidence != "registrar" || e.Deal.ImportedBy != w.association || !e.Deal.RegisteredAfterWin {
		t.Errorf("%+v", e.Deal)
	}
	if len(e.Attributions) != 1 || e.Attributions[0].AmountMinor != 20000 || e.Attributions[0].Year != 2024 || len(e.Attributions[0].Pairs) != 3 {
		t.Errorf("%+v", e.Attributions)
	}
}

func TestImport_SecondRunChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.imported(w.registrar, quirks, quirksMap)
	second := w.imported(w.registrar, quirks, quirksMap)
	if second.Registered != 0 || second.Unchanged != 3 || second.Rejected != 3 || second.Companies+second.Chapters+second.Members != 0 ||
		second.LastSequence != first.LastSequence {
		t.Errorf("%+v", second)
	}
	changed := w.imported(w.registrar, strings.Replace(quirks, "100.01", "100.02", 1), quirksMap)
	if changed.Unchanged != 2 || changed.Rejected != 4 || changed.LastSequence != first.LastSequence {
		t.Errorf("a row with other figures: %+v", changed)
	}
}

func TestImport_CreatesNoCompanyOfAnIDThatNobodyHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := strings.ReplaceAll(quirks, "Gum Builders", "0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d")
	if state := w.imported(w.registrar, file, quirksMap); state.Registered != 1 || state.Rejected != 5 || state.Companies != 3 {
		t.Errorf("%+v", state)
	}
}

func TestImport_SameKeyGivesTheSameImport(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	to := "/v1/imports/deals?" + url.Values{"association_id": {w.association.String()}, "map": {quirksMap}, "reference": {"Ledger 7"}}.Encode()
	var wait sync.WaitGroup
	answers := make([]reply, 20)
	for i := range answers {
		wait.Go(func() {
			answers[i] = w.send(w.registrar, http.MethodPost, to, quirks, "Content-Type", "text/csv", "Idempotency-Key", "k")
		})
	}
	wait.Wait()
	begun := 0
	for _, r := range answers {
		if r.status != http.StatusAccepted || r.header.Get("Location") != answers[0].header.Get("Location") {
			t.Errorf("%d %s", r.status, r.text)
		}
		if r.header.Get("Idempotency-Replayed") == "" {
			begun++
		}
	}
	if begun != 1 {
		t.Errorf("begun %d times", begun)
	}
	other := w.send(w.registrar, http.MethodPost, to, quirks+"\n", "Content-Type", "text/csv", "Idempotency-Key", "k")
	if other.status != http.StatusUnprocessableEntity || !strings.Contains(other.text, "Idempotency-Key") {
		t.Errorf("same key, other file: %d %s", other.status, other.text)
	}
}

func TestImport_DryRunWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	state := w.imported(w.registrar, quirks, quirksMap, "dry_run", "true")
	if state.Registered != 3 || state.Rejected != 3 || state.LastSequence != 0 {
		t.Errorf("%+v", state)
	}
	if wet := w.imported(w.registrar, quirks, quirksMap); wet.Registered != 3 || wet.Companies != 4 {
		t.Errorf("after the dry run: %+v", wet)
	}
}

func TestImport_RefusesAFileThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	to := "/v1/imports/deals?" + url.Values{"association_id": {w.association.String()}, "map": {quirksMap}, "reference": {"Ledger 7"}}.Encode()
	for name, c := range map[string]struct {
		key, to, file string
		status        int
		want          string
	}{
		"no reference":      {w.registrar, "/v1/imports/deals?association_id=" + w.association.String(), quirks, 422, `"reference"`},
		"no such column":    {w.registrar, to, "a,b\n1,2\n", 422, "line_ref"},
		"broken map":        {w.registrar, "/v1/imports/deals?reference=x&association_id=" + w.association.String() + "&map=%7B", quirks, 422, `"map"`},
		"not the registrar": {w.keys[w.a], to, quirks, 404, ""},
		"board":             {w.board, to, quirks, 404, ""},
	} {
		if r := w.send(c.key, http.MethodPost, c.to, c.file, "Content-Type", "text/csv"); r.status != c.status || !strings.Contains(r.text, c.want) {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
	}
	broken := w.imported(w.registrar, strings.Replace(quirks, "Dam two", "Dam \"two", 1), quirksMap)
	if broken.State != imports.Failed || !strings.Contains(broken.Error, "line 4") {
		t.Errorf("broken CSV: %+v", broken)
	}
}

func TestImport_OfAMemberAsksTheOthersToAttest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	file := "external_ref,title,customer,customer_country,currency,amount,won_on,party_1,party_2\n" +
		"X1,Old deal,Contoso AG,DE,EUR,100.00," + yesterday() + ",alder.example,Birch GmbH\n" +
		"X2,Not ours,Contoso AG,DE,EUR,100.00," + yesterday() + ",birch.example,cedar.example\n"
	r := w.send(w.keys[w.a], http.MethodPost, "/v1/imports/deals", file, "Content-Type", "text/csv")
	if r.status != http.StatusAccepted {
		t.Fatal(r.status, r.text)
	}
	id := dealID(w.a, "X1", "")
	state := w.ended(w.keys[w.a], r.header.Get("Location"))
	if state.State != imports.Done || state.Registered != 1 || state.Rejected != 1 {
		t.Errorf("%+v", state)
	}
	d := w.send(w.keys[w.b], http.MethodGet, location(id), nil).deal(t)
	if d.Status != "closing" || !d.RegisteredAfterWin {
		t.Errorf("%+v", d)
	}
	if d = w.move(w.b, d, "attest", object{}, http.StatusOK); d.Status != "won" || d.Evidence != "parties" {
		t.Errorf("%+v", d)
	}
	if r := w.send(w.keys[w.c], http.MethodGet, "/v1/imports/"+state.ID.String(), nil); r.status != http.StatusNotFound {
		t.Errorf("another company sees the import: %d", r.status)
	}
}
