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
