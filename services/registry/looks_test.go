package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// issue makes a key that the registry knows already.
func (w *world) issue(scope roster.Scope) (deal.ID, string) {
	w.t.Helper()
	key, token, err := w.service.cfg.Store.Issue(w.t.Context(), newID(), scope, now(), pepper)
	if err == nil {
		err = w.service.cfg.Roster.WaitFor(w.t.Context(), roster.Keys, key.Revision)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return key.ID, token
}

func (w *world) looks(key, query string) httpapi.Page[Look] {
	w.t.Helper()
	r := w.send(key, http.MethodGet, "/v1/looks"+query, nil)
	var page httpapi.Page[Look]
	if err := json.Unmarshal([]byte(r.text), &page); err != nil || r.status != http.StatusOK {
		w.t.Fatalf("looks: %d %s", r.status, r.text)
	}
	return page
}

func TestLooks_AreRecordedForRegistrarsAndTheOperatorOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.b))
	_, auditor := w.issue(roster.Scope{Role: roster.RoleAuditor})
	registrarKey, registrar := w.issue(roster.Scope{Role: roster.RoleRegistrar, AssociationID: w.association})
	operatorKey, operator := w.issue(roster.Scope{Role: roster.RoleOperator})
	for _, key := range []string{w.keys[w.a], w.keys[w.b], w.keys[w.c], w.board, registrar} {
		w.send(key, http.MethodGet, location(d.ID), nil)
	}
	w.send(registrar, http.MethodGet, location(newID()), nil) // there is none
	w.send(registrar, http.MethodGet, location(d.ID)+"/events", nil)
	w.send(operator, http.MethodGet, location(d.ID), nil)
	w.send(operator, http.MethodGet, "/v1/log?from=1", nil)

	shown := fmt.Sprint([]deal.ID{d.ID})
	want := []string{
		fmt.Sprint(registrarKey, " registrar /v1/deals/{id} ", w.association, " ", shown, 0),
		fmt.Sprint(registrarKey, " registrar /v1/deals/{id}/events ", w.association, " ", shown, 0),
		fmt.Sprint(operatorKey, " operator /v1/deals/{id} ", w.association, " ", shown, 0),
		fmt.Sprint(operatorKey, " operator /v1/log <nil> []", 1),
	}
	var got []string
	for _, l := range w.looks(auditor, "").Items {
		where := any("<nil>")
		if l.AssociationID != nil {
			where = *l.AssociationID
		}
		got = append(got, fmt.Sprint(l.KeyID, " ", l.Role, " ", l.Route, " ", where, " ", fmt.Sprint(l.DealIDs), l.FromSequence))
		if !l.At.Truncate(time.Second).Equal(now().Truncate(time.Second)) || l.Sequence == 0 {
			t.Errorf("a look at %v with sequence %d", l.At, l.Sequence)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("recorded\n%q, want\n%q", got, want)
	}
}

func TestLooks_AreRecordedForMovesThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.b))
	_, stranger := w.reporting("EUR")
	for i, c := range []struct {
		key, method, path string
		body              object
		revision          uint64
		status            int
		recorded          string // the route; "" for no look
	}{
		{w.registrar, http.MethodPost, "/dispute", object{"reason": "?"}, 7, http.StatusPreconditionFailed, dealRoute + "/dispute"},
		{w.registrar, http.MethodPost, "/settle", object{}, 1, http.StatusConflict, dealRoute + "/settle"},
		{w.registrar, http.MethodPatch, "", object{"title": "Mine"}, 1, http.StatusConflict, dealRoute},
		{w.operator, http.MethodPost, "/accept", object{}, 1, http.StatusConflict, dealRoute + "/accept"},
		{w.keys[w.a], http.MethodPost, "/accept", object{}, 1, http.StatusConflict, ""},
		{stranger, http.MethodPost, "/dispute", object{"reason": "?"}, 1, http.StatusNotFound, ""},
		{w.registrar, http.MethodPost, "/dispute", object{"reason": "?"}, 1, http.StatusOK, ""}, // an event says so
	} {
		before := w.looks(w.operator, "").Items
		r := w.send(c.key, c.method, location(d.ID)+c.path, c.body, "If-Match", httpapi.ETag(c.revision), "Idempotency-Key", fmt.Sprint(i))
		if r.status != c.status {
			t.Errorf("%s %s: %d instead of %d: %s", c.method, c.path, r.status, c.status, r.text)
		}
		switch looks := w.looks(w.operator, "").Items[len(before):]; {
		case c.recorded == "" && len(looks) > 0:
			t.Errorf("%s %s with status %d is recorded as %+v", c.method, c.path, c.status, looks)
		case c.recorded != "" && (len(looks) != 1 || looks[0].Route != c.recorded || fmt.Sprint(looks[0].DealIDs) != fmt.Sprint([]deal.ID{d.ID})):
			t.Errorf("%s %s is recorded as %+v", c.method, c.path, looks)
		}
	}
}

func TestLooks_AreReadByAuditorsOfTheAssociationPageByPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.b))
	elsewhere := w.associate("EUR")
	_, all := w.issue(roster.Scope{Role: roster.RoleAuditor})
	_, own := w.issue(roster.Scope{Role: roster.RoleAuditor, AssociationID: w.association})
	_, other := w.issue(roster.Scope{Role: roster.RoleAuditor, AssociationID: elsewhere})
	first, one := w.issue(roster.Scope{Role: roster.RoleRegistrar, AssociationID: w.association})
	_, two := w.issue(roster.Scope{Role: roster.RoleRegistrar, AssociationID: w.association})
	for _, key := range []string{one, two, one, two, one} {
		if r := w.send(key, http.MethodGet, location(d.ID), nil); r.status != http.StatusOK {
			t.Fatal(r.text)
		}
	}
	for name, c := range map[string]struct {
		key, query string
		want       int
	}{
		"all associations":    {all, "", 5},
		"the operator":        {w.operator, "", 5},
		"its own association": {own, "", 5},
		"another association": {other, "", 0},
		"one key":             {own, "?key=" + first.String(), 3},
		"another key":         {all, "?key=" + newID().String(), 0},
		"since then":          {own, "?since=2000-01-01T00:00:00Z", 5},
		"since tomorrow":      {own, "?since=2999-01-01T00:00:00Z", 0},
		"behind the second":   {own, "?after=2", 3},
		"behind the last":     {own, "?after=5", 0},
	} {
		if got := w.looks(c.key, c.query).Items; len(got) != c.want {
			t.Errorf("%s: %d looks, want %d", name, len(got), c.want)
		}
	}
	query, seen := "?limit=2&since=2000-01-01T00:00:00Z", []uint64{}
	for {
		page := w.looks(own, query)
		for _, l := range page.Items {
			seen = append(seen, l.Sequence)
		}
		if page.NextCursor == "" {
			break
		}
		query = "?limit=2&since=2000-01-01T00:00:00Z&cursor=" + page.NextCursor
	}
	if fmt.Sprint(seen) != "[1 2 3 4 5]" {
		t.Errorf("page by page: %v", seen)
	}
	for name, key := range map[string]string{"member": w.keys[w.a], "registrar": w.registrar, "board": w.board} {
		if r := w.send(key, http.MethodGet, "/v1/looks", nil); r.status != http.StatusNotFound {
			t.Errorf("%s reads the looks: %d %s", name, r.status, r.text)
		}
	}
	if r := w.send(all, http.MethodGet, "/v1/looks?after=1&since=2000-01-01T00:00:00Z", nil); r.status != http.StatusUnprocessableEntity {
		t.Errorf("both: %d", r.status)
	}
}

func TestLooks_ThatCannotBeRecordedAreNotAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.b))
	js, err := jetstream.New(w.nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(context.WithoutCancel(t.Context()), stream.RecordsStream); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{location(d.ID), location(d.ID) + "/events", "/v1/log"} {
		r := w.send(w.operator, http.MethodGet, path, nil)
		if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, r.status, r.text)
		}
	}
	if r := w.send(w.keys[w.a], http.MethodGet, location(d.ID), nil); r.status != http.StatusOK {
		t.Errorf("a party: %d %s", r.status, r.text)
	}
}
