package webhooks

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/webhook"
)

const (
	// maxHeld bounds the messages of the queue that one endpoint holds; more become a gap.
	maxHeld = 32
	// holdsFor bounds how long a message waits for the endpoint's rate; more become a gap.
	holdsFor = time.Second
)

// gate is what this process knows of one endpoint: how much is under way, how fast it may be, whether it answers. It is
// kept in memory only. It decides and never waits, so that no endpoint ever holds a lane.
type gate struct {
	id      deal.ID
	slots   chan struct{} // one for each exchange at a time
	probing probing

	mu           sync.Mutex
	limiter      *rate.Limiter
	breaker      breaker
	failingSince time.Time // of the first failure since the last success
	held         int
	waiting      map[string][]queued // by source: messages that go into the gap
	widening     map[string]bool
	running      map[string]bool // cursors, by key
}

func newGate(id deal.ID, concurrency int, p probing) *gate {
	return &gate{
		id: id, slots: make(chan struct{}, concurrency), probing: p, limiter: rate.NewLimiter(rate.Inf, 1),
		waiting: map[string][]queued{}, widening: map[string]bool{}, running: map[string]bool{},
	}
}

// burst is how many events may go out at once at a rate: a tenth of a second's, so that an idle endpoint is not held up
// by two events that come together.
func burst(perSecond float64) int { return max(1, int(perSecond/10)) }

// enter decides what happens to the message. For attempt it holds a place and gives the wait for the endpoint's rate;
// leave gives the place back. current gives the gap as it is stored. While a gap is being stored that will take in what
// comes behind its first event, nothing behind it is tried.
func (g *gate) enter(q queued, e endpoint, current func() gap, now time.Time) (way, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.setRate(e.Rate)
	c, full := current(), g.held >= maxHeld || q.Fresh() && g.widening[q.Source]
	w := choose(c, q.Sequence, q.Fresh(), full, g.breaker.shut(now, g.probing), e.Ordered)
	if w != attempt {
		return w, 0
	}
	turn := g.limiter.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait > holdsFor {
		turn.CancelAt(now)
		return choose(c, q.Sequence, q.Fresh(), true, false, e.Ordered), 0
	}
	g.held++
	return attempt, wait
}

func (g *gate) setRate(perSecond float64) {
	if limit := rate.Limit(perSecond); g.limiter.Limit() != limit {
		g.limiter.SetLimit(limit)
		g.limiter.SetBurst(burst(perSecond))
	}
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held--
}

// turn gives the wait until the endpoint's rate allows one more, for a cursor.
func (g *gate) turn(perSecond float64, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.setRate(perSecond)
	return g.limiter.ReserveN(now, 1).DelayFrom(now)
}

// note takes the result of an attempt over, and gives since when the endpoint has failed, zero when it does not.
func (g *gate) note(r webhook.Result, at time.Time) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.Outcome == webhook.Delivered {
		g.breaker.succeeded()
		g.failingSince = time.Time{}
		return time.Time{}
	}
	g.breaker.failed(at, min(r.RetryAfter, retryAfterAtMost), g.probing)
	if g.failingSince.IsZero() {
		g.failingSince = at
	}
	return g.failingSince
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

// open forgets the failures: somebody says that the endpoint is well.
func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.breaker, g.failingSince = breaker{}, time.Time{}
}
