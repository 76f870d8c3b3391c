package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/stream"
)

// benchClients is how many clients register at the same time, each its next deal when the last one is answered.
const benchClients = 256

// benchRegister measures registrations through the handler that the listener serves, called in this process, and in the
// same run what bounds them: publishing the same event without dealreg, one at a time by one client and by as many, and in
// atomic batches as large as the registry's own were. All is measured in turn, several times over, because other work on the machine comes and goes.
type benchRegister struct {
	Seconds int `default:"20" help:"All measurements together take about so long."`
	Deals   int `default:"200000" help:"Deals that are registered at most."`
}

// Run prints one JSON object.
func (c *benchRegister) Run(ctx context.Context, log *zap.Logger) (err error) {
	if c.Seconds < 1 || c.Deals < 1 {
		return errors.New("bench: --seconds and --deals are at least 1")
	}
	engines := &benchEngines{}
	defer func() { err = errors.Join(err, engines.stop()) }()
	if err := engines.startBroker(ctx, log); err != nil {
		return err
	}
	if err := mustBeOnDisk(engines.dir); err != nil {
		return err
	}
	registry, err := startBenchRegistry(ctx, engines, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, registry.stop()) }()
	const measurements = 5
	b := &registerBench{
		benchEngines: engines, registry: registry,
		limit: time.Duration(c.Seconds) * time.Second / (benchRounds*measurements + 1),
		deals: c.Deals / (benchRounds*2 + 1),
	}
	return b.run(ctx)
}

// mustBeOnDisk refuses a folder in memory, where a sync costs nothing.
func mustBeOnDisk(dir string) error {
	const tmpfs = 0x01021994 // statfs(2)
	var at syscall.Statfs_t
	if err := syscall.Statfs(dir, &at); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if at.Type == tmpfs {
		return fmt.Errorf("bench: %s lies in memory: name a folder on a disk in TMPDIR", dir)
	}
	return nil
}

// registerBench measures one registry on one broker.
type registerBench struct {
	*benchEngines
	registry *benchRegistry
	limit    time.Duration // of each measurement
	deals    int           // in each measurement

	batch int       // how many events the registry's own batches had
	event *nats.Msg // one of the registry's, to be published without it
}

// pace is how often something was done, and how long each one took.
type pace struct {
	speed
	each []time.Duration
}

// p50Micros is the median, in microseconds.
func (p *pace) p50Micros() float64 {
	slices.Sort(p.each)
	return float64(p.each[len(p.each)/2].Nanoseconds()) / 1000
}

func (b *registerBench) run(ctx context.Context) error {
	if err := b.warmUp(ctx); err != nil {
		return err
	}
	var one, many, single, singles, batches pace
	for range benchRounds {
		if err := errors.Join(
			b.publish(ctx, 1, &single), b.register(ctx, 1, &one),
			b.publish(ctx, benchClients, &singles), b.publishBatches(ctx, &batches), b.register(ctx, benchClients, &many),
		); err != nil {
			return err
		}
	}
	return benchResult{
		Bench: "register", Figure: many.perSecond(), Unit: "deals/s", Limit: batches.perSecond(),
		Also: map[string]float64{
			"clients": benchClients, "deals": float64(many.events + one.events), "bytes_per_event": float64(len(b.event.Data)), "events_per_batch": float64(b.batch),
			"single_publishes_per_second": single.perSecond(), "single_publishes_at_once_per_second": singles.perSecond(), "times_single_publishes": many.perSecond() / single.perSecond(),
			"client_p50_microseconds": many.p50Micros(), "single_publish_p50_microseconds": single.p50Micros(),
			"one_client_p50_microseconds": one.p50Micros(), "one_client_times_single_publish": one.p50Micros() / single.p50Micros(),
		},
	}.print()
}

// warmUp lets all clients register, to see what their batches are like.
func (b *registerBench) warmUp(ctx context.Context) error {
	var none pace
	if err := b.register(ctx, benchClients, &none); err != nil {
		return err
	}
	log, err := b.js.Stream(ctx, stream.DealsStream)
	if err != nil {
		return err
	}
	if b.event, err = firstMessage(ctx, log); err != nil {
		return err
	}
	b.batch, err = meanBatch(ctx, log)
	if err != nil {
		return err
	}
	// The same stream once more, beside the one that the registry writes.
	cfg := log.CachedInfo().Config
	cfg.Name, cfg.Subjects = "BENCH", []string{"bench.*"}
	_, err = b.js.CreateStream(ctx, cfg)
	return err
}

// firstMessage is the log's first event, without what ties it to the log and to its batch.
func firstMessage(ctx context.Context, log jetstream.Stream) (*nats.Msg, error) {
	stored, err := log.GetMsg(ctx, 1)
	if err != nil {
		return nil, fmt.Errorf("read the log: %w", err)
	}
	for _, name := range []string{jetstream.ExpectedStreamHeader, jetstreamext.BatchIDHeader, jetstreamext.BatchSeqHeader, jetstreamext.BatchCommitHeader} {
		stored.Header.Del(name)
	}
	return &nats.Msg{Header: stored.Header, Data: stored.Data}, nil
}

// meanBatch is the mean size of the batches in the log, 2 at least.
func meanBatch(ctx context.Context, log jetstream.Stream) (int, error) {
	consumer, err := log.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return 0, fmt.Errorf("read the log: %w", err)
	}
	pending := consumer.CachedInfo().NumPending
	messages, err := consumer.Messages()
	if err != nil {
		return 0, fmt.Errorf("read the log: %w", err)
	}
	defer messages.Stop()
	events, batches := 0, 0
	for range pending {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return 0, fmt.Errorf("read the log: %w", err)
		}
		if m.Headers().Get(jetstreamext.BatchIDHeader) != "" {
			events++
		}
		if m.Headers().Get(jetstreamext.BatchCommitHeader) != "" {
			batches++
		}
	}
	return max(2, events/max(1, batches)), nil
}

// publishBatches measures publishing without dealreg, as many events at a time as the registry's batches have.
func (b *registerBench) publishBatches(ctx context.Context, p *pace) error {
	for began := time.Now(); time.Since(began) < b.limit && ctx.Err() == nil; {
		messages := make([]*nats.Msg, b.batch)
		for i := range messages {
			messages[i] = b.another()
		}
		start := time.Now()
		if _, err := jetstreamext.PublishMsgBatch(ctx, b.js, messages, jetstreamext.BatchFlowControl{}); err != nil {
			return fmt.Errorf("publish %d events: %w", b.batch, err)
		}
		p.add(uint64(b.batch), time.Since(start)) // #nosec G115 -- a size
	}
	return ctx.Err()
}

// publish measures publishing without dealreg, one event at a time by each of so many clients.
func (b *registerBench) publish(ctx context.Context, clients int, p *pace) error {
	return b.crowd(ctx, clients, p, func() (time.Duration, error) {
		m, start := b.another(), time.Now()
		_, err := b.js.PublishMsg(ctx, m)
		return time.Since(start), err
	})
}

// another is the event once more, on a subject of its own.
func (b *registerBench) another() *nats.Msg {
	m := nats.NewMsg("bench." + uuid.NewString())
	m.Data = b.event.Data
	maps.Copy(m.Header, b.event.Header)
	return m
}

// register measures registrations of so many clients at a time.
func (b *registerBench) register(ctx context.Context, clients int, p *pace) error {
	answers := sync.Pool{New: func() any { return new(benchAnswer) }}
	return b.crowd(ctx, clients, p, func() (time.Duration, error) {
		answer := answers.Get().(*benchAnswer) //nolint:forcetypeassert // put there below
		defer answers.Put(answer)
		return b.registry.register(ctx, answer)
	})
}

// crowd measures what so many clients do at the same time, each once more when it is done.
func (b *registerBench) crowd(ctx context.Context, clients int, p *pace, once func() (time.Duration, error)) error {
	var mu sync.Mutex
	var failed error
	var begun atomic.Int64
	var crowd sync.WaitGroup
	start := time.Now()
	for range clients {
		crowd.Go(func() {
			var each []time.Duration
			var err error
			for err == nil && time.Since(start) < b.limit && begun.Add(1) <= int64(b.deals) {
				var took time.Duration
				if took, err = once(); err == nil {
					each = append(each, took)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			p.each, failed = append(p.each, each...), errors.Join(failed, err)
			p.events += uint64(len(each))
		})
	}
	crowd.Wait()
	p.took += time.Since(start)
	return errors.Join(failed, ctx.Err())
}

// benchAnswer is a http.ResponseWriter that keeps one client's latest answer.
type benchAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *benchAnswer) Header() http.Header         { return a.header }
func (a *benchAnswer) WriteHeader(status int)      { a.status = status }
func (a *benchAnswer) Write(p []byte) (int, error) { return a.body.Write(p) }

// register sends one new deal and gives the time until the answer that it is on the disk.
func (r *benchRegistry) register(ctx context.Context, answer *benchAnswer) (time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "/v1/deals", io.NopCloser(bytes.NewReader(r.body)))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Authorization", "Bearer "+r.key)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", uuid.NewString())
	answer.header, answer.status = http.Header{}, 0
	answer.body.Reset()
	start := time.Now()
	r.handler.ServeHTTP(answer, request)
	took := time.Since(start)
	if answer.status != http.StatusCreated {
		return 0, fmt.Errorf("register: %d %s", answer.status, answer.body.String())
	}
	return took, nil
}
