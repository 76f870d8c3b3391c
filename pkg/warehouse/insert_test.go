package warehouse_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go"

	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// batchOf gives the events of a history, with a poison one at the end.
func batchOf(t testing.TB, events int) *warehouse.Batch {
	t.Helper()
	work, batch := dealtest.NewWorkload(0, dealtest.Seeded(1871)), &warehouse.Batch{}
	for range events {
		e := work.Next()
		if err := batch.Append(e.Sequence, start, e.Payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Append(uint64(events+1), start, []byte("poison")); err != nil {
		t.Fatal(err)
	}
	return batch
}

func TestInsert_StoresTheRowsAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, compression := range []string{"lz4", "none"} {
		t.Run(compression, func(t *testing.T) {
			t.Parallel()
			dsn := warehousetest.DSN(t) + "?compress=" + compression
			w := warehousetest.Open(t, dsn)
			if err := w.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			batch := batchOf(t, 1500)
			if err := w.Insert(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			same(t, warehousetest.Table(t, dsn), batch.Table())
		})
	}
}

func TestInsert_AgainAfterTheServerEndedTheConnection(t *testing.T) {
	t.Parallel()
	proxy := warehousetest.NewProxy(t, warehousetest.DSN(t))
	w := warehousetest.Open(t, proxy.DSN)
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		proxy.LoseAnswers()
		if err := w.Insert(t.Context(), batchOf(t, 200)); err == nil {
			t.Fatal("no error although the answer was lost")
		}
		if err := w.KillInsert(t.Context(), 1, 201); err != nil {
			t.Fatal(err)
		}
		if err := w.Insert(t.Context(), batchOf(t, 200)); err != nil {
			t.Fatal(err)
		}
	}
	prefix, err := w.Prefix(t.Context(), 201)
	if err != nil || !prefix.Whole() || prefix.Sequences != 201 {
		t.Errorf("%+v, %v", prefix, err)
	}
}

// A busy engine greets late.
func TestInsert_WaitsForASlowServer(t *testing.T) {
	t.Parallel()
	proxy := warehousetest.NewProxy(t, warehousetest.DSN(t))
	w := warehousetest.Open(t, proxy.DSN)
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy.DelayAnswers(time.Second / 2)
	for range 2 { // over a new connection, and over the one that is there
		if err := w.Insert(t.Context(), batchOf(t, 3)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestInsert_SaysWhatTheServerRefuses(t *testing.T) {
	t.Parallel()
	dsn := warehousetest.DSN(t)
	w := warehousetest.Open(t, dsn)
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	warehousetest.Exec(t, dsn, "ALTER TABLE deal_events DROP COLUMN told")
	err := w.Insert(t.Context(), batchOf(t, 3))
	if _, refused := errors.AsType[*ch.Exception](err); !refused {
		t.Errorf("got %v", err)
	}
}

func TestInsert_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Insert(ctx, batchOf(t, 3)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if err := w.Insert(t.Context(), batchOf(t, 3)); err != nil {
		t.Error(err)
	}
}

// A string longer than any frame or buffer, and none at all.
func TestInsert_TakesLongPoison(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	long := make([]byte, 5<<20)
	insert(t, w, 1, long, marshal(t, event(id(31), 1, dealregv1.Status_STATUS_PENDING)), nil)
	got, err := w.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, warehouse.Checkpoint{Sequence: 3, PayloadHash: sha256.Sum256(nil), At: start.Truncate(time.Millisecond)})
}
