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
	// laneServer is the group of which one process at a time serves a lane; another one does when that has asked for nothing
	// for lanePinned. What asks asks anew every half of it.
	laneServer = "dispatcher"
	lanePinned = 10 * time.Second
	// lanePin is the header of each message of a lane that names the broker's choice.
	lanePin = "Nats-Pin-Id"
	// putOffFor is when a retry is looked at again that its gate did not take, or an event that nothing was left here to send it
	// with.
	putOffFor = 5 * time.Second
)

// runLane hands the messages of one lane to the gates until ctx ends, while the broker chooses this process for it. One
// process at a time has all that is new for an endpoint, in its order: a gap that it opens begins behind what it holds, and
// covers nothing that another one sends.
func (s *Service) runLane(ctx context.Context, lane int) error {
	create, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	consumer, err := s.js.CreateOrUpdateConsumer(create, stream.DeliveriesStream, jetstream.ConsumerConfig{
		Durable: laneName(lane), FilterSubject: stream.LaneSubjects(lane), AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: s.cfg.AckWait, MaxAckPending: laneHolds, MaxDeliver: -1,
		PriorityPolicy: jetstream.PriorityPolicyPinned, PriorityGroups: []string{laneServer}, PinnedTTL: lanePinned,
		// What is done is gone from the stream, so the consumer has nothing to remember over a restart of the broker; on the
		// disk, 64 of them would sync their state all the time.
		MemoryStorage: true, InactiveThreshold: time.Hour,
	})
	if err != nil {
		return fmt.Errorf("open lane %d: %w", lane, err)
	}
	failed := make(chan error, 1)
	consuming, err := consumer.Consume(
		func(m jetstream.Msg) {
			s.pins[lane].Store(new(m.Headers().Get(lanePin)))
			s.handle(ctx, m)
		},
		jetstream.PullPriorityGroup(laneServer), jetstream.PullMaxMessages(laneAhead),
		jetstream.PullExpiry(lanePinned/2), jetstream.PullHeartbeat(lanePinned/5),
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

func laneName(lane int) string { return fmt.Sprintf("lane-%d", lane) }

// giveUpLanes lets another process serve the lanes at once that the broker chose this one for. It is called when nothing of
// them is under way here any more, so that no two processes send what one endpoint is to hear.
func (s *Service) giveUpLanes() {
	if !s.cfg.NATS.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), giveUpWithin)
	defer cancel()
	deliveries, err := s.js.Stream(ctx, stream.DeliveriesStream)
	for lane := 0; lane < stream.Lanes && err == nil; lane++ {
		err = s.giveUpLane(ctx, deliveries, lane)
	}
	if err != nil {
		s.cfg.Log.Warn("lanes not given up, others serve them when the broker's choice has run out", zap.Duration("after", lanePinned), zap.Error(err))
	}
}

// giveUpLane also asks about a lane of which nothing came here: the broker then forgets what this process has asked for and
// does not take any more, which it might choose otherwise.
func (s *Service) giveUpLane(ctx context.Context, deliveries jetstream.Stream, lane int) error {
	consumer, err := deliveries.Consumer(ctx, laneName(lane))
	if err != nil {
		return fmt.Errorf("ask about lane %d: %w", lane, err)
	}
	own := s.pins[lane].Load()
	for _, group := range consumer.CachedInfo().PriorityGroups {
		if own != nil && group.PinnedClientID == *own {
			return deliveries.UnpinConsumer(ctx, laneName(lane), laneServer)
		}
	}
	return nil
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
	s.route(ctx, d.Endpoint, unpack(d, m, s.putBack)...)
}

// route brings events of one endpoint on their way.
func (s *Service) route(ctx context.Context, id deal.ID, events ...queued) {
	e, known, err := s.receiver(ctx, id)
	if err != nil {
		s.cfg.Log.Warn("endpoint not readable, the deliveries come again", zap.Stringer("endpoint_id", id), zap.Error(err))
	}
	g := s.gate(id)
	if known {
		g.meet(e)
	}
	for _, q := range events {
		switch {
		case err != nil:
			q.giveBack()
		case !known:
			q.done()
		case !e.Enabled:
			s.shelve(ctx, g, e, q)
		default:
			w, help := g.enter(q, e, s.gapOf(q), s.cfg.Now())
			s.follow(ctx, g, q, w)
			if help {
				s.work.Go(func() { s.deliverHeld(ctx, g) })
			}
		}
	}
}

// shelve keeps an event of an endpoint that is disabled: in the gap, which goes on when the endpoint is enabled. What no gap
// takes, a retry above all, has failed, and is recorded so for a replay of what failed.
func (s *Service) shelve(ctx context.Context, g *gate, e endpoint, q queued) {
	if w := choose(s.gapOf(q)(), q.sequence(), q.Fresh(), true, true, e.Ordered); w != putOff {
		s.follow(ctx, g, q, w)
		return
	}
	s.work.Go(func() {
		l, err := s.letterFor(e, q)
		if err == nil && l != nil {
			missed := exchanged{at: s.cfg.Now(), Result: webhook.Result{
				Outcome: webhook.WasDisabled, Words: "it was not sent, because the endpoint is disabled: enable it and replay what failed",
			}}
			err = s.recorder.keep(s.working, attemptOf(e, l, q.Attempt, missed, Failed))
		}
		if err != nil {
			s.cfg.Log.Warn("failure not recorded, the delivery is put off", zap.Stringer("endpoint_id", e.ID), zap.Error(err))
			s.later(q, putOffFor)
			return
		}
		q.done()
	})
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
		s.work.Go(func() { s.later(q, max(putOffFor, g.pausedFor(s.cfg.Now()))) })
	case covered:
		q.done()
	case attempt:
	}
}

// askAgain is after how long the bucket is asked again for an endpoint that it said is disabled.
const askAgain = time.Second

// receiver gives an endpoint, and false when there is none. What is not known here, or known as disabled, may have been
// made or enabled a moment ago by another process, so the bucket is asked, once a second.
func (s *Service) receiver(ctx context.Context, id deal.ID) (endpoint, bool, error) {
	key := id.String()
	e, known := s.endpoints.find(key)
	g, now := s.gate(id), s.cfg.Now()
	if known && e.Enabled || g.askedSince(now.Add(-askAgain)) {
		return e, known, nil
	}
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := s.endpoints.refresh(ask, key); err != nil {
		return endpoint{}, false, err
	}
	g.asked(now)
	e, known = s.endpoints.find(key)
	return e, known, nil
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
		if s.pause(s.working, h.due.Sub(s.cfg.Now())) != nil || !g.occupy(s.working) {
			h.giveBack()
			continue
		}
		s.deliver(ctx, g, h)
		<-g.slots
	}
}

// deliver makes one attempt for an event of the queue, unless it is too late for it by now, and sees to what follows.
func (s *Service) deliver(ctx context.Context, g *gate, h holding) {
	e, known := s.endpoints.find(h.Endpoint.String())
	if !known || !e.Enabled {
		s.route(ctx, h.Endpoint, h.queued)
		return
	}
	g.meet(e)
	if w := g.check(h, e, s.gapOf(h.queued), s.cfg.Now()); w != attempt {
		s.follow(ctx, g, h.queued, w)
		return
	}
	l, err := s.letterFor(e, h.queued)
	if err != nil {
		s.cfg.Log.Warn("event not read, the delivery is put off", zap.Stringer("endpoint_id", e.ID), zap.Error(err))
		s.later(h.queued, putOffFor)
		return
	}
	if l == nil {
		h.done()
		return
	}
	r := s.exchange(s.working, e, l)
	switch r.Outcome {
	case webhook.Canceled:
		h.giveBack()
	case webhook.NotTried:
		s.later(h.queued, putOffFor)
	case webhook.Delivered:
		s.conclude(g, e, l, h.Attempt, r, Delivered)
		h.done()
	case webhook.Gone:
		s.conclude(g, e, l, h.Attempt, r, Failed)
		if now, known := s.endpoints.find(h.Endpoint.String()); known && now.Enabled { // it has a new life, or could not be disabled
			s.later(h.queued, putOffFor)
			return
		}
		s.route(ctx, h.Endpoint, h.queued)
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

// letterFor gives the event as the endpoint gets it. It is nil when it is not for the endpoint by now: its owner chose other
// types, or the stream lost its end and the sequence is that of another event.
func (s *Service) letterFor(e endpoint, q queued) (*letter, error) {
	l, err := s.letters[q.Source].one(s.working, q.sequence())
	if err != nil || !l.told || !e.hears(l.notice) {
		return nil, err
	}
	return l, nil
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
