package registry

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
)

// actsAtOnce is how many deals the system looks at side by side: the log answers one reader in the time of a disk.
const actsAtOnce = 8

// bySystem makes a move in the name of the system on the deal as it stands in the log, and tells whether it did. It does
// not when the deal does not allow the move, or when the event is not wanted. Two registries may try at once: only one
// event can be written behind the same state, and whoever comes second looks again.
func (s *Service) bySystem(
	ctx context.Context, id deal.ID, move deal.Move, wanted func(before stream.Stored, after stream.Event) bool,
) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for {
		last, err := s.log.Last(ctx, id)
		if err != nil {
			return false, err
		}
		event, err := deal.Decide(last.Deal, deal.Command{Move: move, By: deal.Actor{IsSystem: true}}, s.cfg.Now())
		if illegal := (*deal.TransitionError)(nil); errors.As(err, &illegal) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		command := stream.Command{ID: fmt.Sprintf("%s:%d", move, last.Deal.Revision)}
		after, err := s.vouch(ctx, event, &last, command)
		if err != nil {
			return false, err
		}
		if !wanted(last, after) {
			return false, nil
		}
		_, err = s.write(ctx, after, &last)
		if errors.Is(err, stream.ErrConflict) {
			continue
		}
		return err == nil, err
	}
}

// bySystemOnEach makes the move on many deals and gives how many it moved. A deal that cannot be read is passed over with
// a line in the log; the error is one that a later try can mend.
func (s *Service) bySystemOnEach(
	ctx context.Context, ids []deal.ID, move deal.Move, wanted func(before stream.Stored, after stream.Event) bool,
) (int, error) {
	moved := make([]bool, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(actsAtOnce)
	for i, id := range ids {
		group.Go(func() error {
			var err error
			moved[i], err = s.bySystem(ctx, id, move, wanted)
			if err == nil || mayPass(ctx, err) {
				return err
			}
			s.cfg.Log.Error("deal passed over by the system", zap.Stringer("deal", id), zap.String("move", string(move)), zap.Error(err))
			return nil
		})
	}
	err := group.Wait()
	count := 0
	for _, m := range moved {
		if m {
			count++
		}
	}
	return count, err
}

// mayPass tells whether the same again can end otherwise: the log or the broker did not answer.
func mayPass(ctx context.Context, err error) bool {
	var api *jetstream.APIError
	return ctx.Err() != nil || errors.Is(err, stream.ErrUnknown) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &api)
}

// outage writes one line when something begins to fail and one when it is well again.
type outage struct {
	log  *zap.Logger
	what string
	is   bool
}

func (o *outage) note(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil: // the end, not a failure
	case err != nil && !o.is:
		o.is = true
		o.log.Warn(o.what+" waits", zap.Error(err))
	case err == nil && o.is:
		o.is = false
		o.log.Info(o.what + " goes on")
	}
}
