package portal_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/roster/rostertest"
	"github.com/dealreg/dealreg/services/portal"
	"github.com/dealreg/dealreg/services/portal/api"
)

const (
	theAssociation = "0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"
	theKey         = "drk_key"
)

// backend is the far side of HTTP: an API that knows one key, and what it was asked.
type backend struct {
	mu       sync.Mutex
	sessions map[string]bool // secrets that open something
	volume   string          // the answer to every question for the volume; empty for 404
	pairs    string          // the one by pair, if it is another
	before   string          // the latest release of 2024; empty for 404
	releases string          // the items of the list of statements
	asked    []string
	until    []time.Time // by question: when the portal gives up
	role     string      // of who signs in; empty for a board
	proof    api.Proof   // of the last sign-in
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	until, _ := r.Context().Deadline()
	b.asked, b.until = append(b.asked, r.Method+" "+r.URL.RequestURI()), append(b.until, until)
	secret, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	path := strings.TrimPrefix(r.URL.Path, "/v1/associations/"+theAssociation)
	switch {
	case r.URL.Path == "/v1/sessions":
		b.proof = api.Proof{}
		_ = json.NewDecoder(r.Body).Decode(&b.proof)
		if b.proof.Key != theKey && b.proof.IDToken == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		fresh := fmt.Sprintf("drk_session_%d", len(b.sessions))
		b.sessions[fresh] = true
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"secret":%q,"expires_at":"2100-01-01T00:00:00Z","role":%q,"association_id":%q}`, fresh, cmp.Or(b.role, "board"), theAssociation)
	case !b.sessions[secret]:
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == "/v1/session":
		for s := range b.sessions {
			if s == secret || r.URL.Query().Get("everywhere") == "true" {
				b.sessions[s] = false
			}
		}
		w.WriteHeader(http.StatusNoContent)
	case path == "":
		_, _ = io.WriteString(w, `{"id":"`+theAssociation+`","name":"Harbour","time_zone":"Europe/Berlin","year_starts_in":1,"reporting_currency":"EUR","disclosure":"open"}`)
	case path == "/statements":
		_, _ = io.WriteString(w, `{"items":[`+b.releases+`]}`)
	case path == "/statements/2024/latest" && b.before != "":
		_, _ = io.WriteString(w, b.before)
	case path == "/volume" && r.URL.Query().Get("by") == "pair" && b.pairs != "":
		_, _ = io.WriteString(w, b.pairs)
	case path == "/volume" && b.volume != "":
		_, _ = io.WriteString(w, b.volume)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

const oneYear = `{"currency":"EUR","as_of_sequence":7,"total":{"amount":"1234567.89","deals":12,"attested_by_parties":"1234567.89"},"previous_year":{"amount":"0.00","deals":0},"items":[]}`

// site is a portal that listens, and a browser of it.
type site struct {
	t       *testing.T
	url     string
	host    string // that the browser thinks it talks to; empty: that of the address
	backend *backend
	nats    *rostertest.Server
	away    chan struct{} // told when the connection to NATS is lost
	back    chan struct{} // told when it is there again
	js      jetstream.JetStream
	browser *http.Client
}

func newSite(t *testing.T, change ...func(*portal.Config)) *site {
	t.Helper()
	server := rostertest.NewServer(t)
	away, back := make(chan struct{}, 1), make(chan struct{}, 1)
	nc, err := nats.Connect(server.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { away <- struct{}{} }),
		nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{sessions: map[string]bool{}, volume: oneYear}
	cfg := portal.Config{
		API: api.New(&url.URL{Scheme: "http", Host: "api"}, api.InProcess{Handler: b}), JetStream: js,
		Now: func() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) },
	}
	for _, c := range change {
		c(&cfg)
	}
	service, err := portal.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	service.Routes(mux)
	listener := httptest.NewServer(mux)
	t.Cleanup(listener.Close)
	return &site{t: t, url: listener.URL, backend: b, nats: server, away: away, back: back, js: js, browser: newBrowser(t)}
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// answer is what the browser got.
type answer struct {
	StatusCode int
	Header     http.Header
	Cookies    []*http.Cookie
}

// do gives the answer and its text.
func (s *site) do(method, path string, form url.Values, header ...string) (answer, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Host = s.host
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := s.browser.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, response.Cookies()}, string(text)
}

func (s *site) signIn() *http.Cookie {
	s.t.Helper()
	response, text := s.do(http.MethodPost, "/sign-in", url.Values{"key": {theKey}, "next": {"/a/" + theAssociation + "/2025"}})
	if response.StatusCode != http.StatusSeeOther || len(response.Cookies) != 1 {
		s.t.Fatalf("%d %v: %s", response.StatusCode, response.Cookies, text)
	}
	return response.Cookies[0]
}

const yearPath = "/a/" + theAssociation + "/2025"

func TestPages_ShowTheYearToWhoSignedIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	response, _ := s.do(http.MethodGet, yearPath, nil)
	if to := response.Header.Get("Location"); response.StatusCode != http.StatusSeeOther || to != "/sign-in?next="+url.QueryEscape(yearPath) {
		t.Errorf("a stranger got %d to %s", response.StatusCode, to)
	}
	s.signIn()
	response, text := s.do(http.MethodGet, yearPath, nil)
	if response.StatusCode != http.StatusOK || !strings.Contains(text, "€1,234,568") {
		t.Errorf("%d %s", response.StatusCode, text)
	}
	_, text = s.do(http.MethodGet, yearPath, nil, "Accept-Language", "de-AT,de;q=0.9")
	if !strings.Contains(text, "1.234.568\u00a0€") {
		t.Errorf("in German: %s", text)
	}
	policy := response.Header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || response.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", response.Header)
	}
}

func TestPages_AreNotThereForWhoMayNotSeeThem(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signIn()
	for _, path := range []string{
		"/a/0198c2f4-0000-7cc1-9d0a-4f1e2a3b4c5d/2025", "/a/x/2025", yearPath + "/r9", yearPath + "/rx", yearPath + "/bogus",
		"/a/" + theAssociation + "/12", "/a/" + theAssociation + "/desk", "/c/0198c2f4-0000-7cc1-9d0a-4f1e2a3b4c5d/2025", "/a/", "/c/x/y/z",
		yearPath + "/pairs?view=pie", yearPath + "/pairs?company=x",
	} {
		if response, text := s.do(http.MethodGet, path, nil); response.StatusCode != http.StatusNotFound || !strings.Contains(text, "There is nothing here") {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
}

func TestPages_SayThatNothingWasPublishedYet(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.backend.volume = ""
	s.signIn()
	if response, text := s.do(http.MethodGet, yearPath, nil); response.StatusCode != http.StatusOK || !strings.Contains(text, "Nothing has been published for 2025 yet.") {
		t.Errorf("%d %s", response.StatusCode, text)
	}
}

// Whoever takes a live page along gets its figures, although events came in since.
func TestFiles_OfALivePageHoldItsFiguresUpToItsEvent(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signIn()
	s.backend.volume = strings.Replace(oneYear, `"items":[]`, `"items":[{"chapter":{"id":"`+theAssociation+`","name":"North"},"amount":"1.00","deals":1}]`, 1)
	for view, by := range map[string]string{"": "month", "/chapters": "chapter", "/pairs": "pair"} {
		_, page := s.do(http.MethodGet, yearPath+view, nil)
		for _, extension := range []string{"xlsx", "csv"} {
			file := yearPath + "/" + by + "s." + extension + "?as_of_sequence=7"
			if !strings.Contains(page, `href="`+file+`"`) || strings.Contains(page, "export.") {
				t.Errorf("%q has no link to %s: %s", view, file, page)
			}
			response, _ := s.do(http.MethodGet, file, nil)
			asked := "GET /v1/associations/" + theAssociation + "/volume?as_of_sequence=7&by=" + by + "&year=2025"
			if got := s.backend.asked[len(s.backend.asked)-1]; response.StatusCode != http.StatusOK || got != asked {
				t.Errorf("%s: %d, and asked %s", file, response.StatusCode, got)
			}
		}
	}
	for _, file := range []string{"/months.xlsx?as_of_sequence=x", "/months.pdf", "/members.csv", "/r1/months.csv", "/export"} {
		if response, _ := s.do(http.MethodGet, yearPath+file, nil); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", file, response.StatusCode)
		}
	}
}

// The API takes up to two minutes to make a release: the first one hashes the whole log.
func TestPublish_WaitsAsLongAsTheAPIMakesARelease(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.backend.role = "registrar"
	s.signIn()
	path := "/a/" + theAssociation + "/publish"
	if response, text := s.do(http.MethodGet, path, nil); response.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", response.StatusCode, text)
	}
	if response, text := s.do(http.MethodPost, path, url.Values{"year": {"2025"}, "key": {"a key"}}); response.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d %s", response.StatusCode, text)
	}
	b := s.backend
	asked := slices.Index(b.asked, "POST /v1/associations/"+theAssociation+"/statements")
	looked := slices.Index(b.asked, "GET /v1/associations/"+theAssociation)
	if longer := b.until[asked].Sub(b.until[looked]); longer < 2*time.Minute {
		t.Errorf("the portal waits only %v longer for a release than for a page before", longer)
	}
}

// The first year that is open is compared with what was released of the one before, which the API shows nobody live.
func TestPages_CompareAnOpenYearWithTheReleaseOfAGuardedOne(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signIn()
	s.backend.volume = `{"currency":"EUR","as_of_sequence":7,"total":{"amount":"9.00","deals":9},"items":[{"month":"2025-03","amount":"9.00","deals":9}]}`
	for before, want := range map[string]bool{
		"": false,
		`{"year":2024,"release":4,"total":{"amount":"777.00","deals":7},"months":[{"month":"2024-03","amount":"776.00","deals":6}]}`: true,
	} {
		s.backend.before = before
		response, text := s.do(http.MethodGet, yearPath, nil)
		if response.StatusCode != http.StatusOK || strings.Contains(text, "777") != want || strings.Contains(text, "776") != want {
			t.Errorf("with %q: %d %s", before, response.StatusCode, text)
		}
	}
	if slices.ContainsFunc(s.backend.asked, func(asked string) bool { return strings.Contains(asked, "year=2024") }) {
		t.Errorf("the portal asks for the year before live: %v", s.backend.asked)
	}
}

// disjointPairs is a live year of so many pairs, no two with a member in common. The API left out the rest, a JSON member.
func disjointPairs(pairs int, rest string) string {
	items := make([]string, pairs)
	for i := range items {
		member := func(n int) string { return fmt.Sprintf(`{"id":"0198c2f4-0000-7000-8000-%012x","name":"M%d"}`, n+1, n) }
		items[i] = fmt.Sprintf(`{"companies":[%s,%s],"amount":"%d.00","deals":1}`, member(2*i), member(2*i+1), 1000-i)
	}
	return `{"currency":"EUR","as_of_sequence":7,"total":{"amount":"9.00","deals":9},"previous_year":{"amount":"0.00"},"items":[` +
		strings.Join(items, ",") + `]` + rest + `}`
}

func TestPairs_CountAsOthersOnlyThoseInThePairsThatAreDrawn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signIn()
	for _, c := range []struct{ answer, others, drawn string }{
		{disjointPairs(10, ""), "4 other members", "It is drawn from 10 pairs"},
		{disjointPairs(200, `,"companies":5000,"rest":{"items":4800,"amount":"7.00","deals":4800}`), "384 others in these 200 pairs", "It is drawn from 200 pairs"},
	} {
		s.backend.pairs = c.answer
		_, circle := s.do(http.MethodGet, yearPath+"/pairs", nil)
		if !strings.Contains(circle, `"name":"`+c.others+`"`) || !strings.Contains(circle, `aria-label="Circle of members of Harbour`) || !strings.Contains(circle, c.drawn) {
			t.Errorf("the circle does not say %q and %q: %s", c.others, c.drawn, circle)
		}
		if _, matrix := s.do(http.MethodGet, yearPath+"/pairs?view=matrix", nil); !strings.Contains(matrix, `<th scope="row">`+c.others+`</th>`) {
			t.Errorf("the matrix does not say %q: %s", c.others, matrix)
		}
	}
}

func TestPages_LeaveMonthsBlankThatHaveNotBegun(t *testing.T) {
	t.Parallel()
	s := newSite(t) // in November 2026
	s.backend.volume = `{"currency":"EUR","as_of_sequence":7,"total":{"amount":"5.00","deals":1},"previous_year":{"amount":"0.00"},"items":[` +
		`{"month":"2026-10","amount":"0.00","deals":0},{"month":"2026-11","amount":"5.00","deals":1},{"month":"2026-12","amount":"0.00","deals":0}]}`
	s.signIn()
	_, text := s.do(http.MethodGet, "/a/"+theAssociation+"/2026", nil)
	for month, want := range map[string]string{"October": "€0.00", "November": "€5.00", "December": ""} {
		_, row, _ := strings.Cut(text, `<th scope="row">`+month+`</th>`)
		if row = strings.TrimSpace(row); !strings.HasPrefix(row, `<td class="n">`+want+`</td>`) {
			t.Errorf("%s: %.80s", month, row)
		}
	}
}

func TestAssociation_LeadsToTheNewestYearThatHasSomethingToShow(t *testing.T) {
	t.Parallel()
	s := newSite(t) // in November 2026
	s.signIn()
	const r2024, r2025, r2026 = `{"year":2024,"release":1}`, `{"year":2025,"release":1}`, `{"year":2026,"release":1}`
	for _, c := range []struct {
		releases, volume, want string
	}{
		{r2024 + "," + r2025, "", "2025"}, // nothing of the current year was released yet
		{r2025 + "," + r2026 + "," + r2024, "", "2026"},
		{"", "", "2026"}, // says that nothing was published
		{r2025, oneYear, "2026"},
	} {
		s.backend.releases, s.backend.volume = c.releases, c.volume
		response, _ := s.do(http.MethodGet, "/a/"+theAssociation, nil)
		if to := response.Header.Get("Location"); to != "/a/"+theAssociation+"/"+c.want {
			t.Errorf("with the releases %s and the volume %q: %d to %s, want %s", c.releases, c.volume, response.StatusCode, to, c.want)
		}
	}
	if response, _ := s.do(http.MethodGet, "/a/"+theAssociation+"?year=2026&view=pairs", nil); response.Header.Get("Location") != "/a/"+theAssociation+"/2026/pairs" {
		t.Errorf("the year that was asked for: %s", response.Header.Get("Location"))
	}
}

func TestSession_IsKeptFromScriptsOtherSitesAndReadersOfTheStore(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		s := newSite(t, func(c *portal.Config) { c.SecureCookies = secure })
		cookie := s.signIn()
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure != secure || strings.HasPrefix(cookie.Name, "__Host-") != secure {
			t.Errorf("cookie %+v", cookie)
		}
		kv, err := s.js.KeyValue(t.Context(), "portal_sessions")
		if err != nil {
			t.Fatal(err)
		}
		keys, err := kv.Keys(t.Context())
		if err != nil || len(keys) != 1 {
			t.Fatal(keys, err)
		}
		entry, err := kv.Get(t.Context(), keys[0])
		if err != nil {
			t.Fatal(err)
		}
		if stored := keys[0] + string(entry.Value()); strings.Contains(stored, "drk_session") || strings.Contains(stored, cookie.Value) {
			t.Errorf("the store tells what opens the session: %q", stored)
		}
	}
}

func TestSession_EndsWhenItsEntryWasTamperedWith(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signIn()
	kv, err := s.js.KeyValue(t.Context(), "portal_sessions")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := kv.Keys(t.Context())
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	entry, err := kv.Get(t.Context(), keys[0])
	if err != nil {
		t.Fatal(err)
	}
	changed := entry.Value()
	changed[len(changed)-1] ^= 1
	if _, err := kv.Put(t.Context(), keys[0], changed); err != nil {
		t.Fatal(err)
	}
	if response, _ := s.do(http.MethodGet, yearPath, nil); response.StatusCode != http.StatusSeeOther {
		t.Errorf("%d", response.StatusCode)
	}
}

func TestSession_GetsAnotherTokenAtEachSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if first, second := s.signIn(), s.signIn(); first.Value == second.Value {
		t.Error("the same token")
	}
	kv, err := s.js.KeyValue(t.Context(), "portal_sessions")
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := kv.Keys(t.Context()); err != nil || len(keys) != 1 {
		t.Errorf("the first session lives on: %v %v", keys, err)
	}
}

func TestSignOut_EndsTheSessionHereAndEverywhere(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	other := *s
	other.browser = newBrowser(t)
	s.signIn()
	other.signIn()
	s.do(http.MethodPost, "/sign-out", url.Values{})
	if response, _ := s.do(http.MethodGet, yearPath, nil); response.StatusCode != http.StatusSeeOther {
		t.Errorf("after signing out: %d", response.StatusCode)
	}
	if response, _ := other.do(http.MethodGet, yearPath, nil); response.StatusCode != http.StatusOK {
		t.Errorf("the other session: %d", response.StatusCode)
	}
	s.signIn()
	s.do(http.MethodPost, "/sign-out", url.Values{"everywhere": {"true"}})
	if response, _ := other.do(http.MethodGet, yearPath, nil); response.StatusCode != http.StatusSeeOther {
		t.Errorf("the other session after signing out everywhere: %d", response.StatusCode)
	}
}

func TestSignIn_GoesOnAtThisSiteOnly(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for next, want := range map[string]string{
		yearPath + "/pairs?view=table": yearPath + "/pairs?view=table", "": "/", "https://evil.example/": "/", "//evil.example": "/",
		`/\evil.example`: "/", "javascript:alert(1)": "/", "/\tx": "/",
	} {
		s.browser = newBrowser(t)
		response, _ := s.do(http.MethodPost, "/sign-in", url.Values{"key": {theKey}, "next": {next}})
		if to := response.Header.Get("Location"); to != want {
			t.Errorf("after %q: %q, want %q", next, to, want)
		}
	}
}

func TestSignIn_SaysThatAKeyOpensNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	response, text := s.do(http.MethodPost, "/sign-in", url.Values{"key": {"drk_wrong"}})
	if response.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(text, "This key opens nothing") || len(response.Cookies) != 0 {
		t.Errorf("%d %v %s", response.StatusCode, response.Cookies, text)
	}
	if response, text = s.do(http.MethodGet, "/sign-in/drl_x", nil); response.StatusCode != http.StatusOK || strings.Contains(strings.Join(s.backend.asked, " "), "drl_x") {
		t.Errorf("a look at a link uses it up: %d %s", response.StatusCode, text)
	}
}

func TestChanges_FromOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signIn()
	for _, path := range []string{"/sign-out", "/sign-in", "/sign-in/drl_x"} {
		response, _ := s.do(http.MethodPost, path, url.Values{"key": {theKey}}, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", path, response.StatusCode)
		}
	}
	if response, _ := s.do(http.MethodGet, yearPath, nil); response.StatusCode != http.StatusOK {
		t.Errorf("the session is gone: %d", response.StatusCode)
	}
}

func TestPages_SayWhatToDoWhileNATSIsAwayAndGoOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signIn()
	s.nats.Stop()
	<-s.away
	response, text := s.do(http.MethodGet, yearPath, nil)
	if response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text, "load the page again") {
		t.Errorf("%d %s", response.StatusCode, text)
	}
	if response, _ := s.do(http.MethodGet, "/sign-in", nil); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("sign-in: %d", response.StatusCode)
	}
	s.nats.Start()
	<-s.back
	if response, text := s.do(http.MethodGet, yearPath, nil); response.StatusCode != http.StatusOK {
		t.Errorf("after NATS returned: %d %s", response.StatusCode, text)
	}
}
