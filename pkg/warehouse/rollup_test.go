package warehouse_test

import (
	"errors"
	"testing"

	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
)

// rolling gives an empty warehouse, and the same one once more for each list of sizes of ranges.
func rolling(t *testing.T, sizes ...[]uint64) (dsn string, same []*warehouse.Warehouse) {
	t.Helper()
	dsn = warehousetest.DSN(t)
	if err := warehousetest.Open(t, dsn).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range sizes {
		w, err := warehouse.Open(warehouse.Config{DSN: dsn, RollupSizes: s})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = w.Close() })
		same = append(same, w)
	}
	return dsn, same
}

// history gives payloads of so many events, in which much is won.
func history(events int) (work *dealtest.Workload, payloads [][]byte) {
	work = dealtest.NewWorkload(0, dealtest.Seeded(1866))
	for range events {
		payloads = append(payloads, work.Next().Payload)
	}
	return work, payloads
}

func rollUp(t *testing.T, w *warehouse.Warehouse, upTo uint64) {
	t.Helper()
	if err := w.RollUp(t.Context(), upTo); err != nil {
		t.Fatal(err)
	}
}

func ranges(t *testing.T, w *warehouse.Warehouse) [][2]uint64 {
	t.Helper()
	result, err := w.RolledUp(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestRollUp_TakesClosedRangesOnly(t *testing.T) {
	t.Parallel()
	_, houses := rolling(t, []uint64{10, 30})
	w := houses[0]
	_, payloads := history(75)
	insert(t, w, 1, payloads[:39]...)
	rollUp(t, w, 38)
	same(t, ranges(t, w), [][2]uint64{{0, 29}})
	rollUp(t, w, 39)
	same(t, ranges(t, w), [][2]uint64{{0, 29}, {30, 39}})
	insert(t, w, 40, payloads[39:]...)
	rollUp(t, w, 75) // what is in a longer range stays, and is not made when that one is
	same(t, ranges(t, w), [][2]uint64{{0, 29}, {30, 59}, {30, 39}, {60, 69}})
}

func TestRollUp_IsOneBlock(t *testing.T) {
	t.Parallel()
	_, houses := rolling(t, []uint64{10_000})
	_, payloads := history(9_999)
	insert(t, houses[0], 1, payloads...)
	rollUp(t, houses[0], 9_999)
	if parts, err := houses[0].RollupParts(t.Context()); err != nil || parts != 1 {
		t.Errorf("%d parts (%v)", parts, err)
	}
}

func TestRollUp_TwiceCountsOnce(t *testing.T) {
	t.Parallel()
	dsn, houses := rolling(t, []uint64{10, 50})
	w := houses[0]
	work, payloads := history(400)
	insert(t, w, 1, payloads...)
	figures := func() (result []any) {
		for _, by := range []warehouse.By{warehouse.ByMonth, warehouse.ByChapter, warehouse.ByPair} {
			for _, a := range work.Associations {
				v, err := w.Volume(t.Context(), warehouse.VolumeQuery{Association: a.ID, Year: 2025, By: by, UpTo: 385})
				if err != nil {
					t.Fatal(err)
				}
				result = append(result, v)
			}
		}
		pairs, err := w.CompanyVolume(t.Context(), work.Companies[0], 2025, 385)
		if err != nil || len(pairs) == 0 {
			t.Fatalf("%v, %v", pairs, err)
		}
		prefix, err := w.Prefix(t.Context(), 385)
		if err != nil {
			t.Fatal(err)
		}
		return append(result, pairs, prefix.Sequences, prefix.Last, prefix.At)
	}
	want := figures()
	for range 2 {
		rollUp(t, w, 400)
		same(t, figures(), want)
	}
	for _, r := range ranges(t, w) {
		if err := w.RollUpAgain(t.Context(), r[0], r[1]); err != nil {
			t.Fatal(err)
		}
		same(t, figures(), want)
	}
	warehousetest.Exec(t, dsn, "OPTIMIZE TABLE rollups FINAL")
	same(t, figures(), want)
}

func TestRollUp_RefusesARangeWithAHole(t *testing.T) {
	t.Parallel()
	_, houses := rolling(t, []uint64{10})
	w := houses[0]
	_, payloads := history(30)
	insert(t, w, 1, payloads[:12]...)
	insert(t, w, 14, payloads[13:]...)
	uneven, is := errors.AsType[*warehouse.UnevenError](w.RollUp(t.Context(), 29))
	if !is || *uneven != (warehouse.UnevenError{First: 10, Last: 19, Have: 9}) {
		t.Errorf("got %+v", uneven)
	}
	same(t, ranges(t, w), [][2]uint64{{0, 9}})
	if prefix, err := w.Prefix(t.Context(), 30); err != nil || prefix.Whole() || prefix.Sequences != 29 {
		t.Errorf("got %+v, %v", prefix, err)
	}
}

func TestRollUp_OfARepairedEventIsMadeAgain(t *testing.T) {
	t.Parallel()
	dsn, houses := rolling(t, []uint64{2, 4})
	w := houses[0]
	sound := marshal(t, won(id(31), 1, nil, list{attribution(1000)}))
	insert(t, w, 1, sound, sound, sound, sound, sound)
	warehousetest.Spoil(t, dsn, 2, sound)
	rollUp(t, w, 3)
	check := func(minor, deals int64, quarantined uint64) {
		t.Helper()
		same(t, volume(t, w, warehouse.ByTotal, 5).Total, sums(minor, minor, deals, 0))
		if prefix, err := w.Prefix(t.Context(), 5); err != nil || prefix.Quarantined != quarantined || !prefix.Whole() {
			t.Errorf("got %+v, %v", prefix, err)
		}
	}
	check(4000, 4, 1)
	repair(t, w)
	for range 2 {
		rollUp(t, w, 5)
		check(5000, 5, 0)
	}
	warehousetest.Exec(t, dsn, "OPTIMIZE TABLE rollups FINAL")
	check(5000, 5, 0)
}

func TestVolume_ReadsTheEventsOfRollUpsThatAreGone(t *testing.T) {
	t.Parallel()
	dsn, houses := rolling(t, []uint64{10})
	w := houses[0]
	_, payloads := history(30)
	insert(t, w, 1, payloads...)
	rollUp(t, w, 30)
	var after []uint64
	err := w.Fold(t.Context(), 30, func(behind uint64) {
		switch after = append(after, behind); len(after) {
		case 1: // while it is read, another one takes the place of one
			if err := w.RollUpAgain(t.Context(), 10, 19); err != nil {
				t.Fatal(err)
			}
			warehousetest.Exec(t, dsn, "OPTIMIZE TABLE rollups FINAL")
		case 2: // a rebuild takes them away
			warehousetest.Exec(t, dsn, "TRUNCATE TABLE rollups")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	same(t, after, []uint64{29, 29, 0})
}

func TestRebuild_BringsItsRollUps(t *testing.T) {
	t.Parallel()
	_, houses := rolling(t, []uint64{2})
	w := houses[0]
	with := func(minor int64) []byte { return marshal(t, won(id(31), 1, nil, list{attribution(minor)})) }
	insert(t, w, 1, with(1000), with(1000), with(1000))
	rollUp(t, w, 3)
	n := next(t, w, aRebuild)
	insert(t, n, 1, with(500), with(500), with(500))
	rollUp(t, n, 2)
	same(t, volume(t, w, warehouse.ByTotal, 3).Total, sums(3000, 3000, 3, 0))
	if err := w.Exchange(t.Context(), aRebuild); err != nil {
		t.Fatal(err)
	}
	same(t, volume(t, w, warehouse.ByTotal, 3).Total, sums(1500, 1500, 3, 0))
	same(t, ranges(t, w), [][2]uint64{{0, 1}})
}
