package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/services/registry"
)

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
	w.must(demo(w.t.Context(), w.operator, time.Now()))
	associations := w.get("/v1/associations")["items"].([]any)
	guarded := associations[1].(map[string]any)["id"].(string)
	w.ids["associations"] = associations[0].(map[string]any)["id"].(string)
	own := "/v1/associations/" + w.ids["associations"]
	w.ids["chapter_id"] = firstOf(w.get(own + "/chapters"))["id"].(string)
	w.ids["company_id"] = firstOf(w.get(own + "/members"))["company_id"].(string)
	w.ids["companies"] = w.ids["company_id"]
	w.ids["deals"] = firstOf(w.get("/v1/deals?limit=1&status=won&association=" + w.ids["associations"]))["id"].(string)
	w.reads(own)
	w.statements(own)
	w.patches(own, own+"/chapters/"+w.ids["chapter_id"], "/v1/companies/"+w.ids["companies"])
	w.member(own)
	w.issues(guarded)
	w.imports()
	w.operates()
	w.webhooks()
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// do sends what must succeed and gives the header of the answer.
func (w *world) do(by *client, c call) http.Header {
	w.t.Helper()
	header, err := by.do(w.t.Context(), c)
	w.must(err)
	return header
}

func (w *world) get(path string) (answer map[string]any) {
	w.t.Helper()
	w.do(w.operator, call{method: http.MethodGet, path: path, into: &answer})
	return answer
}

func firstOf(list map[string]any) map[string]any { return list["items"].([]any)[0].(map[string]any) }

// reads asks for deals, companies and figures.
func (w *world) reads(own string) {
	w.t.Helper()
	thisYear, lastYear := strconv.Itoa(time.Now().Year()), strconv.Itoa(time.Now().Year()-1)
	for _, path := range []string{
		"/v1/companies?q=alder", "/v1/deals/counts?association=" + w.ids["associations"], "/v1/deals/" + w.ids["deals"],
		"/v1/deals/" + w.ids["deals"] + "/events", "/v1/companies/" + w.ids["companies"] + "/volume?year=" + thisYear,
		"/v1/volume?by=month&year=" + lastYear, "/v1/rates?limit=3",
		own + "/volume?by=total&year=" + lastYear, own + "/volume?by=chapter&year=" + lastYear,
		own + "/volume?by=pair&year=" + lastYear, own + "/volume?by=month&year=" + lastYear,
		own + "/volume?by=pair&limit=1&company=" + w.ids["companies"] + "&year=" + lastYear, own + "/participation?limit=1&year=" + lastYear,
	} {
		w.get(path)
	}
}

// patches reads each thing and gives it the name that it has.
func (w *world) patches(paths ...string) {
	w.t.Helper()
	for _, path := range paths {
		var there map[string]any
		header := w.do(w.operator, call{method: http.MethodGet, path: path, into: &there})
		w.do(w.operator, call{
			method: http.MethodPatch, path: path, body: map[string]any{"name": there["name"]}, header: map[string]string{"If-Match": header.Get("ETag")},
		})
	}
}

// member makes companies, of which one is a member for a while, registers deals and signs in.
func (w *world) member(own string) {
	w.t.Helper()
	people := demoWorld{api: w.operator}
	company, err := people.create(w.t.Context(), "/v1/companies", map[string]any{"name": "Yew Works", "country": "DE"})
	w.must(err)
	twice := call{
		method: http.MethodPost, path: "/v1/companies", body: map[string]any{"name": "Zelkova", "country": "DE"},
		header: map[string]string{"Idempotency-Key": "contract"},
	}
	w.do(w.operator, twice)
	w.do(w.operator, twice)
	member := own + "/members/" + company
	w.do(w.operator, call{method: http.MethodPut, path: member, body: map[string]any{"from": "2020-01-01", "ethics_accepted_on": "2020-01-01"}})
	secret, err := people.key(w.t.Context(), map[string]any{"role": "member", "company_id": company})
	w.must(err)
	w.deal(w.operator.as(secret), company)
	w.signIns(company)
	w.do(w.operator, call{method: http.MethodDelete, path: member})
}

// issues makes keys: a board's of the association that does not own ids, operators', one that is revoked, and a registrar's,
// who excludes a deal with it.
func (w *world) issues(other string) {
	w.t.Helper()
	ctx, people := w.t.Context(), demoWorld{api: w.operator}
	var err error
	w.board, err = people.key(ctx, map[string]any{"role": "board", "association_id": other})
	w.must(err)
	registrar, err := people.key(ctx, map[string]any{"role": "registrar", "association_id": w.ids["associations"]})
	w.must(err)
	here := "/v1/deals/" + w.ids["deals"]
	tag := w.do(w.operator, call{method: http.MethodGet, path: here}).Get("ETag")
	w.do(w.operator.as(registrar), call{
		method: http.MethodPost, path: here + "/exclude", body: map[string]any{"reason": "contract"},
		header: map[string]string{"If-Match": tag, "Idempotency-Key": "contract"},
	})
	for range 4 {
		key, err := people.key(ctx, map[string]any{"role": "operator"})
		w.must(err)
		w.keys = append(w.keys, key)
	}
	var issued struct{ ID, Secret string }
	w.do(w.operator, call{method: http.MethodPost, path: "/v1/keys", body: map[string]any{"role": "auditor", "association_id": w.ids["associations"]}, into: &issued})
	w.ids["keys"], w.revoked = issued.ID, issued.Secret
	w.get("/v1/keys")
	w.do(w.operator, call{method: http.MethodDelete, path: "/v1/keys/" + issued.ID})
}

// imports brings a file of deals in.
func (w *world) imports() {
	w.t.Helper()
	upload := importDeals{File: writeFile(w.t, "history.csv", historyCSV), Map: writeFile(w.t, "map.json", historyMap), Association: w.ids["associations"]}
	w.do(w.operator, call{
		method: http.MethodPost, path: "/v1/imports/deals/preview", body: io.Reader(strings.NewReader(historyCSV)),
		query:  url.Values{"association_id": {upload.Association}, "reference": {"contract"}, "map": {historyMap}},
		header: map[string]string{"Content-Type": "text/csv"},
	})
	state, err := upload.upload(w.t.Context(), w.operator)
	w.must(err)
	state, err = follow(w.t.Context(), w.operator, state)
	w.must(err)
	w.ids["imports"] = state.ID.String()
	w.do(w.operator, call{method: http.MethodGet, path: "/v1/imports/" + w.ids["imports"] + "/rejects"})
}

// operates reads the log and who looked, and rebuilds the projection.
func (w *world) operates() {
	w.t.Helper()
	w.do(w.operator, call{method: http.MethodGet, path: "/v1/log"})
	w.get("/v1/looks")
	var rebuild map[string]any
	w.do(w.operator, call{method: http.MethodPost, path: "/v1/rebuilds", body: map[string]any{"from": 1}, into: &rebuild})
	w.ids["rebuilds"] = rebuild["id"].(string)
	w.get("/v1/rebuilds/" + w.ids["rebuilds"])
	w.get("/v1/poison?limit=1")
}

// statements makes a release of the association's year twice and reads it in every form.
func (w *world) statements(own string) {
	w.t.Helper()
	year := time.Now().Year() - 1
	w.ids["year"], w.ids["release"] = strconv.Itoa(year), "1"
	for range 2 {
		w.do(w.operator, call{
			method: http.MethodPost, path: own + "/statements", body: map[string]any{"year": year}, header: map[string]string{"Idempotency-Key": "contract"},
		})
	}
	one := own + "/statements/" + w.ids["year"] + "/1"
	for _, path := range []string{
		own + "/statements", one, one + "?format=csv", one + "?format=xlsx", one + "/held-back", own + "/statements/" + w.ids["year"] + "/latest",
		own + "/volume?by=pair&format=csv&year=" + w.ids["year"],
	} {
		w.do(w.operator, call{method: http.MethodGet, path: path})
	}
}

// deal registers a deal twice, edits it and lets the registrar dispute, settle and the company withdraw it: what the
// demo does not do.
func (w *world) deal(by *client, company string) {
	w.t.Helper()
	var d registry.Deal
	post := func(by *client, method, path string, body any) {
		w.t.Helper()
		w.do(by, call{method: method, path: path, body: body, into: &d, header: map[string]string{
			"Idempotency-Key": method + path, "If-Match": httpapi.ETag(max(d.Revision, 1)),
		}})
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
	w.do(by, call{
		method: http.MethodPost, path: "/v1/deals", body: body, into: &other, header: map[string]string{"Idempotency-Key": "other"},
	})
	w.ids["other"] = other.ID.String()
	w.conflict(d.ID.String(), w.ids["other"])
	post(by, http.MethodPost, here+"/withdraw", map[string]any{})
	w.invitesGuest(by, body)
}

// invitesGuest registers a deal with a party that is no member, whose guest signs in.
func (w *world) invitesGuest(by *client, body map[string]any) {
	w.t.Helper()
	people := demoWorld{api: w.operator}
	outsider, err := people.create(w.t.Context(), "/v1/companies", map[string]any{"name": "Outside", "country": "DE"})
	w.must(err)
	amount := map[string]any{"amount": "0", "currency": "EUR"}
	body["external_ref"], body["customer"] = "C-3", map[string]any{"name": "Fabrikam", "country": "DE"}
	body["parties"] = append(body["parties"].([]any), map[string]any{"company_id": outsider, "share": amount})
	var d registry.Deal
	w.do(by, call{method: http.MethodPost, path: "/v1/deals", body: body, into: &d, header: map[string]string{"Idempotency-Key": "guest"}})
	w.ids["guest"] = d.ID.String()
	links := "/v1/deals/" + w.ids["guest"] + "/links"
	var spare, link registry.NewDealLink
	var session struct{ Secret string }
	w.do(w.operator, call{method: http.MethodPost, path: links, body: map[string]any{"company_id": outsider}, into: &spare})
	w.do(w.operator, call{method: http.MethodDelete, path: links + "/" + spare.ID.String()})
	w.do(w.operator, call{method: http.MethodPost, path: links, body: map[string]any{"company_id": outsider}, into: &link})
	w.do(w.operator, call{method: http.MethodGet, path: links})
	w.do(w.operator, call{method: http.MethodPost, path: "/v1/sessions", body: map[string]any{"link": link.Link}, into: &session})
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
		return w.do(by, call{method: method, path: path, body: body, into: into, header: map[string]string{"If-Match": tag}})
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
		w.do(w.operator, call{method: http.MethodGet, path: path, into: &list})
		if len(list.Items) == 1 {
			break
		}
		select {
		case <-tick.C:
		case <-w.t.Context().Done():
			w.t.Fatal("the deals are never flagged")
		}
	}
	w.do(w.operator, call{
		method: http.MethodPost, path: path + "/" + other + "/decide", body: map[string]any{"decision": "distinct", "reason": "contract"},
		header: map[string]string{"Idempotency-Key": "contract"},
	})
}
