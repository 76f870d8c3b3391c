package warehouse_test

import (
	"slices"
	"testing"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
)

// However few events a page is looked for in first, the pages together are the deals as they stand, newest first.
func TestFindDeals_FindsTheSameHoweverFarItLooksBackFirst(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	work := dealtest.NewWorkload(0, dealtest.Seeded(1880))
	events, payloads := written(work, 400)
	insert(t, w, 1, payloads...)
	company := work.Companies[0]
	party := func(e stream.Stored) bool { _, is := e.Deal.Party(company); return is }
	says := func(e stream.Stored) bool { _, does := e.Deal.Standing(company); return does || party(e) }
	for name, c := range map[string]struct {
		filter warehouse.Filter
		means  func(deal.Deal, stream.Stored) bool
	}{
		"all":       {warehouse.Filter{}, func(deal.Deal, stream.Stored) bool { return true }},
		"a company": {warehouse.Filter{Company: company}, func(_ deal.Deal, e stream.Stored) bool { return says(e) }},
		"statuses": {warehouse.Filter{Statuses: []string{"active", "closing"}}, func(d deal.Deal, _ stream.Stored) bool {
			return d.Status == deal.Active || d.Status == deal.Closing
		}},
		"won by one": {warehouse.Filter{Company: company, Status: "won"}, func(d deal.Deal, e stream.Stored) bool { return d.Status == deal.Won && says(e) }},
		"an association": {warehouse.Filter{Association: work.Associations[0].ID}, func(_ deal.Deal, e stream.Stored) bool {
			return slices.Contains(e.Audience.Associations, work.Associations[0].ID)
		}},
		"pending for one": {warehouse.Filter{Company: company, WaitsFor: company, Status: "pending"}, func(d deal.Deal, e stream.Stored) bool {
			s, _ := d.Standing(company)
			return d.Status == deal.Pending && party(e) && s.AcceptedAt == nil
		}},
		"behind 250": {warehouse.Filter{After: 250}, func(deal.Deal, stream.Stored) bool { return true }},
		"none":       {warehouse.Filter{Company: deal.ID{9}}, func(deal.Deal, stream.Stored) bool { return false }},
	} {
		var want []deal.ID
		met := map[deal.ID]bool{}
		for i := len(events) - 1; i >= int(c.filter.After); i-- { // #nosec G115 -- a few hundred
			e := events[i]
			if !met[e.Deal.ID] && c.means(e.Deal, e) {
				want = append(want, e.Deal.ID)
			}
			met[e.Deal.ID] = true
		}
		if len(want) == 0 != (name == "none") {
			t.Fatalf("%s: %d deals", name, len(want))
		}
		for _, first := range []uint64{1, 20, 1000} {
			w.LookBack(first)
			t.Logf("%s, first in %d events", name, first)
			same(t, pages(t, w, c.filter), want)
		}
	}
}

// pages gives all that a list has, page by page.
func pages(t *testing.T, w *warehouse.Warehouse, f warehouse.Filter) (all []deal.ID) {
	t.Helper()
	from := warehouse.Cursor{}
	for {
		found, next, err := w.FindDeals(t.Context(), f, 7, from)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
		if next.IsZero() {
			return all
		}
		from = next
	}
}
