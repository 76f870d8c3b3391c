package reports_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/dealreg/dealreg/pkg/audit"
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
	h.clock.set(time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC))
	return h
}

// grow writes events, the last of which nobody can read.
func (h *history) grow(events int) {
	h.t.Helper()
	var batch warehouse.Batch
	write := func(subject string, payload []byte) {
		h.last++
		if err := batch.Append(h.last, start, payload); err != nil {
			h.t.Fatal(err)
		}
		if _, err := protodelim.MarshalTo(&h.log, &dealregv1.LogEntry{Sequence: h.last, Subject: subject, Payload: payload}); err != nil {
			h.t.Fatal(err)
		}
	}
	for range events {
		write("deals.0.x", h.work.Next().Payload)
	}
	write("deals.0.x", []byte("\xff"))
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
			heldBack, deals, years := 0, 0, []int{2024, 2025}
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
						deals += *read[reports.Statement](h.system, "auditor of all", path).Total.Deals
					}
				}
			}
			if deals == 0 || heldBack == 0 {
				t.Errorf("%d deals shown, %d events held back: the history proves nothing", deals, heldBack)
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
	if code, out := h.audit(association, "2025", nil); code != audit.Equal {
		t.Fatal(out)
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
		"previous_year amount":        func(st map[string]any) { object(object(st["previous_year"])["total"])["amount"] = "1.00" },
		"previous_year month deals":   func(st map[string]any) { first(object(st["previous_year"])["months"])["deals"] = 99 },
		"unconverted_deals":           func(st map[string]any) { object(st["coverage"])["unconverted_deals"] = 99 },
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
