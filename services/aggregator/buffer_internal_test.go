package aggregator

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dealreg/dealreg/pkg/warehouse"
)

// A batch goes at once when nothing follows it, and else when it is full, its pace allows and a second has passed.
func TestBuffer_WaitsASecondAtMostAndOnlyForWhatIsKnownToFollow(t *testing.T) {
	t.Parallel()
	const rows, pace = 3, 100 * time.Millisecond
	for name, c := range map[string]struct {
		events []bool // whether more of the log follows each, of which one comes every 300 ms
		rows   int
		after  time.Duration
	}{
		"a lone event":              {[]bool{false}, 1, pace},
		"an event with more behind": {[]bool{true}, 1, patience},
		"the end of the log":        {[]bool{true, false}, 2, 300 * time.Millisecond},
		"a full batch":              {[]bool{true, true, true, true}, rows, 600 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, began := newBuffer(rows, 1<<20), time.Now() //nolint:forbidigo // the bubble's clock
				var log sync.WaitGroup
				defer log.Wait()
				log.Go(func() {
					for i, behind := range c.events {
						if err := b.add(t.Context(), uint64(i)+1, began, nil, behind); err != nil { // #nosec G115 -- a few
							t.Error(err)
						}
						time.Sleep(300 * time.Millisecond) //nolint:forbidigo // see above
					}
				})
				batch, err := b.take(t.Context(), time.After(pace), &warehouse.Batch{})
				if err != nil {
					t.Fatal(err)
				}
				if took := time.Since(began); took != c.after || batch.Len() != c.rows { //nolint:forbidigo // see above
					t.Errorf("%d events after %s; want %d after %s", batch.Len(), took, c.rows, c.after)
				}
			})
		})
	}
}
