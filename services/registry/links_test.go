package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
)

// link issues one for the company on the deal.
func (w *world) link(key string, id deal.ID, body object) NewDealLink {
	w.t.Helper()
	r := w.send(key, http.MethodPost, location(id)+"/links", body)
	var issued NewDealLink
	if err := json.Unmarshal([]byte(r.text), &issued); err != nil || r.status != http.StatusCreated {
		w.t.Fatalf("link: %d %s", r.status, r.text)
	}
	return issued
}

// guest exchanges a link for a session, as the directory does, and gives its key.
func (w *world) guest(l NewDealLink) string {
	w.t.Helper()
	store, people := w.service.cfg.Store, w.service.cfg.Roster
	p, err := store.UseLink(w.t.Context(), l.ID, l.Link, now(), pepper)
	if err == nil {
		err = people.WaitFor(w.t.Context(), roster.People, p.Revision)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	later := now().AddDate(100, 0, 0) // whether it has ended, the API asks the clock
	session, token, err := store.StartSession(w.t.Context(), newID(), roster.Session{PersonID: p.ID}, later, pepper)
	if err == nil {
		err = people.WaitFor(w.t.Context(), roster.Sessions, session.Revision)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

func (w *world) mustSend(status int, key, method, path string, body any, headers ...string) reply {
	w.t.Helper()
	r := w.send(key, method, path, body, headers...)
	if r.status != status {
		w.t.Fatalf("%s %s: %d instead of %d: %s", method, path, r.status, status, r.text)
	}
	return r
}

func TestLinks_LetAPartyThatIsNoMemberSpeakOnItsDeal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.outsider))
	issued := w.link(w.registrar, d.ID, object{"company_id": w.outsider, "name": "Ada Example", "email": "ada@outside.example", "expires_in_hours": 24})
	if issued.AssociationID != w.association || issued.CompanyID != w.outsider || issued.ExpiresAt.Sub(issued.CreatedAt).Round(time.Second) != 24*time.Hour {
		t.Errorf("issued %+v", issued)
	}
	guest := w.guest(issued)
	move := func(status int, move string, d Deal, body object) Deal {
		t.Helper()
		r := w.mustSend(status, guest, http.MethodPost, location(d.ID)+"/"+move, body, "If-Match", httpapi.ETag(d.Revision), "Idempotency-Key", move)
		return r.deal(t)
	}
	read := w.mustSend(http.StatusOK, guest, http.MethodGet, location(d.ID), nil).deal(t)
	if fmt.Sprint(read.Moves) != "[accept decline]" || read.Parties[0].Name != "Alder GmbH" {
		t.Errorf("the guest reads %+v", read)
	}
	d = move(http.StatusOK, "accept", d, object{})
	if moves := w.mustSend(http.StatusOK, guest, http.MethodGet, location(d.ID), nil).deal(t).Moves; len(moves) != 0 {
		t.Errorf("a guest may %v an active deal", moves)
	}
	for _, m := range []string{"propose", "withdraw", "correct", "void", "lose"} {
		w.mustSend(http.StatusNotFound, guest, http.MethodPost, location(d.ID)+"/"+m, object{"won_on": yesterday()},
			"If-Match", httpapi.ETag(d.Revision), "Idempotency-Key", m)
	}
	d = w.move(w.a, d, "propose", object{"won_on": yesterday()}, http.StatusOK)
	d = move(http.StatusOK, "refuse", d, object{"reason": "the share is another one"})
	d = w.move(w.a, d, "propose", object{"won_on": yesterday()}, http.StatusOK)
	if d = move(http.StatusOK, "attest", d, object{}); d.Status != deal.Won {
		t.Errorf("%s after every party attested", d.Status)
	}

	last := w.last(d.ID)
	if want := (deal.Actor{Key: issued.ID, Company: w.outsider, LinkOf: w.association}); last.By != want {
		t.Errorf("the log names %+v, want %+v", last.By, want)
	}
	history := w.mustSend(http.StatusOK, guest, http.MethodGet, location(d.ID)+"/events", nil).text
	for _, said := range []string{"Outside GmbH, with a link from the registrar, attested the final figures", `"link_of_association_id":"` + w.association.String()} {
		if !strings.Contains(history, said) {
			t.Errorf("the history does not say %s: %s", said, history)
		}
	}
}

func TestLinks_EndWithTheDealAndWhenTheyAreRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.b, w.outsider))
	to := object{"company_id": w.outsider}
	first := w.guest(w.link(w.registrar, d.ID, to))
	second := w.link(w.operator, d.ID, to)
	w.mustSend(http.StatusUnauthorized, first, http.MethodGet, location(d.ID), nil) // a later link takes its place
	guest := w.guest(second)
	list := w.mustSend(http.StatusOK, w.registrar, http.MethodGet, location(d.ID)+"/links", nil).text
	if strings.Count(list, `"id"`) != 1 || !strings.Contains(list, second.ID.String()) || !strings.Contains(list, `"used":true`) || strings.Contains(list, "drl_") {
		t.Errorf("links: %s", list)
	}
	link := location(d.ID) + "/links/" + second.ID.String()
	w.mustSend(http.StatusNotFound, w.registrar, http.MethodDelete, location(newID())+"/links/"+second.ID.String(), nil)
	w.mustSend(http.StatusNotFound, w.registrar, http.MethodDelete, location(d.ID)+"/links/"+newID().String(), nil)
	w.mustSend(http.StatusNoContent, w.registrar, http.MethodDelete, link, nil)
	w.mustSend(http.StatusNotFound, w.registrar, http.MethodDelete, link, nil)
	w.mustSend(http.StatusUnauthorized, guest, http.MethodGet, location(d.ID), nil)

	guest = w.guest(w.link(w.registrar, d.ID, to))
	decline := []string{"If-Match", httpapi.ETag(1), "Idempotency-Key", "no"}
	why := object{"reason": "not ours"}
	said := w.mustSend(http.StatusOK, guest, http.MethodPost, location(d.ID)+"/decline", why, decline...)
	again := w.mustSend(http.StatusOK, guest, http.MethodPost, location(d.ID)+"/decline", why, decline...)
	if again.text != said.text {
		t.Errorf("sent again: %s", again.text)
	}
	w.mustSend(http.StatusNotFound, guest, http.MethodGet, location(d.ID), nil) // its company has left

	d = w.register("k2", registration(w.a, w.outsider))
	guest = w.guest(w.link(w.registrar, d.ID, to))
	d = w.move(w.a, d, "withdraw", object{}, http.StatusOK)
	for _, path := range []string{"", "/events"} {
		w.mustSend(http.StatusNotFound, guest, http.MethodGet, location(d.ID)+path, nil)
	}
	w.mustSend(http.StatusConflict, w.registrar, http.MethodPost, location(d.ID)+"/links", to)
}

func TestLinks_AreIssuedByRegistrarsForPartiesWithoutKeysOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.b, w.outsider))
	_, stranger := w.reporting("EUR")
	links := location(d.ID) + "/links"
	for name, c := range map[string]struct {
		key    string
		body   object
		status int
		says   string
	}{
		"a member":              {w.registrar, object{"company_id": w.b}, 422, "/company_id"},
		"no party":              {w.registrar, object{"company_id": newID()}, 422, "/company_id"},
		"a bad address":         {w.registrar, object{"company_id": w.outsider, "email": "Ada <ada@outside.example>"}, 422, "/email"},
		"too long":              {w.registrar, object{"company_id": w.outsider, "expires_in_hours": 337}, 422, "/expires_in_hours"},
		"too short":             {w.registrar, object{"company_id": w.outsider, "expires_in_hours": 0}, 422, "/expires_in_hours"},
		"a party asks":          {w.keys[w.a], object{"company_id": w.outsider}, 403, "registrar"},
		"the board asks":        {w.board, object{"company_id": w.outsider}, 404, ""},
		"another registrar":     {stranger, object{"company_id": w.outsider}, 404, ""},
		"a company in no deal":  {w.keys[w.c], object{"company_id": w.outsider}, 404, ""},
		"without a company":     {w.registrar, object{}, 422, "company_id"},
		"the operator may, too": {w.operator, object{"company_id": w.outsider}, 201, "drl_"},
	} {
		if r := w.send(c.key, http.MethodPost, links, c.body); r.status != c.status || !strings.Contains(r.text, c.says) {
			t.Errorf("%s: %d %s", name, r.status, r.text)
		}
	}
	for _, key := range []string{w.keys[w.a], w.board, stranger} {
		for _, method := range []string{http.MethodGet, http.MethodDelete} {
			path := links
			if method == http.MethodDelete {
				path += "/" + w.service.cfg.Roster.Guests(d.ID)[0].ID.String()
			}
			if r := w.send(key, method, path, nil); r.status != http.StatusForbidden && r.status != http.StatusNotFound {
				t.Errorf("%s %s: %d %s", method, path, r.status, r.text)
			}
		}
	}
}

func TestLinks_AreLooksThatNameThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.register("k", registration(w.a, w.outsider))
	issued := w.link(w.registrar, d.ID, object{"company_id": w.outsider})
	w.mustSend(http.StatusUnprocessableEntity, w.registrar, http.MethodPost, location(d.ID)+"/links", object{"company_id": w.a})
	w.mustSend(http.StatusOK, w.registrar, http.MethodGet, location(d.ID)+"/links", nil)
	w.mustSend(http.StatusNoContent, w.registrar, http.MethodDelete, location(d.ID)+"/links/"+issued.ID.String(), nil)
	guest := w.guest(w.link(w.operator, d.ID, object{"company_id": w.outsider}))
	before := w.looks(w.operator, "").Items
	w.mustSend(http.StatusOK, guest, http.MethodGet, location(d.ID), nil) // a party looks at its own deal
	if after := w.looks(w.operator, "").Items; len(after) != len(before) {
		t.Errorf("a guest's look is recorded: %+v", after)
	}
	var got []string
	for _, l := range before {
		got = append(got, fmt.Sprint(l.Role, " ", l.Route, " ", l.LinkID != nil && *l.LinkID == issued.ID, " ", *l.AssociationID == w.association, slices.Equal(l.DealIDs, []deal.ID{d.ID})))
	}
	want := []string{
		"registrar " + linksRoute + " true true true", "registrar " + linksRoute + " false true true", "registrar " + linksRoute + " false true true",
		"registrar " + linkRoute + " true true true", "operator " + linksRoute + " false true true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("looks\n%q, want\n%q", got, want)
	}
}
