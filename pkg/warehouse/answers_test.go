package warehouse_test

import (
	"testing"

	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
)

// latestTotal gives the total of what Latest says is there.
func latestTotal(t *testing.T, w *warehouse.Warehouse) (warehouse.Prefix, warehouse.Sums) {
	t.Helper()
	p, err := w.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, err := w.VolumeOf(t.Context(), p, warehouse.VolumeQuery{Association: association, Year: 2026, By: warehouse.ByTotal})
	if err != nil {
		t.Fatal(err)
	}
	return p, v.Total
}

func TestVolumeOf_SumsAPrefixOnce(t *testing.T) {
	t.Parallel()
	dsn, houses := rolling(t, []uint64{2})
	w := houses[0]
	sound := marshal(t, won(id(31), 1, nil, list{attribution(1000)}))
	insert(t, w, 1, sound, sound, sound)
	rollUp(t, w, 2)
	prefix, total := latestTotal(t, w)
	same(t, total, sums(3000, 3000, 3, 0))

	warehousetest.Exec(t, dsn, "TRUNCATE TABLE deal_events") // only the roll-up of the first event is left to be read
	q := warehouse.VolumeQuery{Association: association, Year: 2026, By: warehouse.ByTotal}
	v, err := w.VolumeOf(t.Context(), prefix, q)
	if err != nil {
		t.Fatal(err)
	}
	same(t, v.Total, total)
	q.Year = 2027
	if v, err = w.VolumeOf(t.Context(), prefix, q); err != nil {
		t.Fatal(err)
	}
	same(t, v.PreviousYear, sums(1000, 1000, 1, 0))
}

func TestVolumeOf_SumsAnewWhatChanged(t *testing.T) {
	t.Parallel()
	dsn, houses := rolling(t, []uint64{2})
	w := houses[0]
	sound := marshal(t, won(id(31), 1, nil, list{attribution(1000)}))
	insert(t, w, 1, sound, sound, sound)
	rollUp(t, w, 2)
	warehousetest.Spoil(t, dsn, 3, sound)
	_, total := latestTotal(t, w)
	same(t, total, sums(2000, 2000, 2, 0))

	repair(t, w)
	_, total = latestTotal(t, w)
	same(t, total, sums(3000, 3000, 3, 0))

	insert(t, w, 4, sound)
	_, total = latestTotal(t, w)
	same(t, total, sums(4000, 4000, 4, 0))
}

func TestVolumeOf_SumsAnewWhatWasRebuilt(t *testing.T) {
	t.Parallel()
	_, houses := rolling(t, []uint64{2})
	w := houses[0]
	with := func(minor int64) []byte { return marshal(t, won(id(31), 1, nil, list{attribution(minor)})) }
	insert(t, w, 1, with(1000), with(1000), with(1000))
	rollUp(t, w, 2)
	latestTotal(t, w)
	n := next(t, w, aRebuild)
	insert(t, n, 1, with(500), with(500), with(500))
	rollUp(t, n, 2)
	if err := w.Exchange(t.Context(), aRebuild); err != nil {
		t.Fatal(err)
	}
	_, total := latestTotal(t, w)
	same(t, total, sums(1500, 1500, 3, 0))
}
