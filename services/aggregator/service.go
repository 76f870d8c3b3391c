// Package aggregator carries the log into the warehouse: every event once, in order, without a hole. It never decides,
// never looks anything up and never acknowledges: where it stands is what the warehouse holds.
package aggregator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// insertTimeout bounds one insert; drainTimeout is what is left of it when the service stops.
const (
	insertTimeout = time.Minute
	drainTimeout  = 3 * time.Second
)

// Service is the aggregator. One Run at a time; the other methods may be called at any time.
type Service struct {
	cfg      Config
	log      *stream.Log
	metrics  metrics
	verified chan struct{}
	rolled   chan struct{} // closed when it was tried to roll up what was closed at the start, or halted before

	mu         sync.Mutex
	checkpoint uint64
	halted     error
	moved      chan struct{} // closed when checkpoint or halted changes

	rebuilder *rebuilder // nil in the aggregator of a rebuild
	// between takes what is to be done between two sessions, when no insert of ours runs.
	between chan func(context.Context)

	// Only carry uses these.
	migrated bool
	whole    bool // the warehouse was seen to have no hole
	repaired bool // what was poison once was read again
	doubtful *span
	rolling  bool                  // a roll-up may still run
	turn     func(context.Context) // what came through between; nil for nothing
}

// errInterrupted ends a session so that another may have its turn.
var errInterrupted = errors.New("interrupted for a rebuild")

// span is a range of sequences whose insert may or may not have come through.
type span struct{ first, last uint64 }

type metrics struct {
	checkpoint, rolledUp, lag prometheus.Gauge
	poison                    prometheus.Counter
}

// New checks the configuration and wires the service. Nothing needs to be alive.
func New(cfg Config) (*Service, error) {
	s, err := newCarrier(cfg)
	if err != nil {
		return nil, err
	}
	s.rebuilder = newRebuilder(s)
	return s, nil
}

// newCarrier gives a service that carries and does not rebuild.
func newCarrier(cfg Config) (*Service, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	log, err := stream.NewLog(cfg.NATS)
	if err != nil {
		return nil, fmt.Errorf("aggregator: %w", err)
	}
	s := &Service{
		cfg: cfg, log: log, verified: make(chan struct{}), rolled: make(chan struct{}), moved: make(chan struct{}), between: make(chan func(context.Context)),
	}
	s.metrics = metrics{
		checkpoint: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "dealreg_aggregator_checkpoint", Help: "Highest sequence of the log that the warehouse holds.",
		}),
		rolledUp: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "dealreg_aggregator_rolled_up", Help: "Sequence of the log up to which closed ranges were rolled up last.",
		}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "dealreg_aggregator_lag_events", Help: "Events of the log that the warehouse does not hold yet.",
		}),
		poison: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "dealreg_aggregator_poison_total", Help: "Events that could not be read and were set aside, since the start.",
		}),
	}
	if cfg.Metrics != nil {
		for _, c := range []prometheus.Collector{s.metrics.checkpoint, s.metrics.rolledUp, s.metrics.lag, s.metrics.poison} {
			if err := cfg.Metrics.Register(c); err != nil {
				return nil, fmt.Errorf("register metrics: %w", err)
			}
		}
	}
	for _, part := range []string{"nats", "clickhouse", "aggregator"} {
		cfg.Health.Report(part, errors.New("starting"))
	}
	return s, nil
}

// Checkpoint is the highest sequence that the warehouse is known to hold.
func (s *Service) Checkpoint() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.checkpoint
}

// Verified is closed once the log was read through and found to be the one that the warehouse was built from, without
// damage. Nothing may be written to the log before: one that lost its tail would hand out the same sequences again, and
// one with a damaged event takes the same deal twice.
func (s *Service) Verified() <-chan struct{} { return s.verified }

// WaitFor returns when the warehouse holds the sequence, with an error when ctx ends or the aggregator halts before.
func (s *Service) WaitFor(ctx context.Context, seq uint64) error {
	for {
		s.mu.Lock()
		checkpoint, halted, moved := s.checkpoint, s.halted, s.moved
		s.mu.Unlock()
		if checkpoint >= seq {
			return nil
		}
		if halted != nil {
			return fmt.Errorf("wait for sequence %d: %w", seq, halted)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("wait for sequence %d: %w", seq, ctx.Err())
		}
	}
}

// Run carries events until ctx ends, and rebuilds the warehouse beside it when that is asked for; the insert that runs
// then is finished first. It returns nil. It waits for the log and the warehouse in any order and begins again after any
// failure; what only a person can resolve halts it: then it reports the reason and waits for a rebuild or for ctx to end.
func (s *Service) Run(ctx context.Context) error {
	var group sync.WaitGroup
	if s.rebuilder != nil {
		group.Go(func() { s.rebuilder.run(ctx) })
	}
	s.carry(ctx)
	group.Wait()
	return nil
}

func (s *Service) carry(ctx context.Context) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 2*time.Second
	for {
		before := s.Checkpoint()
		err := s.session(ctx)
		if s.turn == nil && halts(err) && ctx.Err() == nil {
			s.halt(err)
			select {
			case s.turn = <-s.between:
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return
		}
		if s.turn != nil {
			s.takeTurn(ctx)
			continue
		}
		s.cfg.Health.Report("aggregator", err)
		s.cfg.Log.Warn("aggregation interrupted", zap.Error(err), zap.Uint64("checkpoint", s.Checkpoint()))
		if s.Checkpoint() > before {
			pause.Reset()
		}
		select {
		case <-time.After(pause.NextBackOff()):
		case s.turn = <-s.between:
			s.takeTurn(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// takeTurn lets another do what must not meet an insert. What is served may be another table afterwards.
func (s *Service) takeTurn(ctx context.Context) {
	s.turn(ctx)
	s.turn, s.whole = nil, false
	s.mu.Lock()
	defer s.mu.Unlock()
	s.halted = nil
}

func (s *Service) halt(err error) {
	s.cfg.Log.Error("aggregation halted", zap.Error(err), zap.Uint64("checkpoint", s.Checkpoint()))
	s.cfg.Health.Report("aggregator", err)
	s.tried()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.halted = err
	close(s.moved)
	s.moved = make(chan struct{})
}

// haltedBy is why it is halted; nil when it is not.
func (s *Service) haltedBy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.halted
}

func (s *Service) advance(checkpoint uint64) {
	s.metrics.checkpoint.Set(float64(checkpoint))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.checkpoint = checkpoint
	close(s.moved)
	s.moved = make(chan struct{})
}

// session runs from a known checkpoint until something fails.
func (s *Service) session(ctx context.Context) error {
	checkpoint, err := s.prepare(ctx)
	s.cfg.Health.Report("clickhouse", err)
	if err != nil {
		return err
	}
	if err := s.ofLog(s.verify(ctx, checkpoint)); err != nil {
		return err
	}
	s.advance(checkpoint.Sequence)
	if err := s.ofLog(s.open(ctx, checkpoint.Sequence)); err != nil {
		return err
	}

	group, ctx := errgroup.WithContext(ctx)
	events := newBuffer(s.cfg.BatchRows, s.cfg.BatchBytes)
	group.Go(func() error { return s.store(ctx, events) })
	group.Go(func() error {
		err := s.ofLog(s.read(ctx, checkpoint.Sequence, events))
		if halts(err) { // what came before it is sound
			events.finish(err)
			return nil
		}
		return err
	})
	group.Go(func() error { return s.ofLog(s.watch(ctx)) })
	group.Go(func() error { return s.rollUp(ctx) })
	group.Go(func() error {
		select {
		case s.turn = <-s.between:
			return errInterrupted
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return group.Wait()
}

// ofLog reports a failure on the log's side. A log that halts us has answered.
func (s *Service) ofLog(err error) error {
	switch {
	case halts(err):
		s.cfg.Health.Report("nats", nil)
	case err != nil && !errors.Is(err, context.Canceled):
		s.cfg.Health.Report("nats", err)
	}
	return err
}

// prepare brings the warehouse into a state that is known: its schema is there, no insert of ours runs any more, and
// what is stored has no hole. It gives the checkpoint.
func (s *Service) prepare(ctx context.Context) (warehouse.Checkpoint, error) {
	if !s.migrated {
		if err := s.cfg.Warehouse.Migrate(ctx); err != nil {
			return warehouse.Checkpoint{}, err
		}
		s.migrated = true
	}
	if err := s.settle(ctx); err != nil {
		return warehouse.Checkpoint{}, err
	}
	checkpoint, err := s.cfg.Warehouse.Checkpoint(ctx)
	if err != nil {
		return warehouse.Checkpoint{}, err
	}
	if !s.whole {
		prefix, err := s.cfg.Warehouse.Recount(ctx, checkpoint.Sequence)
		if err != nil {
			return warehouse.Checkpoint{}, err
		}
		if !prefix.Whole() {
			return warehouse.Checkpoint{}, &HoleError{Have: prefix.Sequences, Want: checkpoint.Sequence}
		}
		s.whole = true
	}
	if !s.repaired {
		if err := s.repair(ctx); err != nil {
			return warehouse.Checkpoint{}, err
		}
		s.repaired = true
	}
	return checkpoint, nil
}

// settle ends the insert and the roll-up that are in doubt: what they stored is final afterwards.
func (s *Service) settle(ctx context.Context) error {
	if s.rolling {
		if err := s.cfg.Warehouse.KillRollUps(ctx); err != nil {
			return err
		}
		s.rolling = false
	}
	if d := s.doubtful; d != nil {
		if err := s.cfg.Warehouse.KillInsert(ctx, d.first, d.last); err != nil {
			return err
		}
		s.doubtful = nil
	}
	return nil
}

// verify makes sure that the log is the one from which the warehouse was built, and holds all of it.
func (s *Service) verify(ctx context.Context, checkpoint warehouse.Checkpoint) error {
	last, err := s.lastSequence(ctx)
	if err != nil {
		return err
	}
	if checkpoint.Sequence == 0 {
		return nil
	}
	if checkpoint.Sequence > last {
		return &stream.TruncatedError{Known: checkpoint.Sequence, Last: last}
	}
	hash, err := s.log.HashAt(ctx, checkpoint.Sequence)
	if err != nil {
		return err
	}
	if hash != checkpoint.PayloadHash {
		return &stream.ChangedError{Sequence: checkpoint.Sequence}
	}
	return nil
}

// open closes verified when the log reaches as far as it was known to and lacks no event. One that is missing behind the
// checkpoint it leaves to the reader, which stores what comes before it and then halts.
func (s *Service) open(ctx context.Context, checkpoint uint64) error {
	select {
	case <-s.verified:
		return nil
	default:
	}
	err := s.log.Verify(ctx, func(events uint64) {
		s.cfg.Health.Report("aggregator", fmt.Errorf("reads the log through, %d events, before anything may be written", events))
	})
	if gap, missing := errors.AsType[*stream.GapError](err); missing && gap.Want > checkpoint {
		return nil
	}
	if err != nil {
		return err
	}
	close(s.verified)
	s.cfg.Log.Info("log verified", zap.Uint64("checkpoint", checkpoint))
	return nil
}

// store inserts what gathers in the buffer, one batch after the other.
func (s *Service) store(ctx context.Context, events *buffer) error {
	spare := &warehouse.Batch{}
	due := time.NewTimer(0)
	defer due.Stop()
	for {
		batch, err := events.take(ctx, due.C, spare)
		if err != nil {
			return err
		}
		due.Reset(s.cfg.Pace)
		if err := s.insert(ctx, batch); err != nil {
			s.cfg.Health.Report("clickhouse", err)
			return err
		}
		s.metrics.poison.Add(float64(batch.Poisoned()))
		s.advance(batch.Last())
		s.cfg.Log.Debug("batch stored", zap.Int("rows", batch.Len()), zap.Int("poison", batch.Poisoned()), zap.Uint64("last_seq", batch.Last()))
		batch.Reset()
		spare = batch
	}
}

// insert stores the batch. It lets an insert finish although ctx ends, for a while: to break it off would leave in doubt
// what is stored.
func (s *Service) insert(ctx context.Context, batch *warehouse.Batch) error {
	unbroken, cancel := context.WithTimeout(context.WithoutCancel(ctx), insertTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(drainTimeout, cancel) })
	defer stop()
	s.doubtful = &span{first: batch.First(), last: batch.Last()}
	if err := s.cfg.Warehouse.Insert(unbroken, batch); err != nil {
		return err
	}
	s.doubtful = nil
	return nil
}
