package registry

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/volume"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// customers are so different that no deal repeats another.
var customers = map[string]string{"k": "Fabrikam Ltd", "k1": "Northwind Traders", "k2": "Wingtip Toys"}

// wonInDollars takes a deal of a and the others, of 100.00 USD each and 900.00 for a, to won on the day.
func (w *world) wonInDollars(key, wonOn string, others ...deal.ID) Deal {
	w.t.Helper()
	body := inDollars(registration(append([]deal.ID{w.a}, others...)...))
	body["customer"] = object{"name": customers[key], "country": "DE"}
	d := w.register(key, body)
	for _, id := range others {
		d = w.move(id, d, "accept", object{}, http.StatusOK)
	}
	d = w.move(w.a, d, "propose", object{"won_on": wonOn}, http.StatusOK)
	for _, id := range others {
		d = w.move(id, d, "attest", object{}, http.StatusOK)
	}
	return d
}

// rates are those of some days with so many dollars for a euro, by a source.
func rates(dollars string, days ...calendar.Date) []money.Day {
	var result []money.Day
	for _, on := range days {
		result = append(result, money.Day{Date: on, Source: "ECB", Rates: map[money.Currency]string{"USD": dollars, "GBP": "0.8"}})
	}
	return result
}

// putRates writes rates and gives the bucket's revision.
func (w *world) putRates(days []money.Day) uint64 {
	w.t.Helper()
	revisions, err := w.service.cfg.Store.PutRates(w.t.Context(), days)
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.Max(revisions)
}

// looked waits until the registry has looked at what the change concerns.
func (w *world) looked(b roster.Bucket, revision uint64) {
	w.t.Helper()
	if err := w.service.restate.waitFor(w.t.Context(), b, revision); err != nil {
		w.t.Fatal(err)
	}
}

// unconverted lists the registrar's deals that wait for a rate.
func (w *world) unconverted(key string) []deal.ID {
	w.t.Helper()
	var list struct{ Items []Deal }
	r := w.send(key, http.MethodGet, "/v1/deals?unconverted=true", nil)
	if err := json.Unmarshal([]byte(r.text), &list); r.status != http.StatusOK || err != nil {
		w.t.Fatalf("list: %d %s", r.status, r.text)
	}
	var ids []deal.ID
	for _, d := range list.Items {
		ids = append(ids, d.ID)
	}
	return ids
}

// member makes the company a member of the association from a day on, for good, and gives the bucket's revision.
func (w *world) member(association, company deal.ID, from calendar.Date) uint64 {
	w.t.Helper()
	chapter := roster.Period{From: from}
	m, err := w.service.cfg.Store.UpdateMembership(w.t.Context(), association, company, func(m roster.Membership) (roster.Membership, error) {
		m.Periods = []roster.Period{chapter}
		return m, nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return m.Revision
}

var friday = calendar.New(2026, time.February, 27) // the last day of published rates before yesterday

func TestRestate_ConvertsADealWhenItsRateComesAndAgainWhenItIsCorrected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	projected := w.project()
	d := w.wonInDollars("k", yesterday(), w.b)
	euros := w.won("e", yesterday())
	before := projected()
	if got := w.last(d.ID).Attributions; len(got) != 1 || got[0].Withheld != volume.Unconverted {
		t.Fatalf("counts for %+v without a rate", got)
	}
	for name, key := range map[string]string{"registrar": w.registrar, "party": w.keys[w.b]} {
		if got := w.unconverted(key); !slices.Equal(got, []deal.ID{d.ID}) {
			t.Errorf("%s: unconverted are %v", name, got)
		}
	}
	if got := w.unconverted(w.keys[w.c]); len(got) != 0 {
		t.Errorf("a company that is no party sees %v", got)
	}
	wantSums(t, w.counts(w.association, before), 100000, 1, 1)

	w.looked(roster.Rates, w.putRates(rates("1.25", friday.AddDays(-6), friday)))
	e := w.last(d.ID)
	if e.Type != deal.EventRestated || !e.By.IsSystem || e.Command.ID != "restate:4" || len(e.Attributions) != 1 ||
		len(e.Audience.Companies) != 2 || !slices.Equal(e.Audience.Associations, []deal.ID{w.association}) {
		t.Fatalf("after the rate came: %+v", e)
	}
	a := e.Attributions[0]
	quote := money.Quote{From: "USD", To: "EUR", FromPerEUR: "1.25", ToPerEUR: "1", Date: friday, Source: "ECB"}
	if a.AmountMinor != 80000 || a.Quote == nil || *a.Quote != quote || !sameFigures(e.Replaces, []volume.Attribution{unconvertedOf(a)}) {
		t.Errorf("counts for %+v by %+v in place of %+v", a, a.Quote, e.Replaces)
	}
	first := projected()
	wantSums(t, w.counts(w.association, first), 180000, 2, 0)
	if got := w.unconverted(w.registrar); len(got) != 0 {
		t.Errorf("still unconverted: %v", got)
	}

	w.looked(roster.Rates, w.putRates(rates("1.6", friday)))
	wantSums(t, w.counts(w.association, projected()), 162500, 2, 0)
	w.looked(roster.Rates, w.putRates(rates("2", friday.AddDays(1)))) // a day nearer to the won date
	wantSums(t, w.counts(w.association, projected()), 150000, 2, 0)
	wantSums(t, w.counts(w.association, first), 180000, 2, 0)
	wantSums(t, w.counts(w.association, before), 100000, 1, 1)

	// None of these changes what counts: the same again, a day too early, the day after.
	all := w.types(d.ID)
	w.looked(roster.Rates, w.putRates(rates("2", friday.AddDays(1))))
	w.looked(roster.Rates, w.putRates(rates("9", friday, friday.AddDays(-20), friday.AddDays(3))))
	wantTypes(t, w.types(d.ID), all...)
	if got := all[len(all)-3:]; !slices.Equal(got, []deal.EventType{deal.EventRestated, deal.EventRestated, deal.EventRestated}) {
		t.Errorf("events %v", all)
	}
	wantTypes(t, w.types(euros.ID), deal.EventRegistered, deal.EventActivated, deal.EventClosing, deal.EventWon)
	w.audited(projected(), w.association)
}

// unconvertedOf is the attribution as it was before there was a rate.
func unconvertedOf(a volume.Attribution) volume.Attribution {
	a.AmountMinor, a.Chapters, a.Pairs, a.Quote, a.Withheld = 0, nil, nil, nil, volume.Unconverted
	return a
}

func TestRestate_CatchesUpWithRatesThatCameWhileNoRegistryRan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	projected := w.project()
	d := w.wonInDollars("k", yesterday(), w.b)
	projected()
	w.stop()
	var days []calendar.Date
	for n := range 600 {
		days = append(days, friday.AddDays(-n))
	}
	revision := w.putRates(rates("1.25", days...))
	one, two := w.another(0), w.another(0) // they share the work
	one.eventually("the deal is restated", func() bool { return one.last(d.ID).Type == deal.EventRestated })
	two.eventually("both have looked at all days", func() bool {
		return max(one.lookedAt(roster.Rates), two.lookedAt(roster.Rates)) == revision
	})
	wantTypes(t, w.types(d.ID), deal.EventRegistered, deal.EventActivated, deal.EventClosing, deal.EventWon, deal.EventRestated)
	wantSums(t, w.counts(w.association, projected()), 80000, 1, 0)
}

func (w *world) lookedAt(b roster.Bucket) uint64 {
	w.service.restate.mu.Lock()
	defer w.service.restate.mu.Unlock()
	return w.service.restate.done[b]
}

func TestRestate_CountsAMembershipThatIsCorrectedBackwards(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	projected := w.project()
	d := w.register("k", registration(w.a, w.b, w.outsider))
	for _, id := range []deal.ID{w.b, w.outsider} {
		d = w.move(id, d, "accept", object{}, http.StatusOK)
	}
	d = w.move(w.a, d, "propose", object{"won_on": yesterday()}, http.StatusOK)
	for _, id := range []deal.ID{w.b, w.outsider} {
		d = w.move(id, d, "attest", object{}, http.StatusOK)
	}
	wantSums(t, w.counts(w.association, projected()), 100000, 1, 0)

	w.looked(roster.Members, w.member(w.association, w.outsider, calendar.New(2026, time.March, 2)))
	if got := w.last(d.ID).Type; got != deal.EventWon {
		t.Errorf("%s although the company was no member yet on the won date", got)
	}
	w.looked(roster.Members, w.member(w.association, w.outsider, calendar.New(2026, time.March, 1)))
	if e := w.last(d.ID); e.Type != deal.EventRestated || len(e.Attributions) != 1 || len(e.Attributions[0].Pairs) != 3 {
		t.Errorf("%+v", e)
	}
	wantSums(t, w.counts(w.association, projected()), 110000, 1, 0)

	// Another association gets two of the parties as members on that day.
	other := w.associate("GBP")
	w.member(other, w.a, calendar.New(2020, time.January, 1))
	w.looked(roster.Members, w.member(other, w.b, calendar.New(2020, time.January, 1)))
	e := w.last(d.ID)
	if e.Type != deal.EventRestated || len(e.Attributions) != 2 || !slices.Contains(e.Audience.Associations, other) {
		t.Errorf("%+v", e)
	}
	wantSums(t, w.counts(other, projected()), 0, 0, 1)
	w.looked(roster.Rates, w.putRates(rates("1.25", friday)))
	wantSums(t, w.counts(other, projected()), 80000, 1, 0)
	wantSums(t, w.counts(w.association, projected()), 110000, 1, 0)

	// A member that never was one any more: its association hears of it and counts nothing.
	w.looked(roster.Members, w.member(other, w.b, calendar.New(2026, time.March, 2)))
	if e := w.last(d.ID); len(e.Attributions) != 1 || !slices.Contains(e.Audience.Associations, other) {
		t.Errorf("%+v", e)
	}
	wantSums(t, w.counts(other, projected()), 0, 0, 0)
	w.audited(projected(), w.association, other)
}

func TestRestate_CountsAnImportedDealInItsAssociationOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	projected := w.project()
	other := w.associate("EUR")
	file := "external_ref,title,customer,customer_country,currency,amount,status,won_on,party_1,party_2\n" +
		"R1,Depot,Contoso AG,DE,USD,100.00,won," + yesterday() + ",alder.example,birch.example\n"
	if state := w.imported(w.registrar, file, ""); state.Registered != 1 {
		t.Fatalf("%+v", state)
	}
	id := dealID(w.association, "R1", "")
	projected()
	w.member(other, w.a, calendar.New(2020, time.January, 1))
	w.looked(roster.Members, w.member(other, w.b, calendar.New(2020, time.January, 1)))
	wantTypes(t, w.types(id), deal.EventWon)
	w.looked(roster.Rates, w.putRates(rates("1.25", friday)))
	e := w.last(id)
	if e.Type != deal.EventRestated || len(e.Attributions) != 1 || e.Attributions[0].Association != w.association ||
		!slices.Equal(e.Audience.Associations, []deal.ID{w.association}) {
		t.Errorf("%+v", e)
	}
	upTo := projected()
	wantSums(t, w.counts(w.association, upTo), 8000, 1, 0)
	w.audited(upTo, w.association, other)
}

func TestRestate_LeavesAnExclusionAndAnOpenCorrectionAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	projected := w.project()
	excluded := w.wonInDollars("k1", yesterday(), w.b)
	r := w.send(w.registrar, http.MethodPost, location(excluded.ID)+"/exclude", object{"reason": "a framework contract"},
		"If-Match", httpapi.ETag(excluded.Revision), "Idempotency-Key", "x")
	if r.status != http.StatusOK {
		t.Fatalf("exclude: %d %s", r.status, r.text)
	}
	corrected := w.wonInDollars("k2", yesterday(), w.b)
	corrected = w.move(w.a, corrected, "correct", object{"won_on": "2026-02-28"}, http.StatusOK)
	projected()
	w.looked(roster.Rates, w.putRates(rates("1.25", friday)))
	if got := w.last(excluded.ID).Type; got != deal.EventExcluded {
		t.Errorf("the excluded deal was %s", got)
	}
	e := w.last(corrected.ID)
	if e.Type != deal.EventRestated || e.Deal.Correction == nil || e.Attributions[0].AmountMinor != 80000 {
		t.Errorf("%+v", e)
	}
	d := w.get(w.b, corrected.ID)
	if d = w.move(w.b, d, "attest", object{}, http.StatusOK); d.Correction != nil || d.WonOn.String() != "2026-02-28" {
		t.Errorf("the correction did not go on: %+v", d)
	}
	w.audited(projected(), w.association)
}

func TestRestate_LooksAgainForWhatWasDecidedOnAnOldDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	projected := w.project()
	d := w.wonInDollars("k", yesterday(), w.b)
	projected()
	w.stop()
	revision := w.putRates(rates("1.25", friday))
	again := w.another(0, func(s *Service) { s.restate.again = 5 * time.Second })
	again.looked(roster.Rates, revision)
	// A registry that had read the directory before writes its event only now.
	last := w.last(d.ID)
	event, err := deal.Decide(last.Deal, deal.Command{Move: deal.Restate, By: deal.Actor{IsSystem: true}}, now())
	if err != nil {
		t.Fatal(err)
	}
	late := voucher(w.service.cfg.Roster, event, &last, stream.Command{ID: "late"})
	late.Attributions = []volume.Attribution{unconvertedOf(last.Attributions[0])}
	draft, err := stream.NewDraft(late, &last)
	if err == nil {
		_, err = w.service.log.Append(t.Context(), draft)
	}
	if err != nil {
		t.Fatal(err)
	}
	again.eventually("the deal is converted all the same", func() bool { return again.last(d.ID).Attributions[0].AmountMinor == 80000 })
}

func TestSameFigures_DoesNotMindTheOrder(t *testing.T) {
	t.Parallel()
	x, y, z := deal.ID{1}, deal.ID{2}, deal.ID{3}
	figures := func() []volume.Attribution {
		return []volume.Attribution{
			{
				Association: x, Year: 2026, Currency: "EUR", AmountMinor: 30, Chapters: []volume.Chapter{{Chapter: x, AmountMinor: 10}, {Chapter: y, AmountMinor: 20}},
				Pairs: []volume.Pair{{A: x, B: y, AmountMinor: 10}, {A: x, B: z, AmountMinor: 20}}, Quote: &money.Quote{From: "USD", To: "EUR", FromPerEUR: "1.1"},
			},
			{Association: y, Withheld: volume.Unconverted, Chapters: []volume.Chapter{}},
		}
	}
	other := figures()
	slices.Reverse(other)
	slices.Reverse(other[1].Chapters)
	slices.Reverse(other[1].Pairs)
	other[0].Chapters = nil
	if !sameFigures(figures(), other) || !sameFigures(nil, []volume.Attribution{}) {
		t.Error("the same figures in another order differ")
	}
	for name, change := range map[string]func(*volume.Attribution){
		"amount":  func(a *volume.Attribution) { a.AmountMinor++ },
		"chapter": func(a *volume.Attribution) { a.Chapters[0].AmountMinor++ },
		"pair":    func(a *volume.Attribution) { a.Pairs[1].B = y },
		"rate":    func(a *volume.Attribution) { a.Quote.FromPerEUR = "1.2" },
		"source":  func(a *volume.Attribution) { a.Quote.Source = "bank" },
		"none":    func(a *volume.Attribution) { a.Quote = nil },
		"reason":  func(a *volume.Attribution) { a.Withheld = volume.Duplicate },
	} {
		changed := figures()
		change(&changed[0])
		if sameFigures(figures(), changed) {
			t.Errorf("another %s is no difference", name)
		}
	}
	if sameFigures(figures(), figures()[:1]) {
		t.Error("an attribution less is no difference")
	}
}

func TestReach_JoinsTheDaysThatRatesReach(t *testing.T) {
	t.Parallel()
	on := func(n int) calendar.Date { return calendar.New(2026, time.January, n) }
	got := reach([]string{on(20).String(), "nonsense", on(1).String(), on(3).String()})
	want := []warehouse.Days{{First: on(1), Last: on(10)}, {First: on(20), Last: on(27)}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestRestate_LeavesADuplicateWithheldWhenItsRateComes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	projected := w.project()
	first := w.wonInDollars("k", yesterday(), w.b)
	projected()
	body := inDollars(registration(w.a, w.b))
	body["customer"] = object{"name": customers["k"], "country": "DE"}
	second := w.register("again", body)
	second = w.move(w.b, second, "accept", object{}, http.StatusOK)
	second = w.move(w.a, second, "propose", object{"won_on": yesterday()}, http.StatusOK)
	w.move(w.b, second, "attest", object{}, http.StatusOK)
	w.eventually("the second deal counts for nothing", func() bool {
		return w.last(second.ID).Attributions[0].Withheld == volume.Duplicate
	})
	projected()
	before := w.types(second.ID)
	w.looked(roster.Rates, w.putRates(rates("1.25", friday)))
	if got := w.last(first.ID); got.Type != deal.EventRestated || got.Attributions[0].AmountMinor != 80000 {
		t.Errorf("%+v", got)
	}
	wantTypes(t, w.types(second.ID), before...)
	upTo := projected()
	wantSums(t, w.counts(w.association, upTo), 80000, 1, 0)
	w.audited(upTo, w.association)
}
