package webhooks

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/webhook"
)

const (
	// maxHeld bounds the events of the queue that wait for one endpoint; more become a gap.
	maxHeld = 64
	// holdsFor bounds how long a new event waits for the endpoint's rate; more become a gap.
	holdsFor = time.Second
	// waitsFor bounds how long an event waits in all: its message must be done before it is given to somebody else.
	waitsFor = 30 * time.Second
)

// gate is what this process knows of one endpoint: how much is under way, how fast it may be, whether it answers. It is
// kept in memory only. It decides and never waits, so that no endpoint ever holds a lane.
type gate struct {
	id      deal.ID
	slots   chan struct{} // one for each exchange at a time
	probing probing
	signer  atomic.Pointer[signer]

	mu       sync.Mutex
	limiter  *rate.Limiter
	breaker  breaker
	life     uint64 // of the endpoint, of which the breaker tells
	held     []holding
	helpers  int                 // that try what is held
	waiting  map[string][]queued // by source: events that go into the gap
	widening map[string]bool
	running  map[string]*runner // of cursors, by key
	toldAt   time.Time          // when the endpoint was disabled last of which it is recorded
	askedAt  time.Time          // when the bucket said last that the endpoint is disabled or is not there
}

func newGate(id deal.ID, concurrency int, p probing) *gate {
	return &gate{
		id: id, slots: make(chan struct{}, concurrency), probing: p, limiter: rate.NewLimiter(rate.Inf, 1),
		waiting: map[string][]queued{}, widening: map[string]bool{}, running: map[string]*runner{},
	}
}

// burst is how many events may go out at once at a rate: a tenth of a second's, so that an idle endpoint is not held up
// by two events that come together.
func burst(perSecond float64) int { return max(1, int(perSecond/10)) }

// holding is an event that waits for its endpoint.
type holding struct {
	queued
	since, due time.Time // due is when the endpoint's rate allows it
}

// enter decides what happens to the event. For attempt it is held until next gives it; help tells that one more is needed
// who asks for it. current gives the gap as it is stored. While a gap is being stored that will take in what comes behind
// its first event, nothing behind it is held.
func (g *gate) enter(q queued, e endpoint, current func() gap, now time.Time) (w way, help bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, full := current(), len(g.held) >= maxHeld || q.Fresh() && g.widening[q.Source]
	if w := g.choose(q, e, c, full, now); w != attempt {
		return w, false
	}
	g.setRate(e.Rate)
	turn := g.limiter.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait > g.patience(q, e) {
		turn.CancelAt(now)
		return g.choose(q, e, c, true, now), false
	}
	g.held = append(g.held, holding{q, now, now.Add(wait)})
	if help = g.helpers < cap(g.slots); help {
		g.helpers++
	}
	return attempt, help
}

// patience is how long the event may wait for the endpoint's rate. Each cursor has always taken the next turn already: a
// retry waits for the one behind them, or it would be put off again and again until the backlog is done.
func (g *gate) patience(q queued, e endpoint) time.Duration {
	if q.Fresh() {
		return holdsFor
	}
	turns := 1 + len(g.running)
	return min(holdsFor+time.Duration(float64(turns)/e.Rate*float64(time.Second)), waitsFor)
}

func (g *gate) choose(q queued, e endpoint, c gap, full bool, now time.Time) way {
	return choose(c, q.sequence(), q.Fresh(), full || g.breaker.paused(now), g.breaker.shut(now, g.probing), e.Ordered)
}

// next gives the event that has waited longest. When there is none the caller is no helper any more.
func (g *gate) next() (holding, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.held) == 0 {
		g.helpers--
		g.held = nil
		return holding{}, false
	}
	h := g.held[0]
	g.held = g.held[1:]
	return h, true
}

// leave gives up what the gate holds that the gap has taken in: to be asked when the gap has grown, since another gap may
// have begun by the time of its turn.
func (g *gate) leave(source string, c gap) (left []queued) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = slices.DeleteFunc(g.held, func(h holding) bool {
		covered := h.Source == source && h.Fresh() && c.covers(h.sequence())
		if covered {
			left = append(left, h.queued)
		}
		return covered
	})
	return left
}

// occupy takes one of the slots, with false when ctx ends before.
func (g *gate) occupy(ctx context.Context) bool {
	select {
	case g.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// check decides again when the event's turn has come: the gate may have shut in the meantime. A gap that is being stored
// begins behind what was held before it, and is no reason to wait.
func (g *gate) check(h holding, e endpoint, current func() gap, now time.Time) way {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.choose(h.queued, e, current(), now.Sub(h.since) > waitsFor, now)
}

func (g *gate) setRate(perSecond float64) {
	if limit := rate.Limit(perSecond); g.limiter.Limit() != limit {
		g.limiter.SetLimit(limit)
		g.limiter.SetBurst(burst(perSecond))
	}
}

// turn gives the wait until the endpoint's rate allows one more, for a cursor.
func (g *gate) turn(perSecond float64, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.setRate(perSecond)
	return g.limiter.ReserveN(now, 1).DelayFrom(now)
}

// meet begins anew with an endpoint that has another life than the one that is known.
func (g *gate) meet(e endpoint) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.life != e.Life {
		g.life, g.breaker = e.Life, breaker{}
	}
}

// note takes the result over of an attempt that was made in one of the endpoint's lives and ended at the time.
func (g *gate) note(life uint64, r webhook.Result, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if life != g.life {
		return
	}
	if r.Outcome == webhook.Delivered {
		g.breaker.succeeded()
		return
	}
	g.breaker.failed(at, min(r.RetryAfter, retryAfterAtMost), g.probing)
}

// pausedFor gives how long the endpoint asked to be left alone.
func (g *gate) pausedFor(now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(0, g.breaker.pausedUntil.Sub(now))
}

// closedFor gives how long a cursor has to wait until it may try the endpoint, and whether that try is a probe.
func (g *gate) closedFor(now time.Time) (wait time.Duration, probe bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	until := g.breaker.pausedUntil
	if g.breaker.probeAt.After(until) {
		until = g.breaker.probeAt
	}
	return max(0, until.Sub(now)), g.breaker.shut(now, g.probing)
}

// askedSince tells whether the bucket was asked for the endpoint after the time. What is sent to an endpoint that is
// disabled does not ask each time.
func (g *gate) askedSince(at time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.askedAt.After(at)
}

func (g *gate) asked(at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.askedAt = at
}

// isTold tells whether it is known to be recorded that the endpoint was disabled at the time.
func (g *gate) isTold(at time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.toldAt.Equal(at)
}

func (g *gate) told(at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.toldAt = at
}

// idle tells whether nothing is under way here.
func (g *gate) idle() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, is := range g.widening {
		if is {
			return false
		}
	}
	return len(g.held)+g.helpers+len(g.running) == 0
}
