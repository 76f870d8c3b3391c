package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
)

type party struct {
	CompanyID deal.ID        `json:"company_id"`
	Share     httpapi.Amount `json:"share"`
}

type thing struct {
	Name    string                    `json:"name" minLength:"1" maxLength:"5"`
	Kind    string                    `json:"kind,omitempty" enum:"big,small"`
	On      calendar.Date             `json:"on,omitempty"`
	At      time.Time                 `json:"at,omitzero"`
	Parties []party                   `json:"parties,omitempty" maxItems:"2"`
	Domain  httpapi.Optional[string]  `json:"domain,omitempty"`
	Above   httpapi.Optional[deal.ID] `json:"above,omitempty"`
}

type thingInput struct {
	ID deal.ID `path:"id"`
	httpapi.IfMatch
	Body thing
}

var (
	errBroken = errors.New("disk on fire")
	caller    = roster.Principal{KeyID: deal.ID{1}, Role: roster.RoleMember, Company: deal.ID{2}}
)

const (
	token      = "drk_good_secret"
	guestToken = "drk_guest_secret"
)

func serve(t *testing.T) (*httptest.Server, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	server := httpapi.New(httpapi.Config{
		Log: zap.New(core),
		Authenticate: func(sent string) (roster.Principal, error) {
			switch sent {
			case token:
				return caller, nil
			case guestToken:
				return roster.Principal{KeyID: deal.ID{3}, Role: roster.RoleGuest}, nil
			case "early":
				return roster.Principal{}, roster.ErrNotLoaded
			}
			return roster.Principal{}, roster.ErrUnauthenticated
		},
	})
	huma.Register(server.API, huma.Operation{OperationID: "put", Method: http.MethodPut, Path: "/things/{id}"},
		func(ctx context.Context, in *thingInput) (*httpapi.Tagged[thing], error) {
			revision, err := in.Revision()
			if err != nil {
				return nil, err
			}
			if revision != 7 {
				return nil, httpapi.PreconditionFailed(7)
			}
			if httpapi.Caller(ctx) != caller {
				return nil, httpapi.Internal(nil)
			}
			for i, p := range in.Body.Parties {
				if _, faults := p.Share.Money(strings.Replace("/parties/#/share", "#", string(rune('0'+i)), 1)); faults != nil {
					return nil, httpapi.FromError(faults)
				}
			}
			return httpapi.WithTag(8, in.Body), nil
		})
	huma.Register(server.API, huma.Operation{OperationID: "visit", Method: http.MethodGet, Path: "/visits", Metadata: httpapi.ForGuests},
		func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
	huma.Register(server.API, huma.Operation{OperationID: "list", Method: http.MethodGet, Path: "/things", Security: httpapi.Public},
		func(_ context.Context, in *struct {
			httpapi.Paging
			Since  time.Time `query:"since"`
			Newest bool      `query:"newest"`
		},
		) (*httpapi.List[string], error) {
			position, err := in.Position()
			if err != nil {
				return nil, err
			}
			return httpapi.NewList([]string{position}, "z"), nil
		})
	huma.Register(server.API, huma.Operation{OperationID: "break", Method: http.MethodPost, Path: "/break/{how}", Security: httpapi.Public},
		func(_ context.Context, in *struct {
			How string `path:"how"`
		},
		) (*struct{}, error) {
			switch in.How {
			case "panic":
				panic("secret of the panic")
			case "away":
				return nil, httpapi.Unavailable("the log is away", errBroken)
			}
			return nil, errBroken
		})
	huma.Register(server.API, huma.Operation{OperationID: "rates", Method: http.MethodPut, Path: "/rates", Security: httpapi.Public},
		func(_ context.Context, in *struct {
			RawBody []byte `contentType:"text/csv"`
		},
		) (*struct{}, error) {
			return nil, nil
		})
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	return web, logs
}

type answer struct {
	status  int
	header  http.Header
	problem httpapi.Problem
	text    string
}

func send(t *testing.T, web *httptest.Server, method, path, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, web.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Del(header[i])
		if header[i+1] != "" {
			r.Header.Set(header[i], header[i+1])
		}
	}
	response, err := web.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, text: string(text)}
	if response.Header.Get("Content-Type") == "application/problem+json" {
		if err := json.Unmarshal(text, &a.problem); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

const thingPath = "/things/0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"

func TestProblem_NamesFieldAndRemedyAndEchoesNothing(t *testing.T) {
	t.Parallel()
	web, _ := serve(t)
	const id = `"0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"`
	for name, c := range map[string]struct {
		body   string
		status int
		want   []httpapi.Fault
	}{
		"broken JSON":     {`{"name": SENTINEL`, 400, []httpapi.Fault{{Detail: "the body is not JSON at byte 10: correct the quotes, commas and brackets there"}}},
		"two values":      {`{"name":"a"} {}`, 400, []httpapi.Fault{{Detail: "the body is not JSON at byte 14: correct the quotes, commas and brackets there"}}},
		"a field twice":   {`{"name":"a","name":"b"}`, 400, []httpapi.Fault{{Detail: "the body has /name twice: write it once"}}},
		"not UTF-8":       {"{\"name\":\"\xff\"}", 400, []httpapi.Fault{{Detail: "the body is not UTF-8: write it in that encoding"}}},
		"no body":         {``, 400, nil},
		"an array":        {`[]`, 422, []httpapi.Fault{{Detail: "wrong type: write an object"}}},
		"null":            {`null`, 422, []httpapi.Fault{{Detail: "wrong type: write an object"}}},
		"missing":         {`{}`, 422, []httpapi.Fault{{Pointer: "/name", Detail: "missing: add it"}}},
		"unknown field":   {`{"name":"a","SENTINEL/~":1}`, 422, []httpapi.Fault{{Pointer: "/SENTINEL~1~0", Detail: "unknown field: remove it"}}},
		"no time":         {`{"name":"a","at":"yesterday"}`, 422, []httpapi.Fault{{Pointer: "/at", Detail: "not a time: write 2026-11-22T09:30:00Z (RFC 3339)"}}},
		"upper case":      {`{"name":"a","Kind":"big"}`, 422, []httpapi.Fault{{Pointer: "/Kind", Detail: "unknown field: remove it"}}},
		"too long":        {`{"name":"SENTINEL"}`, 422, []httpapi.Fault{{Pointer: "/name", Detail: "too long: write at most 5 characters"}}},
		"wrong type":      {`{"name":12345}`, 422, []httpapi.Fault{{Pointer: "/name", Detail: "wrong type: write a string"}}},
		"no such kind":    {`{"name":"a","kind":"SENTINEL"}`, 422, []httpapi.Fault{{Pointer: "/kind", Detail: `not one of the allowed values: write one of "big, small"`}}},
		"no such day":     {`{"name":"a","on":"2026-02-30"}`, 422, []httpapi.Fault{{Pointer: "/on", Detail: "not a day: write 2026-11-22 (year-month-day)"}}},
		"day out of time": {`{"name":"a","on":"1066-10-14"}`, 422, []httpapi.Fault{{Pointer: "/on", Detail: "wrong form: write a day between 1900-01-01 and 2299-12-31"}}},
		"no UUID": {
			`{"name":"a","parties":[{"company_id":"SENTINEL","share":{"amount":"1","currency":"EUR"}}]}`, 422,
			[]httpapi.Fault{{Pointer: "/parties/0/company_id", Detail: "not a UUID: write it as 0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"}},
		},
		"UUID of another form": {
			`{"name":"a","above":"{0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d}"}`, 422,
			[]httpapi.Fault{{Detail: "wrong form: write it as 0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"}},
		},
		"unknown below": {
			`{"name":"a","parties":[{"company_id":` + id + `,"share":{"amount":"1","currency":"EUR","x":1}}]}`, 422,
			[]httpapi.Fault{{Pointer: "/parties/0/share/x", Detail: "unknown field: remove it"}},
		},
		"missing below": {
			`{"name":"a","parties":[{"company_id":` + id + `,"share":{"amount":"1"}}]}`, 422,
			[]httpapi.Fault{{Pointer: "/parties/0/share/currency", Detail: "missing: add it"}},
		},
		"no currency": {
			`{"name":"a","parties":[{"company_id":` + id + `,"share":{"amount":"1","currency":"SENTINEL"}}]}`, 422,
			[]httpapi.Fault{{Pointer: "/parties/0/share/currency", Detail: httpapi.UnknownCurrency}},
		},
		"a number for an amount": {
			`{"name":"a","parties":[{"company_id":` + id + `,"share":{"amount":1.5,"currency":"EUR"}}]}`, 422,
			[]httpapi.Fault{{Pointer: "/parties/0/share/amount", Detail: "wrong type: write a string"}},
		},
		"half a cent": {
			`{"name":"a","parties":[{"company_id":` + id + `,"share":{"amount":"1.005","currency":"EUR"}}]}`, 422,
			[]httpapi.Fault{{Pointer: "/parties/0/share/amount", Detail: "write 1250000.00: digits, a point, at most 2 decimals for EUR"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := send(t, web, http.MethodPut, thingPath, c.body, "If-Match", `"7"`)
			if a.status != c.status || a.problem.Status != c.status {
				t.Fatalf("status %d, want %d: %s", a.status, c.status, a.text)
			}
			if diff := cmp.Diff(c.want, a.problem.Errors); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
			if a.problem.Type == "" || a.problem.Title == "" || a.problem.Detail == "" {
				t.Errorf("incomplete problem: %s", a.text)
			}
			if name != "unknown field" && strings.Contains(a.text, "SENTINEL") {
				t.Errorf("the answer echoes what was sent: %s", a.text)
			}
		})
	}
}

func TestServer_TellsHowToWriteAParameter(t *testing.T) {
	t.Parallel()
	web, _ := serve(t)
	for query, want := range map[string]httpapi.Fault{
		"limit=ten":         {Parameter: "limit", Detail: "not a whole number: write digits only"},
		"since=yesterday":   {Parameter: "since", Detail: "not a time: write 2026-11-22T09:30:00Z (RFC 3339)"},
		"since=2026-11-22":  {Parameter: "since", Detail: "not a time: write 2026-11-22T09:30:00Z (RFC 3339)"},
		"newest=please":     {Parameter: "newest", Detail: "wrong type: write true or false"},
		"nobody=knows+this": {Parameter: "nobody", Detail: "unknown parameter: remove it"},
	} {
		a := send(t, web, http.MethodGet, "/things?"+query, "")
		if diff := cmp.Diff([]httpapi.Fault{want}, a.problem.Errors); diff != "" {
			t.Errorf("%s: %d (-want +got):\n%s", query, a.status, diff)
		}
	}
}

func TestServer_RefusesWhatIsNotAskedRight(t *testing.T) {
	t.Parallel()
	web, _ := serve(t)
	good := `{"name":"a"}`
	for name, c := range map[string]struct {
		method, path, body string
		header             []string
		status             int
		parameter          string
		wantHeader         [2]string
	}{
		"no such address":     {"GET", "/nowhere", "", nil, 404, "", [2]string{}},
		"no such method":      {"DELETE", thingPath, "", nil, 405, "", [2]string{"Allow", "PUT"}},
		"no key":              {"PUT", thingPath, good, []string{"Authorization", ""}, 401, "", [2]string{"WWW-Authenticate", `Bearer realm="dealreg"`}},
		"another scheme":      {"PUT", thingPath, good, []string{"Authorization", "Basic x"}, 401, "", [2]string{}},
		"wrong key":           {"PUT", thingPath, good, []string{"Authorization", "Bearer drk_bad"}, 401, "", [2]string{}},
		"keys not loaded":     {"PUT", thingPath, good, []string{"Authorization", "Bearer early"}, 503, "", [2]string{"Retry-After", "1"}},
		"no If-Match":         {"PUT", thingPath, good, nil, 428, "If-Match", [2]string{}},
		"any If-Match":        {"PUT", thingPath, good, []string{"If-Match", "*"}, 428, "If-Match", [2]string{}},
		"weak If-Match":       {"PUT", thingPath, good, []string{"If-Match", `W/"7"`}, 422, "If-Match", [2]string{}},
		"foreign If-Match":    {"PUT", thingPath, good, []string{"If-Match", `"abc"`}, 422, "If-Match", [2]string{}},
		"old If-Match":        {"PUT", thingPath, good, []string{"If-Match", `"6"`}, 412, "", [2]string{"ETag", `"7"`}},
		"form":                {"PUT", thingPath, good, []string{"Content-Type", "application/x-www-form-urlencoded"}, 415, "", [2]string{}},
		"no media type":       {"PUT", thingPath, good, []string{"Content-Type", "////"}, 415, "", [2]string{}},
		"merge patch":         {"PUT", thingPath, good, []string{"Content-Type", "application/merge-patch+json", "If-Match", `"7"`}, 200, "", [2]string{"ETag", `"8"`}},
		"too large":           {"PUT", thingPath, strings.Repeat("x", 10<<20), nil, 413, "", [2]string{}},
		"raw too large":       {"PUT", "/rates", strings.Repeat("x", 2<<20), []string{"Content-Type", "text/csv"}, 413, "", [2]string{}},
		"raw of another type": {"PUT", "/rates", "x", []string{"Content-Type", "application/json"}, 415, "", [2]string{}},
		"raw":                 {"PUT", "/rates", "x", []string{"Content-Type", "text/csv; charset=utf-8"}, 204, "", [2]string{}},
		"id no UUID":          {"PUT", "/things/SENTINEL", good, nil, 422, "id", [2]string{}},
		"unknown parameter":   {"GET", "/things?SENTINELX=1", "", nil, 422, "SENTINELX", [2]string{}},
		"limit too large":     {"GET", "/things?limit=201", "", nil, 422, "limit", [2]string{}},
		"limit no number":     {"GET", "/things?limit=SENTINEL", "", nil, 422, "limit", [2]string{}},
		"foreign cursor":      {"GET", "/things?cursor=%25", "", nil, 422, "cursor", [2]string{}},
		"good list":           {"GET", "/things?limit=200&cursor=YQ", "", []string{"Authorization", ""}, 200, "", [2]string{}},
		"unknown error":       {"POST", "/break/now", "", nil, 500, "", [2]string{}},
		"panic":               {"POST", "/break/panic", "", nil, 500, "", [2]string{}},
		"away":                {"POST", "/break/away", "", nil, 503, "", [2]string{"Retry-After", "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := send(t, web, c.method, c.path, c.body, c.header...)
			if a.status != c.status {
				t.Fatalf("status %d, want %d: %s", a.status, c.status, a.text)
			}
			if a.status >= 400 && (a.problem.Status != c.status || a.problem.Detail == "") {
				t.Errorf("no problem document: %s", a.text)
			}
			if c.parameter != "" && (len(a.problem.Errors) != 1 || a.problem.Errors[0].Parameter != c.parameter || a.problem.Errors[0].Detail == "") {
				t.Errorf("the problem names no parameter %s: %s", c.parameter, a.text)
			}
			if want := c.wantHeader; want[0] != "" && a.header.Get(want[0]) != want[1] {
				t.Errorf("%s is %q, want %q", want[0], a.header.Get(want[0]), want[1])
			}
			for _, leak := range []string{"SENTINEL\"", "secret of the panic", "disk on fire"} {
				if strings.Contains(a.text, leak) {
					t.Errorf("the answer shows %q: %s", leak, a.text)
				}
			}
		})
	}
}

func TestServer_LogsTheCauseOnceAndNoAddress(t *testing.T) {
	t.Parallel()
	web, logs := serve(t)
	send(t, web, "POST", "/break/SENTINEL", "")
	send(t, web, "POST", "/break/panic", "")
	send(t, web, "GET", "/things?cursor=SENTINEL", "")
	web.Close() // waits for the handlers
	if n := logs.FilterField(zap.Error(errBroken)).Len(); n != 1 {
		t.Errorf("the cause is logged %d times", n)
	}
	if n := logs.FilterMessage("handler panicked").Len(); n != 1 {
		t.Errorf("the panic is logged %d times", n)
	}
	for _, entry := range logs.All() {
		for name, value := range entry.ContextMap() {
			if text, ok := value.(string); ok && strings.Contains(text, "SENTINEL") || value == token {
				t.Errorf("the log line %q shows an address or a key in %s", entry.Message, name)
			}
		}
	}
}

type failing map[string]string

func (f failing) Failing() map[string]string { return f }

func TestReadyz_NamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		health failing
		status int
		want   string
	}{
		{failing{}, 200, `{"status":"ready"}`},
		{failing{"directory": "no connection to NATS"}, 503, `{"failing":{"directory":"no connection to NATS"},"status":"waiting"}`},
	} {
		w := httptest.NewRecorder()
		httpapi.New(httpapi.Config{Health: c.health}).Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if w.Code != c.status || strings.TrimSpace(w.Body.String()) != c.want {
			t.Errorf("%d %s, want %d %s", w.Code, w.Body, c.status, c.want)
		}
	}
}

func TestServer_ServesItsDocumentAndMetrics(t *testing.T) {
	t.Parallel()
	web, _ := serve(t)
	document := send(t, web, "GET", "/openapi.json", "", "Authorization", "").text
	var parsed struct {
		OpenAPI    string                    `json:"openapi"`
		Paths      map[string]map[string]any `json:"paths"`
		Components struct {
			Schemas map[string]struct {
				AdditionalProperties any `json:"additionalProperties"`
				Properties           map[string]map[string]any
			} `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal([]byte(document), &parsed); err != nil {
		t.Fatal(err)
	}
	if parsed.OpenAPI != "3.1.0" || parsed.Paths["/things/{id}"]["put"] == nil {
		t.Errorf("no OpenAPI 3.1 document of the routes: %s", document)
	}
	properties := parsed.Components.Schemas["Thing"].Properties
	if properties["on"]["format"] != "date" || properties["above"]["format"] != "uuid" {
		t.Errorf("dates and ids are not described: %v", properties)
	}
	if metrics := send(t, web, "GET", "/metrics", "").text; !strings.Contains(metrics, `dealreg_http_request_seconds_count{method="GET",route="/openapi.json",status="200"} 1`) {
		t.Error("the metrics do not count requests by route")
	}
}

func TestOptional_TellsAbsentFromNull(t *testing.T) {
	t.Parallel()
	value := "old"
	for body, want := range map[string]string{`{}`: "old", `{"domain":null}`: "", `{"domain":"new"}`: "new"} {
		var patch struct {
			Domain httpapi.Optional[string] `json:"domain"`
		}
		if err := json.Unmarshal([]byte(body), &patch); err != nil {
			t.Fatal(err)
		}
		got := value
		patch.Domain.Apply(&got)
		if got != want {
			t.Errorf("%s makes %q, want %q", body, got, want)
		}
	}
}

func TestServer_LetsGuestsIntoWhatIsMarkedForThemOnly(t *testing.T) {
	t.Parallel()
	web, _ := serve(t)
	if a := send(t, web, http.MethodGet, "/visits", "", "Authorization", "Bearer "+guestToken); a.status != http.StatusNoContent {
		t.Errorf("a marked operation: %d %s", a.status, a.text)
	}
	for _, body := range []string{"{}", "not JSON"} { // nothing is told about the request either
		a := send(t, web, http.MethodPut, "/things/"+deal.ID{7}.String(), body, "Authorization", "Bearer "+guestToken)
		if a.status != http.StatusNotFound || a.problem.Detail != httpapi.NotFound().Detail {
			t.Errorf("another one: %d %s", a.status, a.text)
		}
	}
}
