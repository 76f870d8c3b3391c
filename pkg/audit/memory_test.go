package audit_test

import (
	"io"
	"runtime"
	"testing"

	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/dealreg/dealreg/pkg/audit"
	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/stream"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// bytesPerDeal is what the audit promises.
const bytesPerDeal = 64

// bulkLog sends a long history without ever holding it, and calls atEnd behind its last event.
func bulkLog(deals int, atEnd func()) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() {
			history := dealtest.NewBulk(deals, 11)
			sequence := uint64(0)
			for id, payload, more := history.Next(); more; id, payload, more = history.Next() {
				sequence++
				if _, err := protodelim.MarshalTo(w, &dealregv1.LogEntry{Sequence: sequence, Subject: stream.Subject(id), Payload: payload}); err != nil {
					return
				}
			}
			atEnd()
			_ = w.Close()
		}()
		return r, nil
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) // #nosec G115 -- of this machine
}

// Both logs have the same figures: only what each deal takes differs. Between the two sizes the index grows once, and at
// both it has just grown and is as empty as it gets.
func TestFold_TakesAtMost64BytesADeal(t *testing.T) { //nolint:paralleltest // it measures the heap, which is everybody's
	held := func(deals int) (atEnd int64) {
		ledger, err := audit.Fold(bulkLog(deals, func() { atEnd = heap() }))
		if err != nil || ledger.FindingCount > 0 || ledger.Deals != int64(deals) || ledger.Won != int64(deals) {
			t.Fatalf("%d deals: %v, %+v", deals, err, ledger)
		}
		return atEnd
	}
	const few, many = 100_000, 200_000
	perDeal := float64(held(many)-held(few)) / (many - few)
	t.Logf("%.1f bytes a deal", perDeal)
	if perDeal > bytesPerDeal {
		t.Errorf("a deal takes %.1f bytes; want at most %d", perDeal, bytesPerDeal)
	}
}
