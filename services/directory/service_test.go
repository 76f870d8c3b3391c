package directory_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/oidclogin"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/services/directory"
)

var pepper = []byte("0123456789abcdef0123456789abcdef")

const patience = 2 * time.Minute

// system is a directory behind HTTP, with the operator's key.
type system struct {
	t        *testing.T
	url      string
	operator string
	health   *lifecycle.Health
	won      bool
	later    atomic.Int64 // how far the clock was put forward
}

func (s *system) now() time.Time {
	return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).Add(time.Duration(s.later.Load()))
}

// start runs a directory, waits for the operator's first key and for readiness.
func start(t *testing.T, js jetstream.JetStream) *system {
	t.Helper()
	return startWith(t, js, nil)
}

// startWith is start with an OpenID provider.
func startWith(t *testing.T, js jetstream.JetStream, openID *oidclogin.Provider) *system {
	t.Helper()
	return startAs(t, js, func(c *directory.Config) { c.OpenID = openID })
}

// startAs is start with another configuration.
func startAs(t *testing.T, js jetstream.JetStream, change func(*directory.Config)) *system {
	t.Helper()
	s := &system{t: t, health: lifecycle.NewHealth()}
	r := roster.New(js, nil, s.health)
	announced := make(chan string, 1)
	cfg := directory.Config{
		JetStream: js, Roster: r, Pepper: pepper, Health: s.health,
		Now: s.now, ForgetEvery: 5 * time.Millisecond,
		Announce:    func(token string) { announced <- token },
		HasWonDeals: func(context.Context, deal.ID) (bool, error) { return s.won, nil },
	}
	change(&cfg)
	service, err := directory.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httpapi.New(httpapi.Config{Health: s.health, Now: s.now, Authenticate: roster.Authenticator{Roster: r, Pepper: pepper, Now: s.now}.Authenticate})
	service.Routes(server.API)
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	s.url = web.URL
	rostertest.Run(t, r)
	rostertest.Run(t, service)
	select {
	case s.operator = <-announced:
	case <-time.After(patience):
		t.Fatal("no operator's key")
	}
	<-r.Loaded()
	s.until(http.StatusOK, func() reply { return s.do(s.operator, "GET", "/readyz", nil) })
	s.until(http.StatusOK, func() reply { return s.do(s.operator, "GET", "/v1/keys", nil) })
	return s
}

// until repeats a request that has no signal.
func (s *system) until(status int, ask func() reply) reply {
	s.t.Helper()
	return s.untilOK(ask, status)
}

// untilOK is until with several good answers.
func (s *system) untilOK(ask func() reply, statuses ...int) reply {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); ; {
		got := ask()
		if slices.Contains(statuses, got.status) {
			return got
		}
		select {
		case <-tick.C:
		case <-limit:
			s.t.Fatalf("never %d: %d %s", statuses, got.status, got.text)
		}
	}
}

type reply struct {
	status int
	header http.Header
	text   string
	fields map[string]any
}

func (r reply) string(name string) string {
	text, _ := r.fields[name].(string)
	return text
}

func (r reply) items() []map[string]any {
	var all []map[string]any
	list, _ := r.fields["items"].([]any)
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			all = append(all, m)
		}
	}
	return all
}

// faults joins "pointer or parameter: detail" of a problem.
func (r reply) faults() string {
	var problem httpapi.Problem
	_ = json.Unmarshal([]byte(r.text), &problem)
	lines := []string{problem.Detail}
	for _, f := range problem.Errors {
		lines = append(lines, f.Pointer+f.Parameter+": "+f.Detail)
	}
	return strings.Join(lines, "\n")
}

// do sends a body as it is when it is a string, else as JSON. header holds names and values in turn.
func (s *system) do(key, method, path string, body any, header ...string) reply {
	s.t.Helper()
	var sent []byte
	switch b := body.(type) {
	case nil:
	case string:
		sent = []byte(b)
	default:
		var err error
		if sent, err = json.Marshal(b); err != nil {
			s.t.Fatal(err)
		}
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, bytes.NewReader(sent))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	got := reply{status: response.StatusCode, header: response.Header, text: string(text)}
	_ = json.Unmarshal(text, &got.fields)
	return got
}

// must is do with the status that it must have.
func (s *system) must(status int, key, method, path string, body any, header ...string) reply {
	s.t.Helper()
	got := s.do(key, method, path, body, header...)
	if got.status != status {
		s.t.Fatalf("%s %s: %d, want %d: %s", method, path, got.status, status, got.text)
	}
	return got
}

type object = map[string]any

func (s *system) association(name string) string {
	s.t.Helper()
	return s.must(201, s.operator, "POST", "/v1/associations", object{
		"name": name, "time_zone": "Europe/Berlin", "year_starts_in": 1, "reporting_currency": "EUR",
	}).string("id")
}

func (s *system) company(name string) string {
	s.t.Helper()
	return s.must(201, s.operator, "POST", "/v1/companies", object{"name": name, "country": "DE"}).string("id")
}

func (s *system) member(association, company string) {
	s.t.Helper()
	s.must(200, s.operator, "PUT", "/v1/associations/"+association+"/members/"+company, object{"from": "2020-01-01", "ethics_accepted_on": "2020-01-01"})
}

func (s *system) key(role, company, association string) string {
	s.t.Helper()
	body := object{"role": role}
	if company != "" {
		body["company_id"] = company
	}
	if association != "" {
		body["association_id"] = association
	}
	return s.must(201, s.operator, "POST", "/v1/keys", body).string("secret")
}

func fresh(t *testing.T) *system {
	t.Helper()
	return start(t, rostertest.NewServer(t).Connect())
}

func TestAssociations_LiveFromCreationToTheirFirstWonDeal(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	created := s.must(201, s.operator, "POST", "/v1/associations", object{
		"name": " Bau \u00a0 Verband ", "time_zone": "Asia/Manila", "year_starts_in": 7, "reporting_currency": "PHP",
	})
	if created.string("name") != "Bau Verband" || created.string("disclosure") != "guarded" || created.string("release_schedule") != "monthly" {
		t.Errorf("created %s", created.text)
	}
	path := created.header.Get("Location")
	got := s.must(200, s.operator, "GET", path, nil)
	tag := got.header.Get("ETag")
	if got.text != created.text || tag == "" || tag != created.header.Get("ETag") {
		t.Errorf("read %s with %s, created %s", got.text, tag, created.text)
	}
	s.must(428, s.operator, "PATCH", path, object{"name": "B"})
	changed := s.must(200, s.operator, "PATCH", path, object{"name": "B", "year_starts_in": 1, "release_schedule": "quarterly"}, "If-Match", tag)
	if changed.string("name") != "B" || changed.string("release_schedule") != "quarterly" || changed.string("time_zone") != "Asia/Manila" || changed.fields["year_starts_in"] != 1.0 {
		t.Errorf("changed to %s", changed.text)
	}
	stale := s.must(412, s.operator, "PATCH", path, object{"name": "C"}, "If-Match", tag)
	if stale.header.Get("ETag") != changed.header.Get("ETag") {
		t.Errorf("412 names %s, current is %s", stale.header.Get("ETag"), changed.header.Get("ETag"))
	}
	tag = changed.header.Get("ETag")
	s.won = true
	if refused := s.must(409, s.operator, "PATCH", path, object{"reporting_currency": "EUR"}, "If-Match", tag); !strings.Contains(refused.text, "reporting_currency") {
		t.Errorf("refused with %s", refused.text)
	}
	s.must(200, s.operator, "PATCH", path, object{"disclosure": "open", "reporting_currency": "PHP"}, "If-Match", tag)
}

func TestAssociations_LetTheirBoardSeeMoreByTheOperatorAlone(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	id := s.association("A")
	registrar, path := s.key("registrar", "", id), "/v1/associations/"+id
	set := func(status int, key string, policy any) {
		t.Helper()
		s.must(status, key, "PATCH", path, object{"disclosure": policy}, "If-Match", s.must(200, key, "GET", path, nil).header.Get("ETag"))
	}
	set(403, registrar, "open")
	set(200, registrar, "guarded")
	set(200, registrar, "strict")
	set(403, registrar, "guarded")
	set(403, registrar, nil) // which is guarded
	set(403, registrar, "open")
	set(200, s.operator, "open")
	set(200, registrar, nil)
	set(200, s.operator, "open")
	set(200, registrar, "strict")
}

// What members registered under a promise stays under it.
func TestAssociations_BecomeOpenForYearsThatBeginLaterOnly(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	openFrom := func(id string, change object) any {
		t.Helper()
		path := "/v1/associations/" + id
		tag := s.must(200, s.operator, "GET", path, nil).header.Get("ETag")
		s.must(200, s.operator, "PATCH", path, change, "If-Match", tag)
		got := s.must(200, s.operator, "GET", path, nil)
		if got.string("disclosure") != change["disclosure"] {
			t.Errorf("got %s", got.text)
		}
		return got.fields["open_from_year"]
	}
	id := s.association("A")
	if got := openFrom(id, object{"disclosure": "open"}); got != nil {
		t.Errorf("without a member it is open from %v", got)
	}
	if got := openFrom(id, object{"disclosure": "guarded"}); got != nil {
		t.Errorf("guarded, it is open from %v", got)
	}
	company := s.company("Contoso AG")
	member := "/v1/associations/" + id + "/members/" + company
	s.must(200, s.operator, "PUT", member, object{"from": "2026-11-22", "ethics_accepted_on": "2026-11-22"})
	s.must(204, s.operator, "DELETE", member, nil) // on the first day: no period is left
	if got := openFrom(id, object{"disclosure": "open"}); got != 2027.0 {
		t.Errorf("it is open from %v", got)
	}
	if got := openFrom(id, object{"disclosure": "open", "name": "B"}); got != 2027.0 {
		t.Errorf("it is open from %v", got)
	}
	if got := openFrom(id, object{"disclosure": "strict"}); got != nil {
		t.Errorf("strict, it is open from %v", got)
	}
	if got := openFrom(id, object{"disclosure": "open", "year_starts_in": 12}); got != 2026.0 {
		t.Errorf("with its years from December on, it is open from %v", got)
	}
	registrar, path := s.key("registrar", "", id), "/v1/associations/"+id
	tag := s.must(200, registrar, "GET", path, nil).header.Get("ETag")
	s.must(403, registrar, "PATCH", path, object{"disclosure": "guarded"}, "If-Match", tag) // 2025 is strict
	s.must(200, registrar, "PATCH", path, object{"disclosure": "strict"}, "If-Match", tag)
}

// Whatever processes run, what the board could see until then is never taken for secret again.
func TestAssociations_RememberUpToWhereTheirBoardSawEverything(t *testing.T) {
	t.Parallel()
	js := rostertest.NewServer(t).Connect()
	s := start(t, js)
	id := s.association("A")
	parsed, err := deal.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	set := func(change object, want uint64) {
		t.Helper()
		path := "/v1/associations/" + id
		s.must(200, s.operator, "PATCH", path, change, "If-Match", s.must(200, s.operator, "GET", path, nil).header.Get("ETag"))
		if a, err := roster.NewStore(js).Association(t.Context(), parsed); err != nil || a.OpenUntil(2026) != want {
			t.Errorf("%v: until %d, want %d; %v", change, a.OpenUntil(2026), want, err)
		}
	}
	grow := func() {
		t.Helper()
		if _, err := js.Publish(t.Context(), stream.Subject(parsed), nil); err != nil {
			t.Fatal(err)
		}
	}
	set(object{"disclosure": "open"}, 0)
	set(object{"disclosure": "guarded"}, 0) // there is no log yet
	set(object{"disclosure": "open"}, 0)
	if err := stream.Ensure(t.Context(), js, 1); err != nil {
		t.Fatal(err)
	}
	grow()
	grow()
	set(object{"disclosure": "guarded"}, 2)
	grow()
	set(object{"disclosure": "strict", "name": "B"}, 2)
	set(object{"disclosure": "open"}, 2)
	set(object{"disclosure": "strict"}, 3)
}

// Events come in while an association is closed: its board could see live those that came before the roster knew of it.
func TestAssociations_RememberWhatCameWhileTheyWereClosed(t *testing.T) {
	t.Parallel()
	js := rostertest.NewServer(t).Connect()
	var known *roster.Roster
	s := startAs(t, js, func(c *directory.Config) { known = c.Roster })
	if err := stream.Ensure(t.Context(), js, 1); err != nil {
		t.Fatal(err)
	}
	id := s.association("A")
	parsed, err := deal.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	path := "/v1/associations/" + id
	change := func(policy string) {
		t.Helper()
		s.must(200, s.operator, "PATCH", path, object{"disclosure": policy}, "If-Match", s.must(200, s.operator, "GET", path, nil).header.Get("ETag"))
	}
	for range 20 { // in each it is a matter of luck whether an event comes at that moment
		change("open")
		came, seen := make(chan struct{}, 1), make(chan uint64)
		go func() {
			var last uint64
			for {
				ack, err := js.Publish(t.Context(), stream.Subject(parsed), nil)
				if a, _ := known.Association(parsed); err != nil || a.Disclosure != roster.DisclosureOpen {
					seen <- last
					return
				}
				last = ack.Sequence
				select {
				case came <- struct{}{}:
				default:
				}
			}
		}()
		select {
		case <-came:
		case <-seen:
			t.Fatal("the log takes no events")
		}
		change("guarded")
		want := <-seen
		if a, err := roster.NewStore(js).Association(t.Context(), parsed); err != nil || a.OpenUntil(2026) < want {
			t.Fatalf("until %d, and the board could see %d; %v", a.OpenUntil(2026), want, err)
		}
	}
}

func TestCompanies_AreMadeOnceAndFoundByNameAndDomain(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	body := object{"name": "Contoso AG", "country": "DE", "domain": "Contoso.Example", "lei": "529900t8bm49aursdo55"}
	first := s.must(201, s.operator, "POST", "/v1/companies", body, "Idempotency-Key", "row 1")
	again := s.must(200, s.operator, "POST", "/v1/companies", body, "Idempotency-Key", "row 1")
	if again.text != first.text || again.header.Get("ETag") != first.header.Get("ETag") || again.header.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the repeat answers %s %v", again.text, again.header)
	}
	body["name"] = "Contoso SE"
	s.must(422, s.operator, "POST", "/v1/companies", body, "Idempotency-Key", "row 1")
	if taken := s.must(409, s.operator, "POST", "/v1/companies", body); !strings.Contains(taken.faults(), "/domain: belongs to company "+first.string("id")) {
		t.Errorf("the domain is taken: %s", taken.text)
	}
	body["domain"] = "other.example"
	if taken := s.must(409, s.operator, "POST", "/v1/companies", body); !strings.Contains(taken.faults(), "/lei: ") {
		t.Errorf("the LEI is taken: %s", taken.text)
	}
	for _, query := range []string{"conTOSO", "oso.exam", "contoso%C2%A0ag"} {
		if found := s.must(200, s.operator, "GET", "/v1/companies?q="+query, nil).items(); len(found) != 1 || found[0]["id"] != first.string("id") {
			t.Errorf("%s finds %v", query, found)
		}
	}

	path := first.header.Get("Location")
	changed := s.must(200, s.operator, "PATCH", path, object{"domain": nil, "duns": "123456789"}, "If-Match", first.header.Get("ETag"))
	if _, has := changed.fields["domain"]; has || changed.string("lei") != "529900T8BM49AURSDO55" || changed.string("duns") != "123456789" {
		t.Errorf("a merge patch makes %s", changed.text)
	}
	s.must(422, s.operator, "PATCH", path, object{"name": nil}, "If-Match", changed.header.Get("ETag"))
}

func TestCompanies_ConcurrentRequestsTakeADomainOnce(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	var group sync.WaitGroup
	status := make(chan int, 8)
	for range cap(status) {
		group.Go(func() {
			status <- s.do(s.operator, "POST", "/v1/companies", object{"name": "C", "country": "DE", "domain": "one.example"}).status
		})
	}
	group.Wait()
	close(status)
	made := 0
	for code := range status {
		if code == 201 {
			made++
		} else if code != 409 {
			t.Errorf("status %d", code)
		}
	}
	if made != 1 {
		t.Errorf("%d companies took the domain", made)
	}
}

func TestCompanies_GroupsStayFlat(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	head, child, third := s.company("Head"), s.company("Child"), s.company("Third")
	set := func(status int, company string, group any) reply {
		path := "/v1/companies/" + company
		return s.must(status, s.operator, "PATCH", path, object{"group_id": group}, "If-Match", s.must(200, s.operator, "GET", path, nil).header.Get("ETag"))
	}
	set(200, child, head)
	for name, c := range map[string]struct{ company, group, want string }{
		"below a child": {third, child, "write the group_id of that company"},
		"the head":      {head, third, "move the other companies"},
		"unknown":       {third, "0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d", "no such company"},
	} {
		if got := set(422, c.company, c.group); !strings.Contains(got.faults(), "/group_id: ") || !strings.Contains(got.text, c.want) {
			t.Errorf("%s: %s", name, got.text)
		}
	}
	if freed := set(200, child, nil); freed.string("group_id") != child {
		t.Errorf("null makes %s", freed.text)
	}
	set(200, head, third)
}

func TestMembers_MoveBetweenChaptersAndLeave(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	association, company := s.association("A"), s.company("C")
	chapters := "/v1/associations/" + association + "/chapters"
	north := s.must(201, s.operator, "POST", chapters, object{"name": "North", "country": "DE"}).string("id")
	south := s.must(201, s.operator, "POST", chapters, object{"name": "South", "parent_id": north}).string("id")
	path := "/v1/associations/" + association + "/members/" + company
	s.must(200, s.operator, "PUT", path, object{"chapter_id": north, "from": "2024-01-01", "ethics_accepted_on": "2024-01-02"})
	moved := s.must(200, s.operator, "PUT", path, object{"chapter_id": south, "from": "2026-03-01"})
	periods, _ := moved.fields["periods"].([]any)
	if first, _ := periods[0].(object); len(periods) != 2 || first["to"] != "2026-02-28" || moved.string("chapter_id") != south || moved.string("from") != "2026-03-01" {
		t.Errorf("after the move: %s", moved.text)
	}
	if overlap := s.must(422, s.operator, "PUT", path, object{"from": "2025-01-01"}); !strings.Contains(overlap.faults(), "/from: ") {
		t.Errorf("overlap: %s", overlap.text)
	}
	if future := s.must(422, s.operator, "PUT", path, object{"from": "2026-03-01", "ethics_accepted_on": "2026-11-23"}); !strings.Contains(future.faults(), "/ethics_accepted_on: ") {
		t.Errorf("future: %s", future.text)
	}
	s.must(204, s.operator, "DELETE", path, nil)
	left := s.must(200, s.operator, "GET", "/v1/associations/"+association+"/members", nil).items()
	if len(left) != 1 || left[0]["to"] != "2026-11-21" || left[0]["company_name"] != "C" {
		t.Errorf("after leaving: %v", left)
	}
	s.must(404, s.operator, "DELETE", "/v1/associations/"+association+"/members/"+south, nil)
	s.must(404, s.operator, "PUT", "/v1/associations/"+association+"/members/"+south, object{"from": "2024-01-01"})

	// The chapters know their place too.
	head := chapters + "/" + north
	tag := s.must(200, s.operator, "GET", head, nil).header.Get("ETag")
	if circle := s.must(422, s.operator, "PATCH", head, object{"parent_id": south}, "If-Match", tag); !strings.Contains(circle.faults(), "/parent_id: the chapters would form a circle") {
		t.Errorf("circle: %s", circle.text)
	}
	if items := s.must(200, s.operator, "GET", chapters+"?limit=1", nil); len(items.items()) != 1 || items.string("next_cursor") == "" {
		t.Errorf("first page: %s", items.text)
	} else if rest := s.must(200, s.operator, "GET", chapters+"?limit=1&cursor="+items.string("next_cursor"), nil); rest.items()[0]["id"] != south || rest.string("next_cursor") != "" {
		t.Errorf("second page: %s", rest.text)
	}
}

func TestMembers_OfAnotherAssociationAreEnrolledByTheOperatorOnly(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	mine, other := s.association("Mine"), s.association("Other")
	company := s.company("C")
	registrar := s.key("registrar", "", mine)
	s.must(200, s.operator, "PUT", "/v1/associations/"+other+"/members/"+company, object{"from": "2024-01-01"})
	path := "/v1/associations/" + mine + "/members/" + company
	if r := s.must(403, registrar, "PUT", path, object{"from": "2020-01-01"}); !strings.Contains(r.text, "ask the operator") {
		t.Errorf("%s", r.text)
	}
	s.must(200, s.operator, "PUT", path, object{"from": "2024-01-01"})
	s.must(200, registrar, "PUT", path, object{"from": "2025-01-01"}) // its own member by now
}

func TestDirectory_ShowsEachRoleItsOwnOnly(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	mine, other := s.association("Mine"), s.association("Other")
	own, foreign := s.company("Own"), s.company("Foreign")
	s.member(mine, own)
	s.member(other, foreign)
	registrar, board := s.key("registrar", "", mine), s.key("board", "", mine)
	admin, member := s.key("company_admin", own, ""), s.key("member", own, "")

	for name, c := range map[string]struct {
		key, method, path string
		body              any
		status            int
	}{
		"registrar sees its association":         {registrar, "GET", "/v1/associations/" + mine, nil, 200},
		"registrar sees no other":                {registrar, "GET", "/v1/associations/" + other, nil, 404},
		"registrar changes no other":             {registrar, "PATCH", "/v1/associations/" + other, object{"name": "x"}, 404},
		"registrar creates no association":       {registrar, "POST", "/v1/associations", object{"name": "x", "time_zone": "UTC", "year_starts_in": 1, "reporting_currency": "EUR"}, 403},
		"registrar creates companies":            {registrar, "POST", "/v1/companies", object{"name": "x", "country": "DE"}, 201},
		"registrar changes no foreign company":   {registrar, "PATCH", "/v1/companies/" + foreign, object{"name": "x"}, 403},
		"registrar places no foreign member":     {registrar, "PUT", "/v1/associations/" + other + "/members/" + own, object{"from": "2020-01-01"}, 404},
		"registrar issues no operator's key":     {registrar, "POST", "/v1/keys", object{"role": "operator"}, 403},
		"registrar issues no foreign key":        {registrar, "POST", "/v1/keys", object{"role": "member", "company_id": foreign}, 403},
		"registrar names no foreign association": {registrar, "POST", "/v1/keys", object{"role": "board", "association_id": other}, 422},
		"registrar imports no rates":             {registrar, "PUT", "/v1/rates?source=ECB", "Date,USD\n", 403},
		"board sees members":                     {board, "GET", "/v1/associations/" + mine + "/members", nil, 200},
		"board places no members":                {board, "PUT", "/v1/associations/" + mine + "/members/" + own, object{"from": "2020-01-01"}, 403},
		"member sees its association":            {member, "GET", "/v1/associations/" + mine, nil, 200},
		"member sees no other":                   {member, "GET", "/v1/associations/" + other + "/chapters", nil, 404},
		"member changes nothing":                 {member, "PATCH", "/v1/companies/" + own, object{"name": "x"}, 403},
		"member issues no key":                   {member, "POST", "/v1/keys", object{"role": "member", "company_id": own}, 403},
		"admin sets no group":                    {admin, "PATCH", "/v1/companies/" + own, object{"group_id": foreign}, 403},
		"admin issues its keys":                  {admin, "POST", "/v1/keys", object{"role": "member", "company_id": own}, 201},
		"admin issues no foreign key":            {admin, "POST", "/v1/keys", object{"role": "member", "company_id": foreign}, 403},
		"nobody":                                 {"drk_aaaaaaaaaa_aaaa", "GET", "/v1/companies", nil, 401},
	} {
		header := []string{"If-Match", `"1"`}
		if strings.HasPrefix(c.path, "/v1/rates") {
			header = append(header, "Content-Type", "text/csv")
		}
		if got := s.do(c.key, c.method, c.path, c.body, header...); got.status != c.status {
			t.Errorf("%s: %d, want %d: %s", name, got.status, c.status, got.text)
		}
	}

	if missing, hidden := s.must(404, member, "GET", "/v1/associations/"+own, nil), s.must(404, member, "GET", "/v1/associations/"+other, nil); missing.text != hidden.text {
		t.Errorf("hidden %s differs from missing %s", hidden.text, missing.text)
	}
	stranger := s.must(200, member, "GET", "/v1/companies/"+foreign, nil)
	if _, shown := stranger.fields["group_id"]; shown || stranger.string("name") != "Foreign" {
		t.Errorf("a stranger is shown as %s", stranger.text)
	}
	if self := s.must(200, member, "GET", "/v1/companies/"+own, nil); self.string("group_id") != own {
		t.Errorf("the company itself is shown as %s", self.text)
	}
	s.member(mine, foreign)
	for key, want := range map[string]int{member: 1, board: 2, registrar: 2} {
		if items := s.must(200, key, "GET", "/v1/associations/"+mine+"/members", nil).items(); len(items) != want {
			t.Errorf("%d members, want %d", len(items), want)
		}
	}
	if items := s.must(200, member, "GET", "/v1/associations", nil).items(); len(items) != 1 || items[0]["id"] != mine {
		t.Errorf("a member sees associations %v", items)
	}
}

func TestKeys_ShowTheirSecretOnceAndEndAtOnce(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	company := s.company("C")
	issued := s.must(201, s.operator, "POST", "/v1/keys", object{"role": "member", "company_id": company, "label": "CRM"})
	secret := issued.string("secret")
	if !strings.HasPrefix(secret, "drk_"+issued.string("prefix")+"_") {
		t.Fatalf("the secret is not of its prefix")
	}
	own := s.must(200, secret, "GET", "/v1/keys", nil)
	if items := own.items(); len(items) != 1 || items[0]["id"] != issued.string("id") || strings.Contains(own.text, secret[15:]) || strings.Contains(own.text, "hash") {
		t.Errorf("the list shows %s", own.text)
	}
	s.must(204, s.operator, "DELETE", "/v1/keys/"+issued.string("id"), nil)
	s.must(401, secret, "GET", "/v1/keys", nil)
	s.must(204, s.operator, "DELETE", "/v1/keys/"+issued.string("id"), nil)
	s.must(404, s.operator, "DELETE", "/v1/keys/"+company, nil)
	operator := s.must(200, s.operator, "GET", "/v1/keys", nil).items()[0]["id"].(string)
	s.must(409, s.operator, "DELETE", "/v1/keys/"+operator, nil)
	second := s.key("operator", "", "")
	s.must(204, second, "DELETE", "/v1/keys/"+operator, nil)
	s.must(401, s.operator, "GET", "/v1/keys", nil)
}

func TestRates_AreImportedOnceAndWhole(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	const file = "Date,USD,JPY,XDR,\n2026-09-29,1.136072,178.90555,1,\n2026-09-28,1.1389036,N/A,1,\n"
	csv := []string{"Content-Type", "text/csv"}
	first := s.must(200, s.operator, "PUT", "/v1/rates?source=ECB", file, csv...)
	if first.fields["days"] != 2.0 || first.fields["stored"] != 2.0 || first.string("first_date") != "2026-09-28" {
		t.Errorf("stored %s", first.text)
	}
	if again := s.must(200, s.operator, "PUT", "/v1/rates?source=ECB", file, csv...); again.fields["stored"] != 0.0 {
		t.Errorf("the same file stored %s", again.text)
	}
	wrong := s.must(422, s.operator, "PUT", "/v1/rates?source=ECB", "Date,USD\n2026-09-30,1.2\n2026-10-01,-1\n2026-13-01,1.1\n", csv...)
	if got := wrong.faults(); !strings.Contains(got, "line 3, column USD: ") || !strings.Contains(got, "line 4, column Date: ") {
		t.Errorf("faults: %s", got)
	}
	s.must(422, s.operator, "PUT", "/v1/rates", file, csv...)
	days := s.must(200, s.operator, "GET", "/v1/rates?from=2026-09-28", nil).items()
	if len(days) != 2 || days[0]["date"] != "2026-09-28" || days[1]["source"] != "ECB" {
		t.Errorf("rates %v", days)
	}
	s.must(422, s.operator, "GET", "/v1/rates?from=yesterday", nil)
}

func TestBadInput_IsAnsweredWithFieldAndRemedy(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	association := s.association("A")
	for name, c := range map[string]struct {
		path   string
		body   any
		status int
		want   string
	}{
		"unknown field":    {"/v1/companies", object{"name": "C", "country": "DE", "SENTINEL": "x"}, 422, "/SENTINEL: unknown field: remove it"},
		"missing field":    {"/v1/companies", object{"name": "C"}, 422, "/country: missing: add it"},
		"UK":               {"/v1/companies", object{"name": "C", "country": "UK"}, 422, "/country: UK is not the code of a country: write GB"},
		"LEI":              {"/v1/companies", object{"name": "C", "country": "DE", "lei": "529900T8BM49AURSDO56"}, 422, "/lei: not an LEI"},
		"domain":           {"/v1/companies", object{"name": "C", "country": "DE", "domain": "http://x"}, 422, "/domain: not a web domain"},
		"empty name":       {"/v1/companies", object{"name": " \u00a0 ", "country": "DE"}, 422, "/name: missing: write"},
		"long name":        {"/v1/companies", object{"name": strings.Repeat("x", 201), "country": "DE"}, 422, "/name: too long: write at most 200"},
		"unknown group":    {"/v1/companies", object{"name": "C", "country": "DE", "group_id": association}, 422, "/group_id: no such company"},
		"no UUID":          {"/v1/companies", object{"name": "C", "country": "DE", "group_id": "x"}, 422, "/group_id: not a UUID: write it as"},
		"unknown zone":     {"/v1/associations", object{"name": "A", "time_zone": "Mars/Base", "year_starts_in": 1, "reporting_currency": "EUR"}, 422, "/time_zone: not a time zone: write"},
		"wrong currency":   {"/v1/associations", object{"name": "A", "time_zone": "UTC", "year_starts_in": 1, "reporting_currency": "EURO"}, 422, "/reporting_currency: not the code"},
		"month 13":         {"/v1/associations", object{"name": "A", "time_zone": "UTC", "year_starts_in": 13, "reporting_currency": "EUR"}, 422, "/year_starts_in: not a month: write"},
		"half a month":     {"/v1/associations", object{"name": "A", "time_zone": "UTC", "year_starts_in": 1.5, "reporting_currency": "EUR"}, 422, "wrong "},
		"policy":           {"/v1/associations", object{"name": "A", "time_zone": "UTC", "year_starts_in": 1, "reporting_currency": "EUR", "disclosure": "x"}, 422, "/disclosure: not a policy: write"},
		"schedule":         {"/v1/associations", object{"name": "A", "time_zone": "UTC", "year_starts_in": 1, "reporting_currency": "EUR", "release_schedule": "x"}, 422, "/release_schedule: not a schedule: write"},
		"unknown parent":   {"/v1/associations/" + association + "/chapters", object{"name": "C", "parent_id": association}, 422, "/parent_id: no chapter of this association"},
		"role":             {"/v1/keys", object{"role": "king"}, 422, "/role: not one of the allowed values"},
		"role without its": {"/v1/keys", object{"role": "member"}, 422, "/company_id: missing"},
		"broken JSON":      {"/v1/companies", `{"name": "SECRET`, 400, "not JSON at byte"},
		"nothing":          {"/v1/companies", ``, 400, "send one"},
		"10 MB":            {"/v1/companies", `{"name":"` + strings.Repeat("x", 10<<20) + `"}`, 413, "larger than this address accepts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := s.do(s.operator, "POST", c.path, c.body)
			if got.status != c.status || !strings.Contains(got.faults(), c.want) {
				t.Errorf("%d %s, want %d with %q", got.status, got.text, c.status, c.want)
			}
			if strings.Contains(got.text, "SECRET") {
				t.Errorf("the answer echoes the body: %s", got.text)
			}
		})
	}
}

func TestDirectory_GoesOnWhenNATSReturns(t *testing.T) {
	t.Parallel()
	server := rostertest.NewServer(t)
	s := start(t, server.Connect())
	before := s.company("Before")
	server.Stop()
	refused := s.until(503, func() reply {
		return s.do(s.operator, "POST", "/v1/companies", object{"name": "During", "country": "DE"}, "Idempotency-Key", "1")
	})
	if refused.header.Get("Retry-After") != "1" || !strings.Contains(refused.faults(), "try again") {
		t.Errorf("refused with %v %s", refused.header, refused.text)
	}
	s.until(503, func() reply { return s.do(s.operator, "GET", "/readyz", nil) })
	s.must(200, s.operator, "GET", "/v1/companies/"+before, nil)
	server.Start()
	made := s.untilOK(func() reply {
		return s.do(s.operator, "POST", "/v1/companies", object{"name": "During", "country": "DE"}, "Idempotency-Key", "1")
	}, 201, 200) // 200: a request that met the end of the connection was stored all the same
	s.until(200, func() reply { return s.do(s.operator, "GET", "/readyz", nil) })
	for _, id := range []string{before, made.string("id")} {
		s.must(200, s.operator, "GET", "/v1/companies/"+id, nil)
	}
}

func TestNew_RefusesAShortPepper(t *testing.T) {
	t.Parallel()
	js := rostertest.NewServer(t).Connect()
	if _, err := directory.New(directory.Config{JetStream: js, Roster: roster.New(js, nil, nil), Pepper: pepper[:31]}); err == nil {
		t.Error("a pepper of 31 bytes is taken")
	}
}
