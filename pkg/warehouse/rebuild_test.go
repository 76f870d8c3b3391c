package warehouse_test

import (
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

var aRebuild = warehouse.Rebuild{ID: id(90), StartedAt: time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)}

// next begins a rebuild and gives its database, migrated.
func next(t *testing.T, w *warehouse.Warehouse, r warehouse.Rebuild) *warehouse.Warehouse {
	t.Helper()
	if err := w.BeginRebuild(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	n, err := w.Next()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Close() })
	if err := n.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

func rebuilding(t *testing.T, w *warehouse.Warehouse) *warehouse.Rebuild {
	t.Helper()
	r, err := w.Rebuilding(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRebuild_IsKnownUntilItsTablesAreServed(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	insert(t, w, 1, marshal(t, won(id(31), 1, nil, list{attribution(1000)})))
	if r := rebuilding(t, w); r != nil {
		t.Fatalf("%+v before any was begun", r)
	}
	n := next(t, w, aRebuild)
	same(t, rebuilding(t, w), &aRebuild)
	if err := w.BeginRebuild(t.Context(), warehouse.Rebuild{ID: id(91)}); err == nil {
		t.Error("two at once")
	}
	insert(t, n, 1, marshal(t, won(id(31), 1, nil, list{attribution(500)})))
	same(t, volume(t, w, warehouse.ByTotal, 1).Total, sums(1000, 1000, 1, 0))
	for range 2 { // the second time changes nothing
		if err := w.Exchange(t.Context(), aRebuild); err != nil {
			t.Fatal(err)
		}
	}
	// Killed here: it must not be taken for one that goes on, which would put the old tables back.
	same(t, volume(t, w, warehouse.ByTotal, 1).Total, sums(500, 500, 1, 0))
	if r := rebuilding(t, w); r != nil {
		t.Errorf("%+v goes on after its end", r)
	}
	made, err := w.Rebuilt(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, made, &aRebuild)
	next(t, w, warehouse.Rebuild{ID: id(92)}) // the database was cleared away
	if err := w.AbandonRebuild(t.Context()); err != nil {
		t.Error(err)
	}
	if r := rebuilding(t, w); r != nil {
		t.Errorf("%+v goes on although it was abandoned", r)
	}
}

func TestRebuild_TakesOverWholePartitionsBeforeItsFirstSequence(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	border := uint64(warehouse.PartitionRows)
	event := marshal(t, event(id(31), 1, dealregv1.Status_STATUS_PENDING))
	insert(t, w, border-2, event, event)
	insert(t, w, border, event, event, event)
	insert(t, w, 2*border, event)
	r := aRebuild
	r.From = border + 2
	n := next(t, w, r)
	for range 2 {
		if err := w.TakeOver(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	checkpoint, err := n.Checkpoint(t.Context())
	if err != nil || checkpoint.Sequence != border-1 {
		t.Errorf("taken over up to %d (%v), want %d", checkpoint.Sequence, err, border-1)
	}
	if prefix, err := w.Prefix(t.Context(), 3*border); err != nil || prefix.Sequences != 6 {
		t.Errorf("what is served has %+v (%v)", prefix, err)
	}
	if err := w.AbandonRebuild(t.Context()); err != nil {
		t.Error(err)
	}
	if prefix, err := w.Prefix(t.Context(), 3*border); err != nil || prefix.Sequences != 6 {
		t.Errorf("what is served has %+v (%v) after the other one is gone", prefix, err)
	}
}

// A page of 200 would be as large as 200 messages may be.
func TestPoison_IsListedInPagesThatFitIntoMemory(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	large := make([]byte, 1<<20)
	for i := range large {
		large[i] = 0xff
	}
	insert(t, w, 1, large, large, large, large, large, large, large, large, large, large, large)
	var sizes []int
	for after, more := uint64(0), true; more; {
		page, left, err := w.Poison(t.Context(), after, 200)
		if err != nil || len(page) == 0 || page[0].Sequence != after+1 {
			t.Fatalf("behind %d: %d events, %v", after, len(page), err)
		}
		sizes, after, more = append(sizes, len(page)), page[len(page)-1].Sequence, left
	}
	same(t, sizes, []int{8, 3})
}

func TestPoison_IsListedUntilItIsRepaired(t *testing.T) {
	t.Parallel()
	dsn := warehousetest.DSN(t)
	w := warehousetest.Open(t, dsn)
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	sound := marshal(t, won(id(31), 1, nil, list{attribution(1000)}))
	insert(t, w, 1, sound, []byte("no event"), sound)
	warehousetest.Spoil(t, dsn, 3, sound)
	poison, more, err := w.Poison(t.Context(), 0, 2)
	if err != nil || more || len(poison) != 2 || poison[0].Sequence != 2 || poison[1].Sequence != 3 || string(poison[1].Payload) != string(sound) {
		t.Fatalf("got %+v, %v", poison, err)
	}
	if rest, more, err := w.Poison(t.Context(), 2, 10); err != nil || more || len(rest) != 1 {
		t.Fatalf("got %+v, %v", rest, err)
	}
	if first, more, err := w.Poison(t.Context(), 0, 1); err != nil || !more || len(first) != 1 {
		t.Fatalf("got %+v, %v, %v", first, more, err)
	}
	var batch warehouse.Batch
	if batch.AppendRepaired(poison[0]) || !batch.AppendRepaired(poison[1]) || batch.Len() != 1 || batch.Poisoned() != 0 {
		t.Fatalf("%d rows, %d poisoned", batch.Len(), batch.Poisoned())
	}
	same(t, volume(t, w, warehouse.ByTotal, 3).Total, sums(1000, 1000, 1, 0))
	if err := w.Insert(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	same(t, volume(t, w, warehouse.ByTotal, 3).Total, sums(2000, 2000, 2, 0))
	prefix, err := w.Prefix(t.Context(), 3)
	if err != nil || prefix.Quarantined != 1 || !prefix.Whole() {
		t.Errorf("got %+v, %v", prefix, err)
	}
}
