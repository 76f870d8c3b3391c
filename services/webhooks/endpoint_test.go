package webhooks_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

func TestEndpoints_AreSeenByTheirOwnersOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, admin := w.companyAdmin()
	_, other := w.companyAdmin()
	association := newID()
	keys := map[string]string{
		"admin": admin, "other": other, "operator": w.caller(roster.RoleOperator, deal.ID{}),
		"registrar": w.caller(roster.RoleRegistrar, association), "board": w.caller(roster.RoleBoard, association),
		"board elsewhere": w.caller(roster.RoleBoard, newID()), "auditor": w.caller(roster.RoleAuditor, association),
		"member": w.caller(roster.RoleMember, deal.ID{}),
	}
	for by, seenBy := range map[string][]string{
		"admin": {"operator"}, "registrar": {"operator"}, "board": {"operator", "registrar"},
	} {
		id, _ := w.endpoint(keys[by], "https://receiver.example/", nil)
		for name, key := range keys {
			want := 404
			if name == by || strings.Contains(strings.Join(seenBy, " "), name) && name != "board" {
				want = 200
			}
			status, _, header := w.do(key, "GET", endpoints+"/"+id, nil)
			if status != want {
				t.Errorf("%s sees the endpoint of %s: %d", name, by, status)
			}
			listed := false
			for _, item := range w.must(200, key, "GET", endpoints, nil)["items"].([]any) {
				listed = listed || item.(object)["id"] == id
			}
			if listed != (want == 200) {
				t.Errorf("%s is shown the endpoint of %s in the list: %v", name, by, listed)
			}
			if want == 200 {
				continue
			}
			for _, c := range [][2]string{
				{"PATCH", ""},
				{"DELETE", ""},
				{"POST", "/test"},
				{"POST", "/rotate-secret"},
				{"POST", "/enable"},
				{"POST", "/replay"},
				{"GET", "/attempts"},
				{"GET", "/replays/" + newID().String()},
			} {
				var body any
				if c[0] == "PATCH" || c[1] == "/replay" {
					body = object{}
				}
				if status, answer, _ := w.do(key, c[0], endpoints+"/"+id+c[1], body, "If-Match", header.Get("ETag")+`"1"`); status != 404 {
					t.Errorf("%s may %s %s of %s: %d %v", name, c[0], c[1], by, status, answer)
				}
			}
		}
	}
	for _, name := range []string{"auditor", "member"} {
		if status, _, _ := w.do(keys[name], "POST", endpoints, object{"url": "https://receiver.example/", "event_types": []string{"*"}}); status != 403 {
			t.Errorf("%s creates an endpoint: %d", name, status)
		}
	}
}

func TestEndpoints_OfAnAssociationHearOfItsDealsWhenTheRegistrarMadeThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	association := newID()
	registrars, boards := newReceiver(t, nil), newReceiver(t, nil)
	w.endpoint(w.caller(roster.RoleRegistrar, association), registrars.URL, nil)
	w.endpoint(w.caller(roster.RoleBoard, association), boards.URL, nil)
	deals := w.heardBy(2, stream.Audience{Associations: []deal.ID{association}})
	w.heardBy(2, stream.Audience{Associations: []deal.ID{newID()}})
	text := []byte(`{"association_id":"` + association.String() + `","year":2026,"release":1,"cause":"requested","published_at":"2026-11-22T10:00:00Z"}`)
	if _, err := w.js.Publish(t.Context(), stream.StatementSubject(association, 2026), text); err != nil {
		t.Fatal(err)
	}
	statement := association.String() + ":2026:r1"
	registrars.await(t, append(deals, statement)...)
	boards.await(t, statement)
	registrars.once(t, append(deals, statement)...)
	boards.once(t, statement)
}

func TestSecrets_BothSignDuringARotationAndLieSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	rc := newReceiver(t, nil)
	id, first := w.endpoint(key, rc.URL, object{"headers": object{"Authorization": "Bearer their-own"}})
	rotated := w.must(200, key, "POST", endpoints+"/"+id+"/rotate-secret", nil)
	second, _ := rotated["secret"].(string)
	if second == first || !strings.HasPrefix(second, "whsec_") || rotated["previous_until"] == nil {
		t.Fatalf("rotated %v", rotated)
	}
	rc.await(t, w.happen(1, company)...)
	got := rc.all()[0]
	for _, secret := range []string{first, second} {
		check, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := check.Verify(got.body, got.header); err != nil {
			t.Errorf("signature: %v", err)
		}
	}
	kv, err := w.js.KeyValue(t.Context(), "webhook_endpoints")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := kv.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got.header.Get("Authorization") != "Bearer their-own" {
		t.Errorf("headers %v", got.header)
	}
	for _, secret := range []string{first, second, "their-own"} {
		if strings.Contains(string(stored.Value()), strings.TrimPrefix(secret, "whsec_")) {
			t.Error("a secret lies there in the clear")
		}
	}
	if shown := w.must(200, key, "GET", endpoints+"/"+id, nil); shown["secret"] != nil {
		t.Error("a secret is shown twice")
	}
}

func TestTest_TellsWhatCameOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, key := w.companyAdmin()
	rc := newReceiver(t, func(rw http.ResponseWriter, _ *http.Request, _ []byte) {
		http.Error(rw, "who are you?", http.StatusForbidden)
	})
	id, _ := w.endpoint(key, rc.URL, nil)
	got := w.must(200, key, "POST", endpoints+"/"+id+"/test", nil)
	if got["outcome"] != "client_error" || got["status"] != 403. || got["excerpt"] != "who are you?\\n" || got["words"] == "" {
		t.Errorf("told %v", got)
	}
}

func TestEndpoints_AreChangedBehindTheRevisionThatWasRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	rc := newReceiver(t, nil)
	id, _ := w.endpoint(key, rc.URL, object{"headers": object{"X-A": "1", "X-B": "2"}})
	status, _, header := w.do(key, "GET", endpoints+"/"+id, nil)
	if status != 200 {
		t.Fatal(status)
	}
	path := endpoints + "/" + id
	w.must(428, key, "PATCH", path, object{"description": "x"})
	changed := w.must(200, key, "PATCH", path, object{"headers": object{"x-a": nil}, "enabled": false, "description": "mine"}, "If-Match", header.Get("ETag"))
	if names := changed["header_names"].([]any); len(names) != 1 || names[0] != "X-B" || changed["enabled"] != false || changed["description"] != "mine" {
		t.Errorf("changed to %v", changed)
	}
	w.must(412, key, "PATCH", path, object{"description": "x"}, "If-Match", header.Get("ETag"))
	for name, body := range map[string]object{
		"types": {"event_types": []string{"dealreg.nothing"}}, "none": {"event_types": []string{}}, "rate": {"rate_per_second": 0},
		"reserved": {"headers": object{"Webhook-Id": "x"}}, "host": {"headers": object{"host": "x"}}, "newline": {"headers": object{"x": "a\r\nb"}},
	} {
		_, _, header := w.do(key, "GET", path, nil)
		if status, answer, _ := w.do(key, "PATCH", path, body, "If-Match", header.Get("ETag")); status != 422 {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
	w.happen(1, company)
	w.must(200, key, "POST", path+"/enable", nil)
	w.must(204, key, "DELETE", path, nil)
	w.must(404, key, "GET", path, nil)
}

// The service changes an endpoint itself, such as when it disables it: an action without If-Match is not refused for that.
func TestEndpoints_ActionsHoldWhoeverElseChangesThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, key := w.companyAdmin()
	id, first := w.endpoint(key, newReceiver(t, nil).URL, nil)
	path := endpoints + "/" + id
	var group sync.WaitGroup
	act := func(method, action string, allowed ...int) {
		if status, answer, _ := w.do(key, method, path+action, nil); !slices.Contains(allowed, status) {
			t.Errorf("%s %s answers %d: %v", method, action, status, answer)
		}
	}
	secrets := make(chan any, 3)
	for range cap(secrets) {
		group.Go(func() {
			status, answer, _ := w.do(key, "POST", path+"/rotate-secret", nil)
			if status != 200 {
				t.Errorf("rotate-secret answers %d: %v", status, answer)
			}
			secrets <- answer["secret"]
		})
		group.Go(func() { act("POST", "/enable", 200) })
	}
	group.Wait()
	close(secrets)
	known := map[any]bool{first: true}
	for secret := range secrets {
		known[secret] = true
	}
	if len(known) != 4 {
		t.Errorf("%d secrets after three rotations of the first", len(known))
	}
	act("POST", "/rotate-secret", 409) // each of them is kept
	for range 4 {
		group.Go(func() { act("POST", "/enable", 200, 404) })
	}
	group.Go(func() { act("DELETE", "", 204) })
	group.Wait()
	act("GET", "", 404)
}

func TestEndpoints_AreTheSameInEveryProcess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, key := w.companyAdmin()
	first := w.url
	w.start()
	second := w.url
	rc := newReceiver(t, nil)
	for range 20 {
		w.url = first
		id, _ := w.endpoint(key, rc.URL, nil)
		path := endpoints + "/" + id
		_, _, header := w.do(key, "GET", path, nil)
		w.url = second
		changed := w.must(200, key, "PATCH", path, object{"description": "changed"}, "If-Match", header.Get("ETag"))
		w.url = first
		if shown := w.must(200, key, "GET", path, nil); shown["description"] != changed["description"] {
			t.Errorf("changed to %v, and shown as %v", changed, shown)
		}
		w.url = second
		w.must(204, key, "DELETE", path, nil)
		w.url = first
		w.must(404, key, "GET", path, nil)
	}
}

func TestAttempts_RefuseACursorThatNoPageGave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, key := w.companyAdmin()
	id, _ := w.endpoint(key, newReceiver(t, nil).URL, nil)
	for _, cursor := range []string{"%", httpapi.EncodeCursor("of another list")} {
		w.must(422, key, "GET", endpoints+"/"+id+"/attempts?cursor="+url.QueryEscape(cursor), nil)
	}
}
