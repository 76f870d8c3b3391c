package warehouse_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/stream"
	attributed "github.com/dealreg/dealreg/pkg/volume"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
)

// Whatever is rolled up, and whatever prefix was asked for before, the counts of a prefix are those of its deals as they stand.
func TestCountDeals_IsTheNaiveCountOfAnyPrefix(t *testing.T) {
	t.Parallel()
	_, houses := rolling(t, []uint64{10, 50})
	w := houses[0]
	work := dealtest.NewWorkload(0, dealtest.Seeded(1881))
	var events []stream.Stored
	const step = 23 // ends in the middle of ranges
	for len(events) < 20*step {
		more, payloads := written(work, step)
		events = append(events, more...)
		insert(t, w, uint64(len(events)-step+1), payloads...)
		if len(events)%(3*step) == 0 {
			rollUp(t, w, uint64(len(events)-step))
		}
		compareCounts(t, w, work, events)
		if len(events)%(7*step) == 0 {
			compareCounts(t, w, work, events[:len(events)/2])
		}
	}
}

// What is remembered of a range counts no longer once one of its events was repaired, or a rebuild took its place.
func TestCountDeals_CountsAnewWhatChanged(t *testing.T) {
	t.Parallel()
	dsn, houses := rolling(t, []uint64{10})
	w := houses[0]
	work := dealtest.NewWorkload(0, dealtest.Seeded(1882))
	events, payloads := written(work, 50)
	insert(t, w, 1, payloads[:45]...)
	spoilt := 39 // the last one of a range, so that it says how its deal stands there
	warehousetest.Spoil(t, dsn, uint64(spoilt), payloads[spoilt-1])
	rollUp(t, w, 45)
	compareCounts(t, w, work, slices.Delete(slices.Clone(events[:45]), spoilt-1, spoilt))

	repair(t, w)
	rollUp(t, w, 45)
	compareCounts(t, w, work, events[:45])

	n := next(t, w, aRebuild)
	insert(t, n, 1, payloads[5:]...)
	rollUp(t, n, 45)
	if err := w.Exchange(t.Context(), aRebuild); err != nil {
		t.Fatal(err)
	}
	events[49].Sequence = 45
	compareCounts(t, w, work, events[5:])
}

// compareCounts compares what is counted of all that the events hold, for each association and company.
func compareCounts(t *testing.T, w *warehouse.Warehouse, work *dealtest.Workload, events []stream.Stored) {
	t.Helper()
	latest := map[deal.ID]stream.Stored{}
	for _, e := range events {
		latest[e.Deal.ID] = e
	}
	upTo := events[len(events)-1].Sequence
	check := func(of warehouse.Whose, among func(stream.Stored) bool, waits func(deal.Deal) bool) {
		t.Helper()
		got, err := w.CountDeals(t.Context(), of, upTo)
		if err != nil {
			t.Fatal(err)
		}
		var want warehouse.DealCounts
		first, last := calendar.Bounds(of.Year, of.YearStartsIn)
		for _, e := range latest {
			if !of.Association.IsZero() && slices.ContainsFunc(e.Attributions, func(a attributed.Attribution) bool {
				return a.Association == of.Association && a.Withheld == attributed.Unconverted
			}) {
				want.Unconverted++
			}
			if !among(e) {
				continue
			}
			if waits(e.Deal) {
				want.Waiting++
			}
			switch e.Deal.Status { //nolint:exhaustive // the others are not counted
			case deal.Pending:
				want.Pending++
			case deal.Active:
				want.Active++
			case deal.Closing:
				want.Closing++
			case deal.Disputed:
				want.Disputed++
			case deal.Won:
				if on := *e.Deal.WonOn; on >= first && on <= last {
					want.Won++
				}
			}
		}
		same(t, got, want)
	}
	for _, a := range work.Associations {
		check(warehouse.Whose{Association: a.ID, Year: 2025, YearStartsIn: a.YearStartsIn},
			func(e stream.Stored) bool { return slices.Contains(e.Audience.Associations, a.ID) },
			func(d deal.Deal) bool {
				return slices.ContainsFunc(d.Standings, func(s deal.Standing) bool { return waitsFor(d, s.Company) })
			})
	}
	for _, company := range work.Companies[:3] {
		check(warehouse.Whose{Company: company, Year: 2025, YearStartsIn: time.January},
			func(e stream.Stored) bool {
				_, party := e.Deal.Party(company)
				_, says := e.Deal.Standing(company)
				return party || says
			},
			func(d deal.Deal) bool { return waitsFor(d, company) })
	}
}

// waitsFor tells in plain words whether the deal does not move on without the company's word.
func waitsFor(d deal.Deal, company deal.ID) bool {
	said, has := d.Standing(company)
	if !has {
		return false
	}
	switch d.Status { //nolint:exhaustive // in the others a deal waits for nobody
	case deal.Pending:
		return said.AcceptedAt == nil
	case deal.Closing:
		return said.AttestedTerms != d.TermsVersion
	case deal.Won:
		_, party := d.Party(company)
		voids := slices.ContainsFunc(d.Standings, func(s deal.Standing) bool { return s.Voids })
		return d.Correction != nil && said.AttestedTerms != d.Correction.TermsVersion || party && voids && !said.Voids
	}
	return false
}
