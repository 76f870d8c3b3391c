package webhooks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/webhook"
)

const (
	// laneAhead bounds what the client of a lane holds that its handler has not seen yet.
	laneAhead = 256
	// laneHolds bounds what a lane has given out and not got back: enough for a hundred endpoints that hold all they may.
	laneHolds = 4096
	// putOffFor is when a retry is looked at again that its gate did not take.
	putOffFor = 5 * time.Second
)

// runLane hands the messages of one lane to the gates until ctx ends. Any number of processes may share a lane.
func (s *Service) runLane(ctx context.Context, lane int) error {
	create, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	consumer, err := s.js.CreateOrUpdateConsumer(create, stream.DeliveriesStream, jetstream.ConsumerConfig{
		Durable: fmt.Sprintf("lane-%d", lane), FilterSubject: stream.LaneSubjects(lane), AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: s.cfg.AckWait, MaxAckPending: laneHolds, MaxDeliver: -1,
		// What is done is gone from the stream, so the consumer has nothing to remember over a restart of the broker; on the
		// disk, 64 of them would sync their state all the time.
		MemoryStorage: true, InactiveThreshold: time.Hour,
	})
	if err != nil {
		return fmt.Errorf("open lane %d: %w", lane, err)
	}
	failed := make(chan error, 1)
	consuming, err := consumer.Consume(
		func(m jetstream.Msg) { s.handle(ctx, m) },
		jetstream.PullMaxMessages(laneAhead), jetstream.PullExpiry(30*time.Second), jetstream.PullHeartbeat(5*time.Second),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			if !errors.Is(err, jetstream.ErrNoHeartbeat) {
				return // the client begins again by itself
			}
			select {
			case failed <- err:
			default:
			}
		}))
	if err != nil {
		return fmt.Errorf("open lane %d: %w", lane, err)
	}
	s.part("webhooks lanes")(nil)
	select {
	case <-ctx.Done():
		consuming.Drain() // gives back what it holds
		<-consuming.Closed()
		return nil
	case err := <-failed:
		consuming.Stop()
		return fmt.Errorf("lane %d: %w", lane, err)
	case <-consuming.Closed():
		return fmt.Errorf("lane %d was closed", lane)
	}
}

// handle decides what happens to one message and never waits for an endpoint.
func (s *Service) handle(ctx context.Context, m jetstream.Msg) {
	if ctx.Err() != nil {
		_ = m.Nak() // for another process, or the next start
		return
	}
	d, err := stream.DecodeDelivery(m.Data())
	if err == nil && s.letters[d.Source] == nil {
		err = fmt.Errorf("no stream %q", d.Source)
	}
	if err != nil {
		s.cfg.Log.Error("delivery not readable, dropped", zap.Error(err))
		_ = m.Term()
		return
	}
	for _, q := range unpack(d, m, s.putBack) {
		s.route(ctx, q)
	}
}

// route brings an event on its way.
func (s *Service) route(ctx context.Context, q queued) {
	e, known := s.receiver(ctx, q.Endpoint)
	if !known {
		q.done()
		return
	}
	g := s.gate(q.Endpoint)
	w, help := g.enter(q, e, s.gapOf(q), s.cfg.Now())
	s.follow(ctx, g, q, w)
	if help {
		s.work.Go(func() { s.deliverHeld(ctx, g) })
	}
}

// gapOf gives the gap that the event may be in, as it is then.
func (s *Service) gapOf(q queued) func() gap {
	return func() gap {
		c, _ := s.cursors.get(gapKey(q.Endpoint, q.Source))
		return c.gap
	}
}

// follow does what a gate decided of an event that is not tried now.
func (s *Service) follow(ctx context.Context, g *gate, q queued, w way) {
	switch w {
	case widen:
		s.widen(ctx, g, q)
	case putOff:
		s.work.Go(func() { s.later(q, putOffFor) })
	case covered:
		q.done()
	case attempt:
	}
}

// receiver gives an endpoint that may be delivered to. What is not known here, or known as disabled, may have been made
// or enabled a moment ago by another process, so the bucket is asked.
func (s *Service) receiver(ctx context.Context, id deal.ID) (endpoint, bool) {
	key := id.String()
	e, revision := s.endpoints.get(key)
	if revision == 0 || s.endpoints.has(key) && !e.Enabled {
		ask, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		if err := s.endpoints.refresh(ask, key); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			s.cfg.Log.Warn("endpoint not readable", zap.Stringer("endpoint_id", id), zap.Error(err))
		}
		e, _ = s.endpoints.get(key)
	}
	return e, s.endpoints.has(key) && e.Enabled
}

func (s *Service) gate(id deal.ID) *gate {
	s.gatesMu.Lock()
	defer s.gatesMu.Unlock()
	g := s.gates[id]
	if g == nil {
		g = newGate(id, s.cfg.Concurrency, s.cfg.probing())
		s.gates[id] = g
	}
	return g
}

// deliverHeld tries what the gate holds until that is nothing.
func (s *Service) deliverHeld(ctx context.Context, g *gate) {
	for h, is := g.next(); is; h, is = g.next() {
		if s.pause(s.working, h.due.Sub(s.cfg.Now())) != nil || !s.occupy(g) {
			h.giveBack()
			continue
		}
		s.deliver(ctx, g, h)
		<-g.slots
	}
}

// deliver makes one attempt for an event of the queue, unless it is too late for it by now, and sees to what follows.
func (s *Service) deliver(ctx context.Context, g *gate, h holding) {
	e, known := s.receiver(s.working, h.Endpoint)
	if !known {
		h.done()
		return
	}
	if w := g.check(h, e, s.gapOf(h.queued), s.cfg.Now()); w != attempt {
		s.follow(ctx, g, h.queued, w)
		return
	}
	l, err := s.letters[h.Source].one(s.working, h.sequence())
	if err != nil {
		s.cfg.Log.Warn("event not read, the delivery is put off", zap.Stringer("endpoint_id", e.ID), zap.Error(err))
		s.later(h.queued, putOffFor)
		return
	}
	r := s.exchange(s.working, e, l)
	switch r.Outcome {
	case webhook.Canceled:
		h.giveBack()
	case webhook.Delivered, webhook.Gone:
		s.conclude(g, e, l, h.Attempt, r, verdictOf(r.Result))
		h.done()
	default:
		wait, again := nextAttempt(s.cfg.Schedule, h.Attempt, r.RetryAfter, rand.Float64()) //nolint:gosec // no secret
		if !again {
			s.conclude(g, e, l, h.Attempt, r, Failed)
			h.done()
			return
		}
		s.conclude(g, e, l, h.Attempt, r, Retrying)
		h.Attempt++
		s.later(h.queued, wait)
	}
}

// occupy takes one of the endpoint's slots.
func (s *Service) occupy(g *gate) bool {
	select {
	case g.slots <- struct{}{}:
		return true
	case <-s.working.Done():
		return false
	}
}

// later schedules the event and is done with it after that. When the schedule cannot be written it goes back.
func (s *Service) later(q queued, wait time.Duration) {
	ctx, cancel := context.WithTimeout(s.working, askTimeout)
	defer cancel()
	if err := s.queue.Later(ctx, q.Delivery, s.cfg.Now().Add(wait)); err != nil {
		s.cfg.Log.Warn("retry not scheduled, the delivery comes again", zap.Stringer("endpoint_id", q.Endpoint), zap.Error(err))
		q.giveBack()
		return
	}
	q.done()
}
