package warehouse_test

import (
	"runtime"
	"testing"

	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// heap gives the bytes that are in use.
func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc) // #nosec G115 -- bytes
}

func TestBatch_OccupiesNotMuchMoreThanItSays(t *testing.T) { //nolint:paralleltest // it measures the heap of the process
	many := make(list, 5)
	for i := range many {
		many[i] = attribution(1000)
	}
	large := marshal(t, won(id(31), 1, nil, many))
	history := dealtest.NewBulk(60_000, 1)
	for name, next := range map[string]func() []byte{
		"large events": func() []byte { return large },
		"usual events": func() []byte { _, payload, _ := history.Next(); return payload },
	} {
		before := heap()
		batch := &warehouse.Batch{}
		for seq := uint64(1); seq <= 50_000; seq++ {
			if err := batch.Append(seq, start, next()); err != nil {
				t.Fatal(err)
			}
		}
		took, said := heap()-before, batch.Bytes()
		if took > said*5/4 || took < said/3 {
			t.Errorf("%s: the batch says %d bytes and takes %d", name, said, took)
		}
		runtime.KeepAlive(batch)
	}
}
