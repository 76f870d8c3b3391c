package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// bucket holds the position and one record for each cause. Entries go after keptFor: by then no cause of them can come
// again, because a question is asked for two weeks only.
const (
	bucket      = "mail"
	keptFor     = 90 * 24 * time.Hour
	positionKey = "position"
)

// position is how far the log was mailed, since when, and which process goes on from there.
type position struct {
	Sequence uint64    `json:"sequence"` // of the last event whose mails all lie in the outbox
	Began    time.Time `json:"began"`    // what fell due before was never mailed and never will be
	Runner   string    `json:"runner,omitempty"`
	Until    time.Time `json:"until,omitzero"`
}

// lease is the position in the hands of the process that leads.
type lease struct {
	kv       jetstream.KeyValue
	revision uint64
	position
}

// claim takes the lease over, waiting for one that another process holds to run out. The first one ever begins at the
// end of the log: the past is not mailed.
func (s *Service) claim(ctx context.Context, kv jetstream.KeyValue) (*lease, error) {
	l := &lease{kv: kv}
	last, err := s.dealLog.LastSequence(ctx)
	if err != nil {
		return nil, err
	}
	entry, err := kv.Get(ctx, positionKey)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		l.position = position{Sequence: last, Began: s.cfg.Now().UTC()}
	case err != nil:
		return nil, fmt.Errorf("read the position: %w", err)
	default:
		l.revision = entry.Revision()
		if err := json.Unmarshal(entry.Value(), &l.position); err != nil {
			return nil, fmt.Errorf("read the position: %w", err)
		}
	}
	if now := s.cfg.Now(); l.Runner != "" && l.Runner != s.cfg.runner && now.Before(l.Until) {
		return nil, pause(ctx, min(l.Until.Sub(now), s.cfg.Lease/2))
	}
	if l.Sequence > last {
		s.cfg.Log.Error("the log is shorter than what was mailed of it: mails go on at its end", zap.Uint64("mailed", l.Sequence), zap.Uint64("last", last))
		l.Sequence = last
	}
	return l, s.renew(ctx, l, l.Sequence)
}

// renew stores the position. An error means that another process may lead.
func (s *Service) renew(ctx context.Context, l *lease, sequence uint64) error {
	l.Sequence, l.Runner, l.Until = sequence, s.cfg.runner, s.cfg.Now().Add(s.cfg.Lease).UTC()
	return l.store(ctx)
}

// release gives the lease up, so that another process goes on at once; if that fails it runs out.
func (l *lease) release(ctx context.Context, sequence uint64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	l.Sequence, l.Runner, l.Until = sequence, "", time.Time{}
	_ = l.store(ctx)
}

func (l *lease) store(ctx context.Context) error {
	text, err := json.Marshal(l.position)
	if err != nil {
		return fmt.Errorf("encode the position: %w", err)
	}
	if l.revision == 0 {
		l.revision, err = l.kv.Create(ctx, positionKey, text)
	} else {
		l.revision, err = l.kv.Update(ctx, positionKey, text, l.revision)
	}
	if err != nil {
		return fmt.Errorf("store the position: %w", err)
	}
	return nil
}

// pause waits, with an error when ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(0, d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
