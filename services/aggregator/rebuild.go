package aggregator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

const (
	// exchangeWithin bounds how long the live tables stand still while a rebuild takes their place.
	exchangeWithin = time.Minute
	// adoptWithin bounds the look for a rebuild that may have been begun.
	adoptWithin = 5 * time.Second
	// lookEvery is how often a rebuild looks whether the log has lost something since it was begun.
	lookEvery = 2 * time.Second
)

// RebuildState is where a rebuild stands.
type RebuildState string

// The states of a rebuild. One that is running goes on after a restart.
const (
	RebuildRunning RebuildState = "running"
	RebuildDone    RebuildState = "done"
	RebuildFailed  RebuildState = "failed"
)

// Progress is how far a rebuild is.
type Progress struct {
	warehouse.Rebuild
	State    RebuildState
	Position uint64  // highest sequence that is rebuilt
	Last     uint64  // of the log; 0 when it does not answer
	Rate     float64 // events a second since it was begun or resumed; 0 while it is not known
	Err      error   // why it failed
}

// rebuilder replays the log into a second projection while the first one is served and fed, and then exchanges the two.
// A second aggregator does the replay, with the same rules and checks. At most one rebuild is under way.
type rebuilder struct {
	live *Service
	ask  chan struct{} // holds a token when latest is to be carried out

	mu     sync.Mutex
	looked bool // whether it is known what a process before this one left
	latest *undertaking
}

// undertaking is a rebuild and how far it is.
type undertaking struct {
	warehouse.Rebuild
	state   RebuildState
	err     error
	carrier *Service  // nil before the replay
	since   time.Time // when the replay began, at the sequence behind
	behind  uint64
}

func newRebuilder(live *Service) *rebuilder {
	return &rebuilder{live: live, ask: make(chan struct{}, 1)}
}

var (
	// errStarting says that a rebuild of before has to be looked for first.
	errStarting = errors.New("the aggregator is starting")
	errNone     = errors.New("no rebuild is known")
	errDropped  = errors.New("the database of the rebuild is gone: the log tells why, then start another")
)

// StartRebuild begins a rebuild from the sequence on, and gives it; when one is under way it gives that. A rebuild that
// was begun goes on whatever happens to this process. It needs the warehouse. When the aggregator was halted by a loss of
// the log, or the last rebuild failed by one, the rebuild takes the log as it is; else it fails when it meets a loss.
func (s *Service) StartRebuild(ctx context.Context, from uint64) (Progress, error) {
	u, err := s.rebuilder.start(ctx, from)
	if err != nil {
		return Progress{}, err
	}
	return s.rebuilder.progress(ctx, u), nil
}

func (r *rebuilder) start(ctx context.Context, from uint64) (undertaking, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.looked {
		return undertaking{}, errStarting
	}
	if r.latest != nil && r.latest.state == RebuildRunning {
		return *r.latest, nil
	}
	id, err := uuid.NewV7()
	if err != nil {
		return undertaking{}, fmt.Errorf("begin rebuild: %w", err)
	}
	plan := warehouse.Rebuild{ID: deal.ID(id), From: from, StartedAt: r.live.cfg.Now().UTC().Truncate(time.Millisecond)}
	if plan.Accepts, err = r.accepted(ctx); err != nil {
		return undertaking{}, err
	}
	if err := r.live.cfg.Warehouse.BeginRebuild(ctx, plan); err != nil {
		begun := r.begun(ctx)
		if begun == nil {
			return undertaking{}, err
		}
		plan = *begun
	}
	r.latest = &undertaking{Rebuild: plan, state: RebuildRunning}
	token(r.ask)
	return *r.latest, nil
}

// accepted is the log's end when the operator was told that the log lost something before it; nil when not.
func (r *rebuilder) accepted(ctx context.Context) (*stream.End, error) {
	told := r.live.haltedBy()
	if r.latest != nil {
		told = errors.Join(told, r.latest.err)
	}
	if !stream.IsLoss(told) {
		return nil, nil
	}
	end, err := r.live.log.End(ctx)
	return &end, err
}

// begun looks for a rebuild that is there although it could not be begun: the answer was lost, or another process was
// first. It does so also when whoever asked has gone.
func (r *rebuilder) begun(ctx context.Context) *warehouse.Rebuild {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adoptWithin)
	defer cancel()
	begun, err := r.live.cfg.Warehouse.Rebuilding(ctx)
	if err != nil {
		return nil // why it could not be begun says more
	}
	return begun
}

// Rebuild gives the progress of the rebuild under way, or of the last one. The error says that none is known, or not yet.
func (s *Service) Rebuild(ctx context.Context) (Progress, error) {
	u, err := s.rebuilder.last()
	if err != nil {
		return Progress{}, err
	}
	return s.rebuilder.progress(ctx, u), nil
}

// last is the latest rebuild. Errors are errStarting and errNone.
func (r *rebuilder) last() (undertaking, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.looked:
		return undertaking{}, errStarting
	case r.latest == nil:
		return undertaking{}, errNone
	}
	return *r.latest, nil
}

func (r *rebuilder) progress(ctx context.Context, u undertaking) Progress {
	p := Progress{Rebuild: u.Rebuild, State: u.state, Err: u.err}
	if last, err := r.live.lastSequence(ctx); err == nil {
		p.Last = last
	}
	switch {
	case u.state == RebuildDone:
		p.Position = r.live.Checkpoint()
		if u.carrier != nil { // the live one has perhaps not looked yet at what it got
			p.Position = max(p.Position, u.carrier.Checkpoint())
		}
	case u.carrier != nil:
		p.Position = max(u.carrier.Checkpoint(), u.behind)
		if seconds := r.live.cfg.Now().Sub(u.since).Seconds(); seconds > 0 {
			p.Rate = float64(p.Position-u.behind) / seconds
		}
	}
	return p
}

// run resumes what a process before this one began, and carries out what is asked for, until ctx ends.
func (r *rebuilder) run(ctx context.Context) {
	err := r.untilDone(ctx, "look for a rebuild", func() error { return r.look(ctx) })
	for err == nil {
		select {
		case <-r.ask:
		case <-ctx.Done():
			return
		}
		err = r.untilDone(ctx, "rebuild", func() error { return r.carryOut(ctx) })
	}
}

// untilDone repeats what fails for a while. Its only error is that of ctx.
func (r *rebuilder) untilDone(ctx context.Context, what string, do func() error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 2*time.Second
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, do() }, backoff.WithMaxElapsedTime(0),
		backoff.WithBackOff(pause), backoff.WithNotify(func(err error, _ time.Duration) {
			r.live.cfg.Log.Warn(what+" interrupted", zap.Error(err))
		}))
	return err
}

func (r *rebuilder) look(ctx context.Context) error {
	begun, err := r.live.cfg.Warehouse.Rebuilding(ctx)
	if err != nil {
		return err
	}
	made, err := r.live.cfg.Warehouse.Rebuilt(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looked = true
	switch {
	case begun != nil:
		r.latest = &undertaking{Rebuild: *begun, state: RebuildRunning}
		token(r.ask)
	case made != nil:
		r.latest = &undertaking{Rebuild: *made, state: RebuildDone}
	}
	return nil
}

// carryOut brings the latest rebuild to its end. What only a person can resolve ends it too: what is served stays.
func (r *rebuilder) carryOut(ctx context.Context) error {
	house := r.live.cfg.Warehouse
	begun, err := house.Rebuilding(ctx)
	if err != nil {
		return err
	}
	if begun == nil { // an attempt before this one came further than it was told
		made, err := house.Rebuilt(ctx)
		if err == nil {
			r.end(r.missing(made))
		}
		return err
	}
	err = r.replay(ctx, *begun)
	if err != nil && !halts(err) {
		return err
	}
	if dropped := house.AbandonRebuild(ctx); dropped != nil {
		return dropped
	}
	r.end(err)
	return nil
}

// missing is why the latest rebuild is not under way any more: nil when it made what is served.
func (r *rebuilder) missing(made *warehouse.Rebuild) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if made != nil && made.ID == r.latest.ID {
		return nil
	}
	return errDropped
}

func (r *rebuilder) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latest.state, r.latest.err = RebuildDone, err
	if err != nil {
		r.latest.state = RebuildFailed
		r.live.cfg.Log.Error("rebuild failed", zap.Error(err))
		return
	}
	r.live.cfg.Log.Info("rebuild done", zap.Stringer("rebuild", r.latest.ID))
}

// replay fills the next database from the log until it has caught up, and exchanges the tables.
func (r *rebuilder) replay(ctx context.Context, plan warehouse.Rebuild) error {
	next, err := r.live.cfg.Warehouse.Next()
	if err != nil {
		return err
	}
	defer func() { _ = next.Close() }()
	if err := next.Migrate(ctx); err != nil {
		return err
	}
	if err := r.live.cfg.Warehouse.TakeOver(ctx, plan); err != nil {
		return err
	}
	carrier, err := newCarrier(Config{
		NATS: r.live.cfg.NATS, Warehouse: next, Log: r.live.cfg.Log.Named("rebuild"), Pace: r.live.cfg.Pace,
		BatchRows: r.live.cfg.BatchRows, BatchBytes: r.live.cfg.BatchBytes / 2, // both are in memory at once
	})
	if err != nil {
		return err
	}
	close(carrier.verified) // nobody waits for it: the live one inspects the log
	begun, err := next.Checkpoint(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.latest.carrier, r.latest.since, r.latest.behind = carrier, r.live.cfg.Now(), begun.Sequence
	r.mu.Unlock()
	carrying, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() { carrier.carry(carrying) })
	stop := func() { cancel(); group.Wait() }
	defer stop()
	last, err := r.live.lastSequence(ctx)
	if err != nil {
		return err
	}
	if err := r.await(ctx, plan, carrier, last); err != nil {
		return err
	}
	select {
	case <-carrier.rolled: // the reports are to be as quick afterwards as before
	case <-ctx.Done():
		return ctx.Err()
	}
	return r.exchange(ctx, plan, carrier, stop)
}

// await waits until the carrier has come to the sequence. A log that loses its end meanwhile may never have it again.
func (r *rebuilder) await(ctx context.Context, plan warehouse.Rebuild, carrier *Service, seq uint64) error {
	for {
		if err := r.passesOver(ctx, plan); err != nil {
			return err
		}
		within, cancel := context.WithTimeout(ctx, lookEvery)
		err := carrier.WaitFor(within, seq)
		late := within.Err() != nil
		cancel()
		if err == nil || !late || ctx.Err() != nil {
			return err
		}
	}
}

// passesOver is the loss of the log that the rebuild would pass over although nobody was told of it when it was asked for:
// what it makes would look as if nothing were missing.
func (r *rebuilder) passesOver(ctx context.Context, plan warehouse.Rebuild) error {
	if plan.Accepts != nil {
		return r.live.log.Holds(ctx, *plan.Accepts)
	}
	served, err := r.live.cfg.Warehouse.Checkpoint(ctx)
	if err != nil {
		return err
	}
	if err := r.live.verify(ctx, served); err != nil {
		return err
	}
	return r.live.log.Reaches(ctx)
}

// exchange waits until the rebuilt tables hold all that is served, with the live ones standing still, and exchanges them.
func (r *rebuilder) exchange(ctx context.Context, plan warehouse.Rebuild, carrier *Service, stop func()) error {
	done := make(chan error, 1)
	turn := func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, exchangeWithin)
		defer cancel()
		done <- func() error {
			if err := r.live.settle(ctx); err != nil {
				return err
			}
			if err := r.passesOver(ctx, plan); err != nil {
				return err
			}
			served, err := r.live.cfg.Warehouse.Checkpoint(ctx)
			if err != nil {
				return err
			}
			last, err := r.live.lastSequence(ctx)
			if err != nil {
				return err
			}
			if err := carrier.WaitFor(ctx, min(served.Sequence, last)); err != nil { // more than the log has was accepted
				return err
			}
			stop()
			if err := carrier.settle(ctx); err != nil {
				return err
			}
			if plan.Accepts != nil {
				if err := r.live.log.Accept(ctx); err != nil {
					return err
				}
			}
			return r.live.cfg.Warehouse.Exchange(ctx, plan)
		}()
	}
	select {
	case r.live.between <- turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done(): // also when the turn was not taken any more
		return ctx.Err()
	}
}
