// Package webhooks tells receivers outside what happened: every event to each endpoint that may hear of it, at least
// once, signed, at the endpoint's own pace. The streams of events are where a replay comes from; what is under way lies in
// a work queue of its own. It never changes a deal and never decides who may hear of one: the event names its audience.
package webhooks

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

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/webhook"
)

// drainWithin is how long exchanges that are under way may go on after the service is told to stop.
const drainWithin = 4 * time.Second

// giveUpWithin is how long the service may take after that to let others serve its lanes.
const giveUpWithin = time.Second

// Service is the dispatcher and the API of endpoints. It runs once.
type Service struct {
	cfg     Config
	js      jetstream.JetStream
	queue   *stream.Deliveries
	dealLog *stream.Log
	records *stream.Records
	client  *webhook.Client
	metrics metrics

	endpoints   *mirror[endpoint]
	cursors     *mirror[cursor]
	checkpoints *mirror[checkpoint]
	failing     *mirror[failure]
	listeners   *listeners
	letters     map[string]*letters // by stream
	recorder    *recorder

	opened chan struct{} // closed once endpoints can be made and seen

	gatesMu sync.Mutex
	gates   map[deal.ID]*gate

	pins [stream.Lanes]atomic.Pointer[string] // what the broker called its choice of this process for a lane last

	ailingMu sync.Mutex
	ailing   map[string]bool // parts that fail now

	// running ends when Run is told to stop; working outlives it by the time that exchanges get to end, and work counts
	// what they run in.
	running, working         context.Context
	stopRunning, stopWorking context.CancelFunc
	work                     sync.WaitGroup
}

type metrics struct {
	queued, disabled, dropped prometheus.Counter
	attempts                  *prometheus.CounterVec
}

// New checks the configuration and wires the service. Nothing needs to be alive.
func New(cfg Config) (*Service, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	js, err := jetstream.New(cfg.NATS)
	if err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	client, err := webhook.NewClient(cfg.Guard, cfg.IdleConnections)
	if err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	dealLog, err := stream.NewLog(cfg.NATS)
	if err != nil {
		return nil, err
	}
	records, err := stream.NewRecords(cfg.NATS)
	if err != nil {
		return nil, err
	}
	s := &Service{
		cfg: cfg, js: js, client: client, dealLog: dealLog, records: records, queue: stream.NewDeliveries(js),
		letters: map[string]*letters{}, gates: map[deal.ID]*gate{}, ailing: map[string]bool{}, opened: make(chan struct{}),
		endpoints: newMirror[endpoint](js, endpointsBucket), cursors: newMirror[cursor](js, cursorsBucket),
		checkpoints: newMirror[checkpoint](js, checkpointsBucket), failing: newMirror[failure](js, failingBucket),
	}
	s.running, s.stopRunning = context.WithCancel(context.Background()) // #nosec G118 -- Run calls them
	s.working, s.stopWorking = context.WithCancel(context.Background()) // #nosec G118 -- Run calls them
	s.listeners = newListeners(s.endpoints)
	for _, src := range sources {
		s.letters[src.stream] = newLetters(src, js, cfg.Log)
	}
	s.endpoints.changed = func(string, endpoint, endpoint) { s.listeners.stale.Store(true) }
	s.checkpoints.changed = func(key string, before, now checkpoint) {
		if l := s.letters[key]; l != nil && now.Sequence < before.Sequence { // the stream lost its end
			l.forget()
		}
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "dealreg_webhook_" + name + "_total", Help: help})
	}
	s.metrics = metrics{
		queued:   counter("queued", "Events put into the queue, each for one endpoint, since the start."),
		disabled: counter("disabled", "Endpoints disabled because they were gone or failed for too long, since the start."),
		dropped:  counter("attempts_dropped", "Attempts that were made and are missing in the record, since the start."),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dealreg_webhook_attempts_total", Help: "Attempts to deliver a webhook, by outcome, since the start.",
		}, []string{"outcome"}),
	}
	if cfg.Metrics != nil {
		connections := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "dealreg_webhook_connections", Help: "Connections to receivers that are open now, in use or idle.",
		}, func() float64 { return float64(client.Open()) })
		for _, c := range []prometheus.Collector{s.metrics.queued, s.metrics.disabled, s.metrics.dropped, s.metrics.attempts, connections} {
			if err := cfg.Metrics.Register(c); err != nil {
				return nil, fmt.Errorf("register metrics: %w", err)
			}
		}
	}
	s.recorder = &recorder{js: js, log: cfg.Log, dropped: s.metrics.dropped, held: make(chan warehouse.Attempt, recordsHeld)}
	cfg.Health.Report("webhooks", errors.New("starting"))
	return s, nil
}

// Run delivers until ctx ends; what is under way then may go on for a moment, and what does not end in time is tried
// again by the next start. It returns nil. It waits for what it needs in any order and begins again after any failure.
func (s *Service) Run(ctx context.Context) error {
	// Parts in the order of their start; each of them needs those before it until it has ended.
	defer s.stopWorking()
	defer context.AfterFunc(ctx, s.stopRunning)()
	recording, stopRecording := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRecording()

	var followers, recorders, workers sync.WaitGroup
	following, stopFollowing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFollowing()
	defer s.client.CloseIdle()

	if s.forever(ctx, "webhooks", s.prepareOnce()) != nil { // ctx ended before anything was there
		return nil
	}
	for bucket, follow := range map[string]func(context.Context, func(error)){
		endpointsBucket: s.endpoints.follow, cursorsBucket: s.cursors.follow, checkpointsBucket: s.checkpoints.follow, failingBucket: s.failing.follow,
	} {
		followers.Go(func() { follow(following, s.part("webhooks "+bucket)) })
	}
	loaded := true
	for _, c := range []chan struct{}{s.endpoints.loaded, s.cursors.loaded, s.checkpoints.loaded, s.failing.loaded} {
		select {
		case <-c:
		case <-ctx.Done():
			loaded = false
		}
	}
	if loaded && s.forever(ctx, "webhooks", s.beginHere) == nil {
		close(s.opened)
		s.cfg.Health.Report("webhooks", nil)
		recorders.Go(func() { _ = s.recorder.run(recording) })
		recorders.Go(func() { _ = s.forever(ctx, "webhook attempts", s.carry) })
		for _, src := range sources {
			workers.Go(func() {
				_ = s.forever(ctx, "webhooks "+src.stream, func(ctx context.Context) error { return s.runFanout(ctx, src) })
			})
		}
		for lane := range stream.Lanes {
			workers.Go(func() {
				_ = s.forever(ctx, "webhooks lanes", func(ctx context.Context) error { return s.runLane(ctx, lane) })
			})
		}
		workers.Go(func() { _ = s.scanCursors(ctx) })
		s.cfg.Log.Info("webhooks are delivered")
		<-ctx.Done()
	}

	stop := time.AfterFunc(drainWithin, s.stopWorking)
	defer stop.Stop()
	workers.Wait()
	s.work.Wait()
	if loaded {
		s.giveUpLanes()
	}
	stopRecording()
	recorders.Wait()
	stopFollowing()
	followers.Wait()
	return nil
}

// prepareOnce makes what is missing, and then nothing more.
func (s *Service) prepareOnce() func(context.Context) error {
	return func(ctx context.Context) error {
		within, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		if err := stream.Ensure(within, s.js, max(1, s.cfg.Replicas)); err != nil {
			return err
		}
		if err := stream.EnsureDeliveries(within, s.js, s.cfg.Replicas); err != nil {
			return err
		}
		for bucket, description := range map[string]string{
			endpointsBucket: "receivers of webhooks", cursorsBucket: "gaps and replays of webhooks",
			checkpointsBucket: "how far events were fanned out to webhooks", failingBucket: "since when endpoints of webhooks fail",
		} {
			if err := createBucket(within, s.js, bucket, "dealreg: "+description, s.cfg.Replicas); err != nil {
				return err
			}
		}
		return errDone
	}
}

// errDone ends forever.
var errDone = errors.New("done")

// forever does the work again and again, with a pause after a failure, until ctx ends or the work says errDone. It
// reports failures and gives the error of ctx.
func (s *Service) forever(ctx context.Context, part string, work func(context.Context) error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 2*time.Second
	for {
		err := errors.New("no connection to NATS")
		if s.cfg.NATS.IsConnected() { // a request would wait for an answer that nobody gives
			err = work(ctx)
		}
		switch {
		case errors.Is(err, errDone):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			pause.Reset()
			continue
		}
		s.part(part)(err)
		if err := s.pause(ctx, pause.NextBackOff()); err != nil {
			return err
		}
	}
}

// part reports how a part is, nil when it is well. It logs the first failure, and that the part goes on.
func (s *Service) part(part string) func(error) {
	return func(err error) {
		s.cfg.Health.Report(part, err)
		s.ailingMu.Lock()
		before := s.ailing[part]
		s.ailing[part] = err != nil
		s.ailingMu.Unlock()
		switch {
		case err != nil && !before:
			s.cfg.Log.Warn("interrupted, trying again", zap.String("part", part), zap.Error(err))
		case err == nil && before:
			s.cfg.Log.Info("goes on", zap.String("part", part))
		}
	}
}

// pause waits, with an error when ctx ends before.
func (s *Service) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
