package aggregator

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/stream"
)

// askTimeout bounds one question to the broker.
const askTimeout = 5 * time.Second

var errReconnected = errors.New("the connection to the log was lost and is back: look again where the log stands")

// lastSequence asks where the log ends.
func (s *Service) lastSequence(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return s.log.LastSequence(ctx)
}

// read gives every event behind the sequence to the buffer, each one the successor of the one before. It ends with an
// error, as stream.Log.Follow does.
func (s *Service) read(ctx context.Context, behind uint64, to *buffer) error {
	s.cfg.Health.Report("aggregator", nil)
	answers := func() { s.cfg.Health.Report("nats", nil) }
	return s.log.Follow(ctx, behind, false, answers, func(m jetstream.Msg, at *jetstream.MsgMetadata) error {
		return to.add(ctx, at.Sequence.Stream, at.Timestamp, m.Data(), at.NumPending > 0)
	})
}

// watch looks after the log while it is read: how far the warehouse is behind, that the log never ends before what the
// warehouse holds, and that a lost connection ends the session.
func (s *Service) watch(ctx context.Context) error {
	connected := s.cfg.NATS.StatusChanged(nats.CONNECTED)
	defer s.cfg.NATS.RemoveStatusListener(connected)
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-connected:
			return errReconnected
		case <-ticker.C:
		}
		checkpoint := s.Checkpoint() // first: the log may only have grown since
		last, err := s.lastSequence(ctx)
		if err != nil {
			return err
		}
		if last < checkpoint {
			return &stream.TruncatedError{Known: checkpoint, Last: last}
		}
		s.metrics.lag.Set(float64(last - checkpoint))
	}
}
