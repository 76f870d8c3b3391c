package warehouse_test

import (
	"errors"
	"math/big"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// Whatever happened to the deals, in whatever pieces and however often the events were inserted and rolled up, at any point
// of the log the ledger adds up to what the states of the deals add up to.
func TestVolume_IsTheNaiveFoldOfAnyPrefix(t *testing.T) {
	t.Parallel()
	_, houses := rolling(t, []uint64{100}, []uint64{16, 64}, []uint64{50, 150, 450})
	w := houses[0]
	world, last := uint32(0), uint64(0)
	rapid.Check(t, func(r *rapid.T) {
		world++ // each one behind the others in the same log
		work := dealtest.NewWorkload(world, func(n int) int { return rapid.IntRange(0, n-1).Draw(r, "choice") })
		events := make([]stream.Stored, rapid.IntRange(1, 80).Draw(r, "events"))
		for i := range events {
			events[i] = work.Next()
			last++
			events[i].Sequence = last
		}
		insertInPieces(r, t, houses, events)
		compareWithFold(r, t, w, work, events[:rapid.IntRange(0, len(events)).Draw(r, "prefix")])
	})
}

// All associations together are counted like one more, in the log of one world.
func TestVolume_OfAllTogetherIsTheNaiveFoldOfAnyPrefix(t *testing.T) {
	t.Parallel()
	_, houses := rolling(t, []uint64{10, 50})
	w := houses[0]
	work := dealtest.NewWorkload(0, dealtest.Seeded(1866))
	events, payloads := written(work, 600)
	insert(t, w, 1, payloads...)
	rollUp(t, w, 333)
	for upTo := 0; upTo <= len(events); upTo += 60 {
		want := dealtest.Fold(events[:upTo])
		for year := 2023; year <= 2029; year++ {
			v, err := w.Volume(t.Context(), warehouse.VolumeQuery{Year: year, By: warehouse.ByMonth, UpTo: uint64(upTo)})
			if err != nil {
				t.Fatal(err)
			}
			check := func(key dealtest.Key, got warehouse.Sums) {
				s, there := want[key]
				if !there {
					s = dealtest.Sums{Amount: new(big.Int), ByParties: new(big.Int)}
				}
				delete(want, key)
				same(t, got, warehouse.Sums{Amount: s.Amount, AttestedByParties: s.ByParties, Deals: s.Deals, Unconverted: s.Unconverted})
			}
			check(dealtest.Key{Year: year, By: dealtest.ByTotal}, v.Total)
			for _, item := range v.Items {
				check(dealtest.Key{Year: year, By: dealtest.ByMonth, Month: item.Month}, item.Sums)
			}
		}
		for key, s := range want {
			if key.Association.IsZero() {
				t.Errorf("after %d events %+v is missing: %+v", upTo, key, s)
			}
		}
	}
}

// insertInPieces inserts ranges that follow each other, each one perhaps again later, and rolls some of them up.
func insertInPieces(r *rapid.T, t *testing.T, houses []*warehouse.Warehouse, events []stream.Stored) {
	for first := 0; first < len(events); {
		end := rapid.IntRange(min(first+6, len(events)), len(events)).Draw(r, "end")
		from := first
		if rapid.IntRange(0, 3).Draw(r, "again") == 3 {
			from = rapid.IntRange(0, first).Draw(r, "from")
		}
		var batch warehouse.Batch
		for _, e := range events[from:end] {
			if err := batch.Append(e.Sequence, e.At, e.Payload); err != nil {
				r.Fatal(err)
			}
		}
		if batch.Poisoned() > 0 {
			r.Fatal("poison in a sound history")
		}
		if err := houses[0].Insert(t.Context(), &batch); err != nil {
			r.Fatal(err)
		}
		if rapid.Bool().Draw(r, "roll up") {
			rollUpSome(r, t, rapid.SampledFrom(houses).Draw(r, "sizes"), batch.Last())
		}
		first = end
	}
}

// rollUpSome rolls up what is closed, perhaps not to the end, perhaps twice at once, perhaps killed while it is at it.
func rollUpSome(r *rapid.T, t *testing.T, w *warehouse.Warehouse, last uint64) {
	upTo := last - rapid.Uint64Range(0, min(last, 60)).Draw(r, "not rolled up")
	kill := rapid.IntRange(0, 4).Draw(r, "kill") == 4
	var group errgroup.Group
	for range rapid.IntRange(1, 2).Draw(r, "at once") {
		group.Go(func() error { return w.RollUp(t.Context(), upTo) })
	}
	if kill {
		group.Go(func() error { return w.KillRollUps(t.Context()) })
	}
	if err := group.Wait(); err != nil && !kill {
		if exception, is := errors.AsType[*clickhouse.Exception](err); !is || exception.Code != queryIsRunning {
			r.Fatal(err)
		}
	}
}

// queryIsRunning is the server's word for a second query under the name of one that runs.
const queryIsRunning = 216

// compareWithFold compares every year of the history, cut in one way, and its total.
func compareWithFold(r *rapid.T, t *testing.T, w *warehouse.Warehouse, work *dealtest.Workload, events []stream.Stored) {
	by := rapid.SampledFrom([]warehouse.By{warehouse.ByChapter, warehouse.ByPair, warehouse.ByMonth}).Draw(r, "by")
	want, years := map[dealtest.Key]dealtest.Sums{}, map[int]bool{2025: true}
	for key, sums := range dealtest.Fold(events) {
		if key.Association.IsZero() {
			continue // that of all worlds together
		}
		if key.By == dealtest.By(by) || key.By == dealtest.ByTotal {
			want[key], years[key.Year] = sums, true
		}
	}
	upTo := uint64(0)
	if len(events) > 0 {
		upTo = events[len(events)-1].Sequence
	}
	check := func(key dealtest.Key, got warehouse.Sums) {
		expected, there := want[key]
		if !there {
			expected = dealtest.Sums{Amount: new(big.Int), ByParties: new(big.Int)}
		}
		delete(want, key)
		if got.Amount.Cmp(expected.Amount) != 0 || got.AttestedByParties.Cmp(expected.ByParties) != 0 ||
			got.Deals != expected.Deals || got.Unconverted != expected.Unconverted {
			r.Errorf("after %d events %+v: got %+v, want %+v", len(events), key, got, expected)
		}
	}
	comparePrefix(r, t, w, upTo)
	for _, association := range work.Associations {
		for year := range years {
			v, err := w.Volume(t.Context(), warehouse.VolumeQuery{Association: association.ID, Year: year, By: by, UpTo: upTo})
			if err != nil {
				r.Fatal(err)
			}
			check(dealtest.Key{Association: association.ID, Year: year, By: dealtest.ByTotal}, v.Total)
			for _, item := range v.Items {
				key := dealtest.Key{Association: association.ID, Year: year, By: dealtest.By(by), A: item.A, B: item.B, Month: item.Month}
				if by == warehouse.ByChapter {
					key.A = item.Chapter
				}
				check(key, item.Sums)
			}
		}
	}
	for key, sums := range want {
		r.Errorf("after %d events %+v is missing: %+v", len(events), key, sums)
	}
	for year := range years {
		comparePairs(r, t, w, work, events, year)
	}
}

// comparePrefix compares what is known from roll-ups with what is counted.
func comparePrefix(r *rapid.T, t *testing.T, w *warehouse.Warehouse, upTo uint64) {
	got, err := w.Prefix(t.Context(), upTo)
	if err != nil {
		r.Fatal(err)
	}
	want, err := w.Recount(t.Context(), upTo)
	if err != nil {
		r.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(want)); diff != "" || !got.Whole() {
		r.Errorf("the prefix up to %d: -counted +got:\n%s", upTo, diff)
	}
}

// comparePairs compares a company's year.
func comparePairs(r *rapid.T, t *testing.T, w *warehouse.Warehouse, work *dealtest.Workload, events []stream.Stored, year int) {
	company := rapid.SampledFrom(work.Companies).Draw(r, "company")
	upTo := uint64(0)
	if len(events) > 0 {
		upTo = events[len(events)-1].Sequence
	}
	pairs, err := w.CompanyVolume(t.Context(), company, year, upTo)
	if err != nil {
		r.Fatal(err)
	}
	want := dealtest.Fold(events)
	for key := range want {
		if key.Year != year || key.By != dealtest.ByPair || key.A != company && key.B != company {
			delete(want, key)
		}
	}
	for _, p := range pairs {
		key := dealtest.Key{Association: p.Association, Year: year, By: dealtest.ByPair, A: company, B: p.Partner}
		if p.Partner.Compare(company) < 0 {
			key.A, key.B = p.Partner, company
		}
		if s, there := want[key]; !there || s.Amount.Cmp(p.Amount) != 0 || s.Deals != p.Deals {
			r.Errorf("after %d events %+v: got %+v, want %+v", len(events), key, p.Sums, s)
		}
		delete(want, key)
	}
	for key := range want {
		r.Errorf("after %d events %+v is missing", len(events), key)
	}
}
