package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/services/registry"
)

var update = flag.Bool("update", false, "write the golden files anew")

const goldenDocument = "testdata/openapi.json"

// TestOpenAPI_IsTheCommittedContract makes each change of the contract a change that a reader of the commit sees. What
// is committed is also what the linter reads and the client is generated from.
func TestOpenAPI_IsTheCommittedContract(t *testing.T) {
	t.Parallel()
	nowhere := system{Data: t.TempDir(), NATSURL: "nats://127.0.0.1:1", ClickhouseDSN: "clickhouse://127.0.0.1:1/nowhere"}
	a, err := assemble(t.Context(), nowhere, zap.NewNop(), nil, allServices)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	text, err := a.server.Document()
	if err != nil {
		t.Fatal(err)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, text, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	if *update {
		if err := os.WriteFile(goldenDocument, pretty.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(goldenDocument)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(golden, pretty.Bytes()) {
		t.Error("the contract changed: look at `go test ./services/dealreg -run IsTheCommittedContract -update && git diff`")
	}
}

// contract holds every answer against the document: a status that the operation names, its media type, the headers
// that it promises, and a body of its schema without a field that is not described.
type contract struct {
	t    *testing.T
	api  *huma.OpenAPI
	mux  *http.ServeMux // finds the operation of a request
	next http.RoundTripper

	mu       sync.Mutex
	answered map[string]bool // operations that succeeded
}

func newContract(t *testing.T, api *huma.OpenAPI) *contract {
	t.Helper()
	c := &contract{t: t, api: api, mux: http.NewServeMux(), next: http.DefaultTransport, answered: map[string]bool{}}
	for _, op := range operationsOf(api) {
		c.mux.Handle(op.Method+" "+op.Path, http.NotFoundHandler())
	}
	return c
}

// operationsOf are all operations of the document, in the order of their ids.
func operationsOf(api *huma.OpenAPI) []*huma.Operation {
	var all []*huma.Operation
	for _, item := range api.Paths {
		for _, op := range []*huma.Operation{item.Get, item.Put, item.Post, item.Delete, item.Patch} {
			if op != nil {
				all = append(all, op)
			}
		}
	}
	slices.SortFunc(all, func(a, b *huma.Operation) int { return strings.Compare(a.OperationID, b.OperationID) })
	return all
}

// RoundTrip sends the request and checks the answer.
func (c *contract) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	_, pattern := c.mux.Handler(r)
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	response.Body = io.NopCloser(bytes.NewReader(body))
	for _, op := range operationsOf(c.api) {
		if op.Method+" "+op.Path == pattern {
			c.check(op, response, body)
		}
	}
	return response, nil
}

func (c *contract) check(op *huma.Operation, response *http.Response, body []byte) {
	fault := func(format string, args ...any) {
		c.t.Errorf("%s answers %d: "+format, append([]any{op.OperationID, response.StatusCode}, args...)...)
	}
	promised := op.Responses[strconv.Itoa(response.StatusCode)]
	if promised == nil {
		fault("the document does not name that status: %s", body)
		return
	}
	if name, is := strings.CutPrefix(promised.Ref, "#/components/responses/"); is {
		promised = c.api.Components.Responses[name]
	}
	if response.StatusCode < 300 {
		c.mu.Lock()
		c.answered[op.OperationID] = true
		c.mu.Unlock()
	}
	for name, header := range promised.Headers {
		if header.Required && response.Header.Get(name) == "" {
			fault("the header %s is missing", name)
		}
	}
	for _, name := range []string{"ETag", "Location", "Idempotency-Replayed", "Dealreg-Sequence", "Retry-After", "WWW-Authenticate", "Content-Disposition", "RateLimit", "RateLimit-Policy"} {
		if response.Header.Get(name) != "" && promised.Headers[name] == nil {
			fault("the document does not name the header %s", name)
		}
	}
	if len(promised.Content) == 0 {
		if len(body) > 0 {
			fault("a body that the document does not name")
		}
		return
	}
	kind, _, _ := strings.Cut(response.Header.Get("Content-Type"), ";")
	media := promised.Content[kind]
	switch {
	case media == nil:
		fault("Content-Type %q", kind)
	case strings.HasSuffix(kind, "json"):
		var value any
		if err := json.Unmarshal(body, &value); err != nil {
			fault("%v", err)
			return
		}
		found := &huma.ValidateResult{}
		huma.Validate(c.api.Components.Schemas, media.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, value, found)
		for _, err := range found.Errors {
			fault("%v", err)
		}
	}
}

// inProcess answers requests without a network, each as if it came from another address, because an address may fail to
// sign only so often.
type inProcess struct {
	handler http.Handler
	sent    atomic.Uint32
}

// RoundTrip gives the whole answer.
func (p *inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	n := p.sent.Add(1)
	r = r.Clone(r.Context())
	r.RemoteAddr = fmt.Sprintf("198.18.%d.%d:1024", n>>8&255, n&255)
	if r.Body == nil {
		r.Body = http.NoBody
	}
	answer := httptest.NewRecorder()
	p.handler.ServeHTTP(answer, r)
	return answer.Result(), nil
}

// world is a running system with the demo in it, what the paths of the document's operations may name, and keys.
type world struct {
	t        *testing.T
	api      *huma.OpenAPI
	contract *contract
	url      string
	operator *client
	keys     []string          // more of operators, because each may send so many requests only
	ids      map[string]string // by what a path parameter is called, or the thing before {id}
	revoked  string
	samples  int
	board    string // of the association that does not own ids
	guest    string // on the deal ids["guest"], which is another one than ids["deals"]
}

func startWorld(t *testing.T) *world {
	t.Helper()
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	operator := make(chan string, 1)
	a, err := assemble(t.Context(), system{
		Data: t.TempDir(), Listen: fmt.Sprintf("127.0.0.1:%d", port), ClickhouseDSN: embeddedtest.ClickHouse(t) + "contract", Replicas: 1,
	}, zap.NewNop(), func(token string) { operator <- token }, allServices)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, api: a.server.API.OpenAPI(), contract: newContract(t, a.server.API.OpenAPI()), ids: map[string]string{}}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	address, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- a.serve(ctx, func(_ context.Context, url string) error { address <- url; return nil })
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case w.url = <-address:
	case err := <-ended:
		t.Fatal(err)
	}
	ready(t, w.url)
	w.operator = newClient(w.url, <-operator)
	w.contract.next = &inProcess{handler: a.server.Handler()}
	w.operator.http = &http.Client{Transport: w.contract, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	w.settle()
	return w
}

// settle fills the system through its API, and so holds what the API answers to people who do it right against the
// document.
func (w *world) settle() {
	w.t.Helper()
	ctx := w.t.Context()
	must := func(err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	get := func(path string) map[string]any {
		w.t.Helper()
		var answer map[string]any
		_, err := w.operator.do(ctx, call{method: http.MethodGet, path: path, into: &answer})
		must(err)
		return answer
	}
	first := func(list map[string]any) map[string]any { return list["items"].([]any)[0].(map[string]any) }
	do := func(by *client, c call) http.Header {
		w.t.Helper()
		header, err := by.do(ctx, c)
		must(err)
		return header
	}
	must(demo(ctx, w.operator, time.Now()))

	associations := get("/v1/associations")["items"].([]any)
	guarded := associations[1].(map[string]any)["id"].(string)
	w.ids["associations"] = associations[0].(map[string]any)["id"].(string)
	own := "/v1/associations/" + w.ids["associations"]
	w.ids["chapter_id"] = first(get(own + "/chapters"))["id"].(string)
	w.ids["company_id"] = first(get(own + "/members"))["company_id"].(string)
	w.ids["companies"] = w.ids["company_id"]
	won := first(get("/v1/deals?limit=1&status=won&association=" + w.ids["associations"]))
	w.ids["deals"] = won["id"].(string)
	get("/v1/companies?q=alder")
	get("/v1/deals/counts?association=" + w.ids["associations"])
	get("/v1/deals/" + w.ids["deals"] + "/events")
	get("/v1/companies/" + w.ids["companies"] + "/volume?year=" + strconv.Itoa(time.Now().Year()))
	get("/v1/volume?by=month&year=" + strconv.Itoa(time.Now().Year()-1))
	get("/v1/rates?limit=3")
	for _, by := range []string{"total", "chapter", "pair", "month"} {
		get(own + "/volume?by=" + by + "&year=" + strconv.Itoa(time.Now().Year()-1))
	}
	get(own + "/volume?by=pair&limit=1&company=" + w.ids["companies"] + "&year=" + strconv.Itoa(time.Now().Year()-1))
	get(own + "/participation?year=" + strconv.Itoa(time.Now().Year()-1))
	w.statements(own)
	for _, path := range []string{own, own + "/chapters/" + w.ids["chapter_id"], "/v1/companies/" + w.ids["companies"], "/v1/deals/" + w.ids["deals"]} {
		var there map[string]any
		header := do(w.operator, call{method: http.MethodGet, path: path, into: &there})
		if there["status"] == nil {
			do(w.operator, call{
				method: http.MethodPatch, path: path, body: map[string]any{"name": there["name"]}, header: map[string]string{"If-Match": header.Get("ETag")},
			})
		}
	}

	people := demoWorld{api: w.operator}
	company, err := people.create(ctx, "/v1/companies", map[string]any{"name": "Yew Works", "country": "DE"})
	must(err)
	twice := call{
		method: http.MethodPost, path: "/v1/companies", body: map[string]any{"name": "Zelkova", "country": "DE"},
		header: map[string]string{"Idempotency-Key": "contract"},
	}
	do(w.operator, twice)
	do(w.operator, twice)
	member := own + "/members/" + company
	do(w.operator, call{method: http.MethodPut, path: member, body: map[string]any{"from": "2020-01-01", "ethics_accepted_on": "2020-01-01"}})
	secret, err := people.key(ctx, map[string]any{"role": "member", "company_id": company})
	must(err)
	w.deal(w.operator.as(secret), company)
	w.signIns(company)
	do(w.operator, call{method: http.MethodDelete, path: member})

	w.board, err = people.key(ctx, map[string]any{"role": "board", "association_id": guarded})
	must(err)
	registrar, err := people.key(ctx, map[string]any{"role": "registrar", "association_id": w.ids["associations"]})
	must(err)
	do(w.operator.as(registrar), call{
		method: http.MethodPost, path: "/v1/deals/" + w.ids["deals"] + "/exclude", body: map[string]any{"reason": "contract"},
		header: map[string]string{"If-Match": httpapi.ETag(uint64(won["revision"].(float64))), "Idempotency-Key": "contract"},
	})
	for range 4 {
		key, err := people.key(ctx, map[string]any{"role": "operator"})
		must(err)
		w.keys = append(w.keys, key)
	}
	var issued struct{ ID, Secret string }
	do(w.operator, call{method: http.MethodPost, path: "/v1/keys", body: map[string]any{"role": "auditor", "association_id": w.ids["associations"]}, into: &issued})
	w.ids["keys"], w.revoked = issued.ID, issued.Secret
	get("/v1/keys")
	do(w.operator, call{method: http.MethodDelete, path: "/v1/keys/" + issued.ID})

	upload := importDeals{File: writeFile(w.t, "history.csv", historyCSV), Map: writeFile(w.t, "map.json", historyMap), Association: w.ids["associations"]}
	do(w.operator, call{
		method: http.MethodPost, path: "/v1/imports/deals/preview", body: io.Reader(strings.NewReader(historyCSV)),
		query:  url.Values{"association_id": {upload.Association}, "reference": {"contract"}, "map": {historyMap}},
		header: map[string]string{"Content-Type": "text/csv"},
	})
	state, err := upload.upload(ctx, w.operator)
	must(err)
	state, err = follow(ctx, w.operator, state)
	must(err)
	w.ids["imports"] = state.ID.String()
	do(w.operator, call{method: http.MethodGet, path: "/v1/imports/" + w.ids["imports"] + "/rejects"})
	do(w.operator, call{method: http.MethodGet, path: "/v1/log"})
	get("/v1/looks")
	var rebuild map[string]any
	do(w.operator, call{method: http.MethodPost, path: "/v1/rebuilds", body: map[string]any{"from": 1}, into: &rebuild})
	w.ids["rebuilds"] = rebuild["id"].(string)
	get("/v1/rebuilds/" + w.ids["rebuilds"])
	get("/v1/poison?limit=1")
	w.webhooks()
}

// statements makes a release of the association's year twice and reads it in every form.
func (w *world) statements(own string) {
	w.t.Helper()
	do := func(c call) {
		w.t.Helper()
		if _, err := w.operator.do(w.t.Context(), c); err != nil {
			w.t.Fatal(err)
		}
	}
	year := time.Now().Year() - 1
	w.ids["year"], w.ids["release"] = strconv.Itoa(year), "1"
	for range 2 {
		do(call{
			method: http.MethodPost, path: own + "/statements", body: map[string]any{"year": year}, header: map[string]string{"Idempotency-Key": "contract"},
		})
	}
	one := own + "/statements/" + w.ids["year"] + "/1"
	for _, path := range []string{
		own + "/statements", one, one + "?format=csv", one + "?format=xlsx", one + "/held-back", own + "/statements/" + w.ids["year"] + "/latest",
		own + "/volume?by=pair&format=csv&year=" + w.ids["year"],
	} {
		do(call{method: http.MethodGet, path: path})
	}
}

// deal registers a deal twice, edits it and lets the registrar dispute, settle and the company withdraw it: what the
// demo does not do.
func (w *world) deal(by *client, company string) {
	w.t.Helper()
	var d registry.Deal
	post := func(by *client, method, path string, body any) {
		w.t.Helper()
		_, err := by.do(w.t.Context(), call{method: method, path: path, body: body, into: &d, header: map[string]string{
			"Idempotency-Key": method + path, "If-Match": httpapi.ETag(max(d.Revision, 1)),
		}})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	amount := map[string]any{"amount": "100.00", "currency": "EUR"}
	body := map[string]any{
		"title": "Contract", "external_ref": "C-1", "customer": map[string]any{"name": "Contoso AG", "country": "DE"}, "value": amount,
		"parties": []any{map[string]any{"company_id": company, "share": amount}, map[string]any{
			"company_id": w.ids["company_id"], "share": map[string]any{"amount": "0", "currency": "EUR"},
		}},
	}
	post(by, http.MethodPost, "/v1/deals", body)
	post(by, http.MethodPost, "/v1/deals", body)
	here := "/v1/deals/" + d.ID.String()
	post(by, http.MethodPatch, here, map[string]any{"description": nil, "expected_on": "2030-01-01"})
	post(w.operator, http.MethodPost, here+"/dispute", map[string]any{"reason": "contract"})
	post(w.operator, http.MethodPost, here+"/dispute", map[string]any{"reason": "contract"})
	post(w.operator, http.MethodPost, here+"/settle", map[string]any{})
	body["external_ref"], body["expected_on"] = "C-2", "2030-01-01"
	var other registry.Deal
	_, err := by.do(w.t.Context(), call{
		method: http.MethodPost, path: "/v1/deals", body: body, into: &other, header: map[string]string{"Idempotency-Key": "other"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.ids["other"] = other.ID.String()
	w.conflict(d.ID.String(), w.ids["other"])
	post(by, http.MethodPost, here+"/withdraw", map[string]any{})
	w.invitesGuest(by, body)
}

// invitesGuest registers a deal with a party that is no member, whose guest signs in.
func (w *world) invitesGuest(by *client, body map[string]any) {
	w.t.Helper()
	do := func(by *client, c call) {
		w.t.Helper()
		if _, err := by.do(w.t.Context(), c); err != nil {
			w.t.Fatal(err)
		}
	}
	people := demoWorld{api: w.operator}
	outsider, err := people.create(w.t.Context(), "/v1/companies", map[string]any{"name": "Outside", "country": "DE"})
	if err != nil {
		w.t.Fatal(err)
	}
	amount := map[string]any{"amount": "0", "currency": "EUR"}
	body["external_ref"], body["customer"] = "C-3", map[string]any{"name": "Fabrikam", "country": "DE"}
	body["parties"] = append(body["parties"].([]any), map[string]any{"company_id": outsider, "share": amount})
	var d registry.Deal
	do(by, call{method: http.MethodPost, path: "/v1/deals", body: body, into: &d, header: map[string]string{"Idempotency-Key": "guest"}})
	w.ids["guest"] = d.ID.String()
	links := "/v1/deals/" + w.ids["guest"] + "/links"
	var spare, link registry.NewDealLink
	var session struct{ Secret string }
	do(w.operator, call{method: http.MethodPost, path: links, body: map[string]any{"company_id": outsider}, into: &spare})
	do(w.operator, call{method: http.MethodDelete, path: links + "/" + spare.ID.String()})
	do(w.operator, call{method: http.MethodPost, path: links, body: map[string]any{"company_id": outsider}, into: &link})
	do(w.operator, call{method: http.MethodGet, path: links})
	do(w.operator, call{method: http.MethodPost, path: "/v1/sessions", body: map[string]any{"link": link.Link}, into: &session})
	w.ids["link_id"], w.guest = link.ID.String(), session.Secret
}

// signIns invites a person who signs in and out, and lets two companies waive.
func (w *world) signIns(company string) {
	w.t.Helper()
	var person, spare struct{ ID string }
	var link struct{ Link string }
	var session struct{ Secret string }
	tag := httpapi.ETag(1)
	do := func(by *client, method, path string, body, into any) http.Header {
		w.t.Helper()
		header, err := by.do(w.t.Context(), call{method: method, path: path, body: body, into: into, header: map[string]string{"If-Match": tag}})
		if err != nil {
			w.t.Fatal(err)
		}
		return header
	}
	ada := map[string]any{"name": "Ada", "role": "company_admin", "company_id": company, "email": "ada@contoso.example"}
	do(w.operator, http.MethodPost, "/v1/people", ada, &person)
	path := "/v1/people/" + person.ID
	do(w.operator, http.MethodPost, path+"/link", map[string]any{}, &link)
	do(w.operator, http.MethodPost, "/v1/sessions", map[string]any{"link": link.Link}, &session)
	admin := w.operator.as(session.Secret)
	tag = do(admin, http.MethodGet, path, nil, nil).Get("ETag")
	do(admin, http.MethodPatch, path, map[string]any{"language": "de"}, nil)
	do(admin, http.MethodGet, "/v1/people", nil, nil)
	do(admin, http.MethodGet, "/v1/session", nil, nil)

	waivers := "/v1/companies/" + company + "/waivers"
	waiver := waivers + "/" + w.ids["associations"] + "/" + w.ids["company_id"]
	do(admin, http.MethodPut, waiver, nil, nil)
	do(admin, http.MethodGet, waivers, nil, nil)
	do(admin, http.MethodDelete, waiver, nil, nil)

	do(admin, http.MethodDelete, "/v1/session", nil, nil)
	do(w.operator, http.MethodPost, "/v1/people", map[string]any{"name": "Bob", "role": "operator"}, &spare)
	do(w.operator, http.MethodDelete, "/v1/people/"+spare.ID, nil, nil)
	w.ids["people"], w.ids["association_id"], w.ids["partner_id"] = person.ID, w.ids["associations"], company
}

// conflict waits until the two deals are flagged and finds them distinct.
func (w *world) conflict(deal, other string) {
	w.t.Helper()
	path := "/v1/deals/" + deal + "/conflicts"
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var list struct{ Items []registry.Conflict }
		if _, err := w.operator.do(w.t.Context(), call{method: http.MethodGet, path: path, into: &list}); err != nil {
			w.t.Fatal(err)
		}
		if len(list.Items) == 1 {
			break
		}
		select {
		case <-tick.C:
		case <-w.t.Context().Done():
			w.t.Fatal("the deals are never flagged")
		}
	}
	_, err := w.operator.do(w.t.Context(), call{
		method: http.MethodPost, path: path + "/" + other + "/decide", body: map[string]any{"decision": "distinct", "reason": "contract"},
		header: map[string]string{"Idempotency-Key": "contract"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// attempt is one request to an operation; sample makes one that is right in form.
type attempt struct {
	op       *huma.Operation
	key      string
	path     map[string]string
	query    url.Values
	rawQuery string // instead of query
	header   http.Header
	body     []byte
}

func (w *world) sample(op *huma.Operation) *attempt {
	w.samples++
	a := &attempt{op: op, key: w.keys[w.samples%len(w.keys)], path: map[string]string{}, query: url.Values{}, header: http.Header{}}
	for _, p := range op.Parameters {
		switch {
		case p.In == "path":
			thing := p.Name
			if thing == "id" {
				thing = strings.Split(op.Path, "/")[2]
			}
			if a.path[p.Name] = w.ids[thing]; a.path[p.Name] == "" {
				w.t.Fatalf("%s: let settle make one of %s and keep its id", op.OperationID, thing)
			}
		case p.Name == "If-Match":
			a.header.Set(p.Name, `"1"`)
		case p.In == "header":
			a.header.Set(p.Name, "contract-"+op.OperationID)
		case p.Required:
			a.query.Set(p.Name, fmt.Sprint(w.value(p.Schema)))
		}
	}
	if op.RequestBody == nil {
		return a
	}
	if media := op.RequestBody.Content["application/json"]; media != nil {
		a.header.Set("Content-Type", "application/json")
		a.body, _ = json.Marshal(w.value(media.Schema))
		return a
	}
	a.header.Set("Content-Type", slices.Sorted(maps.Keys(op.RequestBody.Content))[0])
	a.body = []byte("Date,USD\n2024-01-02,1.1\n")
	return a
}

// value makes a value of the schema, with no field that may be left out.
func (w *world) value(s *huma.Schema) any {
	if s.Ref != "" {
		s = w.api.Components.Schemas.SchemaFromRef(s.Ref)
	}
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case len(s.Enum) > 0:
		return s.Enum[0]
	}
	switch s.Type {
	case huma.TypeObject:
		object := map[string]any{}
		for _, name := range s.Required {
			object[name] = w.value(s.Properties[name])
		}
		return object
	case huma.TypeArray:
		items := []any{}
		for n := 0; s.MinItems != nil && n < *s.MinItems; n++ {
			items = append(items, w.value(s.Items))
		}
		return items
	case huma.TypeInteger:
		if s.Minimum != nil {
			return int(*s.Minimum)
		}
		return 1
	case huma.TypeBoolean:
		return true
	}
	if s.MinLength != nil {
		return strings.Repeat("x", *s.MinLength)
	}
	return "x"
}

// answer is what came back.
type contractAnswer struct {
	status  int
	text    string
	problem httpapi.Problem
}

func (w *world) send(a *attempt) contractAnswer {
	w.t.Helper()
	path := a.op.Path
	for name, value := range a.path {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	query := a.rawQuery
	if query == "" {
		query = a.query.Encode()
	}
	r, err := http.NewRequestWithContext(w.t.Context(), a.op.Method, w.url, bytes.NewReader(a.body))
	if err != nil {
		w.t.Fatal(err)
	}
	if r.URL, err = url.Parse(w.url + path + "?" + query); err != nil {
		w.t.Fatal(err)
	}
	r.Header = a.header.Clone()
	if a.key != "" {
		r.Header.Set("Authorization", "Bearer "+a.key)
	}
	response, err := w.operator.http.Do(r)
	if err != nil {
		w.t.Fatalf("%s: %v", a.op.OperationID, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	got := contractAnswer{status: response.StatusCode, text: string(text)}
	if response.Header.Get("Content-Type") == "application/problem+json" {
		if err := json.Unmarshal(text, &got.problem); err != nil || got.problem.Status != got.status {
			w.t.Errorf("%s: %d with %s", a.op.OperationID, got.status, text)
		}
	}
	return got
}

// refused sends the attempt and wants a problem with one of the statuses.
func (w *world) refused(what string, a *attempt, statuses ...int) contractAnswer {
	w.t.Helper()
	got := w.send(a)
	if !slices.Contains(statuses, got.status) || got.problem.Status != got.status {
		w.t.Errorf("%s, %s: %d, want a problem with %d: %s", a.op.OperationID, what, got.status, statuses, got.text)
	}
	return got
}

func (a contractAnswer) names(place string) bool {
	return slices.ContainsFunc(a.problem.Errors, func(f httpapi.Fault) bool { return f.Pointer == place || f.Parameter == place })
}

func TestOpenAPI_DescribesEveryAnswerOfEveryOperation(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for _, op := range operationsOf(w.api) {
		if !w.contract.answered[op.OperationID] {
			t.Errorf("%s never succeeded: add it to settle", op.OperationID)
		}
		w.refusesStrangers(op)
		w.refusesTheBoardOfAnother(op)
		w.refusesTheGuestOfAnotherDeal(op)
		w.refusesWrongPaths(op)
		w.refusesWrongQueries(op)
		w.refusesWrongHeaders(op)
		w.refusesWrongBodies(op)
	}
}

func (w *world) refusesStrangers(op *huma.Operation) {
	if op.Security != nil && len(op.Security) == 0 {
		return
	}
	for _, key := range []string{"", w.revoked, w.operator.key + "x", "drk_a_b", strings.Repeat("k", 10<<10)} {
		a := w.sample(op)
		a.key = key
		w.refused("a key that opens nothing", a, http.StatusUnauthorized)
	}
}

// openToBoards is what every key may read: who is there to make deals with, at what rates, and what it is itself.
var openToBoards = []string{"get-company", "get-session", "list-associations", "list-companies", "list-keys", "list-people", "list-rates", "list-event-types", "list-webhook-endpoints"}

func (w *world) refusesTheBoardOfAnother(op *huma.Operation) {
	if op.OperationID == "start-session" || op.OperationID == "end-session" || op.OperationID == "create-webhook-endpoint" { // of one's own
		return
	}
	a := w.sample(op)
	a.key = w.board
	if slices.Contains(openToBoards, op.OperationID) {
		got := w.send(a)
		if got.status != http.StatusOK || strings.Contains(got.text, w.ids["deals"]) || strings.Contains(got.text, `"amount"`) ||
			op.OperationID != "get-company" && op.OperationID != "list-companies" && strings.Contains(got.text, w.ids["associations"]) {
			w.t.Errorf("%s shows a board too much or nothing: %d %s", op.OperationID, got.status, got.text)
		}
		return
	}
	statuses := []int{http.StatusForbidden, http.StatusNotFound}
	if op.OperationID == "issue-key" || op.OperationID == "invite-person" || op.OperationID == "import-deals" ||
		op.OperationID == "preview-import" {
		statuses = append(statuses, http.StatusUnprocessableEntity) // what the key would be for, and whose deals, is not said
	}
	w.refused("the board of another association", a, statuses...)
}

// refusesTheGuestOfAnotherDeal wants each operation to answer a guest as if nothing were there but its own deal, where it
// finds nothing but what is listed here.
func (w *world) refusesTheGuestOfAnotherDeal(op *huma.Operation) {
	if op.OperationID == "end-session" || op.Security != nil && len(op.Security) == 0 {
		return
	}
	a := w.sample(op)
	a.key = w.guest
	if op.OperationID == "get-session" {
		if got := w.send(a); got.status != http.StatusOK || !strings.Contains(got.text, w.ids["guest"]) {
			w.t.Errorf("a guest's session: %d %s", got.status, got.text)
		}
		return
	}
	w.refused("the guest of another deal", a, http.StatusNotFound)
	if !strings.HasPrefix(op.Path, "/v1/deals/{id}") {
		return
	}
	a.path["id"] = w.ids["guest"]
	switch got := w.send(a); op.OperationID {
	case "get-deal", "list-deal-events":
		if got.status != http.StatusOK {
			w.t.Errorf("%s refuses the deal's guest: %d %s", op.OperationID, got.status, got.text)
		}
	case "accept-deal", "decline-deal", "attest-deal", "refuse-deal":
		if got.status == http.StatusNotFound || got.status == http.StatusForbidden {
			w.t.Errorf("%s is not for the deal's guest: %d %s", op.OperationID, got.status, got.text)
		}
	default:
		if got.status != http.StatusNotFound {
			w.t.Errorf("%s lets a guest in: %d %s", op.OperationID, got.status, got.text)
		}
	}
}

func (w *world) refusesWrongPaths(op *huma.Operation) {
	for _, p := range op.Parameters {
		if p.In != "path" {
			continue
		}
		for _, id := range []string{
			"*", ">", "a.b", "%2e%2e", "%2E", "%2f", "%00", "%ff", strings.Repeat("a", 37), "0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d0",
			"%7B0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d%7D", "0198c2f45b7e7cc19d0a4f1e2a3b4c5d", strings.Repeat("9", 5000),
		} {
			a := w.sample(op)
			a.path[p.Name] = id
			w.refused("the path "+p.Name+"="+shortly(id), a, http.StatusNotFound, http.StatusUnprocessableEntity)
		}
		a := w.sample(op)
		a.path[p.Name] = "0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"
		w.refused("an id of nothing", a, http.StatusNotFound)
	}
}

func shortly(text string) string { return text[:min(len(text), 40)] }

func (w *world) refusesWrongQueries(op *huma.Operation) {
	a := w.sample(op)
	a.query.Set("zzz", "1")
	if got := w.refused("an unknown parameter", a, http.StatusUnprocessableEntity); !got.names("zzz") {
		w.t.Errorf("%s does not name the unknown parameter: %s", op.OperationID, got.text)
	}
	for _, p := range op.Parameters {
		if p.In != "query" {
			continue
		}
		for _, value := range []string{"%ff", "1&" + p.Name + "=2"} {
			a := w.sample(op)
			a.query.Del(p.Name)
			a.rawQuery = strings.TrimPrefix(a.query.Encode()+"&"+p.Name+"="+value, "&")
			if got := w.refused("the query "+p.Name+"="+value, a, http.StatusUnprocessableEntity); !got.names(p.Name) {
				w.t.Errorf("%s does not name the parameter %s: %s", op.OperationID, p.Name, got.text)
			}
		}
		if p.Schema.Type != huma.TypeString || len(p.Schema.Enum) > 0 || p.Schema.Format != "" {
			a := w.sample(op)
			a.query.Set(p.Name, "x\x00y")
			w.refused("text for "+p.Name, a, http.StatusUnprocessableEntity)
		}
		if p.Required {
			a := w.sample(op)
			a.query.Del(p.Name)
			w.refused("without "+p.Name, a, http.StatusUnprocessableEntity)
		}
	}
}

func (w *world) refusesWrongHeaders(op *huma.Operation) {
	for _, p := range op.Parameters {
		if p.In != "header" {
			continue
		}
		for _, value := range []string{strings.Repeat("7", 10<<10), "é", "\xff\xfe", "a\tb"} {
			a := w.sample(op)
			a.header.Set(p.Name, value)
			w.refused("the header "+p.Name, a, http.StatusUnprocessableEntity)
		}
		for _, value := range []string{"a\x00b", "a\rX-Injected: 1", "a\x7fb", "a\r\n\r\nGET / HTTP/1.1"} {
			w.notHTTP(op, p.Name, value)
		}
		if p.Required {
			a := w.sample(op)
			a.header.Del(p.Name)
			status := http.StatusUnprocessableEntity
			if p.Name == "If-Match" {
				status = http.StatusPreconditionRequired
			}
			if got := w.refused("without "+p.Name, a, status); !got.names(p.Name) {
				w.t.Errorf("%s does not name the missing header: %s", op.OperationID, got.text)
			}
		}
	}
}

// notHTTP sends a header as no client library would, and wants it refused before anybody reads it.
func (w *world) notHTTP(op *huma.Operation, name, value string) {
	w.t.Helper()
	var dialer net.Dialer
	connection, err := dialer.DialContext(w.t.Context(), "tcp", strings.TrimPrefix(w.url, "http://"))
	if err != nil {
		w.t.Fatal(err)
	}
	defer connection.Close()
	path := strings.NewReplacer("{id}", w.ids["deals"]).Replace(op.Path)
	fmt.Fprintf(connection, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s: %s\r\nContent-Length: 0\r\n\r\n",
		op.Method, path, w.keys[0], name, value)
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		w.t.Fatalf("%s, header %s: %v", op.OperationID, name, err)
	}
	defer response.Body.Close()
	if response.StatusCode < 400 || response.StatusCode >= 500 {
		w.t.Errorf("%s takes the header %s: %q: %d", op.OperationID, name, value, response.StatusCode)
	}
}

func (w *world) refusesWrongBodies(op *huma.Operation) {
	if op.RequestBody == nil {
		return
	}
	with := func(kind string, body []byte) *attempt {
		a := w.sample(op)
		a.header.Set("Content-Type", kind)
		a.body = body
		return a
	}
	w.refused("a form", with("application/x-www-form-urlencoded", []byte("a=b")), http.StatusUnsupportedMediaType)
	media := op.RequestBody.Content["application/json"]
	if media == nil {
		w.refused("JSON", with("application/json", []byte("{}")), http.StatusUnsupportedMediaType)
		return
	}
	w.refused("half a body", with("application/json", []byte("{")), http.StatusBadRequest)
	w.refused("bytes", with("application/json", []byte("{\"\xff\":1}")), http.StatusBadRequest)
	w.refused("no body", with("application/json", nil), http.StatusBadRequest)
	w.refused("a huge body", with("application/json", bytes.Repeat([]byte(" "), httpapi.MaxBodyBytes+1)), http.StatusRequestEntityTooLarge)
	w.refused("a list", with("application/json", []byte("[]")), http.StatusUnprocessableEntity)

	taken := w.api.Components.Schemas.SchemaFromRef(media.Schema.Ref).Properties
	for _, name := range append([]string{"zzz"}, w.answeredOnly(op, taken)...) {
		var body map[string]any
		a := w.sample(op)
		if err := json.Unmarshal(a.body, &body); err != nil {
			w.t.Fatal(err)
		}
		body[name] = "x"
		a.body, _ = json.Marshal(body)
		if got := w.refused("the field "+name, a, http.StatusUnprocessableEntity); !got.names("/" + name) {
			w.t.Errorf("%s does not name the field %s: %s", op.OperationID, name, got.text)
		}
	}
}

// answeredOnly are the fields that the operation answers and does not take.
func (w *world) answeredOnly(op *huma.Operation, taken map[string]*huma.Schema) []string {
	var names []string
	for _, response := range op.Responses {
		if media := response.Content["application/json"]; media != nil && media.Schema.Ref != "" {
			for name := range w.api.Components.Schemas.SchemaFromRef(media.Schema.Ref).Properties {
				if taken[name] == nil && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return names
}
