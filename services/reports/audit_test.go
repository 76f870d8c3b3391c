package reports_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	"github.com/dealreg/dealreg/pkg/audit"
	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
	"github.com/dealreg/dealreg/services/reports"
)

// history is a registry's log that grows, of two associations that share deals, and statements of both.
type history struct {
	*system
	work *dealtest.Workload
	last uint64
	log  bytes.Buffer // as GET /v1/log answers it
}

func newHistory(t *testing.T, policies ...roster.Disclosure) *history {
	t.Helper()
	h := &history{system: newSystem(t, warehousetest.New(t)), work: dealtest.NewWorkload(0, dealtest.Seeded(1933))}
	for i, a := range h.work.Associations {
		revision, err := h.directory.PutAssociation(t.Context(), roster.Association{
			ID: a.ID, Name: fmt.Sprintf("Association %d", i), TimeZone: "UTC", YearStartsIn: int(a.YearStartsIn),
			ReportingCurrency: a.Currency, Disclosure: policies[i],
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := h.roster.WaitFor(t.Context(), roster.Associations, revision); err != nil {
			t.Fatal(err)
		}
	}
	h.waive(h.work.Associations[0].ID, h.work.Companies[:6])
	h.clock.set(time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC))
	return h
}

// waive lets the companies agree that all pairs of them are shown.
func (h *history) waive(association deal.ID, companies []deal.ID) {
	h.t.Helper()
	var last roster.Waiver
	for _, company := range companies {
		for _, partner := range companies {
			if company == partner {
				continue
			}
			var err error
			last, err = h.directory.GiveWaiver(h.t.Context(), roster.Waiver{AssociationID: association, CompanyID: company, PartnerID: partner})
			if err != nil {
				h.t.Fatal(err)
			}
		}
	}
	if err := h.roster.WaitFor(h.t.Context(), roster.Waivers, last.Revision); err != nil {
		h.t.Fatal(err)
	}
}

// grow writes events, the last of which nobody can read.
func (h *history) grow(events int) {
	h.t.Helper()
	var payloads [][]byte
	for range events {
		payloads = append(payloads, h.work.Next().Payload)
	}
	h.append(append(payloads, []byte("\xff"))...)
}

// append writes payloads behind what is there.
func (h *history) append(payloads ...[]byte) {
	h.t.Helper()
	var batch warehouse.Batch
	for _, payload := range payloads {
		h.last++
		if err := batch.Append(h.last, start, payload); err != nil {
			h.t.Fatal(err)
		}
		if _, err := protodelim.MarshalTo(&h.log, &dealregv1.LogEntry{Sequence: h.last, Payload: payload}); err != nil {
			h.t.Fatal(err)
		}
	}
	if err := h.warehouse.Insert(h.t.Context(), &batch); err != nil {
		h.t.Fatal(err)
	}
}

// release makes the next release of each association's year.
func (h *history) release(year int) {
	h.t.Helper()
	for _, a := range h.work.Associations {
		body := fmt.Sprintf(`{"year":%d,"reason":"the history grew"}`, year)
		answer := h.ask("operator", http.MethodPost, statementsPath(a.ID, ""), body, "Idempotency-Key", fmt.Sprintf("%s %d %d", a.ID, year, h.last))
		if answer.Code != http.StatusCreated {
			h.t.Fatalf("%d %s", answer.Code, answer.Body)
		}
	}
}

// audit gives the exit code and what was printed. The function may alter answers of the API on their way.
func (h *history) audit(association deal.ID, statement string, alter func(path string, body []byte) []byte) (int, string) {
	h.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/log" {
			w.Header().Set("Content-Type", "application/vnd.dealreg.log")
			_, _ = w.Write(h.log.Bytes())
			return
		}
		answer := h.get("auditor of all", r.URL.RequestURI())
		body := answer.Body.Bytes()
		if alter != nil {
			body = alter(r.URL.Path, body)
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body)
	}))
	defer server.Close()
	var out strings.Builder
	code, err := audit.Run(h.t.Context(), audit.Config{URL: server.URL, Key: "k", Association: association.String(), Statement: statement, Out: &out})
	if err != nil {
		h.t.Fatal(err)
	}
	return code, out.String()
}

func TestStatements_AreWhatAnAuditorMakesOfTheLog(t *testing.T) {
	t.Parallel()
	for name, policies := range map[string][]roster.Disclosure{
		"open and guarded":    {roster.DisclosureOpen, roster.DisclosureGuarded},
		"guarded and guarded": {roster.DisclosureGuarded, roster.DisclosureGuarded},
		"strict and open":     {roster.DisclosureStrict, roster.DisclosureOpen},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHistory(t, policies...)
			heldBack, pairs, deals, years := 0, 0, 0, []int{2024, 2025}
			for _, events := range []int{500, 300, 20} {
				h.grow(events)
				for _, year := range years {
					h.release(year)
				}
			}
			for _, a := range h.work.Associations {
				for _, year := range years {
					for release := 1; release <= 3; release++ {
						if code, out := h.audit(a.ID, fmt.Sprintf("%d/r%d", year, release), nil); code != audit.Equal {
							t.Errorf("%s, %d r%d: %s", a.ID, year, release, out)
						}
						path := statementsPath(a.ID, fmt.Sprintf("/%d/%d", year, release))
						heldBack += len(read[reports.HeldBack](h.system, "auditor of all", path+"/held-back").Events)
						statement := read[reports.Statement](h.system, "auditor of all", path)
						deals += *statement.Total.Deals
						pairs += len(statement.Pairs)
					}
				}
			}
			if deals == 0 || heldBack == 0 || pairs == 0 && slices.Contains(policies, roster.DisclosureOpen) {
				t.Errorf("%d deals and %d pairs shown, %d events held back: the history proves nothing", deals, pairs, heldBack)
			}
		})
	}
}

func TestStatements_AnAuditorSeesWhatWasAltered(t *testing.T) {
	t.Parallel()
	h := newHistory(t, roster.DisclosureOpen, roster.DisclosureGuarded)
	h.grow(400)
	h.release(2024)
	h.release(2025)
	h.grow(50)
	h.release(2025)
	association := h.work.Associations[0].ID
	for _, name := range []string{"2025", "2025/2", "2025/r2", "2025/latest"} { // as its address has it, and as people call it
		if code, out := h.audit(association, name, nil); code != audit.Equal || !strings.Contains(out, "2025 r2") {
			t.Fatalf("%s: %d %s", name, code, out)
		}
	}
	altered := func(change func(st map[string]any)) func(string, []byte) []byte {
		return func(path string, body []byte) []byte {
			if !strings.HasSuffix(path, "/2025/latest") {
				return body
			}
			var st map[string]any
			if err := json.Unmarshal(body, &st); err != nil {
				t.Error(err)
			}
			change(st)
			body, _ = json.Marshal(st)
			return body
		}
	}
	object := func(v any) map[string]any { return v.(map[string]any) }
	first := func(v any) map[string]any { return object(v.([]any)[0]) }
	for what, change := range map[string]func(st map[string]any){
		"total amount":                func(st map[string]any) { object(st["total"])["amount"] = "1.00" },
		"total deals":                 func(st map[string]any) { object(st["total"])["deals"] = 1 },
		"attested_by_parties amount":  func(st map[string]any) { object(st["attested_by_parties"])["amount"] = "1.00" },
		"attested_by_registrar deals": func(st map[string]any) { object(st["attested_by_registrar"])["deals"] = 99 },
		"other_pairs amount":          func(st map[string]any) { object(st["other_pairs"])["amount"] = "1.00" },
		"month amount of 2025-01":     func(st map[string]any) { first(st["months"])["amount"] = "1.00" },
		"chapter deals":               func(st map[string]any) { first(st["chapters"])["deals"] = 99 },
		"chapter of":                  func(st map[string]any) { st["chapters"] = st["chapters"].([]any)[1:] },
		"pair amount":                 func(st map[string]any) { first(st["pairs"])["amount"] = "1.00" },
		"changes amount":              func(st map[string]any) { object(st["changes"])["amount"] = "1.00" },
		"changes deals":               func(st map[string]any) { object(st["changes"])["deals"] = 99 },
		"growth_percent":              func(st map[string]any) { st["growth_percent"] = "0.1" },
		"previous_year amount":        func(st map[string]any) { object(object(st["previous_year"])["total"])["amount"] = "1.00" },
		"previous_year month deals":   func(st map[string]any) { first(object(st["previous_year"])["months"])["deals"] = 99 },
		"unconverted_deals":           func(st map[string]any) { object(st["coverage"])["unconverted_deals"] = 99 },
		"members taking_part":         func(st map[string]any) { object(st["members"])["taking_part"] = 99 },
		"quarantined_events":          func(st map[string]any) { object(st["coverage"])["quarantined_events"] = 99 },
		"log_hash":                    func(st map[string]any) { st["log_hash"] = strings.Repeat("0", 64) },
	} {
		if code, out := h.audit(association, "2025", altered(change)); code != audit.Different || !strings.Contains(out, what) {
			t.Errorf("%s: %d %s", what, code, out)
		}
	}
	// A log of which an event was changed is not the one from which the statement was made.
	h.log.Bytes()[h.log.Len()/2] ^= 1
	if code, out := h.audit(association, "2025", nil); code != audit.Different || !strings.Contains(out, "log_hash") {
		t.Errorf("%d %s", code, out)
	}
}

// Of a guarded association an outsider sees pairs, but only those who both agreed to it, and no deal that has another pair
// as well.
func TestStatement_ShowsUnderGuardedDisclosureThePairsThatWaived(t *testing.T) {
	t.Parallel()
	h := newHistory(t, roster.DisclosureGuarded, roster.DisclosureGuarded)
	association, companies := h.work.Associations[0].ID, h.work.Companies
	var payloads [][]byte
	for i := range 60 {
		e := won(byte(100+i), association, "EUR", int64(1_000_000+1000*i))
		parties := []deal.ID{companies[i%3], companies[(i+1)%3]} // 20 deals for each pair of those who waive
		if i%4 == 3 {
			parties = []deal.ID{companies[i%6], companies[6+i%2]} // and some with others
		}
		slices.SortFunc(parties, deal.ID.Compare)
		e.Deal.Terms = &dealregv1.Terms{Currency: "EUR", Parties: []*dealregv1.Party{{CompanyId: idBytes(parties[0])}, {CompanyId: idBytes(parties[1])}}}
		e.Attributions[0].Month = int32(calendar.New(2026, time.Month(1+i%3), 1))
		e.Attributions[0].Pairs[0].CompanyA, e.Attributions[0].Pairs[0].CompanyB = idBytes(parties[0]), idBytes(parties[1])
		payload, err := proto.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		payloads = append(payloads, payload)
	}
	h.append(payloads...)
	h.release(2026)
	if code, out := h.audit(association, "2026", nil); code != audit.Equal {
		t.Error(out)
	}
	shown := read[reports.Statement](h.system, "auditor of all", statementsPath(association, "/2026/latest"))
	if len(shown.Pairs) != 3 || shown.OtherPairs.Hidden || *shown.OtherPairs.Deals != 15 || shown.Members.TakingPart != 6 {
		t.Errorf("%+v, others %+v, left out %v, %+v", shown.Pairs, shown.OtherPairs, shown.LeftOut, shown.Members)
	}
}

// Six companies that the deals' events know as strangers became two groups. Who has the log alone could not tell why nothing
// is shown, or that something must not be.
func TestStatements_CountCompaniesThatBecameOneGroupAsOne(t *testing.T) {
	t.Parallel()
	h := newHistory(t, roster.DisclosureGuarded, roster.DisclosureGuarded)
	association, companies := h.work.Associations[0].ID, h.work.Companies
	between := func(d byte, a, b deal.ID) []byte {
		e := won(d, association, "EUR", 1_000_000)
		e.Deal.Terms = &dealregv1.Terms{Currency: "EUR", Parties: []*dealregv1.Party{{CompanyId: idBytes(a)}, {CompanyId: idBytes(b)}}}
		e.Attributions[0].Pairs[0].CompanyA, e.Attributions[0].Pairs[0].CompanyB = idBytes(a), idBytes(b)
		payload, err := proto.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return payload
	}
	latest := func() reports.Statement {
		h.release(2026)
		return read[reports.Statement](h.system, "auditor of all", statementsPath(association, "/2026/latest"))
	}
	join := func(company, group deal.ID) {
		before, _ := h.roster.Company(company)
		revision, err := h.directory.PutCompany(t.Context(), roster.Company{ID: company, Name: "C", GroupID: group, Revision: before.Revision})
		if err == nil {
			err = h.roster.WaitFor(t.Context(), roster.Companies, revision)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, company := range companies[:6] {
		join(company, companies[i%2])
	}
	h.append(between(100, companies[0], companies[1]), between(101, companies[2], companies[3]), between(102, companies[4], companies[5]))
	if got := latest(); *got.Total.Deals != 0 {
		t.Errorf("shows %s of %d deals of two groups", got.Total.Amount, *got.Total.Deals)
	}
	for _, company := range companies[:6] {
		join(company, company)
	}
	h.append([]byte("\xff"))
	if got := latest(); *got.Total.Deals != 3 {
		t.Errorf("shows %d of three deals of strangers", *got.Total.Deals)
	}
	if code, out := h.audit(association, "2026", nil); code != audit.Equal {
		t.Error(out)
	}
	madeWith := read[reports.HeldBack](h.system, "auditor of all", statementsPath(association, "/2026/1/held-back")).MadeWith
	groups, err := json.Marshal(madeWith.Groups)
	if err != nil || len(madeWith.Groups) != 4 || madeWith.Groups[0] != (reports.CompanyGroup{CompanyID: companies[2], GroupID: companies[0]}) {
		t.Errorf("made with %+v, %v", madeWith, err)
	}
	code, out := h.audit(association, "2026", func(path string, body []byte) []byte { // had they still been two groups
		return bytes.Replace(body, []byte(`"groups":[]`), append([]byte(`"groups":`), groups...), 1)
	})
	if code != audit.Different || !strings.Contains(out, "total shown") {
		t.Errorf("%d %s", code, out)
	}
}
