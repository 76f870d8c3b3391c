package reports_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/disclosuretest"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
	"github.com/dealreg/dealreg/services/reports"
)

func TestMain(m *testing.M) { os.Exit(embeddedtest.Main(m)) }

var (
	start   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	open    = id(1) // an association whose board sees all; its year starts in July, its currency has no decimals
	guarded = id(2)
	north   = id(11)
	alpha   = id(21)
	beta    = id(22)
	gamma   = id(23)

	callers = map[string]roster.Principal{
		"operator":          {Role: roster.RoleOperator},
		"registrar":         {Role: roster.RoleRegistrar, Association: open},
		"other registrar":   {Role: roster.RoleRegistrar, Association: guarded},
		"auditor":           {Role: roster.RoleAuditor, Association: open},
		"auditor of all":    {Role: roster.RoleAuditor},
		"board":             {Role: roster.RoleBoard, Association: open},
		"guarded board":     {Role: roster.RoleBoard, Association: guarded},
		"board of world 0":  {Role: roster.RoleBoard, Association: disclosuretest.ID(disclosuretest.Association, 0)},
		"board of world 1":  {Role: roster.RoleBoard, Association: disclosuretest.ID(disclosuretest.Association, 1)},
		"guarded registrar": {Role: roster.RoleRegistrar, Association: guarded},
		"member":            {Role: roster.RoleMember, Company: alpha},
		"company admin":     {Role: roster.RoleCompanyAdmin, Company: alpha},
		"partner":           {Role: roster.RoleMember, Company: beta},
	}
)

func id(n byte) deal.ID { return deal.ID{0: 0xd0, 6: 0x70, 8: 0x80, 15: n} }

type system struct {
	t         *testing.T
	handler   http.Handler
	warehouse *warehouse.Warehouse
	nats      *nats.Conn
	directory *roster.Store
	roster    *roster.Roster
	clock     *clock
	health    *lifecycle.Health
	service   *reports.Service
	log       *[][]byte // the payloads of all events
}

// clock shows the time that a test sets.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

func newSystem(t *testing.T, w *warehouse.Warehouse) *system {
	t.Helper()
	store, directory := rostertest.New(t)
	records := embeddedtest.NATS(t)
	js, err := jetstream.New(records)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Ensure(t.Context(), js, 1); err != nil {
		t.Fatal(err)
	}
	var revision uint64
	put := func(r uint64, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		revision = r
	}
	put(store.PutAssociation(t.Context(), roster.Association{
		ID: open, Name: "Open Partners", TimeZone: "UTC", YearStartsIn: 7, ReportingCurrency: "JPY", Disclosure: roster.DisclosureOpen,
	}))
	put(store.PutAssociation(t.Context(), roster.Association{
		ID: guarded, Name: "Guarded Partners", TimeZone: "UTC", YearStartsIn: 1, ReportingCurrency: "EUR", Disclosure: roster.DisclosureGuarded,
	}))
	seen := func(b roster.Bucket) {
		t.Helper()
		if err := directory.WaitFor(t.Context(), b, revision); err != nil {
			t.Fatal(err)
		}
	}
	seen(roster.Associations)
	put(store.PutChapter(t.Context(), roster.Chapter{ID: north, AssociationID: open, Name: "North"}))
	seen(roster.Chapters)
	put(store.PutCompany(t.Context(), roster.Company{ID: alpha, Name: "Alpha", Country: "DE"}))
	put(store.PutCompany(t.Context(), roster.Company{ID: beta, Name: "Beta", Country: "DE"}))
	seen(roster.Companies)

	return (&system{
		t: t, warehouse: w, nats: records, directory: store, roster: directory, log: new([][]byte), clock: &clock{at: start.AddDate(0, 7, 0)}, health: lifecycle.NewHealth(),
	}).another()
}

// another is one more process beside the same engines.
func (s *system) another() *system {
	s.t.Helper()
	other := *s
	var err error
	other.service, err = reports.New(reports.Config{
		Warehouse: s.warehouse, NATS: s.nats, Roster: s.roster, Now: s.clock.now, Health: s.health, CheckEvery: 10 * time.Millisecond,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	server := httpapi.New(httpapi.Config{Authenticate: func(token string) (roster.Principal, error) { return callers[token], nil }})
	other.service.Routes(server.API)
	other.handler = server.Handler()
	return &other
}

// won is the event of a deal between alpha and beta in 2026-08, which both attested.
func won(d byte, association deal.ID, currency string, minor int64) *dealregv1.DealEvent {
	a, b, chapter := alpha, beta, north
	return &dealregv1.DealEvent{
		Schema: 1, DealId: idBytes(id(d)), Revision: 1, At: timestamppb.New(start.Add(time.Duration(d) * time.Minute)),
		Deal: &dealregv1.Deal{
			Status: dealregv1.Status_STATUS_WON, RegisteredBy: a[:],
			Terms: &dealregv1.Terms{Parties: []*dealregv1.Party{{CompanyId: a[:]}, {CompanyId: b[:]}}},
		},
		Attributions: []*dealregv1.Attribution{{
			AssociationId: association[:], Year: 2026, Month: int32(calendar.New(2026, 8, 1)), Currency: currency, AmountMinor: minor,
			Evidence: dealregv1.Evidence_EVIDENCE_PARTIES,
			Chapters: []*dealregv1.ChapterAmount{{ChapterId: chapter[:], AmountMinor: minor}},
			Pairs:    []*dealregv1.PairAmount{{CompanyA: a[:], CompanyB: b[:], AmountMinor: minor}},
		}},
	}
}

func idBytes(id deal.ID) []byte { return id[:] }

// store puts events behind each other, beginning at sequence 1. A nil event is one that cannot be read.
func (s *system) store(events ...*dealregv1.DealEvent) {
	s.t.Helper()
	var batch warehouse.Batch
	var payloads [][]byte
	for i, e := range events {
		payload := []byte("\xff")
		if e != nil {
			var err error
			if payload, err = proto.Marshal(e); err != nil {
				s.t.Fatal(err)
			}
		}
		if err := batch.Append(uint64(i)+1, start, payload); err != nil {
			s.t.Fatal(err)
		}
		payloads = append(payloads, payload)
	}
	*s.log = payloads
	if err := s.warehouse.Insert(s.t.Context(), &batch); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) get(caller, path string) *httptest.ResponseRecorder {
	s.t.Helper()
	request := httptest.NewRequestWithContext(s.t.Context(), http.MethodGet, path, nil)
	request.Header.Set("Authorization", "Bearer "+caller)
	answer := httptest.NewRecorder()
	s.handler.ServeHTTP(answer, request)
	return answer
}

// read gets a report that must be answered.
func read[R any](s *system, caller, path string) R {
	s.t.Helper()
	answer := s.get(caller, path)
	var report R
	if answer.Code != http.StatusOK {
		s.t.Fatalf("%s as %s: %d %s", path, caller, answer.Code, answer.Body)
	}
	if err := json.Unmarshal(answer.Body.Bytes(), &report); err != nil {
		s.t.Fatal(err)
	}
	return report
}

func volumePath(association deal.ID, query string) string {
	return "/v1/associations/" + association.String() + "/volume?year=2026" + query
}

func TestVolume_ShowsTheLargestAndTheRest(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	other := won(33, open, "JPY", 400)
	other.Attributions[0].Pairs[0].CompanyB = idBytes(gamma)
	third := won(34, open, "JPY", 300)
	third.Attributions[0].Pairs[0].CompanyA, third.Attributions[0].Pairs[0].CompanyB = idBytes(beta), idBytes(gamma)
	s.store(won(31, open, "JPY", 1000), other, third)
	sums := func(amount string, deals int64) reports.Sums {
		return reports.Sums{Amount: amount, Deals: deals, AttestedByParties: amount}
	}
	for query, want := range map[string]struct {
		items []string
		rest  *reports.Rest
	}{
		"&by=pair":                                   {[]string{"1000", "400", "300"}, nil},
		"&by=pair&limit=1":                           {[]string{"1000"}, &reports.Rest{Items: 2, Sums: sums("700", 2)}},
		"&by=pair&limit=3":                           {[]string{"1000", "400", "300"}, &reports.Rest{Sums: sums("0", 0)}},
		"&by=chapter&limit=1":                        {[]string{"1700"}, &reports.Rest{Sums: sums("0", 0)}},
		"&by=pair&company=" + gamma.String():         {[]string{"400", "300"}, nil},
		"&by=pair&limit=1&company=" + gamma.String(): {[]string{"400"}, &reports.Rest{Items: 1, Sums: sums("300", 1)}},
		"&by=pair&limit=1&company=" + north.String(): {nil, &reports.Rest{Sums: sums("0", 0)}},
	} {
		got := read[reports.VolumeReport](s, "board", volumePath(open, query))
		var amounts []string
		for _, item := range got.Items {
			amounts = append(amounts, item.Amount)
		}
		if !slices.Equal(amounts, want.items) || !reflect.DeepEqual(got.Rest, want.rest) || got.Total != sums("1700", 3) {
			t.Errorf("%s: %+v", query, got)
		}
		if strings.Contains(query, "pair") && got.Companies != 3 {
			t.Errorf("%s: %d companies", query, got.Companies)
		}
	}
	for _, query := range []string{"&limit=1", "&by=month&limit=1", "&by=pair&limit=0", "&by=pair&limit=1001", "&by=chapter&company=" + alpha.String()} {
		if answer := s.get("board", volumePath(open, query)); answer.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", query, answer.Code)
		}
	}
	if sheet := s.get("board", volumePath(open, "&by=pair&limit=1&format=csv")).Body.String(); !strings.Contains(sheet, "\nsummary,JPY,Rest,2,700,2,700,0,") {
		t.Errorf("got %s", sheet)
	}
}

func TestVolume_ShowsEachCutWithNames(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	unknown := won(33, open, "JPY", 400)
	unknown.Attributions[0].Pairs[0].CompanyB = idBytes(gamma)
	s.store(won(31, open, "JPY", 1000), unknown, nil)

	total := read[reports.VolumeReport](s, "registrar", volumePath(open, ""))
	if want := (reports.Sums{Amount: "1400", Deals: 2, AttestedByParties: "1400"}); total.Total != want {
		t.Errorf("got %+v", total.Total)
	}
	if total.AsOfSequence != 3 || total.QuarantinedEvents != 1 || total.Currency != "JPY" || total.AsOf.AsOf.IsZero() {
		t.Errorf("got %+v", total)
	}
	if len(total.Items) != 0 || total.PreviousYear.Amount != "0" {
		t.Errorf("got %+v", total)
	}
	next := read[reports.VolumeReport](s, "registrar", strings.Replace(volumePath(open, ""), "2026", "2027", 1))
	if next.PreviousYear == nil || *next.PreviousYear != total.Total {
		t.Errorf("got %+v", next)
	}

	chapters := read[reports.VolumeReport](s, "registrar", volumePath(open, "&by=chapter")).Items
	if len(chapters) != 1 || *chapters[0].Chapter != (reports.Named{ID: north, Name: "North"}) || chapters[0].Amount != "1400" {
		t.Errorf("got %+v", chapters)
	}
	pairs := read[reports.VolumeReport](s, "registrar", volumePath(open, "&by=pair")).Items
	if len(pairs) != 2 || pairs[0].Companies[0].Name != "Alpha" || pairs[0].Companies[1].Name != "Beta" ||
		pairs[0].Amount != "1000" || pairs[1].Companies[1] != (reports.Named{ID: gamma}) {
		t.Errorf("got %+v", pairs)
	}
	months := read[reports.VolumeReport](s, "registrar", volumePath(open, "&by=month")).Items
	if len(months) != 12 || months[0].Month != "2026-07" || months[11].Month != "2027-06" ||
		months[1].Amount != "1400" || months[0].Amount != "0" {
		t.Errorf("got %+v", months)
	}
}

func TestVolume_AsOfASequenceIsTheSumThen(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	s.store(won(31, open, "JPY", 1000), won(32, open, "JPY", 500))
	then := read[reports.VolumeReport](s, "auditor", volumePath(open, "&as_of_sequence=1"))
	if then.Total.Amount != "1000" || then.AsOfSequence != 1 || !then.AsOf.AsOf.Equal(start.Add(31*time.Minute)) {
		t.Errorf("got %+v", then)
	}
	later := s.get("auditor", volumePath(open, "&as_of_sequence=3"))
	if later.Code != http.StatusServiceUnavailable || later.Header().Get("Retry-After") != "1" {
		t.Errorf("%d %v", later.Code, later.Header())
	}
}

func TestVolume_OfNothingIsNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	got := read[reports.VolumeReport](s, "guarded registrar", volumePath(guarded, "&by=pair"))
	if got.Total != (reports.Sums{Amount: "0.00", AttestedByParties: "0.00"}) || got.Items == nil || got.AsOfSequence != 0 || got.Currency != "EUR" {
		t.Errorf("got %+v", got)
	}
}

func TestVolume_IsNotThereForThoseWhoMayNotSeeIt(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	missing := s.get("registrar", volumePath(id(99), "")).Body.String()
	for caller, want := range map[string][2]int{
		"operator":          {http.StatusOK, http.StatusOK},
		"registrar":         {http.StatusOK, http.StatusNotFound},
		"guarded registrar": {http.StatusNotFound, http.StatusOK},
		"auditor":           {http.StatusOK, http.StatusNotFound},
		"auditor of all":    {http.StatusOK, http.StatusOK},
		"board":             {http.StatusOK, http.StatusNotFound},
		"guarded board":     {http.StatusNotFound, http.StatusNotFound},
		"member":            {http.StatusNotFound, http.StatusNotFound},
		"company admin":     {http.StatusNotFound, http.StatusNotFound},
		"nobody":            {http.StatusNotFound, http.StatusNotFound},
	} {
		for i, association := range []deal.ID{open, guarded} {
			got := s.get(caller, volumePath(association, ""))
			if got.Code != want[i] {
				t.Errorf("%s of association %d: %d", caller, i, got.Code)
			}
			if got.Code == http.StatusNotFound && got.Body.String() != missing {
				t.Errorf("%s can tell: %s", caller, got.Body)
			}
		}
	}
}

// A board that is let see everything from 2027 on sees 2026 by releases only, in no form and in no figure beside another.
func TestVolume_OfAYearThatBeganUnderAPromiseStaysUnderIt(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	next := won(32, guarded, "EUR", 300)
	next.Attributions[0].Year, next.Attributions[0].Month = 2027, int32(calendar.New(2027, 1, 1))
	s.store(won(31, guarded, "EUR", 100), next)
	before, _ := s.roster.Association(guarded)
	after := before
	after.Disclosure = roster.DisclosureOpen
	revision, err := s.directory.PutAssociation(t.Context(), after.Succeeding(before, calendar.New(2026, 12, 29), true))
	if err == nil {
		err = s.roster.WaitFor(t.Context(), roster.Associations, revision)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, report := range []string{"volume", "participation"} {
		for year, want := range map[int]int{2026: http.StatusNotFound, 2027: http.StatusOK} {
			path := fmt.Sprintf("/v1/associations/%s/%s?year=%d", guarded, report, year)
			if got := s.get("guarded board", path).Code; got != want {
				t.Errorf("%s: %d", path, got)
			}
			if got := s.get("guarded registrar", path).Code; got != http.StatusOK {
				t.Errorf("%s as the registrar: %d", path, got)
			}
		}
	}
	path := strings.Replace(volumePath(guarded, "&by=month"), "2026", "2027", 1)
	if got := read[reports.VolumeReport](s, "guarded board", path); got.PreviousYear != nil || got.Total.Amount != "3.00" {
		t.Errorf("the board sees %+v and before %+v", got.Total, got.PreviousYear)
	}
	if sheet := s.get("guarded board", path+"&format=csv").Body.String(); strings.Contains(sheet, "Previous year") || !strings.Contains(sheet, "3.00") {
		t.Errorf("the board's spreadsheet is %s", sheet)
	}
	if got := read[reports.VolumeReport](s, "guarded registrar", path); got.PreviousYear == nil || got.PreviousYear.Amount != "1.00" {
		t.Errorf("the registrar sees before %+v", got.PreviousYear)
	}
}

func TestVolume_OfAllTogetherCountsEachShareOnce(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	inBoth := won(31, open, "JPY", 160_00)
	inBoth.Attributions = append(inBoth.Attributions, won(31, guarded, "EUR", 100_00).Attributions...)
	inBoth.Unduplicated = &dealregv1.Attribution{
		Year: 2026, Month: int32(calendar.New(2026, 8, 1)), Currency: "EUR", AmountMinor: 100_00, Evidence: dealregv1.Evidence_EVIDENCE_PARTIES,
	}
	waiting := won(32, guarded, "EUR", 500)
	waiting.Unduplicated = &dealregv1.Attribution{
		Year: 2026, Month: int32(calendar.New(2026, 8, 1)), Currency: "EUR", Withheld: dealregv1.Withheld_WITHHELD_UNCONVERTED,
	}
	s.store(inBoth, waiting)
	got := read[reports.TogetherReport](s, "auditor of all", "/v1/volume?year=2026&by=month")
	want := reports.Sums{Amount: "100.00", Deals: 1, AttestedByParties: "100.00", UnconvertedDeals: 1}
	if got.Total != want || got.Scope != "all associations, unduplicated" || got.Currency != "EUR" || got.Year != 2026 || got.AsOfSequence != 2 {
		t.Errorf("got %+v", got)
	}
	if len(got.Items) != 12 || got.Items[0].Month != "2026-01" || got.Items[7].Sums != want || got.Items[8].Amount != "0.00" {
		t.Errorf("got %+v", got.Items)
	}
	next := read[reports.TogetherReport](s, "operator", "/v1/volume?year=2027&as_of_sequence=1")
	if next.Total.Amount != "0.00" || next.PreviousYear.UnconvertedDeals != 0 || next.PreviousYear.Deals != 1 || next.Items == nil {
		t.Errorf("got %+v", next)
	}
	if answer := s.get("operator", "/v1/volume?year=2026"); strings.Contains(answer.Body.String(), "association_id") {
		t.Error(answer.Body)
	}
	for caller := range callers {
		code, wanted := s.get(caller, "/v1/volume?year=2026").Code, http.StatusNotFound
		if caller == "operator" || caller == "auditor of all" {
			wanted = http.StatusOK
		}
		if code != wanted {
			t.Errorf("%s: %d", caller, code)
		}
	}
	for _, query := range []string{"", "?year=2026&by=pair", "?year=2026&by=chapter"} {
		if code := s.get("operator", "/v1/volume"+query).Code; code != http.StatusUnprocessableEntity {
			t.Errorf("%q: %d", query, code)
		}
	}
}

func TestCompanyVolume_IsForTheCompanyAlone(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	s.store(won(31, open, "JPY", 1000), won(32, guarded, "EUR", 500))
	path := "/v1/companies/" + alpha.String() + "/volume?year=2026"
	got := read[reports.CompanyReport](s, "member", path)
	if len(got.Associations) != 2 || got.Associations[0].Association.Name != "Open Partners" ||
		got.Associations[0].Items[0].Partner != (reports.Named{ID: beta, Name: "Beta"}) ||
		got.Associations[0].Items[0].Amount != "1000" || got.Associations[0].Total != (reports.Sums{Amount: "1000", Deals: 1, AttestedByParties: "1000"}) || got.Associations[1].Items[0].Amount != "5.00" {
		t.Errorf("got %+v", got)
	}
	for caller, want := range map[string]int{
		"company admin": http.StatusOK, "operator": http.StatusOK,
		"partner": http.StatusNotFound, "registrar": http.StatusNotFound, "board": http.StatusNotFound, "auditor of all": http.StatusNotFound,
	} {
		if code := s.get(caller, path).Code; code != want {
			t.Errorf("%s: %d", caller, code)
		}
	}
}

func TestVolume_RefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	s := newSystem(t, warehousetest.New(t))
	for _, query := range []string{"", "?year=x", "?year=2026&by=customer", "?year=2026&as_of_sequence=-1", "?year=2026&from=3"} {
		if code := s.get("registrar", "/v1/associations/"+open.String()+"/volume"+query).Code; code != http.StatusUnprocessableEntity {
			t.Errorf("%q: %d", query, code)
		}
	}
}

func TestVolume_NeverShowsAPrefixWithAHole(t *testing.T) {
	t.Parallel()
	dsn := warehousetest.DSN(t)
	w := warehousetest.Open(t, dsn)
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := newSystem(t, w)
	warehousetest.Exec(t, dsn, "INSERT INTO deal_events (seq) VALUES (1), (3)")
	if code := s.get("registrar", volumePath(open, "")).Code; code != http.StatusServiceUnavailable {
		t.Error(code)
	}
	if code := s.get("registrar", volumePath(open, "&as_of_sequence=1")).Code; code != http.StatusOK {
		t.Error(code)
	}
	if code := s.get("registrar", volumePath(open, "&as_of_sequence=2")).Code; code != http.StatusServiceUnavailable {
		t.Error(code)
	}
}

func TestVolume_AsksToTryAgainWhileTheWarehouseIsAway(t *testing.T) {
	t.Parallel()
	w, err := warehouse.Open(warehouse.Config{DSN: "clickhouse://nobody@127.0.0.1:1/dealreg"})
	if err != nil {
		t.Fatal(err)
	}
	s := newSystem(t, w)
	answer := s.get("registrar", volumePath(open, ""))
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", answer.Code, answer.Header())
	}
}

func TestRun_ReportsReadyOnceTheSchemaIsThere(t *testing.T) {
	t.Parallel()
	dsn := warehousetest.DSN(t)
	w := warehousetest.Open(t, dsn)
	s := newSystem(t, w)
	rostertest.Run(t, s.service)
	s.until(func() bool { return s.health.Failing()["reports"] != "" })
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.until(func() bool { return s.health.Failing()["reports"] == "" })
}

// until asks for a state that has no signal.
func (s *system) until(ok func() bool) {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(2 * time.Minute); !ok(); {
		select {
		case <-tick.C:
		case <-limit:
			s.t.Fatal("never")
		}
	}
}
