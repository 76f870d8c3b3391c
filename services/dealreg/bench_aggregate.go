package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/services/aggregator"
)

// benchAggregate measures the aggregator on a backlog, and in the same run what bounds it: reading the same messages
// without doing anything with them, and storing the same rows, which are made already. One after the other on one core
// they would reach 1/(1/pull + 1/insert), which is the limit. All three are measured in turn, several times over, because
// other work on the machine comes and goes.
type benchAggregate struct {
	Seconds int    `default:"20" help:"Each of the three measurements takes about so long at most, all rounds together."`
	Deals   int    `default:"200000" help:"Deals in the log; nine of ten are one event, the others about six."`
	Seed    uint64 `default:"1" help:"The same seed makes the same log."`
	Rebuild bool   `help:"Store the whole log at last, and rebuild it while the totals are served."`
}

// Run prints one JSON object.
func (c *benchAggregate) Run(ctx context.Context, log *zap.Logger) (err error) {
	if c.Seconds < 1 || c.Deals < 1 {
		return errors.New("bench: --seconds and --deals are at least 1")
	}
	engines, err := startBenchEngines(ctx, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engines.stop()) }()
	b := &aggregateBench{benchEngines: engines, log: log, limit: time.Duration(c.Seconds) * time.Second / benchRounds}
	start := time.Now()
	filled, err := dealtest.NewBulk(c.Deals, c.Seed).Fill(ctx, b.js, nil)
	if err != nil {
		return err
	}
	b.last = filled.Events
	fill := float64(filled.Events) / time.Since(start).Seconds()
	var pull, insert, aggregate speed
	steady := 1.0
	for round := range benchRounds {
		var course []speed
		if err := errors.Join(b.pull(ctx, &pull), b.insert(ctx, round, &insert), b.aggregate(ctx, round, &course)); err != nil {
			return err
		}
		aggregated := course[len(course)-1]
		aggregate.add(aggregated.events, aggregated.took)
		steady = min(steady, slowestTenth(course))
	}
	result := benchResult{
		Bench: "aggregate", Figure: aggregate.perSecond(), Unit: "events/s",
		Limit: 1 / (1/pull.perSecond() + 1/insert.perSecond()),
		Also: map[string]float64{
			"pull_events_per_second": pull.perSecond(), "insert_events_per_second": insert.perSecond(), "fill_events_per_second": fill,
			"events": float64(filled.Events), "bytes_per_event": float64(filled.Bytes) / float64(filled.Events),
			"slowest_tenth_times_first_tenth": steady,
		},
	}
	if c.Rebuild {
		course, err := b.rebuild(ctx)
		if err != nil {
			return err
		}
		result.Also["rebuilt_events_per_second"] = course[len(course)-1].perSecond()
		result.Also["rebuild_slowest_tenth_times_first_tenth"] = slowestTenth(course)
	}
	return result.print()
}

// benchRounds is how often all is measured.
const benchRounds = 2

// speed adds up what was done in what time.
type speed struct {
	events uint64
	took   time.Duration
}

func (s *speed) add(events uint64, took time.Duration) {
	s.events, s.took = s.events+events, s.took+took
}
func (s *speed) perSecond() float64 { return float64(s.events) / s.took.Seconds() }

// slowestTenth gives the rate of the slowest tenth of the events against that of the first tenth, of what was reached in
// the course of time.
func slowestTenth(course []speed) float64 {
	var ends [11]time.Duration
	tenth := course[len(course)-1].events / 10
	for _, at := range slices.Backward(course) {
		for i := 1; i < len(ends); i++ {
			if at.events >= uint64(i)*tenth { // #nosec G115 -- 1 to 10
				ends[i] = at.took
			}
		}
	}
	slowest := ends[1]
	for i := 2; i < len(ends); i++ {
		slowest = max(slowest, ends[i]-ends[i-1])
	}
	return ends[1].Seconds() / slowest.Seconds()
}

// aggregateBench is one log and one engine.
type aggregateBench struct {
	*benchEngines
	log   *zap.Logger
	limit time.Duration
	last  uint64 // sequence of the log
}

// read gives every event of the log to fn until that says that it is enough.
func (b *aggregateBench) read(ctx context.Context, fn func(seq uint64, at time.Time, payload []byte) (more bool, err error)) error {
	consumer, err := b.js.CreateConsumer(ctx, stream.DealsStream, jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, InactiveThreshold: time.Minute, // an insert may take its time
	})
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	ended := make(chan error, 1)
	end := func(err error) {
		select {
		case ended <- err:
		default:
		}
	}
	over := false
	reading, err := consumer.Consume(func(m jetstream.Msg) {
		if over {
			return
		}
		more, err := b.give(m, fn)
		if over = err != nil || !more; over {
			end(err)
		}
	}, jetstream.PullMaxBytes(stream.FetchAheadBytes), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		if !errors.Is(err, jetstream.ErrNoHeartbeat) { // after it the client asks again by itself
			end(err)
		}
	}))
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer reading.Stop()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// give tells whether more is wanted and there.
func (b *aggregateBench) give(m jetstream.Msg, fn func(uint64, time.Time, []byte) (bool, error)) (bool, error) {
	meta, err := m.Metadata()
	if err != nil {
		return false, fmt.Errorf("read the log: %w", err)
	}
	more, err := fn(meta.Sequence.Stream, meta.Timestamp, m.Data())
	return more && meta.Sequence.Stream < b.last, err
}

// pull measures reading alone.
func (b *aggregateBench) pull(ctx context.Context, speed *speed) error {
	start, seen := time.Now(), uint64(0)
	err := b.read(ctx, func(seq uint64, _ time.Time, _ []byte) (bool, error) {
		seen = seq
		return seq%1000 != 0 || time.Since(start) < b.limit, nil
	})
	speed.add(seen, time.Since(start))
	return err
}

// database gives an empty warehouse.
func (b *aggregateBench) database(ctx context.Context, name string) (*warehouse.Warehouse, error) {
	dsn, err := url.Parse(b.dsn)
	if err != nil {
		return nil, err
	}
	dsn.Path = "/" + name
	house, err := warehouse.Open(warehouse.Config{DSN: dsn.String()})
	if err != nil {
		return nil, err
	}
	if err := house.Migrate(ctx); err != nil {
		return nil, errors.Join(err, house.Close())
	}
	return house, nil
}

// insert measures storing alone, in inserts as large as the aggregator's largest. The first one warms the engine up.
func (b *aggregateBench) insert(ctx context.Context, round int, speed *speed) error {
	house, err := b.database(ctx, fmt.Sprintf("raw_%d", round))
	if err != nil {
		return err
	}
	defer func() { _ = house.Close() }()
	var batch warehouse.Batch
	var took time.Duration
	stored, warm := uint64(0), round > 0
	store := func() error {
		start := time.Now()
		err := house.Insert(ctx, &batch)
		if !warm { // the same again counts
			warm, start = true, time.Now()
			err = errors.Join(err, house.Insert(ctx, &batch))
		}
		took += time.Since(start)
		stored += uint64(batch.Len()) // #nosec G115 -- a length
		batch.Reset()
		return err
	}
	err = b.read(ctx, func(seq uint64, at time.Time, payload []byte) (bool, error) {
		if !batch.Takes(seq) || batch.Len() == aggregator.DefaultBatchRows || batch.Bytes() >= aggregator.DefaultBatchBytes {
			if err := store(); err != nil {
				return false, err
			}
		}
		return took < b.limit, batch.Append(seq, at, payload)
	})
	if err == nil && took < b.limit {
		err = store()
	}
	speed.add(stored, took)
	return err
}

// aggregate measures the aggregator, from when it has checked the log to the log's end or the last insert in time, and
// gives what it had reached when.
func (b *aggregateBench) aggregate(ctx context.Context, round int, course *[]speed) error {
	house, err := b.database(ctx, fmt.Sprintf("aggregated_%d", round))
	if err != nil {
		return err
	}
	defer func() { _ = house.Close() }()
	s, err := aggregator.New(aggregator.Config{NATS: b.nc, Warehouse: house, Log: b.log})
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(running) }()
	select {
	case <-s.Verified():
	case <-ctx.Done():
	}
	start := time.Now()
	enough, cancel := context.WithTimeout(ctx, b.limit)
	defer cancel()
	var stored uint64
	for stored < b.last && err == nil {
		if err = s.WaitFor(enough, stored+1); err == nil || stored == 0 { // a first one that is late counts too
			stored = s.Checkpoint()
			*course = append(*course, speed{stored, time.Since(start)})
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	stop()
	return errors.Join(err, ctx.Err(), <-ended)
}

// rebuild has the whole log stored and then rebuilt, and gives how far the rebuild was when.
func (b *aggregateBench) rebuild(ctx context.Context) (course []speed, err error) {
	house, err := b.database(ctx, "rebuilt")
	if err != nil {
		return nil, err
	}
	defer func() { _ = house.Close() }()
	s, err := aggregator.New(aggregator.Config{NATS: b.nc, Warehouse: house, Log: b.log})
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(running) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	if err := s.WaitFor(ctx, b.last); err != nil {
		return nil, err
	}
	if _, err := s.StartRebuild(ctx, 0); err != nil {
		return nil, err
	}
	start := time.Now()
	for {
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
		p, _ := s.Rebuild(ctx)
		if n := len(course); p.Position > 0 && (n == 0 || p.Position > course[n-1].events) {
			course = append(course, speed{p.Position, time.Since(start)})
		}
		switch p.State {
		case aggregator.RebuildDone:
			return course, nil
		case aggregator.RebuildFailed:
			return nil, p.Err
		case aggregator.RebuildRunning:
		}
	}
}
