package registry

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
)

const day = 24 * time.Hour

// sweep makes the registry look for what is due.
func (w *world) sweep() int {
	w.t.Helper()
	moved, err := w.service.timers.sweep(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return moved
}

func TestTimers_ExpireAPendingDealAfterFourteenDaysAndNotASecondBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	projected := w.project()
	d := w.register("k", registration(w.a, w.b))
	due := d.StatusSince.Add(14 * day)
	if d.DueAt == nil || !d.DueAt.Equal(due) {
		t.Errorf("due at %v, want %v", d.DueAt, due)
	}
	projected()
	early := w.another(14*day - time.Second)
	if moved := early.sweep(); moved != 0 || w.get(w.a, d.ID).Status != deal.Pending {
		t.Errorf("%d moved a second before", moved)
	}
	late := w.another(14 * day)
	late.sweep()
	d = w.get(w.a, d.ID)
	if d.Status != deal.Expired || d.Revision != 2 || d.DueAt != nil || d.UpdatedAt.Before(due) {
		t.Errorf("after 14 days: %+v", d)
	}
	e := w.last(d.ID)
	if !e.By.IsSystem || e.Command.ID != "expire:1" || len(e.Audience.Companies) != 2 || len(e.Audience.Associations) != 1 {
		t.Errorf("by %+v, command %q, for %+v", e.By, e.Command.ID, e.Audience)
	}
	if r := w.send(w.keys[w.b], http.MethodGet, location(d.ID)+"/events", nil); r.status != http.StatusOK {
		t.Errorf("history: %d %s", r.status, r.text)
	}
	projected()
	if moved := late.sweep(); moved != 0 {
		t.Errorf("%d moved again", moved)
	}
}

func TestTimers_CatchUpAfterTheRegistryWasDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	projected := w.project()
	d := w.register("k", registration(w.a, w.b))
	w.stop()
	projected()
	late := w.another(400 * day)
	late.eventually("the deal expires at the start", func() bool { return late.last(d.ID).Deal.Status == deal.Expired })
	wantTypes(t, w.types(d.ID), deal.EventRegistered, deal.EventExpired)
}

func TestTimers_NeverFireTwiceWithTwoRegistries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	projected := w.project()
	var ids []deal.ID
	for _, key := range []string{"k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8"} {
		ids = append(ids, w.register(key, registration(w.a, w.b)).ID)
	}
	projected()
	one, two := w.another(15*day), w.another(15*day)
	var race sync.WaitGroup
	for range 2 {
		race.Go(func() { one.sweep() })
		race.Go(func() { two.sweep() })
	}
	race.Wait()
	for _, id := range ids {
		wantTypes(t, w.types(id), deal.EventRegistered, deal.EventExpired)
	}
}

func TestTimers_ActivityOfAnActiveDealMovesItsDate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	projected := w.project()
	d := w.register("k", registration(w.a, w.b))
	d = w.move(w.b, d, "accept", object{}, http.StatusOK)
	if due := d.UpdatedAt.AddDate(1, 0, 0); d.DueAt == nil || !d.DueAt.Equal(due) {
		t.Errorf("due at %v, want %v", d.DueAt, due)
	}
	later := now().AddDate(0, 11, 0)
	month11 := w.another(later.Sub(now()))
	r := month11.send(w.keys[w.a], http.MethodPatch, location(d.ID), object{"description": "Still on"}, "If-Match", httpapi.ETag(d.Revision))
	if r.status != http.StatusOK {
		t.Fatalf("edit: %d %s", r.status, r.text)
	}
	d = r.deal(t)
	due := d.UpdatedAt.AddDate(1, 0, 0)
	if d.DueAt == nil || !d.DueAt.Equal(due) {
		t.Errorf("due at %v after an edit, want %v", d.DueAt, due)
	}
	projected()
	w.another(due.Sub(now()) - time.Second).sweep()
	if w.get(w.a, d.ID).Status != deal.Active {
		t.Error("expired although something happened")
	}
	w.another(due.Sub(now())).sweep()
	if w.get(w.a, d.ID).Status != deal.Expired {
		t.Error("active 12 months after the last event")
	}
}

func TestTimers_ClosingReturnsToActiveAndVoidsAttestations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	projected := w.project()
	d := w.register("k", registration(w.a, w.b))
	d = w.move(w.b, d, "accept", object{}, http.StatusOK)
	d = w.move(w.a, d, "propose", object{"won_on": yesterday()}, http.StatusOK)
	if due := d.StatusSince.Add(60 * day); d.DueAt == nil || !d.DueAt.Equal(due) {
		t.Errorf("due at %v, want %v", d.DueAt, due)
	}
	projected()
	w.another(60*day - time.Second).sweep()
	if w.get(w.a, d.ID).Status != deal.Closing {
		t.Error("no longer closing before the 60 days are over")
	}
	late := w.another(60 * day)
	late.sweep()
	d = late.get(w.a, d.ID)
	if d.Status != deal.Active || d.Parties[0].AttestedTerms != nil || w.last(d.ID).Type != deal.EventExpired {
		t.Errorf("after 60 days: %+v", d)
	}
	d = late.move(w.b, d, "propose", object{"won_on": yesterday()}, http.StatusOK)
	if d.Status != deal.Closing {
		t.Errorf("%s: an attestation of before the 60 days still counts", d.Status)
	}
	if d = late.move(w.a, d, "attest", object{}, http.StatusOK); d.Status != deal.Won || d.DueAt != nil {
		t.Errorf("%+v", d)
	}
}

func TestTimers_GoOnWhenTheWarehouseIsBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	projected := w.project()
	d := w.register("k", registration(w.a, w.b))
	projected()
	finder := w.service.cfg.Finder
	gone := awayWarehouse(t)
	late := w.another(15*day, func(s *Service) { s.cfg.Finder = gone })
	if _, err := late.service.timers.sweep(t.Context()); err == nil {
		t.Error("a sweep without a warehouse ended well")
	}
	if w.get(w.a, d.ID).Status != deal.Pending {
		t.Error("expired by nobody")
	}
	late = w.another(15*day, func(s *Service) { s.cfg.Finder = finder })
	late.sweep()
	wantTypes(t, w.types(d.ID), deal.EventRegistered, deal.EventExpired)
}
