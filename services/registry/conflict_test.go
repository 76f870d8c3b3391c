package registry

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/volume"
)

func onDay(n int) string { return calendar.DateOf(now(), time.UTC).AddDays(n).String() }

// buy is a registration for the customer of the conflict tests.
func buy(companies ...deal.ID) object {
	body := registration(companies...)
	body["customer"] = object{"name": "Contoso AG", "country": "DE"}
	return body
}

// winning takes a registered deal of a and b to won.
func (w *world) winning(d Deal, wonOn string) Deal {
	w.t.Helper()
	d = w.move(w.b, d, "accept", object{}, http.StatusOK)
	d = w.move(w.a, d, "propose", object{"won_on": wonOn}, http.StatusOK)
	return w.move(w.b, d, "attest", object{}, http.StatusOK)
}

// matched waits until every event was looked at, every flag was carried out, and nothing came of it any more.
func (w *world) matched(project func() uint64) uint64 {
	w.t.Helper()
	js, err := jetstream.New(w.nc)
	if err != nil {
		w.t.Fatal(err)
	}
	idle := func(from, name string) bool {
		consumer, err := js.Consumer(w.t.Context(), from, name)
		if err != nil {
			return false
		}
		info := consumer.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0
	}
	var last uint64
	w.eventually("all is matched", func() bool {
		before := project()
		done := idle(stream.DealsStream, dealsConsumer) && idle(stream.RecordsStream, decisionsConsumer)
		last = project()
		return done && before == last
	})
	return last
}

// flags are what the key sees of the deal's conflicts.
func (w *world) flags(key string, id deal.ID) []Conflict {
	w.t.Helper()
	r := w.send(key, http.MethodGet, location(id)+"/conflicts", nil)
	var list struct {
		Items []Conflict `json:"items"`
	}
	if err := json.Unmarshal([]byte(r.text), &list); err != nil || r.status != http.StatusOK {
		w.t.Fatalf("conflicts: %d %s %v", r.status, r.text, err)
	}
	return list.Items
}

func (w *world) decide(key string, id, other deal.ID, decision string, status int, headers ...string) reply {
	w.t.Helper()
	r := w.send(key, http.MethodPost, location(id)+"/conflicts/"+other.String()+"/decide",
		object{"decision": decision, "reason": "the parties say so"}, append([]string{"Idempotency-Key", "decide"}, headers...)...)
	if r.status != status {
		w.t.Fatalf("decide %s: %d instead of %d: %s", decision, r.status, status, r.text)
	}
	return r
}

// wantCounts wants the deal's only attribution to be of the amount, or withheld as a duplicate when it is 0.
func (w *world) wantCounts(what string, id deal.ID, minor int64) {
	w.t.Helper()
	list := w.last(id).Attributions
	withheld := volume.Nothing
	if minor == 0 {
		withheld = volume.Duplicate
	}
	if len(list) != 1 || list[0].AmountMinor != minor || list[0].Withheld != withheld {
		w.t.Errorf("%s: %+v", what, list)
	}
}

func TestConflict_IsFlaggedWhenCustomerCompaniesAndDaysMatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.project()
	first := buy(w.a, w.b)
	first["customer"] = object{"name": "Contoso AG", "country": "DE", "domain": "contoso.example"}
	first["expected_on"] = onDay(0)
	d := w.register("first", first)
	for i, c := range []struct {
		what   string
		change func(object)
		want   bool
	}{
		{"the same", func(object) {}, true},
		{"another spelling, three companies", func(o object) {
			o["customer"] = object{"name": "contoso  A.G.", "country": "DE"}
			o["parties"], o["value"] = buy(w.a, w.c, w.b)["parties"], euros("1100.00")
		}, true},
		{"the domain", func(o object) { o["customer"] = object{"name": "Other", "country": "AT", "domain": "contoso.example"} }, true},
		{"90 days later", func(o object) { o["expected_on"] = onDay(90) }, true},
		{"91 days later", func(o object) { o["expected_on"] = onDay(91) }, false},
		{"another country", func(o object) { o["customer"] = object{"name": "Contoso AG", "country": "AT"} }, false},
		{"another name", func(o object) { o["customer"] = object{"name": "Contoso GmbH", "country": "DE"} }, false},
		{"one company in both", func(o object) { o["parties"] = buy(w.a, w.c)["parties"] }, false},
	} {
		body := buy(w.a, w.b)
		body["expected_on"] = onDay(0)
		c.change(body)
		other := w.register(fmt.Sprint("other", i), body)
		w.matched(project)
		flagged := slices.ContainsFunc(w.flags(w.operator, d.ID), func(f Conflict) bool { return slices.Contains(f.Deals[:], other.ID) })
		if flagged != c.want {
			t.Errorf("%s: flagged %t", c.what, flagged)
		}
		if d := w.get(w.a, other.ID); d.Revision != 1 || d.Status != deal.Pending {
			t.Errorf("%s: the flag changed the deal: %+v", c.what, d)
		}
		w.move(w.a, other, "withdraw", object{}, http.StatusOK)
	}
}

func TestConflict_IsFlaggedWhenAChangeMakesThemMatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.project()
	first, second := buy(w.a, w.b), buy(w.a, w.c)
	second["expected_on"] = onDay(200)
	d, e := w.register("first", first), w.register("second", second)
	w.matched(project)
	patch := func(e Deal, body object) Deal {
		r := w.send(w.keys[w.a], http.MethodPatch, location(e.ID), body, "If-Match", fmt.Sprintf("%q", fmt.Sprint(e.Revision)))
		if r.status != http.StatusOK {
			t.Fatalf("%d %s", r.status, r.text)
		}
		w.matched(project)
		return r.deal(t)
	}
	e = patch(e, object{"expected_on": onDay(1)})
	if n := len(w.flags(w.operator, d.ID)); n != 0 {
		t.Errorf("%d flags with one company in both", n)
	}
	patch(e, object{"value": euros("1100.00"), "parties": buy(w.a, w.c, w.b)["parties"]})
	flags := w.flags(w.keys[w.a], e.ID)
	both := []deal.ID{w.a, w.b}
	slices.SortFunc(both, deal.ID.Compare)
	if len(flags) != 1 || flags[0].State != stream.ConflictUndecided || !slices.Equal(flags[0].Companies, both) || flags[0].FlaggedAt.IsZero() {
		t.Errorf("%+v", flags)
	}
}

func TestConflict_IsFlaggedOnceWhenBothAreRegisteredAtOnceBesideTwoRegistries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.another(0)
	project := w.project()
	var wait sync.WaitGroup
	deals := make([]Deal, 6)
	for i := range deals {
		at := w
		if i%2 == 1 {
			at = other
		}
		wait.Go(func() { deals[i] = at.register(fmt.Sprint("k", i), buy(w.a, w.b)) })
	}
	wait.Wait()
	w.matched(project)
	for _, d := range deals {
		for _, at := range []*world{w, other} {
			if n := len(at.flags(w.registrar, d.ID)); n != len(deals)-1 {
				t.Errorf("%d flags", n)
			}
		}
		for _, e := range deals {
			if d.ID.Compare(e.ID) >= 0 {
				continue
			}
			if n := w.recorded(stream.ConflictSubject(d.ID, e.ID)); n != 1 {
				t.Errorf("flagged %d times", n)
			}
		}
	}
}

// recorded counts the records on the subject.
func (w *world) recorded(subject string) uint64 {
	w.t.Helper()
	js, err := jetstream.New(w.nc)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := js.Stream(w.t.Context(), stream.RecordsStream)
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := s.Info(w.t.Context(), jetstream.WithSubjectFilter(subject))
	if err != nil {
		w.t.Fatal(err)
	}
	return info.State.Subjects[subject]
}

func TestConflict_IsSeenByTheCompaniesInBothAndTheRegistrarOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.project()
	flagged := w.register("first", buy(w.a, w.b, w.c))
	other := w.register("second", buy(w.a, w.b))
	free := w.register("third", registration(w.a, w.b, w.c))
	w.matched(project)
	for name, c := range map[string]struct {
		key  string
		want int
	}{
		"a": {w.keys[w.a], 1}, "b": {w.keys[w.b], 1}, "registrar": {w.registrar, 1}, "operator": {w.operator, 1}, "c": {w.keys[w.c], 0},
	} {
		if n := len(w.flags(c.key, flagged.ID)); n != c.want {
			t.Errorf("%s sees %d", name, n)
		}
	}
	for name, key := range map[string]string{"registrar": w.registrar, "operator": w.operator} {
		if n := len(w.listed(key, "?flagged=true").Items); n != 2 {
			t.Errorf("%s lists %d deals that may be one", name, n)
		}
	}
	if r := w.send(w.keys[w.a], http.MethodGet, "/v1/deals?flagged=true", nil); r.status != http.StatusUnprocessableEntity {
		t.Errorf("a company lists all flags: %d", r.status)
	}
	// c is a party of the first deal and not of the second.
	get := func(key string, id deal.ID) string {
		r := w.send(key, http.MethodGet, location(id)+"/conflicts", nil)
		for _, name := range []string{"Date", "Ratelimit"} { // of each request
			r.header.Del(name)
		}
		return fmt.Sprint(r.status, r.header, r.text)
	}
	if hidden, none := get(w.keys[w.c], flagged.ID), get(w.keys[w.c], free.ID); hidden != none {
		t.Errorf("a conflict that c may not see: %s, none: %s", hidden, none)
	}
	for _, key := range []string{w.keys[w.c], w.keys[w.outsider], w.board} {
		if hidden, missing := get(key, other.ID), get(key, newID()); hidden != missing {
			t.Errorf("hidden %s, missing %s", hidden, missing)
		}
	}
	decide := func(key string, id, other deal.ID) string {
		r := w.send(key, http.MethodPost, location(id)+"/conflicts/"+other.String()+"/decide", object{"decision": "distinct", "reason": "x"}, "Idempotency-Key", "d")
		return fmt.Sprint(r.status, r.text)
	}
	if hidden, missing := decide(w.keys[w.c], flagged.ID, other.ID), decide(w.keys[w.c], flagged.ID, newID()); hidden != missing || !strings.HasPrefix(hidden, "404") {
		t.Errorf("hidden %s, missing %s", hidden, missing)
	}
	if r := decide(w.keys[w.a], flagged.ID, other.ID); !strings.HasPrefix(r, "403") {
		t.Errorf("a company decides: %s", r)
	}
	for _, key := range []string{w.registrar, w.keys[w.a]} {
		if r := decide(key, flagged.ID, free.ID); !strings.HasPrefix(r, "404") {
			t.Errorf("there is no flag: %s", r)
		}
	}
	if got := w.types(flagged.ID); !slices.Equal(got, []deal.EventType{deal.EventRegistered}) {
		t.Errorf("the flag changed the deal: %v", got)
	}
}

func TestConflict_FirstWonCountsUntilTheyAreFoundDistinct(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.project()
	d, e := w.register("first", buy(w.a, w.b)), w.register("second", buy(w.a, w.b))
	w.matched(project)
	w.winning(e, onDay(-1)) // registered second, won first
	w.winning(d, onDay(-1))
	w.wantCounts("won first", e.ID, 100000)
	w.wantCounts("won second", d.ID, 0)
	last := w.matched(project)
	wantSums(t, w.counts(w.association, last), 100000, 1, 0)
	w.audited(last, w.association)
	wantTypes(t, w.types(d.ID), deal.EventRegistered, deal.EventActivated, deal.EventClosing, deal.EventWon)

	w.decide(w.registrar, d.ID, e.ID, "distinct", http.StatusOK)
	w.wantCounts("found distinct", d.ID, 100000)
	if left := w.listed(w.registrar, "?flagged=true").Items; len(left) > 0 {
		t.Errorf("decided, and still listed: %v", left)
	}
	last = w.matched(project)
	wantSums(t, w.counts(w.association, last), 200000, 2, 0)
	w.audited(last, w.association)

	again := w.decide(w.registrar, e.ID, d.ID, "distinct", http.StatusOK)
	if again.header.Get("Idempotency-Replayed") != "true" {
		t.Error("the same decision again is a new one")
	}
	w.decide(w.registrar, e.ID, d.ID, "distinct", http.StatusOK, "Idempotency-Key", "another")
	w.decide(w.registrar, e.ID, d.ID, "merged_into", http.StatusUnprocessableEntity)
	w.decide(w.registrar, e.ID, d.ID, "merged_into", http.StatusConflict, "Idempotency-Key", "another")
	refused := 0
	for _, l := range w.looks(w.operator, "").Items {
		if l.Route == decideRoute && slices.Equal(l.DealIDs, []deal.ID{e.ID, d.ID}) {
			refused++
		}
	}
	if refused != 2 {
		t.Errorf("%d looks are recorded for two refused decisions", refused)
	}
	flags := w.flags(w.keys[w.b], d.ID)
	if len(flags) != 1 || flags[0].State != stream.ConflictDistinct || *flags[0].DecidedBy != w.association || flags[0].Reason != "the parties say so" {
		t.Errorf("%+v", flags)
	}
	wantTypes(t, w.types(d.ID), deal.EventRegistered, deal.EventActivated, deal.EventClosing, deal.EventWon, deal.EventRestated)
	if n := len(w.types(e.ID)); n != 4 {
		t.Errorf("the deal that counted has %d events", n)
	}
}

func TestConflict_FlagAfterBothWereWonWithholdsTheSecond(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, e := w.register("first", buy(w.a, w.b)), w.register("second", buy(w.a, w.b))
	w.winning(d, onDay(-1))
	w.winning(e, onDay(-2))
	w.wantCounts("not flagged yet", e.ID, 100000)
	project := w.project() // only now does the warehouse find anything
	last := w.matched(project)
	w.wantCounts("won first", d.ID, 100000)
	w.wantCounts("won second", e.ID, 0)
	wantSums(t, w.counts(w.association, last), 100000, 1, 0)
	w.audited(last, w.association)
}

func TestConflict_MergeVoidsTheLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.project()
	d, e := w.register("first", buy(w.a, w.b)), w.register("second", buy(w.a, w.b))
	w.matched(project)
	w.winning(e, onDay(-1)) // registered second, won first
	w.winning(d, onDay(-1))
	w.matched(project)
	r := w.decide(w.registrar, d.ID, e.ID, "merged_into", http.StatusOK)
	if !strings.Contains(r.text, `"merged_into":"`+e.ID.String()+`"`) {
		t.Error(r.text)
	}
	got := w.get(w.b, d.ID)
	if got.Status != deal.Void || strings.Contains(got.Reason, e.ID.String()) || got.Reason != "the parties say so" {
		t.Errorf("%+v", got)
	}
	if by := w.last(d.ID).By; by.Association != w.association || by.Key.IsZero() {
		t.Errorf("merged by %+v", by)
	}
	w.decide(w.registrar, d.ID, e.ID, "merged_into", http.StatusOK)
	last := w.matched(project)
	w.wantCounts("stays", e.ID, 100000)
	wantSums(t, w.counts(w.association, last), 100000, 1, 0)
	w.audited(last, w.association)
	if n := len(w.types(d.ID)); n != 5 {
		t.Errorf("%d events of the deal that is void", n)
	}
}

func TestConflict_OfOpenDealsTheOneRegisteredLaterIsMerged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.project()
	d, e := w.register("first", buy(w.a, w.b)), w.register("second", buy(w.a, w.b))
	w.matched(project)
	w.move(w.b, e, "accept", object{}, http.StatusOK)
	w.decide(w.operator, d.ID, e.ID, "merged_into", http.StatusOK)
	if got := w.get(w.a, e.ID).Status; got != deal.Void {
		t.Errorf("the later one is %s", got)
	}
	if got := w.get(w.a, d.ID); got.Status != deal.Pending || got.Revision != 1 {
		t.Errorf("the earlier one is %+v", got)
	}
}

func TestConflict_OneThatHasEndedCannotBeMerged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.project()
	d, e := w.register("first", buy(w.a, w.b)), w.register("second", buy(w.a, w.b))
	w.matched(project)
	w.move(w.a, d, "withdraw", object{}, http.StatusOK)
	r := w.decide(w.registrar, d.ID, e.ID, "merged_into", http.StatusConflict)
	if !strings.Contains(r.text, "withdrawn") {
		t.Error(r.text)
	}
	if f := w.flags(w.registrar, d.ID)[0]; f.State != stream.ConflictUndecided {
		t.Errorf("%+v", f)
	}
	w.decide(w.registrar, d.ID, e.ID, "distinct", http.StatusOK, "Idempotency-Key", "2")
}

func TestConflict_SecondCountsWhenTheFirstIsVoidOrExcluded(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*world, Deal){
		"void": func(w *world, d Deal) {
			d = w.move(w.a, d, "void", object{"reason": "it never came about"}, http.StatusOK)
			w.move(w.b, d, "void", object{"reason": "it never came about"}, http.StatusOK)
		},
		"excluded": func(w *world, d Deal) {
			r := w.send(w.registrar, http.MethodPost, location(d.ID)+"/exclude", object{"reason": "not joint"},
				"If-Match", fmt.Sprintf("%q", fmt.Sprint(d.Revision)), "Idempotency-Key", "x")
			if r.status != http.StatusOK {
				w.t.Fatalf("%d %s", r.status, r.text)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			project := w.project()
			d, e, f := w.register("first", buy(w.a, w.b)), w.register("second", buy(w.a, w.b)), w.register("third", buy(w.a, w.b))
			w.matched(project)
			d = w.winning(d, onDay(-1))
			w.winning(e, onDay(-1))
			w.winning(f, onDay(-1))
			w.matched(project)
			w.wantCounts("second", e.ID, 0)
			end(w, d)
			last := w.matched(project)
			w.wantCounts("second after the first ended", e.ID, 100000)
			w.wantCounts("third", f.ID, 0)
			wantSums(t, w.counts(w.association, last), 100000, 1, 0)
			w.audited(last, w.association)
		})
	}
}

func TestConflict_RowsOfAnImportAreDistinctAndMeetThePartiesDeals(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.project()
	d := w.winning(w.register("first", buy(w.a, w.b)), onDay(-1))
	const head = "external_ref,title,customer,customer_country,currency,amount,status,won_on,party_1,party_2\n"
	state := w.imported(w.registrar, head+
		"R1,One,Contoso AG,DE,EUR,10.00,won,"+onDay(-2)+",Alder GmbH,Birch GmbH\n"+
		"R2,Two,Contoso AG,DE,EUR,20.00,won,"+onDay(-3)+",Alder GmbH,Birch GmbH\n"+
		"R3,Three,Fabrikam,DE,EUR,40.00,won,"+onDay(-3)+",Alder GmbH,Birch GmbH\n"+
		"R4,Four,Fabrikam,DE,EUR,80.00,won,"+onDay(-3)+",Alder GmbH,Birch GmbH\n", "")
	if state.Registered != 4 {
		t.Fatalf("%+v", state)
	}
	last := w.matched(project)
	if n := len(w.flags(w.registrar, d.ID)); n != 2 {
		t.Errorf("%d flags", n)
	}
	for ref, flags := range map[string]int{"R1": 1, "R2": 1, "R3": 0, "R4": 0} {
		if n := len(w.flags(w.registrar, dealID(w.association, ref, ""))); n != flags {
			t.Errorf("%s has %d flags", ref, n)
		}
	}
	wantSums(t, w.counts(w.association, last), 100000+4000+8000, 3, 0)
	w.audited(last, w.association)
}

// TestConflict_NoAssociationsFiguresDependOnAnothersRegistrar: the company's row that one association imports takes
// nothing away from the other one.
func TestConflict_NoAssociationsFiguresDependOnAnothersRegistrar(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.project()
	second := newID()
	store := w.service.cfg.Store
	if _, err := store.PutAssociation(t.Context(), roster.Association{
		ID: second, Name: "Inland Partners", TimeZone: "Europe/Berlin", YearStartsIn: 1, ReportingCurrency: "EUR", Disclosure: roster.DisclosureOpen,
	}); err != nil {
		t.Fatal(err)
	}
	chapter := newID()
	if _, err := store.PutChapter(t.Context(), roster.Chapter{ID: chapter, AssociationID: second, Name: "South"}); err != nil {
		t.Fatal(err)
	}
	accepted := calendar.New(2020, time.January, 1)
	for _, id := range []deal.ID{w.a, w.b} {
		revision, err := store.PutMembership(t.Context(), roster.Membership{AssociationID: second, CompanyID: id, Periods: []roster.Period{
			{ChapterID: chapter, From: calendar.New(2015, time.January, 1), EthicsAcceptedOn: &accepted},
		}})
		if err == nil {
			err = w.service.cfg.Roster.WaitFor(t.Context(), roster.Members, revision)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	const head = "external_ref,title,customer,customer_country,currency,amount,status,won_on,party_1,party_2\n"
	w.imported(w.registrar, head+"R1,One,Contoso AG,DE,EUR,10.00,won,"+onDay(-2)+",Alder GmbH,Birch GmbH\n", "")
	w.matched(project)
	d := w.winning(w.register("later", buy(w.a, w.b)), onDay(-1))
	last := w.matched(project)
	wantSums(t, w.counts(w.association, last), 1000, 1, 0)
	wantSums(t, w.counts(second, last), 100000, 1, 0)
	w.audited(last, w.association, second)
	w.decide(w.registrar, d.ID, dealID(w.association, "R1", ""), "distinct", http.StatusOK)
	last = w.matched(project)
	wantSums(t, w.counts(w.association, last), 101000, 2, 0)
	w.audited(last, w.association, second)
}

func TestConflict_SurvivesARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.project()
	d, e := w.register("first", buy(w.a, w.b)), w.register("second", buy(w.a, w.b))
	w.matched(project)
	d, e = w.move(w.b, d, "accept", object{}, http.StatusOK), w.move(w.b, e, "accept", object{}, http.StatusOK)
	w.stop()
	w = w.another(time.Hour)
	if n := len(w.flags(w.keys[w.a], d.ID)); n != 1 {
		t.Fatalf("%d flags", n)
	}
	for _, x := range []Deal{d, e} {
		x = w.move(w.a, x, "propose", object{"won_on": onDay(-1)}, http.StatusOK)
		w.move(w.b, x, "attest", object{}, http.StatusOK)
	}
	w.wantCounts("won first", d.ID, 100000)
	w.wantCounts("won second", e.ID, 0)
	w.matched(project)
	if n := w.recorded(stream.ConflictSubject(d.ID, e.ID)); n != 1 {
		t.Errorf("flagged %d times", n)
	}
}

func TestConflict_ADecisionThatWasCutOffIsCarriedOutAtTheNextStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	project := w.project()
	d, e := w.register("first", buy(w.a, w.b)), w.register("second", buy(w.a, w.b))
	w.matched(project)
	f, err := w.service.conflicts.get(t.Context(), d.ID, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.stop()
	// The registry died right behind its record.
	f.State, f.MergedInto, f.DecidedBy, f.Key, f.Reason, f.Command = stream.ConflictMerged, d.ID, w.association, newID(), "one and the same", "k"
	text, err := json.Marshal(f.conflict)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.service.conflicts.records.Put(t.Context(), stream.ConflictSubject(d.ID, e.ID), f.sequence, text); err != nil {
		t.Fatal(err)
	}
	w = w.another(time.Hour)
	w.eventually("the later deal is void", func() bool { return w.last(e.ID).Deal.Status == deal.Void })
	if got := w.last(d.ID).Deal.Status; got != deal.Pending {
		t.Errorf("the earlier one is %s", got)
	}
}

func TestConflict_WaitsForTheWarehouse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d, e := w.register("first", buy(w.a, w.b)), w.register("second", buy(w.a, w.b))
	if n := len(w.flags(w.operator, d.ID)); n != 0 {
		t.Errorf("%d flags without a warehouse", n)
	}
	w.matched(w.project())
	if n := len(w.flags(w.operator, e.ID)); n != 1 {
		t.Errorf("%d flags", n)
	}
}
