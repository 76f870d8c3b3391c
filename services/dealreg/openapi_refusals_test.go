package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/httpapi"
)

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
