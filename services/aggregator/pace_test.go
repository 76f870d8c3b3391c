package aggregator_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	"github.com/dealreg/dealreg/services/aggregator"
)

// asConfigured has the aggregator run with the pace and the batches that it has by itself.
func asConfigured(c *aggregator.Config) { c.Pace = 0 }

// now is the machine's clock: what is promised here is real time.
func now() time.Time { return time.Now() } //nolint:forbidigo // see above

// median is the middle of the durations: what others do on the machine meanwhile hits single ones.
func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}

// bare gives a function that stores one event without an aggregator, elsewhere, and tells how long the engine takes for
// that now: what a busy machine adds to a wait.
func (b *bench) bare() func() time.Duration {
	elsewhere := &bench{t: b.t, warehouse: warehousetest.New(b.t)}
	payload, n := won(1)[0], uint64(0)
	return func() time.Duration {
		n++
		began := now()
		elsewhere.store(n, payload)
		return now().Sub(began)
	}
}

// soon wants half of the events to wait for half a second at most, and for what the engine takes for four. An event that
// comes to a quiet machine is in the reports within a second then.
func soon(t *testing.T, took, bare []time.Duration) {
	t.Helper()
	engine := median(bare)
	if m, most := median(took), time.Second/2+4*engine; m > most {
		t.Errorf("half of the events wait for %s or longer, want at most %s: %s; the engine takes %s", m, most, took, engine)
	}
}

func TestRun_StoresALoneEventWithinASecond(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	payloads := won(10)
	s, _, _ := b.carry(payloads[:1], asConfigured)
	store := b.bare()
	var took, bare []time.Duration
	for i, payload := range payloads[1:] {
		bare = append(bare, store())
		began := now()
		b.publish(payload)
		b.wait(s, uint64(i+2)) // #nosec G115 -- up to 10
		took = append(took, now().Sub(began))
	}
	soon(t, took, bare)
}

// Events that follow each other closely are no reason to wait for more of them.
func TestRun_StoresEachOfManySingleEventsWithinASecond(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	payloads := won(21)
	s, _, _ := b.carry(payloads[:1], asConfigured)
	store := b.bare()
	bare := []time.Duration{store(), store(), store()}
	took := make(chan time.Duration, 20)
	every := time.NewTicker(30 * time.Millisecond)
	defer every.Stop()
	for i, payload := range payloads[1:] {
		<-every.C
		began := now()
		b.publish(payload)
		go func() {
			if err := s.WaitFor(t.Context(), uint64(i+2)); err != nil { // #nosec G115 -- up to 21
				t.Error(err)
			}
			took <- now().Sub(began)
		}()
	}
	var all []time.Duration
	for range payloads[1:] {
		all = append(all, <-took)
	}
	soon(t, all, append(bare, store(), store(), store(), store()))
}

// A large block costs a third of small ones a row, and parts have to be merged.
func TestRun_StoresABacklogInFewParts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const events = 50_000
	b.log()
	b.publish(won(events)...)
	began := now()
	s, _, _ := b.run(asConfigured)
	b.wait(s, events)
	took := now().Sub(began)
	// Each block waited a second for more, but for the one at the end of the log.
	most := uint64(took/time.Second) + 1 // #nosec G115 -- some minutes at most
	parts := warehousetest.Parts(t, b.dsn)
	t.Logf("%d events in %d parts, %s", events, parts, took)
	if parts > most {
		t.Errorf("%d parts; want at most %d", parts, most)
	}
}
