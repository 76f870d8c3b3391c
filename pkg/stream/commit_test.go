package stream_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/stream"
)

// result is what Append gave.
type result struct {
	sequence uint64
	err      error
}

// together appends the drafts while something is on its way, so that all of them wait, in their order, and then go.
func together(t *testing.T, log *stream.Log, drafts ...stream.Draft) []result {
	t.Helper()
	release := log.Hold()
	results := make([]result, len(drafts))
	var writers sync.WaitGroup
	for i, d := range drafts {
		writers.Go(func() { results[i].sequence, results[i].err = log.Append(t.Context(), d) })
		await(t, log, i+1)
	}
	release()
	writers.Wait()
	return results
}

// await waits until so many writers wait.
func await(t *testing.T, log *stream.Log, n int) {
	t.Helper()
	for log.Waiting() != n {
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
		runtime.Gosched()
	}
}

// newDrafts are the first events of n deals, from the given one on.
func newDrafts(t *testing.T, from, n uint32, key string) []stream.Draft {
	t.Helper()
	drafts := make([]stream.Draft, n)
	for i := range n {
		drafts[i] = draft(t, from+i, key, nil)
	}
	return drafts
}

// batches gives how many events each atomic batch of the log has, and how many were published singly.
func batches(t *testing.T, nc *nats.Conn, last uint64) (groups map[string]int, singles int) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), stream.DealsStream)
	if err != nil {
		t.Fatal(err)
	}
	groups = map[string]int{}
	for sequence := uint64(1); sequence <= last; sequence++ {
		m, err := s.GetMsg(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		if id := m.Header.Get("Nats-Batch-Id"); id != "" {
			groups[id]++
		} else {
			singles++
		}
	}
	return groups, singles
}

// wantWritten checks that each event lies at the sequence that its writer was told.
func wantWritten(t *testing.T, log *stream.Log, drafts []stream.Draft, results []result) {
	t.Helper()
	at := map[uint64]string{}
	if err := log.Read(t.Context(), 1, func(sequence uint64, _ string, payload []byte) error {
		at[sequence] = string(payload)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for i, r := range results {
		if r.err == nil && at[r.sequence] != string(drafts[i].Payload) {
			t.Errorf("draft %d is not at sequence %d", i, r.sequence)
		}
	}
}

func TestAppend_TakesManyWritersToTheDiskAtOnce(t *testing.T) {
	t.Parallel()
	log, nc := newLog(t)
	drafts := newDrafts(t, 0, 100, "a")
	results := together(t, log, drafts...)
	for i, r := range results {
		if r.err != nil {
			t.Errorf("draft %d: %v", i, r.err)
		}
	}
	wantWritten(t, log, drafts, results)
	if groups, singles := batches(t, nc, 100); len(groups) != 1 || singles != 0 {
		t.Errorf("%d batches and %d single events; want one batch", len(groups), singles)
	}
}

func TestAppend_WritesOneOrAFewWithoutABatch(t *testing.T) {
	t.Parallel()
	log, nc := newLog(t)
	add(t, log, draft(t, 1000, "alone", nil))
	drafts := newDrafts(t, 0, 5, "a")
	results := together(t, log, drafts...)
	wantWritten(t, log, drafts, results)
	if groups, singles := batches(t, nc, lastSequence(t, log)); len(groups) != 0 || singles != 6 {
		t.Errorf("%d batches and %d single events; want six single ones", len(groups), singles)
	}
}

func TestAppend_TellsAConflictToItsOwnWriterOnly(t *testing.T) {
	t.Parallel()
	for name, stale := range map[string]int{"one": 1, "some": 40, "all": 100} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, nc := newLog(t)
			for n := range stale {
				add(t, log, draft(t, uint32(n), "before", nil)) // #nosec G115 -- up to 100
			}
			drafts := newDrafts(t, 0, 100, "a")
			results := together(t, log, drafts...)
			for i, r := range results {
				if conflicts := errors.Is(r.err, stream.ErrConflict); conflicts != (i < stale) || (r.err != nil) != conflicts {
					t.Errorf("draft %d of which %d are stale: %v", i, stale, r.err)
				}
			}
			wantWritten(t, log, drafts, results)
			groups, singles := batches(t, nc, lastSequence(t, log))
			if len(groups) > 1 || singles != stale {
				t.Errorf("%d batches and %d single events; want those that conflict with nothing in one batch", len(groups), singles)
			}
		})
	}
}

func TestAppend_KeepsTheOrderOfADeal(t *testing.T) {
	t.Parallel()
	for name, others := range map[string]uint32{"among a few": 2, "among many": 100} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, _ := newLog(t)
			drafts := append(newDrafts(t, 0, others, "first"), draft(t, 0, "second", nil), draft(t, 1, "second", nil))
			results := together(t, log, drafts...)
			for i, r := range results {
				if second := i >= int(others); errors.Is(r.err, stream.ErrConflict) != second || (r.err != nil) != second {
					t.Errorf("draft %d: %v", i, r.err)
				}
			}
			wantWritten(t, log, drafts, results)
		})
	}
}

func TestAppend_FindsAmongOthersWhatIsInTheLogAlready(t *testing.T) {
	t.Parallel()
	log, _ := newLog(t)
	drafts := newDrafts(t, 0, 50, "a")
	want := add(t, log, drafts[7])
	results := together(t, log, drafts...)
	if results[7] != (result{sequence: want}) {
		t.Errorf("%+v; want the event at %d", results[7], want)
	}
	if n := lastSequence(t, log); n != 50 {
		t.Errorf("the log has %d events; want 50", n)
	}
}

func TestAppend_NeverWritesForAWriterWhoLeftBeforeItsTurn(t *testing.T) {
	t.Parallel()
	for name, others := range map[string]uint32{"alone": 0, "of many": 50} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, _ := newLog(t)
			release := log.Hold()
			ctx, cancel := context.WithCancel(t.Context())
			answer := make(chan error, 1)
			go func() {
				_, err := log.Append(ctx, draft(t, 1000, "a", nil))
				answer <- err
			}()
			await(t, log, 1)
			var writers sync.WaitGroup
			for i, d := range newDrafts(t, 0, others, "b") {
				writers.Go(func() { _, _ = log.Append(t.Context(), d) })
				await(t, log, i+2)
			}
			cancel()
			if err := <-answer; !errors.Is(err, stream.ErrUnknown) || !errors.Is(err, context.Canceled) {
				t.Errorf("gives %v; want ErrUnknown and why", err)
			}
			release()
			writers.Wait()
			add(t, log, draft(t, 2000, "c", nil))
			if n := lastSequence(t, log); n != uint64(others)+1 {
				t.Errorf("the log has %d events; want those of the %d others", n, others+1)
			}
		})
	}
}

// A seeded crowd changes the same few deals, and some of it gives up at any moment. The log must be what its writers were
// told, and a chain for each deal; afterwards it takes one more event at once.
func TestAppend_GivesEachOfACrowdTheOutcomeOfItsOwnEvent(t *testing.T) {
	t.Parallel()
	const writers, rounds, deals = 64, 12, 150
	log, _ := newLog(t)
	var mu sync.Mutex
	told := map[string]error{} // payload -> what its writer heard
	var crowd sync.WaitGroup
	for writer := range uint64(writers) {
		crowd.Go(func() {
			random := rand.New(rand.NewPCG(20261122, writer)) // #nosec G404 -- a seed
			for round := range rounds {
				n := random.Uint32N(deals)
				var before *stream.Stored
				switch s, err := log.Last(t.Context(), exampleOf(n).Deal.ID); {
				case err == nil:
					before = &s
				case !errors.Is(err, stream.ErrNoDeal):
					t.Error(err)
					return
				}
				d := draft(t, n, fmt.Sprintf("%d-%d", writer, round), before)
				ctx, cancel := context.WithCancel(t.Context())
				if random.IntN(8) == 0 {
					ctx, cancel = context.WithTimeout(t.Context(), time.Duration(random.IntN(4000))*time.Microsecond)
				}
				_, err := log.Append(ctx, d)
				cancel()
				mu.Lock()
				told[string(d.Payload)] = err
				mu.Unlock()
			}
		})
	}
	crowd.Wait()
	add(t, log, draft(t, deals, "afterwards", nil))

	last := map[string]stream.Stored{}
	inLog := map[string]bool{}
	if err := log.Read(t.Context(), 1, func(sequence uint64, subject string, payload []byte) error {
		e := stream.Stored{Sequence: sequence, Payload: payload, Event: decode(t, payload)}
		before, there := last[subject]
		if there != (e.PreviousHash != nil) || there && string(e.PreviousHash) != string(before.Hash()) {
			t.Errorf("the event at %d is not behind the one at %d", sequence, before.Sequence)
		}
		if err := told[string(payload)]; errors.Is(err, stream.ErrConflict) {
			t.Errorf("the writer of the event at %d was told %v", sequence, err)
		}
		last[subject], inLog[string(payload)] = e, true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	conflicts := 0
	for payload, err := range told {
		switch {
		case err == nil && !inLog[payload]:
			t.Error("an event was acknowledged and is not in the log")
		case errors.Is(err, stream.ErrConflict):
			conflicts++
		case err != nil && !errors.Is(err, stream.ErrUnknown):
			t.Error(err)
		}
	}
	if conflicts == 0 || len(inLog) < writers {
		t.Errorf("%d conflicts and %d events: no crowd", conflicts, len(inLog))
	}
}

// A responder plays a server that refuses every batch: one that has too many on their way, and one whose direct gets are
// behind, so that it cannot be seen which event conflicts.
func TestAppend_WritesSinglyWhatTheServerTakesInNoBatch(t *testing.T) {
	t.Parallel()
	for name, code := range map[string]int{"too many batches": 10210, "a conflict that cannot be seen": 10071} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nc := withoutJetStream(t)
			log, err := stream.NewLog(nc)
			if err != nil {
				t.Fatal(err)
			}
			var sequence atomic.Uint64
			for subject, answer := range map[string]func(*nats.Msg) *nats.Msg{
				"deals.*.*": func(m *nats.Msg) *nats.Msg {
					if m.Header.Get("Nats-Batch-Id") != "" {
						return &nats.Msg{Data: fmt.Appendf(nil, `{"error":{"code":400,"err_code":%d,"description":"no"}}`, code)}
					}
					return &nats.Msg{Data: fmt.Appendf(nil, `{"stream":%q,"seq":%d}`, stream.DealsStream, sequence.Add(1))}
				},
				"$JS.API.DIRECT.GET." + stream.DealsStream: func(*nats.Msg) *nats.Msg {
					return &nats.Msg{Header: nats.Header{"Status": {"404"}, "Description": {"Message Not Found"}}}
				},
			} {
				if _, err := nc.Subscribe(subject, func(m *nats.Msg) {
					if m.Reply != "" {
						_ = m.RespondMsg(answer(m))
					}
				}); err != nil {
					t.Fatal(err)
				}
			}
			for i, r := range together(t, log, newDrafts(t, 0, 50, "a")...) {
				if r.err != nil || r.sequence == 0 {
					t.Errorf("draft %d: %+v", i, r)
				}
			}
			if n := sequence.Load(); n != 50 {
				t.Errorf("%d events were published singly; want 50", n)
			}
		})
	}
}
