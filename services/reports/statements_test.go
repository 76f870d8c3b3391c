package reports_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/xuri/excelize/v2"
	"google.golang.org/protobuf/proto"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
	"github.com/dealreg/dealreg/services/reports"
)

func statementsPath(association deal.ID, rest string) string {
	return "/v1/associations/" + association.String() + "/statements" + rest
}

// ask sends a request with headers, in pairs of name and value.
func (s *system) ask(caller, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	request := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+caller)
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answer := httptest.NewRecorder()
	s.handler.ServeHTTP(answer, request)
	return answer
}

// publish asks for the next release of the open association's 2026.
func (s *system) publish(key, body string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.ask("registrar", http.MethodPost, statementsPath(open, ""), body, "Idempotency-Key", key)
}

func (s *system) published(key string) reports.Statement {
	s.t.Helper()
	answer := s.publish(key, `{"year":2026}`)
	if answer.Code != http.StatusCreated {
		s.t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	var statement reports.Statement
	if err := json.Unmarshal(answer.Body.Bytes(), &statement); err != nil {
		s.t.Fatal(err)
	}
	return statement
}

func (s *system) releases() []reports.StatementSummary {
	s.t.Helper()
	return read[httpapi.Page[reports.StatementSummary]](s, "board", statementsPath(open, "?limit=200")).Items
}

func TestStatement_ShowsWhatItWasMadeFrom(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	byRegistrar := won(32, open, "JPY", 500)
	byRegistrar.Attributions[0].Evidence = 2
	s.store(won(31, open, "JPY", 1000), byRegistrar, nil)
	got := s.published("k")

	hash := sha256.New()
	for _, payload := range *s.log {
		sum := sha256.Sum256(payload)
		hash.Write(sum[:])
	}
	if want := hex.EncodeToString(hash.Sum(nil)); got.LogHash != want || got.AsOfSequence != 3 {
		t.Errorf("hash %s at %d, want %s", got.LogHash, got.AsOfSequence, want)
	}
	figure := func(c reports.Cell, amount string, deals int) {
		t.Helper()
		if c.Hidden || c.Amount != amount || *c.Deals != deals {
			t.Errorf("%+v, want %s of %d deals", c, amount, deals)
		}
	}
	figure(got.Total, "1500", 2)
	if got.Coverage.QuarantinedEvents != 1 {
		t.Errorf("quarantined: %+v", got.Coverage)
	}
	if got.Association != (reports.Named{ID: open, Name: "Open Partners"}) || got.Release != 1 || got.Policy != "open" || got.Currency != "JPY" ||
		got.Cause != stream.Requested || got.Closed || got.Changes != nil || got.PreviousYear != nil || len(got.Definitions) == 0 {
		t.Errorf("%+v", got)
	}
	if latest := read[reports.Statement](s, "board", statementsPath(open, "/2026/latest")); latest.LogHash != got.LogHash || latest.Total.Amount != "1500" {
		t.Errorf("%+v", latest)
	}
	if list := s.releases(); len(list) != 1 || list[0].Release != 1 || list[0].Total.Amount != "1500" || list[0].Cause != stream.Requested {
		t.Errorf("%+v", list)
	}
}

func TestStatement_ShowsTheLargestPairsAndTheRest(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	var events []*dealregv1.DealEvent
	for i, pair := range [][2]deal.ID{{alpha, beta}, {alpha, gamma}, {beta, gamma}} {
		for _, association := range []deal.ID{open, guarded} {
			e := won(byte(31+len(events)), association, map[deal.ID]string{open: "JPY", guarded: "EUR"}[association], int64(1000-300*i))
			e.Attributions[0].Pairs[0].CompanyA, e.Attributions[0].Pairs[0].CompanyB = idBytes(pair[0]), idBytes(pair[1])
			events = append(events, e)
		}
	}
	s.store(events...)
	s.published("k")
	for query, want := range map[string]struct {
		pairs []string
		rest  *reports.RestOfPairs
	}{
		"":         {[]string{"1000", "700", "400"}, nil},
		"?limit=1": {[]string{"1000"}, &reports.RestOfPairs{Items: 2, Amount: "1100", Deals: 2}},
		"?limit=9": {[]string{"1000", "700", "400"}, &reports.RestOfPairs{Amount: "0"}},
	} {
		got := read[reports.Statement](s, "board", statementsPath(open, "/2026/1"+query))
		var amounts []string
		for _, p := range got.Pairs {
			amounts = append(amounts, p.Amount)
		}
		if !slices.Equal(amounts, want.pairs) || !reflect.DeepEqual(got.RestOfPairs, want.rest) || got.OtherPairs.Amount != "0" || got.Total.Amount != "2100" {
			t.Errorf("%q: %q, %+v", query, amounts, got)
		}
	}
	if sheet := s.get("board", statementsPath(open, "/2026/1?limit=1&format=csv")).Body.String(); !strings.Contains(sheet, ",Rest of pairs,2,1100,2") {
		t.Errorf("got %s", sheet)
	}
	for _, limit := range []string{"0", "1001", "x"} {
		if answer := s.get("board", statementsPath(open, "/2026/1?limit="+limit)); answer.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", limit, answer.Code)
		}
	}
}

func TestStatement_NeverChanges(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	s.store(won(31, open, "JPY", 1000))
	s.published("one")
	r1 := s.get("board", statementsPath(open, "/2026/1"))
	s.store(won(31, open, "JPY", 1000), won(32, open, "JPY", 500))
	s.clock.set(s.clock.now().Add(time.Hour))
	if r2 := s.published("two"); r2.Release != 2 || r2.Total.Amount != "1500" || r2.Changes == nil || r2.Changes.Amount != "500" || r2.Changes.SinceRelease != 1 {
		t.Errorf("%+v", r2)
	}
	// A process that knows nothing of what came before answers the same bytes.
	again := s.another().get("board", statementsPath(open, "/2026/1"))
	if !bytes.Equal(r1.Body.Bytes(), again.Body.Bytes()) || r1.Header().Get("ETag") != again.Header().Get("ETag") {
		t.Errorf("%s\nbecame\n%s", r1.Body, again.Body)
	}
	if caching := r1.Header().Get("Cache-Control"); !strings.Contains(caching, "immutable") || !strings.Contains(caching, "private") {
		t.Error(caching)
	}
	known := s.ask("board", http.MethodGet, statementsPath(open, "/2026/1"), "", "If-None-Match", r1.Header().Get("ETag"))
	if known.Code != http.StatusNotModified || known.Body.Len() > 0 {
		t.Errorf("%d %s", known.Code, known.Body)
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if answer := s.ask("operator", method, statementsPath(open, "/2026/1"), "{}"); answer.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", method, answer.Code)
		}
	}
}

func TestStatement_ThatIsNotWhatWasPublishedIsNotShown(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	s.store(won(31, open, "JPY", 1000))
	s.published("one")
	js, err := jetstream.New(s.nats)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.ObjectStore(t.Context(), stream.UploadsBucket)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := bucket.List(t.Context())
	if err != nil || len(objects) != 1 {
		t.Fatalf("%d objects, %v", len(objects), err)
	}
	content, err := bucket.GetBytes(t.Context(), objects[0].Name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.PutBytes(t.Context(), objects[0].Name, append(content, 0)); err != nil {
		t.Fatal(err)
	}
	if answer := s.get("board", statementsPath(open, "/2026/1")); answer.Code != http.StatusInternalServerError {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
}

func TestStatement_TwoProcessesMakeOneRelease(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	s.store(won(31, open, "JPY", 1000))
	var all sync.WaitGroup
	for range 4 {
		process := s.another()
		all.Go(func() {
			if err := process.service.Pass(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if list := s.releases(); len(list) != 1 || list[0].Cause != stream.Scheduled {
		t.Fatalf("%+v", list)
	}
	// Different requests come one behind the other, the same request once.
	created := make([]bool, 8)
	for i := range created {
		process := s.another()
		all.Go(func() {
			answer := process.publish(fmt.Sprintf("key %d", i/2), `{"year":2026}`)
			created[i] = answer.Code == http.StatusCreated
			if replayed := answer.Header().Get("Idempotency-Replayed"); answer.Code != http.StatusCreated && (answer.Code != http.StatusOK || replayed != "true") {
				t.Errorf("%d %s", answer.Code, answer.Body)
			}
		})
	}
	all.Wait()
	for i := 0; i < len(created); i += 2 {
		if created[i] == created[i+1] {
			t.Errorf("request %d was done twice or never", i/2)
		}
	}
	list := s.releases()
	slices.Reverse(list)
	if len(list) != 5 {
		t.Fatalf("%+v", list)
	}
	for i, r := range list {
		if r.Release != i+1 {
			t.Errorf("release %d stands at %d", r.Release, i)
		}
	}
	js, err := jetstream.New(s.nats)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.ObjectStore(t.Context(), stream.UploadsBucket)
	if err != nil {
		t.Fatal(err)
	}
	if objects, err := bucket.List(t.Context()); err != nil || len(objects) != 5 {
		t.Errorf("%d objects, %v: a release that lost left its object", len(objects), err)
	}
}

func TestPublish_IsDoneOnceForAKey(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	s.store(won(31, open, "JPY", 1000))
	first := s.publish("k", `{"year":2026}`)
	if want := statementsPath(open, "/2026/1"); first.Code != http.StatusCreated || first.Header().Get("Location") != want {
		t.Fatalf("%d %s", first.Code, first.Header())
	}
	again := s.publish("k", `{"year":2026}`)
	if again.Code != http.StatusOK || again.Header().Get("Idempotency-Replayed") != "true" || again.Body.String() != first.Body.String() {
		t.Errorf("%d %s", again.Code, again.Body)
	}
	for _, body := range []string{`{"year":2025}`, `{"year":2026,"reason":"x"}`} {
		if other := s.publish("k", body); other.Code != http.StatusUnprocessableEntity || !strings.Contains(other.Body.String(), "Idempotency-Key") {
			t.Errorf("%d %s", other.Code, other.Body)
		}
	}
	if future := s.publish("next", `{"year":2027}`); future.Code != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", future.Code, future.Body)
	}
	if keyless := s.ask("registrar", http.MethodPost, statementsPath(open, ""), `{"year":2026}`); keyless.Code != http.StatusUnprocessableEntity {
		t.Error(keyless.Code)
	}
	if list := s.releases(); len(list) != 1 {
		t.Errorf("%+v", list)
	}
}

func TestSchedule_CatchesUpOnceAndClosesTheYear(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t)) // the year of the association is July 2026 to June 2027
	s.store(won(31, open, "JPY", 1000))
	look := s.service.Scheduler()
	expect := func(when time.Time, want ...string) {
		t.Helper()
		s.clock.set(when)
		for range 2 { // a second look makes nothing
			if err := look(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, r := range s.releases() {
			got = append(got, fmt.Sprintf("%d r%d %s %t", r.Year, r.Release, r.Cause, r.Closed))
		}
		if !slices.Equal(got, want) {
			t.Fatalf("at %s: %q", when, got)
		}
	}
	day := func(year int, month time.Month, day, hour int) time.Time {
		return time.Date(year, month, day, hour, 0, 0, 0, time.UTC)
	}
	r1 := "2026 r1 scheduled false"
	expect(day(2026, 8, 1, 5)) // July 1 was the year's first day
	expect(day(2026, 8, 1, 6), r1)
	expect(day(2026, 9, 1, 5), r1)
	look = s.another().service.Scheduler() // nobody was there for months; then it starts
	r2 := "2026 r2 scheduled false"
	expect(day(2027, 2, 14, 0), r2, r1)
	s.clock.set(day(2027, 3, 1, 0))
	s.published("asked for")
	r3 := "2026 r3 requested false"
	r4 := "2026 r4 scheduled false"
	expect(day(2027, 3, 1, 6), r4, r3, r2, r1)
	look = s.another().service.Scheduler()
	r5 := "2026 r5 close true"
	expect(day(2029, 1, 1, 6), r5, r4, r3, r2, r1)

	for _, body := range []string{`{"year":2026}`, `{"year":2026,"reason":" "}`} {
		if answer := s.publish("restate"+body, body); answer.Code != http.StatusUnprocessableEntity || !strings.Contains(answer.Body.String(), "/reason") {
			t.Errorf("%s: %d %s", body, answer.Code, answer.Body)
		}
	}
	if answer := s.publish("restate", `{"year":2026,"reason":"a deal was won by others"}`); answer.Code != http.StatusCreated {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	restated := read[reports.Statement](s, "board", statementsPath(open, "/2026/latest"))
	if restated.Cause != stream.Restated || !restated.Closed || restated.Reason != "a deal was won by others" || restated.Release != 6 {
		t.Errorf("%+v", restated)
	}
}

func TestSchedule_MakesNothingOfNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	if err := s.service.Pass(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list := s.releases(); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	if answer := s.get("board", statementsPath(open, "/2026/latest")); answer.Code != http.StatusNotFound {
		t.Error(answer.Code)
	}
}

func TestRun_MakesWhatIsDueOnceTheEnginesAreThere(t *testing.T) {
	t.Parallel()
	dsn := warehousetest.DSN(t)
	w := warehousetest.Open(t, dsn)
	s := newSystem(t, w)
	rostertest.Run(t, s.service)
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	made, err := s.nats.SubscribeSync(stream.StatementSubject(open, 2026))
	if err != nil {
		t.Fatal(err)
	}
	s.store(won(31, open, "JPY", 1000))
	// What was empty when it was first looked at is looked at again for the next moment.
	s.clock.set(s.clock.now().AddDate(0, 1, 0))
	if _, err := made.NextMsg(2 * time.Minute); err != nil {
		t.Fatal(err)
	}
	s.until(func() bool { return len(s.releases()) > 0 })
}

func TestStatements_AreNotThereForThoseWhoMayNotSeeThem(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	s.store(won(31, open, "JPY", 1000))
	s.published("k")
	paths := []string{
		statementsPath(open, ""), statementsPath(open, "/2026/1"), statementsPath(open, "/2026/latest"),
		statementsPath(open, "/2026/1?format=csv"), statementsPath(open, "/2026/1/held-back"),
	}
	missing := s.get("registrar", statementsPath(id(99), "")).Body.String()
	for caller := range callers {
		reads := slices.Contains([]string{"operator", "registrar", "auditor", "auditor of all", "board"}, caller)
		audits := slices.Contains([]string{"operator", "auditor", "auditor of all"}, caller)
		for i, path := range paths {
			want := http.StatusNotFound
			if reads && i < 4 || audits {
				want = http.StatusOK
			}
			got := s.get(caller, path)
			if got.Code != want {
				t.Errorf("%s of %s: %d", caller, path, got.Code)
			}
			if got.Code == http.StatusNotFound && got.Body.String() != missing {
				t.Errorf("%s can tell: %s", caller, got.Body)
			}
		}
		want := http.StatusNotFound
		switch {
		case caller == "operator" || caller == "registrar":
			want = http.StatusCreated
		case reads:
			want = http.StatusForbidden
		}
		if got := s.ask(caller, http.MethodPost, statementsPath(open, ""), `{"year":2026}`, "Idempotency-Key", caller); got.Code != want {
			t.Errorf("%s publishes: %d", caller, got.Code)
		}
	}
	for _, rest := range []string{"/2026/0", "/2026/-1", "/2026/01", "/2026/9", "/2026/first", "/02026/1", "/x/1", "/2025/1", "/2025/latest", "/99999999999999999999/1"} {
		if answer := s.get("board", statementsPath(open, rest)); answer.Code != http.StatusNotFound {
			t.Errorf("%s: %d", rest, answer.Code)
		}
	}
}

func TestStatements_AreListedInPages(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	s.store(won(31, open, "JPY", 1000))
	for i := range 5 {
		s.published(fmt.Sprint(i))
	}
	var got []int
	for path := statementsPath(open, "?limit=2"); ; {
		page := read[httpapi.Page[reports.StatementSummary]](s, "auditor", path)
		for _, r := range page.Items {
			got = append(got, r.Release)
		}
		if page.NextCursor == "" {
			break
		}
		s.published("meanwhile " + page.NextCursor)
		path = statementsPath(open, "?limit=2&cursor="+page.NextCursor)
	}
	if !slices.Equal(got, []int{5, 4, 3, 2, 1}) {
		t.Error(got)
	}
	if answer := s.get("board", statementsPath(open, "?cursor=LTE")); answer.Code != http.StatusUnprocessableEntity {
		t.Error(answer.Code)
	}
}

// exported is what an export says: the rows of each table by the names of its columns.
type exported map[string][]map[string]string

func readCSV(t *testing.T, body []byte) exported {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	result := exported{}
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, value := range record {
			row[records[0][i]] = value
		}
		result[row["table"]] = append(result[row["table"]], row)
	}
	return result
}

func readXLSX(t *testing.T, body []byte) exported {
	t.Helper()
	file, err := excelize.OpenReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	result := exported{}
	for _, sheet := range file.GetSheetList() {
		panes, err := file.GetPanes(sheet)
		if err != nil || !panes.Freeze || panes.YSplit != 1 {
			t.Errorf("the header of %s does not stay in sight: %+v, %v", sheet, panes, err)
		}
		rows, err := file.GetRows(sheet, excelize.Options{RawCellValue: true})
		if err != nil {
			t.Fatal(err)
		}
		for i, cells := range rows[1:] {
			row := map[string]string{}
			for j, value := range cells {
				name := strings.ReplaceAll(strings.ToLower(rows[0][j]), " ", "_")
				row[name] = value
				where, _ := excelize.CoordinatesToCellName(j+1, i+2)
				kind, err := file.GetCellType(sheet, where)
				if err != nil {
					t.Fatal(err)
				}
				figure := strings.HasPrefix(name, "amount") || strings.HasPrefix(name, "deals") || name == "unconverted_deals" || name == "attested_by_parties"
				if number := kind == excelize.CellTypeNumber || kind == excelize.CellTypeUnset; value != "" && value != "hidden" && figure && !number {
					t.Errorf("%s!%s is no number: %q", sheet, where, value)
				}
			}
			result[strings.ToLower(sheet)] = append(result[strings.ToLower(sheet)], row)
		}
	}
	return result
}

func TestExports_HoldTheFiguresOfTheAPI(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	s.store(won(31, open, "JPY", 1000), won(32, open, "JPY", 899_999_999_999_999), won(33, guarded, "EUR", 12_345_678), won(34, guarded, "EUR", 5))
	s.published("one")
	for _, c := range []struct {
		caller, path, table string
		key                 string
	}{
		{"board", statementsPath(open, "/2026/1"), "months", "month"},
		{"board", statementsPath(open, "/2026/1"), "chapters", "chapter"},
		{"board", statementsPath(open, "/2026/1"), "pairs", "company"},
		{"registrar", volumePath(open, "&by=month"), "months", "month"},
		{"registrar", volumePath(open, "&by=pair"), "pairs", "company"},
		{"guarded registrar", volumePath(guarded, "&by=chapter"), "chapters", "chapter"},
		{"guarded registrar", volumePath(guarded, "&by=total"), "", ""},
	} {
		asJSON := read[map[string]any](s, c.caller, c.path)
		asCSV := s.ask(c.caller, http.MethodGet, c.path, "", "Accept", "text/csv;q=0.9, text/html")
		asXLSX := s.ask(c.caller, http.MethodGet, c.path, "", "Accept", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
		if kind := asCSV.Header().Get("Content-Type"); !strings.HasPrefix(kind, "text/csv") {
			t.Fatalf("%s: %s %s", c.path, kind, asCSV.Body)
		}
		if name := asXLSX.Header().Get("Content-Disposition"); !strings.HasPrefix(name, "attachment; filename=") || !strings.HasSuffix(name, ".xlsx") {
			t.Error(name)
		}
		fromCSV, fromXLSX := readCSV(t, asCSV.Body.Bytes()), readXLSX(t, asXLSX.Body.Bytes())
		total := asJSON["total"].(map[string]any)
		for name, got := range map[string]exported{"CSV": fromCSV, "XLSX": fromXLSX} {
			i := slices.IndexFunc(got["summary"], func(row map[string]string) bool { return row["figure"] == "Total" })
			if i < 0 || !sameFigure(got["summary"][i], total) {
				t.Errorf("%s of %s: total %v, want %v", name, c.path, got["summary"], total)
			}
			if len(got["definitions"]) == 0 {
				t.Errorf("%s of %s defines nothing", name, c.path)
			}
			items, _ := asJSON["items"].([]any)
			if items == nil {
				items, _ = asJSON[c.table].([]any)
			}
			if len(got[c.table]) != len(items) || c.table != "" && len(items) == 0 {
				t.Errorf("%s of %s: %d rows of %d", name, c.path, len(got[c.table]), len(items))
				continue
			}
			for i, item := range items {
				if item := item.(map[string]any); !sameFigure(got[c.table][i], item) || got[c.table][i][c.key] == "" {
					t.Errorf("%s of %s: %v, want %v", name, c.path, got[c.table][i], item)
				}
			}
		}
	}
	if byLink := s.get("board", statementsPath(open, "/2026/1?format=csv")); byLink.Header().Get("Content-Disposition") != "attachment; filename=open-partners-2026-r1.csv" {
		t.Error(byLink.Header())
	}
}

// sheets are the CSV and the XLSX of a statement.
func (s *system) sheets(caller, path string) map[string]exported {
	s.t.Helper()
	return map[string]exported{
		"CSV":  readCSV(s.t, s.get(caller, path+"?format=csv").Body.Bytes()),
		"XLSX": readXLSX(s.t, s.get(caller, path+"?format=xlsx").Body.Bytes()),
	}
}

// summaryRow finds a line of the first table; nil when there is none.
func (e exported) summaryRow(figure string) map[string]string {
	if i := slices.IndexFunc(e["summary"], func(row map[string]string) bool { return row["figure"] == figure }); i >= 0 {
		return e["summary"][i]
	}
	return nil
}

func TestExports_ShowGrowthWithItsDecimal(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	before := won(31, open, "JPY", 1000)
	before.Attributions[0].Year, before.Attributions[0].Month = 2025, int32(calendar.New(2025, 8, 1))
	s.store(before, won(32, open, "JPY", 1125))
	s.clock.set(time.Date(2027, 8, 1, 12, 0, 0, 0, time.UTC)) // both years are over
	if answer := s.publish("before", `{"year":2025}`); answer.Code != http.StatusCreated {
		t.Fatal(answer.Body)
	}
	if got := s.published("after").GrowthPercent; got != "12.5" {
		t.Fatal(got)
	}
	path := statementsPath(open, "/2026/1")
	for form, sheets := range s.sheets("board", path) {
		if row := sheets.summaryRow("Growth percent"); row["value"] != "12.5" {
			t.Errorf("%s: %v", form, row)
		}
	}
	file, err := excelize.OpenReader(s.get("board", path+"?format=xlsx").Body)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	rows, err := file.GetRows("Summary") // as a spreadsheet shows it
	if err != nil || !slices.ContainsFunc(rows, func(row []string) bool { return row[0] == "Growth percent" && row[1] == "12.5" }) {
		t.Errorf("%v, %v", rows, err)
	}
}

func TestExports_HoldEveryFigureOfAGuardedStatement(t *testing.T) {
	t.Parallel()
	h := newHistory(t, roster.DisclosureGuarded, roster.DisclosureGuarded)
	association := h.work.Associations[0].ID
	// Deals of strangers, most of them in three months and chapters, and hardly any in two others.
	grow := func(year, from, to int) {
		var payloads [][]byte
		for i := from; i < to; i++ {
			e := won(byte(i), association, "EUR", int64(1_000_000+1000*i))
			a, b, where := deal.ID{0: 1, 15: byte(i)}, deal.ID{0: 2, 15: byte(i)}, 1+i%3
			if i%40 < 2 {
				where = 4 + i%40
			}
			if i%4 == 3 { // of companies that waived
				a, b = h.work.Companies[i%3], h.work.Companies[3+i%3]
			}
			e.Deal.Terms = &dealregv1.Terms{Parties: []*dealregv1.Party{{CompanyId: idBytes(a)}, {CompanyId: idBytes(b)}}}
			counts := e.Attributions[0]
			counts.Year, counts.Month = int32(year), int32(calendar.New(year, time.Month(where), 1))
			counts.Chapters[0].ChapterId = idBytes(id(byte(where)))
			counts.Pairs[0].CompanyA, counts.Pairs[0].CompanyB = idBytes(a), idBytes(b)
			payload, err := proto.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			payloads = append(payloads, payload)
		}
		h.append(payloads...)
		h.release(year)
	}
	grow(2025, 0, 40)
	grow(2026, 40, 80)
	grow(2026, 80, 120)
	path := statementsPath(association, "/2026/latest")
	want := read[reports.Statement](h.system, "auditor of all", path)
	for form, got := range h.sheets("auditor of all", path) {
		cell := func(what string, row map[string]string, suffix string, want reports.Cell) {
			t.Helper()
			amount, deals := "hidden", "hidden"
			if !want.Hidden {
				amount, deals = want.Amount, fmt.Sprint(*want.Deals)
			}
			if !sameNumber(row["amount"+suffix], amount) || !sameNumber(row["deals"+suffix], deals) {
				t.Errorf("%s, %s: %v, want %+v", form, what, row, want)
			}
		}
		fact := func(name, value string) {
			t.Helper()
			if row := got.summaryRow(name); row == nil || !sameNumber(row["value"], value) {
				t.Errorf("%s, %s: %v, want %s", form, name, row, value)
			}
		}
		cell("total", got.summaryRow("Total"), "", want.Total)
		cell("parties", got.summaryRow("Attested by parties"), "", want.AttestedByParties)
		cell("registrar", got.summaryRow("Attested by registrar"), "", want.AttestedByRegistrar)
		cell("other pairs", got.summaryRow("Other pairs"), "", want.OtherPairs)
		cell("changes", got.summaryRow("Changes"), "", want.Changes.Cell)
		cell("previous year", got.summaryRow("Previous year"), "", want.PreviousYear.Total)
		fact("Growth percent", want.GrowthPercent)
		fact("Members taking part", fmt.Sprint(want.Members.TakingPart))
		fact("Members", fmt.Sprint(want.Members.Of))
		fact("Quarantined events", fmt.Sprint(want.Coverage.QuarantinedEvents))
		unconverted := "hidden"
		if n := want.Coverage.UnconvertedDeals; n != nil {
			unconverted = fmt.Sprint(*n)
		}
		fact("Unconverted deals", unconverted)
		var leftOut []string
		for _, row := range got["summary"] {
			if row["figure"] == "Left out" {
				leftOut = append(leftOut, row["value"])
			}
		}
		if !slices.Equal(leftOut, want.LeftOut) && len(leftOut)+len(want.LeftOut) > 0 {
			t.Errorf("%s leaves out %v, want %v", form, leftOut, want.LeftOut)
		}
		if len(got["months"]) != len(want.Months) || len(got["chapters"]) != len(want.Chapters) || len(got["pairs"]) != len(want.Pairs) {
			t.Fatalf("%s: %d months, %d chapters, %d pairs", form, len(got["months"]), len(got["chapters"]), len(got["pairs"]))
		}
		for i, c := range want.Months {
			cell(c.Month, got["months"][i], "", c.Cell)
			if i < len(want.PreviousYear.Months) {
				cell(c.Month+", year before", got["months"][i], "_before", want.PreviousYear.Months[i].Cell)
			}
		}
		for i, c := range want.Chapters {
			cell(c.Chapter.Name, got["chapters"][i], "", c.Cell)
		}
		for i, c := range want.Pairs {
			cell(c.Companies[0].Name, got["pairs"][i], "", c.Cell)
		}
	}
	if limited := read[reports.Statement](h.system, "auditor of all", path+"?limit=1"); !reflect.DeepEqual(limited, want) {
		t.Errorf("a limit divides the pairs of a guarded release: %+v", limited.Pairs)
	}
	if !want.Months[4].Hidden || !slices.ContainsFunc(want.Chapters, func(c reports.ChapterCell) bool { return c.Hidden }) || len(want.Pairs) == 0 {
		t.Errorf("nothing is hidden, or there are no pairs: %+v", want)
	}
}

// sameNumber compares numbers, of which a spreadsheet forgets how many decimals they were written with, and texts.
func sameNumber(got, want string) bool {
	x, ok := new(big.Rat).SetString(got)
	y, too := new(big.Rat).SetString(want)
	return got == want || ok && too && x.Cmp(y) == 0
}

// sameFigure compares numbers, of which a spreadsheet forgets how many decimals they were written with.
func sameFigure(row map[string]string, item map[string]any) bool {
	for name, want := range item {
		got, there := row[name]
		if _, id := want.(map[string]any); !there || id {
			continue
		}
		if x, ok := new(big.Rat).SetString(fmt.Sprint(want)); ok {
			if y, ok := new(big.Rat).SetString(got); !ok || x.Cmp(y) != 0 {
				return false
			}
		} else if got != fmt.Sprint(want) {
			return false
		}
	}
	return row["amount"] != "" && row["deals"] != ""
}

func TestExports_WriteAmountsThatASpreadsheetWouldRoundAsText(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	s.store(won(31, guarded, "EUR", 999_999_999_999_999), won(32, guarded, "EUR", 999_999_999_999_999))
	answer := s.ask("guarded registrar", http.MethodGet, volumePath(guarded, "&format=xlsx"), "")
	file, err := excelize.OpenReader(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	rows, err := file.GetRows("Summary", excelize.Options{RawCellValue: true})
	if err != nil || !slices.ContainsFunc(rows, func(row []string) bool { return len(row) > 2 && row[2] == "19999999999999.98" }) {
		t.Errorf("%v, %v", rows, err)
	}
}

func TestExports_TakeNoNameForAFormula(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	for i, name := range []string{`=HYPERLINK("http://x.example","Alpha")`, "@SUM(A1)"} {
		company := []deal.ID{alpha, beta}[i]
		old, _ := s.roster.Company(company)
		revision, err := s.directory.PutCompany(t.Context(), roster.Company{ID: company, Name: name, Country: "DE", Revision: old.Revision})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.roster.WaitFor(t.Context(), roster.Companies, revision); err != nil {
			t.Fatal(err)
		}
	}
	s.store(won(31, open, "JPY", 1000))
	s.published("one")
	for _, path := range []string{statementsPath(open, "/2026/1?format="), volumePath(open, "&by=pair&format=")} {
		for _, row := range [][]map[string]string{
			readCSV(t, s.get("registrar", path+"csv").Body.Bytes())["pairs"], readXLSX(t, s.get("registrar", path+"xlsx").Body.Bytes())["pairs"],
		} {
			if len(row) != 1 || row[0]["company"] != `'=HYPERLINK("http://x.example","Alpha")` || row[0]["partner"] != "'@SUM(A1)" {
				t.Errorf("%s: %v", path, row)
			}
		}
	}
	if got := read[reports.Statement](s, "board", statementsPath(open, "/2026/1")); got.Pairs[0].Companies[1].Name != "@SUM(A1)" {
		t.Errorf("JSON needs no protection: %+v", got.Pairs)
	}
}
