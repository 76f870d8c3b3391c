package webhooks

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/dealreg/dealreg/pkg/deal"
)

// cursorsBucket holds the gaps and replays of endpoints.
const cursorsBucket = "webhook_cursors"

// cursor is a range of a stream that is delivered to one endpoint from the stream itself: the endpoint's gap, or a
// replay that its owner asked for. One process at a time works on it, by the lease.
type cursor struct {
	gap
	Endpoint deal.ID   `json:"endpoint_id"`
	Source   string    `json:"source"` // the stream
	Runner   string    `json:"runner,omitempty"`
	Until    time.Time `json:"until,omitzero"`
	// HeadSince is when the event behind At failed first, of an endpoint that wants its events in order.
	HeadSince time.Time `json:"head_since,omitzero"`
	Replay    *replay   `json:"replay,omitempty"` // nil for the gap
}

// gapKey is where the gap of an endpoint in a stream is.
func gapKey(endpoint deal.ID, source string) string { return endpoint.String() + "." + source }

func (c cursor) key() string {
	key := gapKey(c.Endpoint, c.Source)
	if c.Replay != nil {
		key += "." + c.Replay.ID.String()
	}
	return key
}

// changeCursor stores what change makes of the cursor, again when another writer was first. change tells whether there
// is anything to store. It gives the cursor as it is then.
func (s *Service) changeCursor(ctx context.Context, key string, change func(cursor) (cursor, bool)) (cursor, error) {
	for {
		c, revision := s.cursors.get(key)
		next, changed := change(c)
		if !changed {
			return c, nil
		}
		write, cancel := context.WithTimeout(ctx, askTimeout)
		_, err := s.cursors.put(write, key, next, revision)
		cancel()
		if err == nil {
			return next, nil
		}
		if !errors.Is(err, errChanged) {
			return cursor{}, err
		}
	}
}

// widen takes the event into the endpoint's gap, together with those that come while the gap is being stored.
func (s *Service) widen(ctx context.Context, g *gate, q queued) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting[q.Source] = append(g.waiting[q.Source], q)
	if !g.widening[q.Source] {
		g.widening[q.Source] = true
		s.work.Go(func() { s.widenAll(ctx, g, q.Source) })
	}
}

func (s *Service) widenAll(ctx context.Context, g *gate, source string) {
	for {
		g.mu.Lock()
		events := g.waiting[source]
		g.waiting[source] = nil
		if len(events) == 0 {
			g.widening[source] = false
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		slices.SortFunc(events, func(a, b queued) int { return cmp.Compare(a.sequence(), b.sequence()) })
		e, _ := s.endpoints.get(g.id.String())
		stored, err := s.changeCursor(s.working, gapKey(g.id, source), func(c cursor) (cursor, bool) {
			c.Endpoint, c.Source = g.id, source
			if !c.open() && c.Runner == "" && e.Enabled { // the work begins right away
				c.Runner, c.Until = s.cfg.runner, s.cfg.Now().Add(s.cfg.Lease).UTC()
			}
			changed := false
			for _, q := range events {
				if at := q.sequence(); !c.covers(at) && at > c.Through {
					c.gap, changed = c.extend(at, q.Head, e.Ordered), true
				}
			}
			return c, changed
		})
		if err != nil {
			s.cfg.Log.Warn("gap not stored, the deliveries come again", zap.Stringer("endpoint_id", g.id), zap.Error(err))
			_ = s.pause(s.working, awhile)
			for _, q := range events {
				q.giveBack()
			}
			continue
		}
		s.startCursor(ctx, gapKey(g.id, source))
		for _, q := range append(events, g.leave(source, stored.gap)...) {
			if stored.covers(q.sequence()) {
				q.done()
				continue
			}
			// Another process opened a gap behind it in the meantime.
			s.work.Go(func() { s.route(ctx, g.id, q) })
		}
	}
}

// startCursor works on the cursor unless this process does already, or the endpoint is disabled: then the cursor waits.
func (s *Service) startCursor(ctx context.Context, key string) {
	c, _ := s.cursors.get(key)
	if e, known := s.endpoints.find(c.Endpoint.String()); !c.open() || ctx.Err() != nil || known && !e.Enabled {
		return
	}
	g := s.gate(c.Endpoint)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running[key] != nil {
		return
	}
	r := &runner{s: s, g: g, key: key}
	if c.Replay != nil && c.Replay.Rate > 0 {
		r.replay, r.limiter = c.Replay.ID, rate.NewLimiter(rate.Limit(c.Replay.Rate), burst(c.Replay.Rate))
		for _, other := range g.running {
			if other.replay == r.replay {
				r.limiter = other.limiter
			}
		}
	}
	g.running[key] = r
	s.work.Go(func() {
		err := r.run(ctx)
		g.mu.Lock()
		delete(g.running, key)
		g.mu.Unlock()
		if err != nil && ctx.Err() == nil { // the scan begins again
			s.cfg.Log.Warn("cursor interrupted", zap.Stringer("endpoint_id", g.id), zap.Error(err))
		}
		if err == nil { // what widened the gap in the meantime saw that it ran
			if c, _ := s.cursors.get(key); c.open() && c.Runner == "" {
				s.startCursor(ctx, key)
			}
		}
	})
}

// scanCursors takes up what nobody works on, and tends what is left over, now and then.
func (s *Service) scanCursors(ctx context.Context) error {
	tick := time.NewTicker(max(s.cfg.Lease/2, 10*time.Millisecond))
	defer tick.Stop()
	for {
		now := s.cfg.Now()
		for key, c := range s.cursors.all() {
			if c.open() && (c.Runner == "" || c.Runner == s.cfg.runner || now.After(c.Until)) {
				s.startCursor(ctx, key)
			}
		}
		s.tend(ctx, now)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// startOrder lets the gaps of an endpoint that wants its events in order begin with what comes from now on.
func (s *Service) startOrder(ctx context.Context, id deal.ID) error {
	for _, src := range sources {
		last, err := lastOf(ctx, s.js, src.stream)
		if err != nil {
			return err
		}
		_, err = s.changeCursor(ctx, gapKey(id, src.stream), func(c cursor) (cursor, bool) {
			if c.open() {
				return c, false
			}
			c.Endpoint, c.Source, c.gap = id, src.stream, gap{From: last, At: last, Through: last}
			return c, true
		})
		if err != nil {
			return err
		}
	}
	return nil
}
