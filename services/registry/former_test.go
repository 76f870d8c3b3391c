package registry

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
)

func TestRegistry_WhoIsTakenOutDoesNotSeeWhoCameInstead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.b))
	parties := []object{
		{"company_id": w.a, "role": "lead", "share": euros("300.00")}, {"company_id": w.c, "share": euros("700.00")},
	}
	if r := w.send(w.keys[w.a], http.MethodPatch, location(d.ID), object{"parties": parties}, "If-Match", httpapi.ETag(1)); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.text)
	}
	for _, path := range []string{"", "/events", "/conflicts"} {
		if r := w.send(w.keys[w.b], http.MethodGet, location(d.ID)+path, nil); r.status != http.StatusNotFound {
			t.Errorf("the company that was taken out reads %q: %d %s", path, r.status, r.text)
		}
	}
	if r := w.send(w.keys[w.b], http.MethodPost, location(d.ID)+"/accept", object{}, "If-Match", httpapi.ETag(1), "Idempotency-Key", "x"); r.status != http.StatusNotFound {
		t.Errorf("it acts: %d %s", r.status, r.text)
	}
}

func TestRegistry_WhoComesInDoesNotSeeWhatWasBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.b))
	parties := []object{
		{"company_id": w.a, "role": "lead", "share": euros("300.00")}, {"company_id": w.c, "share": euros("700.00")},
	}
	if r := w.send(w.keys[w.a], http.MethodPatch, location(d.ID), object{"parties": parties}, "If-Match", httpapi.ETag(1)); r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.text)
	}
	r := w.send(w.keys[w.c], http.MethodGet, location(d.ID)+"/events", nil)
	if r.status != http.StatusOK || strings.Contains(r.text, w.b.String()) || strings.Contains(r.text, "900.00") {
		t.Errorf("the company that came in reads %d %s", r.status, r.text)
	}
	if r := w.send(w.keys[w.a], http.MethodGet, location(d.ID)+"/events", nil); !strings.Contains(r.text, w.b.String()) {
		t.Errorf("a company that was there lacks what changed: %s", r.text)
	}
}

func TestRegistry_SameDeclineAgainAnswersWhoLeft(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.b, w.c))
	left := w.move(w.c, d, "decline", object{"reason": "no capacity"}, http.StatusOK)
	now := w.move(w.b, left, "accept", object{}, http.StatusOK)
	if r := w.send(w.keys[w.c], http.MethodGet, location(d.ID), nil); r.status != http.StatusNotFound {
		t.Errorf("who left reads %d %s", r.status, r.text)
	}
	if again := w.move(w.c, d, "decline", object{"reason": "no capacity"}, http.StatusOK); again.Revision != left.Revision || now.Revision == again.Revision {
		t.Errorf("the same again: revision %d", again.Revision)
	}
	if r := w.send(w.keys[w.c], http.MethodPost, location(d.ID)+"/accept", object{}, "If-Match", httpapi.ETag(now.Revision), "Idempotency-Key", "x"); r.status != http.StatusNotFound {
		t.Errorf("who left acts: %d %s", r.status, r.text)
	}
}

func TestList_TellsNoCompanyOfAssociationsThatItIsNotIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wait := w.project()
	second, _ := w.reporting("EUR", w.b, w.c)
	w.register("k", registration(w.a, w.b, w.c))
	wait()
	for company, want := range map[deal.ID]int{w.a: 0, w.b: 1} {
		r := w.send(w.keys[company], http.MethodGet, "/v1/deals?association="+second.String(), nil)
		var page DealPage
		if err := json.Unmarshal([]byte(r.text), &page); err != nil || r.status != http.StatusOK || len(page.Items) != want {
			t.Errorf("%d deals in %d %s, want %d", len(page.Items), r.status, r.text, want)
		}
	}
}

func TestExclude_NeedsToKnowOfWhichAssociationTheOperatorSpeaks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	second, _ := w.reporting("EUR", w.a, w.b)
	d := w.won("k", yesterday())
	exclude := func(key string, body object) reply {
		return w.send(w.operator, http.MethodPost, location(d.ID)+"/exclude", body, "If-Match", httpapi.ETag(d.Revision), "Idempotency-Key", key)
	}
	if r := exclude("x", object{"reason": "not joint"}); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.text, `"/association_id"`) {
		t.Errorf("without the association: %d %s", r.status, r.text)
	}
	if r := exclude("y", object{"reason": "not joint", "association_id": newID()}); r.status != http.StatusUnprocessableEntity {
		t.Errorf("another association: %d %s", r.status, r.text)
	}
	for _, name := range []string{"first", "again"} {
		r := exclude("z", object{"reason": "not joint", "association_id": second})
		if got := r.deal(t); r.status != http.StatusOK || len(got.Exclusions) != 1 || got.Exclusions[0].AssociationID != second {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
	}
	if r := w.send(w.registrar, http.MethodPost, location(d.ID)+"/exclude", object{"reason": "not joint", "association_id": second},
		"If-Match", httpapi.ETag(d.Revision+1), "Idempotency-Key", "r"); r.status != http.StatusUnprocessableEntity {
		t.Errorf("a registrar for another association: %d %s", r.status, r.text)
	}
}

func TestImport_OpensNoDealsOfAnotherAssociationsMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	second, registrar := w.reporting("EUR")
	d := w.won("k", yesterday())
	const file = "external_ref,title,customer,customer_country,currency,amount,status,won_on,party_1,party_1_role,party_2\n" +
		"X1,History,Somebody,DE,EUR,10.00,won,2024-01-05,Alder GmbH,lead,Birch GmbH\n"
	state := w.imported(registrar, file, `{"create_companies":true}`, "association_id", second.String())
	if state.Registered != 1 || state.Members != 0 {
		t.Errorf("%+v", state)
	}
	for _, company := range []deal.ID{w.a, w.b} {
		if _, member := w.service.cfg.Roster.Membership(company, second); member {
			t.Error("a file made a member of another association a member of this one")
		}
	}
	if r := w.send(registrar, http.MethodGet, location(d.ID), nil); r.status != http.StatusNotFound {
		t.Errorf("its registrar reads what it won before: %d %s", r.status, r.text)
	}
}
