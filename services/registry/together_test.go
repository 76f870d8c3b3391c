package registry

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/volume"
)

// together asks the warehouse, as an association's id, for all of them together.
var together deal.ID

// reporting is another association, of which the companies have been members since 2020, and the key of its registrar.
func (w *world) reporting(currency money.Currency, members ...deal.ID) (association deal.ID, registrar string) {
	w.t.Helper()
	association = w.associate(currency)
	for _, company := range members {
		w.looked(roster.Members, w.member(association, company, calendar.New(2020, time.January, 1)))
	}
	_, registrar = w.issue(roster.Scope{Role: roster.RoleRegistrar, AssociationID: association})
	return association, registrar
}

func (w *world) exclude(registrar string, id deal.ID) {
	w.t.Helper()
	r := w.send(registrar, http.MethodPost, location(id)+"/exclude", object{"reason": "a framework contract"},
		"If-Match", httpapi.ETag(w.last(id).Deal.Revision), "Idempotency-Key", "exclude-"+registrar)
	if r.status != http.StatusOK {
		w.t.Fatalf("exclude: %d %s", r.status, r.text)
	}
}

func TestUnduplicated_CountsADealOfTwoAssociationsOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	projected := w.project()
	other, registrar := w.reporting("GBP", w.a, w.b)
	w.looked(roster.Rates, w.putRates(rates("1.25", friday)))

	d := w.won("k", yesterday())
	first := projected()
	wantSums(t, w.counts(w.association, first), 100000, 1, 0)
	wantSums(t, w.counts(other, first), 80000, 1, 0)
	wantSums(t, w.counts(together, first), 100000, 1, 0)
	w.audited(first, w.association, other)

	// What leaves the figures leaves this one.
	d = w.move(w.a, d, "correct", object{"won_on": "2026-02-28"}, http.StatusOK)
	if e := w.last(d.ID); e.Unduplicated == nil || !reflect.DeepEqual(e.Unduplicated, e.UnduplicatedReplaces) {
		t.Errorf("%+v after %+v", e.Unduplicated, e.UnduplicatedReplaces)
	}
	// Where one association excludes the deal its shares still count in the other one.
	w.exclude(w.registrar, d.ID)
	second := projected()
	wantSums(t, w.counts(w.association, second), 0, 0, 0)
	wantSums(t, w.counts(together, second), 100000, 1, 0)
	w.exclude(registrar, d.ID)
	upTo := projected()
	if e := w.last(d.ID); e.Unduplicated != nil || e.UnduplicatedReplaces == nil {
		t.Errorf("%+v after %+v", e.Unduplicated, e.UnduplicatedReplaces)
	}
	wantSums(t, w.counts(together, upTo), 0, 0, 0)
	wantSums(t, w.counts(together, first), 100000, 1, 0)
	w.audited(upTo, w.association, other)
}

func TestUnduplicated_CountsThePartiesOfEitherAssociation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	projected := w.project()
	// Alder and Birch are in one association, Alder and the outsider in the other, which counts dollars.
	other, _ := w.reporting("USD", w.a, w.outsider)
	d := w.wonInDollars("k", yesterday(), w.b, w.outsider)
	if e := w.last(d.ID); len(e.Attributions) != 2 || e.Unduplicated.Withheld != volume.Unconverted {
		t.Errorf("without a rate %+v and %+v", e.Attributions, e.Unduplicated)
	}
	before := projected()
	wantSums(t, w.counts(other, before), 100000, 1, 0)
	wantSums(t, w.counts(together, before), 0, 0, 1)
	w.audited(before, w.association, other)

	w.exclude(w.registrar, d.ID) // from here on only the association that needs no rate counts the deal
	projected()
	w.looked(roster.Rates, w.putRates(rates("1.25", friday)))
	e := w.last(d.ID)
	if e.Type != deal.EventRestated || !sameFigures(e.Attributions, e.Replaces) || e.Unduplicated.AmountMinor != 80000 {
		t.Errorf("after the rate came: %s, %+v", e.Type, e.Unduplicated)
	}
	upTo := projected()
	wantSums(t, w.counts(together, upTo), 80000, 1, 0)

	both := w.wonInDollars("k1", yesterday(), w.b, w.outsider)
	if e := w.last(both.ID); e.Unduplicated.AmountMinor != 88000 || e.Attributions[0].AmountMinor+e.Attributions[1].AmountMinor != 180000 {
		t.Errorf("%+v and %+v", e.Attributions, e.Unduplicated)
	}
	upTo = projected()
	wantSums(t, w.counts(together, upTo), 168000, 2, 0)
	w.audited(upTo, w.association, other)
}
