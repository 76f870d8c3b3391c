package webhooks

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/webhook"
)

const (
	readAhead    = 256                    // events that are read at once
	partAtMost   = 1024                   // events, and
	storeEvery   = time.Second            // time, that a cursor delivers a second time after a kill; each store waits for the disk
	awhile       = 250 * time.Millisecond // until something is looked at again that was not there yet
	probesAtMost = 10                     // with one event: then it is put off alone, and the next one is the probe
)

// runner works on one cursor. Only its run uses it.
type runner struct {
	s       *Service
	g       *gate
	key     string
	life    uint64        // of the endpoint, in which tries and retryAt were learned
	tries   int           // failures of the event behind At in a row
	retryAt time.Time     // not before
	replay  deal.ID       // that has a rate of its own, else zero
	limiter *rate.Limiter // of that replay, for all its cursors; nil for none
}

// run delivers until the range is done, the endpoint is disabled or gone, another process has the lease, or ctx ends.
func (r *runner) run(ctx context.Context) error {
	for {
		e, known, err := r.s.receiver(ctx, r.g.id)
		if err != nil || ctx.Err() != nil || known && !e.Enabled {
			return errors.Join(err, r.release(ctx))
		}
		r.g.meet(e)
		if r.life != e.Life {
			r.life, r.tries, r.retryAt = e.Life, 0, time.Time{}
		}
		now := r.s.cfg.Now()
		wait, probe := r.g.closedFor(now)
		if wait = max(wait, r.retryAt.Sub(now)); wait > 0 && known {
			if err := r.wait(ctx, wait); err != nil {
				return err
			}
			continue
		}
		c, mine, err := r.claim(ctx)
		if err != nil || !mine {
			return err
		}
		if !known {
			return r.finish(ctx, c, c.Through, tally{})
		}
		held, release := r.hold(ctx, c)
		at, t, err := r.deliver(held, e, c, probe)
		release()
		if stored := r.finish(ctx, c, at, t); err == nil {
			err = stored
		}
		if err != nil {
			return errors.Join(err, r.release(ctx))
		}
	}
}

// wait waits for the endpoint, not to the end: others may find sooner that it is well. A lease that would be held for
// nothing is given up, since to renew it costs a sync of the disk each time.
func (r *runner) wait(ctx context.Context, until time.Duration) error {
	if until > r.s.cfg.Lease/2 {
		if err := r.release(ctx); err != nil {
			return err
		}
	}
	_ = r.s.pause(ctx, min(until, r.s.cfg.Lease/3)) // run sees that ctx ended
	return nil
}

// hold gives a context that ends when the lease does, and renews the lease until release is called. What waits for the
// endpoint's rate may wait for longer than a lease lasts.
func (r *runner) hold(ctx context.Context, c cursor) (held context.Context, release func()) {
	held, end := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		defer end()
		tick := time.NewTicker(r.s.cfg.Lease / 4)
		defer tick.Stop()
		for until := c.Until; ; {
			select {
			case <-tick.C:
			case <-held.Done():
				return
			}
			within, cancel := context.WithTimeout(held, until.Sub(r.s.cfg.Now()))
			renewed, mine, err := r.claim(within)
			lost := within.Err() != nil || err == nil && !mine
			cancel()
			if lost {
				return
			}
			if err == nil {
				until = renewed.Until
			}
		}
	})
	return held, func() { end(); renewing.Wait() }
}

// tally counts what a replay has come to.
type tally struct{ delivered, failed uint64 }

func (t *tally) add(other tally) {
	t.delivered += other.delivered
	t.failed += other.failed
}

// claim takes or renews the lease. It is not mine when nothing is left to do, or another process does it.
func (r *runner) claim(ctx context.Context) (cursor, bool, error) {
	var mine bool
	c, err := r.s.changeCursor(ctx, r.key, func(c cursor) (cursor, bool) {
		now := r.s.cfg.Now()
		switch {
		case !c.open():
			mine = false
			changed := c.Runner == r.s.cfg.runner
			if changed {
				c.Runner, c.Until = "", time.Time{}
			}
			return c, changed
		case c.Runner != "" && c.Runner != r.s.cfg.runner && now.Before(c.Until):
			mine = false
			return c, false
		case c.Runner == r.s.cfg.runner && c.Until.Sub(now) > r.s.cfg.Lease/2:
			mine = true
			return c, false
		}
		mine = true
		c.Runner, c.Until = r.s.cfg.runner, now.Add(r.s.cfg.Lease).UTC()
		return c, true
	})
	return c, mine && err == nil, err
}

// finish stores how far the cursor is that was begun with. What was added to the gap in the meantime stays. When another process
// went on with it, or the stream lost its end, what was done here counts for nothing and may be done again.
func (r *runner) finish(ctx context.Context, begun cursor, at uint64, t tally) error {
	_, err := r.s.changeCursor(context.WithoutCancel(ctx), r.key, func(c cursor) (cursor, bool) {
		if c.At != begun.At || c.Through < begun.Through {
			return c, false
		}
		now := r.s.cfg.Now()
		moved := at > c.At
		if moved {
			c.HeadSince = time.Time{}
		}
		if r.tries > 0 && c.HeadSince.IsZero() {
			c.HeadSince = now.UTC()
			moved = true
		}
		c.gap = c.advance(at)
		if c.Replay != nil {
			done := *c.Replay
			done.Delivered, done.Failed = done.Delivered+t.delivered, done.Failed+t.failed
			if !c.open() && done.DoneAt == nil {
				done.DoneAt = new(now.UTC())
			}
			c.Replay = &done
		}
		if c.open() && c.Runner == r.s.cfg.runner {
			c.Until = now.Add(r.s.cfg.Lease).UTC()
		} else if c.Runner == r.s.cfg.runner {
			c.Runner, c.Until = "", time.Time{}
		}
		return c, moved
	})
	return err
}

// release gives the lease up when the process stops.
func (r *runner) release(ctx context.Context) error {
	_, err := r.s.changeCursor(context.WithoutCancel(ctx), r.key, func(c cursor) (cursor, bool) {
		mine := c.Runner == r.s.cfg.runner
		if mine {
			c.Runner, c.Until = "", time.Time{}
		}
		return c, mine
	})
	return err
}

// deliver makes the deliveries of one part of the range. It gives the last sequence that is done, also with an error.
func (r *runner) deliver(ctx context.Context, e endpoint, c cursor, probe bool) (at uint64, t tally, err error) {
	found, end, err := r.read(ctx, c)
	if err != nil {
		return c.At, t, err
	}
	if len(found) == 0 && end {
		return c.Through, t, nil
	}
	if len(found) == 0 { // a replica that lags behind, or a promise beyond the end
		return c.At, t, r.s.pause(ctx, awhile)
	}
	at = c.At
	var due []*letter
	for _, l := range found {
		if l.sequence > c.Through {
			break
		}
		at = l.sequence
		if l.told && e.hears(l.notice) {
			due = append(due, l)
		}
	}
	done, t, err := r.attemptAll(ctx, e, c, due, probe)
	if done < len(due) {
		at = max(c.At, due[done].sequence-1)
	}
	return at, t, err
}

// read gives the next letters of the range. end tells that there are none behind them.
func (r *runner) read(ctx context.Context, c cursor) (found []*letter, end bool, err error) {
	from := r.s.letters[c.Source]
	if from == nil {
		return nil, true, nil
	}
	if c.Replay == nil || c.Replay.FailedSince.IsZero() {
		found, err = from.from(ctx, c.At+1, partAtMost)
		return found, false, err
	}
	within, cancel := context.WithTimeout(ctx, 2*askTimeout)
	defer cancel()
	if stored, err := r.s.recordedUntil(within, c.Replay.Attempts); err != nil || !stored {
		return nil, false, err
	}
	places, err := r.s.cfg.Warehouse.FindFailed(within, c.Endpoint, c.Replay.FailedSince, warehouse.Place{Source: c.Source, Sequence: c.At}, readAhead)
	if err != nil {
		return nil, false, err
	}
	for _, place := range places {
		if place.Source != c.Source || place.Sequence > c.Through {
			break
		}
		l, err := from.one(ctx, place.Sequence)
		if err != nil {
			return nil, false, err
		}
		found = append(found, l)
	}
	return found, len(found) == 0, nil
}

// attemptAll tries the letters and gives how many of them, from the first on, are done: delivered, given to the queue for
// another attempt, or failed for good. It begins no more after a failure, or when it is time to store how far it came.
func (r *runner) attemptAll(ctx context.Context, e endpoint, c cursor, due []*letter, probe bool) (done int, t tally, err error) {
	until := r.s.cfg.Now().Add(storeEvery)
	if !e.Ordered && !probe {
		return r.attemptAtOnce(ctx, e, c, due, false, until)
	}
	for done < len(due) {
		n, more, err := r.attemptAtOnce(ctx, e, c, due[done:done+1], probe, until)
		done += n
		t.add(more)
		if err != nil || n == 0 || probe || r.stops(ctx, until) {
			return done, t, err
		}
	}
	return done, t, nil
}

// stops tells whether a cursor is to begin no more for now.
func (r *runner) stops(ctx context.Context, until time.Time) bool {
	now := r.s.cfg.Now()
	wait, shut := r.g.closedFor(now)
	return shut || wait > 0 || ctx.Err() != nil || now.After(until)
}

// attemptAtOnce tries as many letters at a time as the endpoint may get.
func (r *runner) attemptAtOnce(ctx context.Context, e endpoint, c cursor, due []*letter, probe bool, until time.Time) (done int, t tally, err error) {
	type attempted struct {
		exchanged
		to endpoint
	}
	results := make([]attempted, 0, len(due)) // of those that were begun
	var mu sync.Mutex
	var failed atomic.Bool
	next := func() (*attempted, *letter) {
		mu.Lock()
		defer mu.Unlock()
		i := len(results)
		if i == len(due) || i > 0 && (failed.Load() || r.stops(ctx, until)) || r.awaitTurn(ctx, e) != nil || !r.g.occupy(ctx) {
			return nil, nil
		}
		now, known := r.s.endpoints.find(e.ID.String()) // as its owner has made it meanwhile
		if !known || !now.Enabled || now.Life != e.Life {
			<-r.g.slots
			return nil, nil
		}
		results = results[:i+1]
		results[i].to = now
		return &results[i], due[i]
	}
	work := func() {
		for result, l := next(); l != nil; result, l = next() {
			if result.exchanged = r.s.exchange(r.s.working, result.to, l); result.Outcome != webhook.Delivered {
				failed.Store(true)
			}
			<-r.g.slots
		}
	}
	var others sync.WaitGroup
	for range min(cap(r.g.slots), len(due)) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	for i, l := range due[:len(results)] {
		switch ended, err := r.settle(results[i].to, c, l, results[i].exchanged, probe); {
		case err != nil || !ended:
			return i, t, err
		case results[i].Outcome == webhook.Delivered:
			t.delivered++
		default:
			t.failed++
		}
		r.tries, r.retryAt = 0, time.Time{}
	}
	return len(results), t, nil
}

// errShut says that the gate shut before the endpoint's rate allowed one more.
var errShut = errors.New("the endpoint takes nothing now")

// awaitTurn waits for the endpoint's rate, and for that of the replay, which may take minutes.
func (r *runner) awaitTurn(ctx context.Context, e endpoint) error {
	now := r.s.cfg.Now()
	wait := r.g.turn(e.Rate, now)
	if r.limiter != nil {
		wait = max(wait, r.limiter.ReserveN(now, 1).DelayFrom(now))
	}
	if err := r.s.pause(ctx, wait); err != nil {
		return err
	}
	if shut, _ := r.g.closedFor(r.s.cfg.Now()); shut > 0 {
		return errShut
	}
	return nil
}

// settle sees to what follows from one attempt. It gives false when the cursor has to come back to the event.
func (r *runner) settle(e endpoint, c cursor, l *letter, result exchanged, probe bool) (bool, error) {
	number := r.tries + 1
	switch result.Outcome {
	case webhook.Canceled:
		return false, nil
	case webhook.NotTried:
		r.retryAt = r.s.cfg.Now().Add(putOffFor)
		return false, nil
	case webhook.Delivered:
		r.s.conclude(r.g, e, l, number, result, Delivered)
		return true, nil
	case webhook.Gone: // it is the first one when the endpoint is enabled again
		r.s.conclude(r.g, e, l, number, result, Failed)
		r.retryAt = r.s.cfg.Now().Add(r.s.cfg.ProbeFirst)
		return false, nil
	default:
	}
	now := r.s.cfg.Now()
	stay := e.Ordered && (c.HeadSince.IsZero() || now.Sub(c.HeadSince) < lasts(r.s.cfg.Schedule)) ||
		!e.Ordered && probe && r.tries+1 < probesAtMost
	if stay {
		r.tries++
		r.retryAt = now.Add(max(r.s.cfg.probing().wait(r.tries-1), min(result.RetryAfter, retryAfterAtMost)))
		r.s.conclude(r.g, e, l, number, result, Retrying)
		return false, nil
	}
	wait, again := nextAttempt(r.s.cfg.Schedule, 1, result.RetryAfter, rand.Float64()) //nolint:gosec // no secret
	if e.Ordered || !again {
		r.s.conclude(r.g, e, l, number, result, Failed)
		return true, nil
	}
	r.s.conclude(r.g, e, l, number, result, Retrying)
	ctx, cancel := context.WithTimeout(r.s.working, askTimeout)
	defer cancel()
	return true, r.s.queue.Later(ctx, stream.Delivery{
		Endpoint: e.ID, Source: l.source, Sequences: []uint64{l.sequence}, Attempt: 2, Again: c.Replay != nil,
	}, now.Add(wait))
}
