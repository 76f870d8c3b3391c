package audit_test

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/audit"
)

const testKey = "drk_test_secret"

// system answers as a running dealreg would, from figures that are written here by hand for the sound log.
type system struct {
	t       *testing.T
	log     []byte
	list    []audit.ID
	totals  map[string]map[string]any // by association and year
	items   map[string][]map[string]any
	last    int          // the sequence of the last event that the reports hold
	wrong   int          // the first sequence as of which they give what is written here; that of the last event if 0
	lost    []int        // the sequences of the events before that which they lack, in order
	lagging atomic.Int32 // how many volumes are still answered with 503
	asked   atomic.Int32 // volumes
}

func newSystem(t *testing.T) *system {
	x25, x26 := at(associationX, 2025), at(associationX, 2026)
	y25, y26 := at(associationY, 2025), at(associationY, 2026)
	all25, all26 := at(audit.ID{}, 2025), at(audit.ID{}, 2026)
	return &system{
		t: t, log: soundLog(t), last: lastOfAll + 1, list: []audit.ID{associationX, associationY, testID(0x73)},
		totals: map[string]map[string]any{
			x25: {"amount": "10.00", "deals": 1, "attested_by_parties": "0.00", "unconverted_deals": 0},
			x26: {"amount": "1030.75", "deals": 3, "attested_by_parties": "1030.75", "unconverted_deals": 1},
			y25: {"amount": "129620", "deals": 1, "attested_by_parties": "129620", "unconverted_deals": 0},
			y26: {"amount": "5000", "deals": 1, "attested_by_parties": "5000", "unconverted_deals": 0},

			all25: {"amount": "10.00", "deals": 1, "attested_by_parties": "0.00", "unconverted_deals": 0},
			all26: {"amount": "1030.75", "deals": 3, "attested_by_parties": "1030.75", "unconverted_deals": 1},
		},
		items: map[string][]map[string]any{
			x25 + "chapter": {chapterItem(chapter1, "5.00", 1), chapterItem(chapter2, "5.00", 1)},
			x25 + "pair":    {pairItem(companyA, companyB, "10.00", 1)},
			x25 + "month":   {{"month": "2025-11", "amount": "10.00", "deals": 1}},
			x26 + "chapter": {chapterItem(chapter1, "716.42", 3), chapterItem(chapter2, "314.33", 3)},
			x26 + "pair": {
				pairItem(companyA, companyB, "502.62", 3), pairItem(companyA, companyC, "308.08", 1), pairItem(companyB, companyC, "220.05", 1),
			},
			x26 + "month": {
				{"month": "2026-03", "amount": "1030.75", "deals": 3, "attested_by_parties": "1030.75", "unconverted_deals": 0},
				{"month": "2026-08", "amount": "0.00", "deals": 0, "attested_by_parties": "0.00", "unconverted_deals": 1},
			},
			y25 + "chapter": {chapterItem(chapterY, "129620", 1)},
			y25 + "pair":    {pairItem(companyA, companyB, "129620", 1)},
			y25 + "month":   {{"month": "2026-03", "amount": "129620", "deals": 1}},
			y26 + "chapter": {chapterItem(chapterY, "5000", 1)},
			y26 + "pair":    {pairItem(companyA, companyB, "5000", 1)},
			y26 + "month":   {{"month": "2026-08", "amount": "5000", "deals": 1}},
			all25 + "month": {{"month": "2025-11", "amount": "10.00", "deals": 1}},
			all26 + "month": {
				{"month": "2026-03", "amount": "1030.75", "deals": 3},
				{"month": "2026-08", "amount": "0.00", "deals": 0, "unconverted_deals": 1},
			},
		},
	}
}

func at(association audit.ID, year int) string { return fmt.Sprint(association, year) }

func chapterItem(id audit.ID, amount string, deals int) map[string]any {
	return map[string]any{"chapter": map[string]any{"id": id.String(), "name": "Berlin"}, "amount": amount, "deals": deals}
}

func pairItem(a, b audit.ID, amount string, deals int) map[string]any {
	companies := []map[string]any{{"id": a.String(), "name": "A"}, {"id": b.String(), "name": "B"}}
	return map[string]any{"companies": companies, "amount": amount, "deals": deals}
}

func (s *system) serve() (url string) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/log", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.dealreg.log")
		from, err := strconv.Atoi(r.URL.Query().Get("from"))
		if err != nil {
			s.t.Error(err)
		}
		log := s.log
		for range from - 1 {
			size, n := binary.Uvarint(log)
			log = log[min(n+int(size), len(log)):] // #nosec G115 -- of a message made here
		}
		_, _ = w.Write(log)
	})
	mux.HandleFunc("GET /v1/associations", func(w http.ResponseWriter, r *http.Request) {
		page := map[string]any{"items": []map[string]any{{"id": s.list[0].String()}}, "next_cursor": "1"}
		if r.URL.Query().Get("cursor") == "1" {
			page = map[string]any{"items": []map[string]any{{"id": s.list[1].String()}, {"id": s.list[2].String()}}}
		}
		_ = json.NewEncoder(w).Encode(page)
	})
	mux.HandleFunc("GET /v1/associations/{id}/volume", s.volume)
	mux.HandleFunc("GET /v1/volume", s.volume)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+testKey {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"detail":"send a key that is not revoked"}`))
			return
		}
		mux.ServeHTTP(w, r)
	}))
	s.t.Cleanup(server.Close)
	return server.URL
}

func (s *system) volume(w http.ResponseWriter, r *http.Request) {
	if s.lagging.Add(-1) >= 0 {
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	s.asked.Add(1)
	query := r.URL.Query()
	var year int
	_, _ = fmt.Sscan(query.Get("year"), &year)
	association, name := audit.ID{}, r.PathValue("id")
	for _, id := range s.list {
		if id.String() == name {
			association = id
		}
	}
	if association == (audit.ID{}) && name != "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	totals := func(year int) map[string]any {
		if t := s.totals[at(association, year)]; t != nil {
			return t
		}
		return map[string]any{"amount": "0", "deals": 0, "attested_by_parties": "0", "unconverted_deals": 0}
	}
	sequence := s.last
	_, _ = fmt.Sscan(query.Get("as_of_sequence"), &sequence)
	if sequence < cmp.Or(s.wrong, s.last) {
		s.before(w, association, year, audit.By(query.Get("by")), sequence)
		return
	}
	answer := map[string]any{
		"association_id": name, "year": year,
		"currency": map[audit.ID]string{associationX: "EUR", associationY: "JPY", {}: "EUR"}[association], "as_of_sequence": sequence,
		"events": sequence - len(s.lost), "total": totals(year), "previous_year": totals(year - 1), "items": s.items[at(association, year)+query.Get("by")],
	}
	if len(s.lost) > 0 {
		answer["first_missing"] = s.lost[0]
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// before answers as of an event before the last one: with what the log says.
func (s *system) before(w http.ResponseWriter, of audit.ID, year int, by audit.By, sequence int) {
	ledger := mustFold(s.t, send(s.t, store(s.t, link(soundEvents())[:sequence])))
	decimals := map[audit.ID]int64{associationY: 1}
	amount := func(minor *big.Int) string {
		return new(big.Rat).SetFrac(minor, big.NewInt(cmp.Or(decimals[of], 100))).FloatString(2)
	}
	sums := func(s audit.Sums) map[string]any {
		return map[string]any{
			"amount": amount(s.Amount), "deals": s.Deals, "attested_by_parties": amount(s.AttestedByParties), "unconverted_deals": s.Unconverted,
		}
	}
	var items []map[string]any
	for item, s := range ledger.Items(of, year, by) {
		i := sums(s)
		i["chapter"] = map[string]any{"id": item.Chapter.String()}
		i["companies"] = []map[string]any{{"id": item.A.String()}, {"id": item.B.String()}}
		i["month"] = time.Unix(int64(item.Month)*24*60*60, 0).UTC().Format("2006-01")
		items = append(items, i)
	}
	name := of.String()
	if of == (audit.ID{}) {
		name = ""
	}
	_ = json.NewEncoder(w).Encode(map[string]any{
		"association_id": name, "year": year, "currency": ledger.Currency(of), "as_of_sequence": sequence,
		"total": sums(ledger.Total(of, year)), "previous_year": sums(ledger.Total(of, year-1)), "items": items,
	})
}

func run(t *testing.T, s *system, change func(cfg *audit.Config)) (code int, out string, err error) {
	t.Helper()
	var b strings.Builder
	tick := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	cfg := audit.Config{URL: s.serve(), Key: testKey, Out: &b, Now: func() time.Time {
		tick = tick.Add(time.Second)
		return tick
	}}
	if change != nil {
		change(&cfg)
	}
	code, err = audit.Run(t.Context(), cfg)
	return code, b.String(), err
}

func TestRun_IsEqualWhenTheReportsGiveWhatTheLogSays(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	code, out, err := run(t, s, nil)
	if err != nil || code != audit.Equal {
		t.Fatalf("%d, %v\n%s", code, err, out)
	}
	// X and Y have two years each and the unknown association the range of both; with a neighbour on either side.
	want := "reports   858 figures of 12 years of 3 associations, and of all together\ntook      1s\nequal\n"
	if !strings.HasPrefix(out, "log       15 events of 7 deals, 6 of them won, ") || !strings.HasSuffix(out, want) {
		t.Errorf("%s\nwant it to end with\n%s", out, want)
	}
	if n := s.asked.Load(); n != 97 {
		t.Errorf("%d volumes were asked for", n)
	}
}

func TestRun_NamesTheFigureThatDiffers(t *testing.T) {
	t.Parallel()
	x26, pairAC := at(associationX, 2026), companyA.String()+" and "+companyC.String()
	for name, c := range map[string]struct {
		change func(s *system)
		want   []string // one for each line
	}{
		"a pair's amount": {
			func(s *system) { s.items[x26+"pair"][1]["amount"] = "308.09" },
			[]string{`year 2026, by pair, pair amount of ` + pairAC + `: the log says 308.08, the report "308.09"`},
		},
		"a chapter's deals": {
			func(s *system) { s.items[x26+"chapter"][0]["deals"] = 4 },
			[]string{`by chapter, chapter deals of ` + chapter1.String() + `: the log says 3, the report 4`},
		},
		"a month's unconverted deals": {
			func(s *system) { s.items[x26+"month"][1]["unconverted_deals"] = 0 },
			[]string{`by month, month unconverted_deals of 2026-08: the log says 1, the report 0`},
		},
		"a pair left out": {
			func(s *system) { s.items[x26+"pair"] = s.items[x26+"pair"][:2] },
			[]string{`pair amount of ` + companyB.String(), `pair deals of ` + companyB.String()},
		},
		"a month too many": {
			func(s *system) {
				s.items[x26+"month"] = append(s.items[x26+"month"], map[string]any{"month": "2026-09", "amount": "1.00", "deals": 0})
			},
			[]string{`month amount of 2026-09: the log says 0.00, the report "1.00"`},
		},
		"a pair twice": {
			func(s *system) { s.items[x26+"pair"] = append(s.items[x26+"pair"], s.items[x26+"pair"][0]) },
			[]string{`: the log says once, the report "twice"`},
		},
		"a total": { // of 2026 in four reports, and the previous year in the four of 2027
			func(s *system) { s.totals[x26]["attested_by_parties"] = "1030.74" },
			slices.Concat(
				slices.Repeat([]string{`total attested_by_parties: the log says 1030.75, the report "1030.74"`}, 4),
				slices.Repeat([]string{`previous_year attested_by_parties: the log says 1030.75, the report "1030.74"`}, 4)),
		},
		"an amount that is no number": {
			func(s *system) { s.items[x26+"pair"][1]["amount"] = "1e9999999999" },
			[]string{`pair amount of ` + pairAC},
		},
		"all associations together": {
			func(s *system) { s.items[at(audit.ID{}, 2026)+"month"][0]["amount"] = "2327.00" },
			[]string{`all associations, unduplicated, year 2026, by month, month amount of 2026-03: the log says 1030.75, the report "2327.00"`},
		},
		"a claim before the first year": {
			func(s *system) {
				s.items[at(associationX, 2024)+"month"] = []map[string]any{{"month": "2024-05", "amount": "0", "deals": 1}}
			},
			[]string{`year 2024, by month, month deals of 2024-05: the log says 0, the report 1`},
		},
		"a claim for an association of which the log knows nothing": {
			func(s *system) {
				s.items[at(testID(0x73), 2025)+"chapter"] = []map[string]any{chapterItem(chapter1, "0", 2)}
			},
			[]string{testID(0x73).String() + `, year 2025, by chapter, chapter deals of ` + chapter1.String() + `: the log says 0, the report 2`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			c.change(s)
			code, out, err := run(t, s, nil)
			if err != nil || code != audit.Different {
				t.Fatalf("%d, %v\n%s", code, err, out)
			}
			head := fmt.Sprintf("different: 0 findings in the log, %d figures in the reports\n", len(c.want))
			_, tail, found := strings.Cut(out, head)
			begins, tail, _ := strings.Cut(tail, "\n")
			if !strings.HasPrefix(begins, "begins at event 15, deal "+deal(7).String()+": ") {
				t.Errorf("%s\nwant what differs as of the last event to begin there", begins)
			}
			lines := strings.Split(strings.TrimSpace(tail), "\n")
			if !found || len(lines) != len(c.want) {
				t.Fatalf("%s\nwant %q", out, head)
			}
			for _, want := range c.want {
				if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(line, want) }) {
					t.Errorf("%s\nwant %q", tail, want)
				}
			}
		})
	}
}

func TestRun_ReportsFindingsInTheLog(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	events := link(soundEvents())
	events[lastOfAll].Revision = 9
	s.log = send(t, store(t, events))
	code, out, err := run(t, s, nil)
	want := "different: 1 findings in the log, 0 figures in the reports\n" +
		"event 15, deal " + deal(7).String() + ", revision: expected 2, found 9\n"
	if err != nil || code != audit.Different || !strings.HasSuffix(out, want) {
		t.Errorf("%d, %v\n%s", code, err, out)
	}
	s.lagging.Store(1_000_000) // a damaged log may halt the projection for ever: what is proven stands
	code, out, err = run(t, s, func(cfg *audit.Config) { cfg.Patience = 15 * time.Millisecond })
	if err == nil || code != audit.Different || !strings.HasSuffix(out, want) {
		t.Errorf("%d, %v\n%s", code, err, out)
	}
}

func TestRun_WaitsWhileTheReportsLag(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.lagging.Store(3)
	if code, out, err := run(t, s, nil); err != nil || code != audit.Equal {
		t.Errorf("%d, %v\n%s", code, err, out)
	}
}

func TestRun_ComparesOnlyWhatTheFilterNames(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.totals[at(associationX, 2026)]["deals"] = 99
	code, out, err := run(t, s, func(cfg *audit.Config) {
		cfg.Association, cfg.Year = strings.ToUpper(associationY.String()), 2026
	})
	if err != nil || code != audit.Equal || s.asked.Load() != 8 || !strings.Contains(out, "of 1 years of 1 associations") {
		t.Errorf("%d, %v, %d asked\n%s", code, err, s.asked.Load(), out)
	}
}

func TestRun_SeesThatTheReportsDoNotKnowAnAssociation(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.list[1] = testID(0x74)
	code, out, err := run(t, s, nil)
	if err != nil || code != audit.Different || !strings.Contains(out, associationY.String()+", year 2025, by total, report") {
		t.Errorf("%d, %v\n%s", code, err, out)
	}
}

func TestRun_CouldNotTellWithoutAWholeAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		system func(s *system)
		config func(cfg *audit.Config)
		want   string
	}{
		"another key":       {nil, func(cfg *audit.Config) { cfg.Key = "drk_wrong_secret" }, "the system answers 401: send a key that is not revoked"},
		"no address":        {nil, func(cfg *audit.Config) { cfg.URL = "localhost" }, "write http://127.0.0.1:8080"},
		"no association":    {nil, func(cfg *audit.Config) { cfg.Association = "X" }, "not the id of an association"},
		"a cut log":         {func(s *system) { s.log = s.log[:len(s.log)-3] }, nil, "read the log behind event 14"},
		"an endless lag":    {func(s *system) { s.lagging.Store(1_000_000) }, func(cfg *audit.Config) { cfg.Patience = 15 * time.Millisecond }, "the system answers 503"},
		"a page for people": {func(s *system) { s.log = []byte("<html>") }, nil, "read the log"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			if c.system != nil {
				c.system(s)
			}
			code, out, err := run(t, s, c.config)
			if code != audit.CouldNotTell || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%d, %v\n%s", code, err, out)
			}
			if strings.Contains(out, "equal") || err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestRun_SeesThatTheLogLostItsEnd(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.log = send(t, store(t, link(soundEvents())[:lastOfAll])) // without an event that changes no figure
	code, out, err := run(t, s, nil)
	want := "different: 0 findings in the log, 1 figures in the reports\nlast event: the log says 14, the report 15\n"
	if err != nil || code != audit.Different || !strings.HasSuffix(out, want) {
		t.Errorf("%d, %v\n%s", code, err, out)
	}
}

func TestRun_NamesTheFirstEventThatTheReportsLack(t *testing.T) {
	t.Parallel()
	lost := []int{8, 10} // the registration of deal 5 and its end, which change no figure
	begins := "begins at event 8, deal " + deal(5).String() + ": stored events: the log says 15, the report 13\n"
	s := newSystem(t)
	s.lost = lost
	code, out, err := run(t, s, nil)
	want := "different: 0 findings in the log, 1 figures in the reports\n" + begins + "stored events: the log says 15, the report 13\n"
	if err != nil || code != audit.Different || !strings.HasSuffix(out, want) {
		t.Errorf("%d, %v\n%s\nwant it to end with\n%s", code, err, out, want)
	}

	// A figure differs as well, from an event on that comes behind, or before.
	for wrong, begins := range map[int]string{9: begins, 5: "begins at event 5, deal " + deal(3).String() + ": association "} {
		s := newSystem(t)
		s.lost, s.wrong = lost, wrong
		s.items[at(associationX, 2026)+"pair"][1]["amount"] = "308.09"
		code, out, err := run(t, s, nil)
		if want := "2 figures in the reports\n" + begins; err != nil || code != audit.Different || !strings.Contains(out, want) {
			t.Errorf("%d, %v\n%s\nwant %s", code, err, out, want)
		}
	}
}

func TestRun_FindsNothingInAnEmptyLog(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.log, s.last = nil, 0
	code, out, err := run(t, s, nil)
	if err != nil || code != audit.Equal || !strings.HasPrefix(out, "log       0 events") {
		t.Errorf("%d, %v\n%s", code, err, out)
	}
}
