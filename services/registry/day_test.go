package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
)

// listed reads one page of deals.
func (w *world) listed(key, query string) DealPage {
	w.t.Helper()
	r := w.send(key, http.MethodGet, "/v1/deals"+query, nil)
	var page DealPage
	if err := json.Unmarshal([]byte(r.text), &page); err != nil || r.status != http.StatusOK {
		w.t.Fatalf("list%s: %d %s", query, r.status, r.text)
	}
	return page
}

// names gives each deal by the title that the test gave it.
func names(page DealPage) string {
	var titles []string
	for _, d := range page.Items {
		titles = append(titles, d.Title)
	}
	return strings.Join(titles, " ")
}

// titled registers a deal of a and the others under a title.
func (w *world) titled(title string, companies ...deal.ID) Deal {
	w.t.Helper()
	body := registration(companies...)
	body["title"] = title
	return w.register(title, body)
}

func (w *world) dispute(d Deal) {
	w.t.Helper()
	r := w.send(w.registrar, http.MethodPost, location(d.ID)+"/dispute", object{"reason": "whose?"}, "If-Match", httpapi.ETag(d.Revision), "Idempotency-Key", "d")
	if r.status != http.StatusOK {
		w.t.Fatalf("dispute: %d %s", r.status, r.text)
	}
}

func TestList_ShowsWhatWaitsForTheCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wait := w.project()
	accept := func(d Deal) Deal { return w.move(w.b, d, "accept", object{}, http.StatusOK) }
	propose := func(d Deal) Deal { return w.move(w.a, d, "propose", object{"won_on": yesterday()}, http.StatusOK) }
	attest := func(d Deal) Deal { return w.move(w.b, d, "attest", object{}, http.StatusOK) }
	w.titled("invited", w.a, w.b)
	accept(w.titled("active", w.a, w.b))
	propose(accept(w.titled("closing", w.a, w.b)))
	won := attest(propose(accept(w.titled("corrected", w.a, w.b))))
	w.move(w.a, won, "correct", object{"value": euros("1000.00"), "parties": []object{
		{"company_id": w.a, "role": "lead", "share": euros("800.00")},
		{"company_id": w.b, "share": euros("100.00")},
		{"company_id": w.c, "share": euros("100.00")},
	}}, http.StatusOK)
	attest(propose(accept(w.titled("won", w.a, w.b))))
	w.move(w.a, attest(propose(accept(w.titled("void", w.a, w.b)))), "void", object{"reason": "it was none"}, http.StatusOK)
	w.dispute(accept(w.titled("disputed", w.a, w.b)))
	wait()
	for name, c := range map[string]struct{ key, query, want string }{
		"a party":              {w.keys[w.b], "?waiting=true", "void corrected closing invited"},
		"who has said all":     {w.keys[w.a], "?waiting=true", ""},
		"who would join":       {w.keys[w.c], "?waiting=true", "corrected"},
		"the registrar":        {w.registrar, "?waiting=true", "disputed"},
		"the operator":         {w.operator, "?waiting=true", "disputed"},
		"of some statuses":     {w.keys[w.b], "?waiting=true&status=pending,closing", "closing invited"},
		"of none that waits":   {w.registrar, "?waiting=true&status=pending", ""},
		"several statuses":     {w.keys[w.a], "?status=pending,active", "active invited"},
		"everything":           {w.keys[w.a], "", "disputed void won corrected closing active invited"},
		"as the lead":          {w.keys[w.a], "?role=lead&status=active", "active"},
		"not as the lead":      {w.keys[w.b], "?role=lead", ""},
		"as another":           {w.keys[w.b], "?role=other&status=active", "active"},
		"of a company":         {w.registrar, "?role=lead&status=active&company=" + w.a.String(), "active"},
		"by words":             {w.keys[w.b], "?q=CONTOSO%20vited", "invited"},
		"by customer":          {w.keys[w.b], "?customer=contoso&status=pending", "invited"},
		"of another customer":  {w.keys[w.b], "?customer=fabrikam", ""},
		"of a stranger":        {w.keys[w.outsider], "?q=contoso", ""},
		"behind the last":      {w.keys[w.a], "?after_sequence=100000", ""},
		"of other association": {w.registrar, "?association=" + newID().String(), ""},
	} {
		if got := names(w.listed(c.key, c.query)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	for query, parameter := range map[string]string{"?role=lead": "role", "?status=pending,open": "status", "?cursor=x": "cursor"} {
		if r := w.send(w.registrar, http.MethodGet, "/v1/deals"+query, nil); r.status != http.StatusUnprocessableEntity || !strings.Contains(r.text, `"parameter":"`+parameter) {
			t.Errorf("%s: %d %s", query, r.status, r.text)
		}
	}
}

func TestList_DropsWhatNoLongerWaitsAlthoughTheWarehouseIsBehind(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.titled("invited", w.a, w.b)
	d = w.move(w.b, d, "accept", object{}, http.StatusOK)
	for query, want := range map[string]bool{"?waiting=true": false, "?status=pending": false, "?status=active": true} {
		f, _, err := w.service.filter(roster.Principal{Role: roster.RoleMember, Company: w.b}, &listInput{
			Waiting: strings.Contains(query, "waiting"), Status: statusesOf(query),
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := stillMeant(f, w.last(d.ID).Deal); got != want {
			t.Errorf("%s shows it: %v", query, got)
		}
	}
}

func statusesOf(query string) []deal.Status {
	if _, status, found := strings.Cut(query, "status="); found {
		return []deal.Status{deal.Status(status)}
	}
	return nil
}

func TestList_KeepsACopyInStepBySequence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wait := w.project()
	copied, after := map[deal.ID]uint64{}, uint64(0)
	sync := func() (seen int) {
		t.Helper()
		query := fmt.Sprintf("?limit=2&after_sequence=%d", after)
		for cursor := ""; ; {
			page := w.listed(w.keys[w.a], query+cursor)
			for _, d := range page.Items {
				copied[d.ID] = d.Revision
				seen++
			}
			if cursor = "&cursor=" + page.NextCursor; page.NextCursor == "" {
				after = page.AsOfSequence
				return seen
			}
		}
	}
	var deals []Deal
	for i := range 5 {
		deals = append(deals, w.titled(fmt.Sprint("deal ", i), w.a, w.b))
	}
	wait()
	if seen := sync(); seen != 5 {
		t.Errorf("the first list has %d deals", seen)
	}
	for _, i := range []int{0, 3, 4} {
		deals[i] = w.move(w.b, deals[i], "accept", object{}, http.StatusOK)
	}
	deals[3] = w.move(w.a, deals[3], "propose", object{"won_on": yesterday()}, http.StatusOK)
	wait()
	if seen := sync(); seen != 3 {
		t.Errorf("the next list has %d deals, three changed", seen)
	}
	if seen := sync(); seen != 0 {
		t.Errorf("a list of no change has %d deals", seen)
	}
	for _, d := range deals {
		if copied[d.ID] != d.Revision {
			t.Errorf("%s is at revision %d in the copy, %d in the log", d.Title, copied[d.ID], d.Revision)
		}
	}
}

func TestGet_NamesTheMovesThatWouldBeTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	moves := func(key string, id deal.ID) string {
		t.Helper()
		return fmt.Sprint(w.send(key, http.MethodGet, location(id), nil).deal(t).Moves)
	}
	d := w.titled("deal", w.a, w.b, w.c)
	if len(d.Moves) != 0 {
		t.Errorf("an answer to a change names moves: %v", d.Moves)
	}
	check := func(when string, want map[string]string) {
		t.Helper()
		for name, key := range map[string]string{"a": w.keys[w.a], "b": w.keys[w.b], "registrar": w.registrar} {
			if got := moves(key, d.ID); got != want[name] {
				t.Errorf("%s %s may %s, want %s", when, name, got, want[name])
			}
		}
	}
	check("pending", map[string]string{"a": "[edit withdraw]", "b": "[accept decline]", "registrar": "[dispute]"})
	d = w.move(w.b, d, "accept", object{}, http.StatusOK)
	check("accepted", map[string]string{"a": "[edit withdraw]", "b": "[decline]", "registrar": "[dispute]"})
	d = w.move(w.c, d, "accept", object{}, http.StatusOK)
	d = w.move(w.a, d, "propose", object{"won_on": yesterday()}, http.StatusOK)
	d = w.move(w.b, d, "attest", object{}, http.StatusOK)
	check("closing", map[string]string{"a": "[refuse withdraw lose]", "b": "[refuse]", "registrar": "[dispute]"})
	d = w.move(w.c, d, "attest", object{}, http.StatusOK)
	check("won", map[string]string{"a": "[correct void]", "b": "[correct void]", "registrar": "[exclude]"})
}

func TestHistory_IsASentenceForEachEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.titled("deal", w.a, w.b, w.c)
	d = w.move(w.c, d, "decline", object{"reason": "no capacity"}, http.StatusOK)
	d = w.move(w.b, d, "accept", object{}, http.StatusOK)
	d = w.move(w.a, d, "propose", object{"won_on": yesterday()}, http.StatusOK)
	d = w.move(w.b, d, "attest", object{}, http.StatusOK)
	r := w.send(w.registrar, http.MethodPost, location(d.ID)+"/exclude", object{"reason": "a test deal"}, "If-Match", httpapi.ETag(d.Revision), "Idempotency-Key", "x")
	if r.status != http.StatusOK {
		t.Fatal(r.text)
	}
	read := func(key string) []HistoryEvent {
		t.Helper()
		var h struct{ Items []HistoryEvent }
		if err := json.Unmarshal([]byte(w.send(key, http.MethodGet, location(d.ID)+"/events", nil).text), &h); err != nil {
			t.Fatal(err)
		}
		return h.Items
	}
	var got []string
	for _, e := range read(w.keys[w.a]) {
		got = append(got, strings.TrimSpace(e.Summary+" "+e.Reason))
	}
	want := []string{
		"Alder GmbH registered the deal and waits for the other parties to accept.",
		"Cedar GmbH declined to be a party and left; its share fell to the lead, and the others are asked again. no capacity",
		"Birch GmbH accepted to be a party; all have, and the deal is active.",
		"Alder GmbH proposed the final figures and attested them; the others are asked to attest them.",
		"Birch GmbH attested the final figures; the deal is won.",
		"The registrar of Harbour Partners took the deal out of that association's figures. a test deal",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the history reads\n%s", strings.Join(got, "\n"))
	}
}

func TestSummary_SaysWhatHappenedWithoutFigures(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, row := range deal.Life() {
		for _, includes := range [][]deal.EventType{nil, {deal.EventRegistered}, {deal.EventVoidProposed}} {
			for _, kind := range []deal.EventType{
				deal.EventRegistered, deal.EventAccepted, deal.EventActivated, deal.EventDeclined, deal.EventExpired, deal.EventWithdrawn, deal.EventLost,
				deal.EventClosing, deal.EventAttested, deal.EventRefused, deal.EventWon, deal.EventCorrected, deal.EventVoided, deal.EventDisputed,
				deal.EventSettled, deal.EventTermsChanged, deal.EventRestated, deal.EventExcluded, deal.EventEdited, deal.EventVoidProposed,
			} {
				text := summary(deal.Event{Type: kind, Includes: includes, Deal: deal.Deal{Status: row.To}}, deal.Deal{Status: row.From}, "Who")
				if !strings.HasSuffix(text, ".") || strings.Contains(text, "changed the deal") || kind != deal.EventExpired && !strings.HasPrefix(text, "Who ") {
					t.Errorf("%s from %q to %q: %q", kind, row.From, row.To, text)
				}
				seen[text] = true
			}
		}
	}
	if len(seen) < 30 {
		t.Errorf("only %d different sentences", len(seen))
	}
}

func TestRegister_StopsOnTheDayOnWhichTheMembershipEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, store, people := t.Context(), w.service.cfg.Store, w.service.cfg.Roster
	body := registration(w.a, w.b)
	register := func(key string) reply {
		return w.send(w.keys[w.a], http.MethodPost, "/v1/deals", body, "Idempotency-Key", key)
	}
	ends := func(day calendar.Date) {
		t.Helper()
		m, err := store.UpdateMembership(ctx, w.association, w.a, func(m roster.Membership) (roster.Membership, error) { return m.EndedBefore(day), nil })
		if err == nil {
			err = people.WaitFor(ctx, roster.Members, m.Revision)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	association, _ := people.Association(w.association)
	today := association.Today(now())
	ends(today.AddDays(1))
	first := register("on the last day")
	if first.status != http.StatusCreated {
		t.Fatalf("on the last day: %d %s", first.status, first.text)
	}
	ends(today) // as DELETE .../members/{company_id} does
	if r := register("a new one"); r.status != http.StatusForbidden || !strings.Contains(r.text, "no member") {
		t.Errorf("a new deal: %d %s", r.status, r.text)
	}
	if r := register("on the last day"); r.status != http.StatusOK || r.text != first.text {
		t.Errorf("the same request again: %d %s", r.status, r.text)
	}
	csv := "external_ref,title,customer,customer_country,currency,amount,won_on,party_1,party_2\n" +
		"R1,Old deal,Contoso,DE,EUR,10.00," + yesterday() + ",Alder GmbH,Birch GmbH\n"
	if r := w.send(w.keys[w.a], http.MethodPost, "/v1/imports/deals", csv, "Content-Type", "text/csv"); r.status != http.StatusForbidden {
		t.Errorf("an import: %d %s", r.status, r.text)
	}
	d := first.deal(t)
	w.move(w.b, d, "accept", object{}, http.StatusOK)
	if d = w.get(w.a, d.ID); d.Status != deal.Active {
		t.Errorf("the deal of before is %s", d.Status)
	}
	w.move(w.a, d, "propose", object{"won_on": yesterday()}, http.StatusOK) // what was begun goes on
}

func TestEdit_FlagsAsAMemberWhoIsOneOnTheDayAtTheEditorsPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t).another(11*time.Hour + 30*time.Minute) // still the day before in UTC
	store, people := w.service.cfg.Store, w.service.cfg.Roster
	association, _ := people.Association(w.association)
	today := association.Today(w.service.cfg.Now())
	if utc := calendar.DateOf(w.service.cfg.Now(), time.UTC); today == utc {
		t.Fatalf("it is %s in UTC too", today)
	}
	revision, err := store.PutMembership(t.Context(), roster.Membership{
		AssociationID: w.association, CompanyID: w.outsider, Periods: []roster.Period{{From: today}},
	})
	if err == nil {
		err = people.WaitFor(t.Context(), roster.Members, revision)
	}
	if err != nil {
		t.Fatal(err)
	}
	named := w.register("k", registration(w.a, w.b, w.outsider))
	d := w.register("l", registration(w.a, w.b))
	more := registration(w.a, w.b, w.outsider)
	r := w.send(w.keys[w.a], http.MethodPatch, location(d.ID), object{"value": more["value"], "parties": more["parties"]}, "If-Match", httpapi.ETag(d.Revision))
	if r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.text)
	}
	for how, d := range map[string]Deal{"registered": named, "edited": r.deal(t)} {
		if newcomer := d.Parties[2]; newcomer.CompanyID != w.outsider || !newcomer.Member {
			t.Errorf("%s: no member on its first day: %+v", how, newcomer)
		}
	}
}
