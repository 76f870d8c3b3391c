package aggregator

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"
)

// rollUp keeps closed ranges rolled up until ctx ends, beside the inserts, which never wait for it. It begins when the
// warehouse has caught up with the log, so that it takes nothing from that. What fails is tried again: reports are right
// without it, only slower.
func (s *Service) rollUp(ctx context.Context) error {
	last, err := s.lastSequence(ctx)
	if err != nil {
		return s.ofLog(err)
	}
	if err := s.WaitFor(ctx, last); err != nil {
		return err
	}
	for {
		s.rolling = true
		pause := backoff.NewExponentialBackOff()
		pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, time.Minute
		upTo, err := backoff.Retry(ctx, func() (uint64, error) {
			upTo := s.Checkpoint()
			return upTo, s.cfg.Warehouse.RollUp(ctx, upTo)
		}, backoff.WithMaxElapsedTime(0), backoff.WithBackOff(pause), backoff.WithNotify(func(err error, _ time.Duration) {
			s.cfg.Log.Warn("roll-up interrupted", zap.Error(err))
			s.tried()
		}))
		if err != nil {
			return err
		}
		s.rolling = false
		s.metrics.rolledUp.Set(float64(upTo))
		s.tried()
		step := s.cfg.Warehouse.RollupStep()
		if err := s.WaitFor(ctx, (upTo+1)/step*step+step-1); err != nil { // the last sequence of the next range
			return err
		}
	}
}

// tried tells who waits for the first roll-ups to wait no longer.
func (s *Service) tried() {
	select {
	case <-s.rolled:
	default:
		close(s.rolled)
	}
}
