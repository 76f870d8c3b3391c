package webhooks

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/time/rate"

	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/webhook"
)

const (
	readAhead    = 256                    // messages that a cursor reads at once
	storeEvery   = 100 * time.Millisecond // bounds what a cursor delivers a second time after a kill
	probesAtMost = 10                     // with one event: then it is put off alone, and the next one is the probe
)

// runner works on one cursor. Only its run uses it.
type runner struct {
	s       *Service
	g       *gate
	key     string
	tries   int           // failures of the event behind At in a row
	retryAt time.Time     // not before
	limiter *rate.Limiter // of a replay
}

// run delivers until the range is done, the endpoint is gone, another process has the lease, or ctx ends.
func (r *runner) run(ctx context.Context) error {
	for {
		c, mine, err := r.claim(ctx)
		if err != nil || !mine {
			return err
		}
		e, known := r.s.receiver(ctx, c.Endpoint)
		if !known {
			return r.finish(ctx, c.Through, tally{})
		}
		now := r.s.cfg.Now()
		wait, probe := r.g.closedFor(now)
		if wait = max(wait, r.retryAt.Sub(now)); wait > 0 {
			if r.s.pause(ctx, min(wait, r.s.cfg.Lease/3)) != nil {
				return r.release(ctx)
			}
			continue
		}
		at, t, err := r.deliver(ctx, e, c, probe)
		if stored := r.finish(ctx, at, t); err == nil {
			err = stored
		}
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, r.release(ctx))
		}
	}
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

// finish stores how far the cursor is. What was added to the gap in the meantime stays.
func (r *runner) finish(ctx context.Context, at uint64, t tally) error {
	_, err := r.s.changeCursor(context.WithoutCancel(ctx), r.key, func(c cursor) (cursor, bool) {
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
	messages, end, err := r.read(ctx, c)
	if err != nil {
		return c.At, t, err
	}
	if len(messages) == 0 && end {
		return c.Through, t, nil
	}
	if len(messages) == 0 { // a replica that lags behind, or a promise beyond the end
		return c.At, t, r.s.pause(ctx, storeEvery)
	}
	src, began := sourceOf(c.Source), r.s.cfg.Now()
	size := r.s.cfg.Concurrency
	if e.Ordered || probe {
		size = 1
	}
	at = c.At
	var due []stream.Delivery
	for i, m := range messages {
		if m.Sequence > c.Through {
			break
		}
		n, told, err := src.notice(m.Sequence, m.Subject, m.Data)
		if newer, is := errors.AsType[*stream.NewerSchemaError](err); is {
			return at, t, newer
		}
		if err == nil && told && e.hears(n) {
			d, err := n.delivery(e.ID, 0)
			if err != nil {
				return at, t, err
			}
			d.Again, d.Attempt = c.Replay != nil, r.tries+1
			due = append(due, d)
		}
		last := i == len(messages)-1 || m.Sequence == c.Through
		if len(due) < size && !last {
			continue
		}
		done, more, err := r.attemptAll(ctx, e, c, due, probe)
		t.add(more)
		if err != nil || done < len(due) {
			if done < len(due) {
				at = max(at, due[done].Sequence-1)
			}
			return at, t, err
		}
		at, due, r.tries, r.retryAt = m.Sequence, nil, 0, time.Time{}
		if wait, shut := r.g.closedFor(r.s.cfg.Now()); probe || shut || wait > 0 || ctx.Err() != nil || r.s.cfg.Now().Sub(began) > storeEvery {
			break
		}
	}
	return at, t, nil
}

// read gives the next messages of the range. end tells that there are none behind them.
func (r *runner) read(ctx context.Context, c cursor) (messages []*jetstream.RawStreamMsg, end bool, err error) {
	if c.Replay == nil || c.Replay.FailedSince.IsZero() {
		messages, err = readRange(ctx, r.s.js, c.Source, c.At+1, readAhead)
		return messages, false, err
	}
	within, cancel := context.WithTimeout(ctx, 2*askTimeout)
	defer cancel()
	places, err := r.s.cfg.Warehouse.FindFailed(within, c.Endpoint, c.Replay.FailedSince, warehouse.Place{Source: c.Source, Sequence: c.At}, readAhead)
	if err != nil {
		return nil, false, err
	}
	for _, place := range places {
		if place.Source != c.Source || place.Sequence > c.Through {
			break
		}
		some, err := readRange(ctx, r.s.js, c.Source, place.Sequence, 1)
		if err != nil {
			return nil, false, err
		}
		messages = append(messages, some...)
	}
	return messages, len(messages) == 0, nil
}

// attemptAll tries the deliveries at once and gives how many of them, from the first on, are done: delivered, given to
// the queue for another attempt, or failed for good.
func (r *runner) attemptAll(ctx context.Context, e endpoint, c cursor, due []stream.Delivery, probe bool) (done int, t tally, err error) {
	results := make([]exchanged, len(due))
	var under sync.WaitGroup
	for i, d := range due {
		results[i].Outcome = webhook.Canceled
		if r.awaitTurn(ctx, e, c) != nil || !r.s.occupy(r.g) {
			break
		}
		under.Go(func() {
			defer func() { <-r.g.slots }()
			results[i] = r.s.exchange(r.s.working, e, d)
		})
	}
	under.Wait()
	for i, result := range results {
		switch ended, err := r.settle(e, c, due[i], result, probe); {
		case err != nil || !ended:
			return i, t, err
		case result.Outcome == webhook.Delivered:
			t.delivered++
		default:
			t.failed++
		}
	}
	return len(due), t, nil
}

// awaitTurn waits for the endpoint's rate, and for that of the replay.
func (r *runner) awaitTurn(ctx context.Context, e endpoint, c cursor) error {
	now := r.s.cfg.Now()
	wait := r.g.turn(e.Rate, now)
	if c.Replay != nil && c.Replay.Rate > 0 {
		if r.limiter == nil {
			r.limiter = rate.NewLimiter(rate.Limit(c.Replay.Rate), burst(c.Replay.Rate))
		}
		wait = max(wait, r.limiter.ReserveN(now, 1).DelayFrom(now))
	}
	return r.s.pause(ctx, wait)
}

// settle sees to what follows from one attempt. It gives false when the cursor has to come back to the event.
func (r *runner) settle(e endpoint, c cursor, d stream.Delivery, result exchanged, probe bool) (bool, error) {
	switch result.Outcome {
	case webhook.Canceled:
		return false, nil
	case webhook.Delivered, webhook.Gone:
		r.s.conclude(r.g, e, d, result, verdictOf(result.Result))
		return true, nil
	default:
	}
	now := r.s.cfg.Now()
	stay := e.Ordered && (c.HeadSince.IsZero() || now.Sub(c.HeadSince) < lasts(r.s.cfg.Schedule)) ||
		!e.Ordered && probe && r.tries+1 < probesAtMost
	if stay {
		r.tries++
		r.retryAt = now.Add(max(r.s.cfg.probing().wait(r.tries-1), min(result.RetryAfter, retryAfterAtMost)))
		r.s.conclude(r.g, e, d, result, Retrying)
		return false, nil
	}
	wait, again := nextAttempt(r.s.cfg.Schedule, 1, result.RetryAfter, rand.Float64()) //nolint:gosec // no secret
	if e.Ordered || !again {
		r.s.conclude(r.g, e, d, result, Failed)
		return true, nil
	}
	r.s.conclude(r.g, e, d, result, Retrying)
	d.Attempt = 2
	ctx, cancel := context.WithTimeout(r.s.working, askTimeout)
	defer cancel()
	return true, r.s.queue.Later(ctx, d, now.Add(wait))
}
