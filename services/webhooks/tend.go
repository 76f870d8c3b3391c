package webhooks

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"
)

// replaysKept is how long a replay can be asked for after it is done: as long as its attempts.
const replaysKept = 30 * 24 * time.Hour

// tend removes the cursors, failures and gates that nobody needs any more, and tells of endpoints that were disabled by a process which died
// before it could.
func (s *Service) tend(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for key, c := range s.cursors.all() {
		if c.open() || !s.isDeleted(c.Endpoint.String()) && !c.isOld(now) {
			continue
		}
		_, revision := s.cursors.get(key)
		if err := s.cursors.remove(ctx, key, revision); err != nil && !errors.Is(err, errChanged) {
			s.cfg.Log.Warn("cursor not removed yet", zap.Stringer("endpoint_id", c.Endpoint), zap.Error(err))
			return
		}
	}
	for key := range s.failing.all() {
		if s.isDeleted(key) {
			s.healed(key)
		}
	}
	s.gatesMu.Lock()
	for id, g := range s.gates {
		if !s.endpoints.has(id.String()) && g.idle() {
			delete(s.gates, id)
		}
	}
	s.gatesMu.Unlock()
	for _, e := range s.endpoints.all() {
		told, err := s.isTold(ctx, e)
		if err != nil {
			s.cfg.Log.Warn("not known whether the owner was told that an endpoint was disabled", zap.Stringer("endpoint_id", e.ID), zap.Error(err))
			return
		}
		if !told {
			s.tell(ctx, e)
		}
	}
}

// isDeleted tells whether the endpoint is known to have been deleted; of one that is not known it may be made.
func (s *Service) isDeleted(key string) bool {
	_, revision := s.endpoints.get(key)
	return revision != 0 && !s.endpoints.has(key)
}

// isOld tells whether the cursor is that of a replay which was done long ago.
func (c cursor) isOld(now time.Time) bool {
	return c.Replay != nil && c.Replay.DoneAt != nil && now.Sub(*c.Replay.DoneAt) > replaysKept
}
