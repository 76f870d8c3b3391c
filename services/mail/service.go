package mail

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
)

const (
	askWithin   = 5 * time.Second // bounds one question to the broker
	drainWithin = 4 * time.Second // how long mails under way may go on after the service is told to stop
	parallel    = 4               // conversations with the SMTP server at a time
)

// Service mails. One Run at a time; of several processes one leads and the others wait.
type Service struct {
	cfg     Config
	js      jetstream.JetStream
	dealLog *stream.Log
	mails   *prometheus.CounterVec
	waiting atomic.Int64 // mails in the outbox
	sender  sender
	rounds  atomic.Uint64 // how often it was looked for what is due
}

// New checks the configuration and wires the service.
func New(cfg Config) (*Service, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	js, err := jetstream.New(cfg.NATS)
	if err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	s := &Service{cfg: cfg, js: js, sender: sender{first: cfg.RetryFirst, most: cfg.RetryMost}}
	if s.dealLog, err = stream.NewLog(cfg.NATS); err != nil {
		return nil, err
	}
	s.mails = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "dealreg_mails_total", Help: "Mails by how they ended, since the start.",
	}, []string{"outcome"})
	waiting := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dealreg_mails_waiting", Help: "Mails that are due or wait for another try.",
	}, func() float64 { return float64(s.waiting.Load()) })
	away := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "dealreg_mail_server_away", Help: "1 while the SMTP server takes no mails, else 0.",
	}, s.sender.gauge)
	if cfg.Metrics != nil {
		for _, c := range []prometheus.Collector{s.mails, waiting, away} {
			if err := cfg.Metrics.Register(c); err != nil {
				return nil, fmt.Errorf("register metrics: %w", err)
			}
		}
	}
	cfg.Health.Report("mail", errors.New("starting"))
	return s, nil
}

// Run mails until ctx ends. It returns nil; it waits for what it needs in any order and begins again after any failure.
func (s *Service) Run(ctx context.Context) error {
	again := backoff.NewExponentialBackOff()
	again.InitialInterval, again.MaxInterval = 50*time.Millisecond, 2*time.Second
	for ctx.Err() == nil {
		err := errors.New("no connection to NATS")
		if s.cfg.NATS.IsConnected() {
			err = s.lead(ctx, again.Reset)
		}
		if ctx.Err() != nil || err == nil {
			continue
		}
		s.cfg.Health.Report("mail", err)
		s.cfg.Log.Warn("mail interrupted, trying again", zap.Error(err))
		_ = pause(ctx, again.NextBackOff())
	}
	return nil
}

// lead does all the work as long as this process has the lease; nil when another one has it.
func (s *Service) lead(ctx context.Context, began func()) error {
	asking, cancel := context.WithTimeout(ctx, s.cfg.Lease+askWithin)
	defer cancel()
	kv, err := s.open(asking)
	if err != nil {
		return err
	}
	l, err := s.claim(asking, kv)
	if err != nil || l == nil {
		s.cfg.Health.Report("mail", err)
		return err
	}
	t := &turn{s: s, lease: l, board: &board{open: map[deal.ID]waiting{}}, whole: make(chan struct{}), digested: map[deal.ID]time.Time{}}
	t.done.Store(l.Sequence)
	defer func() { t.lease.release(ctx, t.done.Load()) }()
	if t.box, err = openOutbox(asking, kv, s.cfg.Now()); err != nil {
		return err
	}
	s.cfg.Health.Report("mail", nil)
	s.cfg.Log.Info("mails are sent", zap.Uint64("after", l.Sequence))
	began()
	return t.run(ctx)
}

// open makes what is missing, and waits for the directory.
func (s *Service) open(ctx context.Context) (jetstream.KeyValue, error) {
	select {
	case <-s.cfg.Roster.Loaded():
	case <-ctx.Done():
		return nil, errors.New("the directory is not loaded yet")
	}
	if err := stream.Ensure(ctx, s.js, max(1, s.cfg.Replicas)); err != nil {
		return nil, err
	}
	kv, err := s.js.KeyValue(ctx, bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		kv, err = s.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: bucket, Description: "dealreg: mails, one entry for each cause", History: 1, TTL: keptFor,
			Storage: jetstream.FileStorage, Replicas: max(1, s.cfg.Replicas),
		})
	}
	if err != nil {
		return nil, fmt.Errorf("open the bucket %s: %w", bucket, err)
	}
	return kv, nil
}

// turn is the time in which this process leads.
type turn struct {
	s     *Service
	lease *lease
	box   *outbox
	board *board

	done     atomic.Uint64         // the last event whose mails all lie in the outbox
	whole    chan struct{}         // closed once the board shows the log
	wholeOne sync.Once             // closes it
	digested map[deal.ID]time.Time // by person, the hour of the latest digest in the outbox
}

// run ends with ctx or with the first failure of a part. What is being sent then may go on for a moment.
func (t *turn) run(ctx context.Context) error {
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainWithin, stop) })()
	group.Go(func() error { return t.followDeals(ctx) })
	group.Go(func() error { return t.watch(ctx) })
	group.Go(func() error { return t.followEndpoints(ctx) })
	group.Go(func() error { return t.keep(ctx) })
	for range parallel {
		group.Go(func() error { return t.send(ctx, sending) })
	}
	return group.Wait()
}

// keep renews the lease.
func (t *turn) keep(ctx context.Context) error {
	tick := time.NewTicker(t.s.cfg.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		asking, cancel := context.WithTimeout(ctx, t.s.cfg.Lease/3)
		err := t.s.renew(asking, t.lease, t.done.Load())
		cancel()
		if err != nil {
			return err
		}
	}
}
