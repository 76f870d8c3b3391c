package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/services/aggregator"
)

// benchReaders is how many ask for reports at the same time, each for the next when the last one is answered.
const benchReaders = 8

// The events that come into the log while reports are read: so many at once, so often.
const (
	benchTrickle      = 200
	benchTrickleEvery = 100 * time.Millisecond
)

// benchReports measures the reports of two associations' years, read by several at once while an aggregator stores what
// comes into the log and rolls it up, each with what the report says of the prefix of the log. Its limit is one plain sum
// over all amounts of the ledger, without FINAL, with nobody else at the server. The deals that are there before go straight
// into the warehouse, in the inserts of the aggregator; the log begins with their last event. Every figure of every year is
// compared with a fold that is not ClickHouse's.
type benchReports struct {
	Seconds int    `default:"20" help:"So long reports are read."`
	Deals   int    `default:"200000" help:"Deals in the warehouse; nine of ten are one event, the others about six."`
	Seed    uint64 `default:"1" help:"The same seed makes the same deals."`
}

// Run prints one JSON object: the figure is the worst p99 of a year by total, month and chapter, or a third of that by pair.
func (c *benchReports) Run(ctx context.Context, log *zap.Logger) (err error) {
	if c.Seconds < 1 || c.Deals < 1 {
		return errors.New("bench: --seconds and --deals are at least 1")
	}
	engines, err := startBenchEngines(ctx, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engines.stop()) }()
	b, err := openReportsBench(ctx, engines.dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	history := dealtest.NewBulk(c.Deals, c.Seed)
	result := benchResult{Bench: "reports", Unit: "ms", Also: map[string]float64{"deals": float64(c.Deals)}}
	start := time.Now()
	if err := b.fill(ctx, history); err != nil {
		return err
	}
	result.Also["events"], result.Also["fill_events_per_second"] = float64(b.last), float64(b.last)/time.Since(start).Seconds()
	start = time.Now()
	if err := b.house.RollUp(ctx, b.last); err != nil {
		return err
	}
	result.Also["rolled_up_events_per_second"] = float64(b.last) / time.Since(start).Seconds()
	before, err := b.plainSum(ctx)
	if err != nil {
		return err
	}
	filled := b.last
	more := dealtest.NewBulk(c.Deals, c.Seed+1)
	stop, err := b.aggregate(ctx, engines, log)
	if err != nil {
		return err
	}
	latencies, err := b.read(ctx, history, more, time.Duration(c.Seconds)*time.Second)
	if err = errors.Join(err, stop()); err != nil {
		return err
	}
	result.Also["stored_while_reading_events_per_second"] = float64(b.last-filled) / float64(c.Seconds)
	after, err := b.plainSum(ctx)
	if err != nil {
		return err
	}
	result.Limit = min(before, after)
	reports := 0
	for by, took := range latencies {
		slices.Sort(took)
		p50, p99 := milliseconds(took[len(took)/2]), milliseconds(took[len(took)*99/100])
		result.Also[string(by)+"_p50_ms"], result.Also[string(by)+"_p99_ms"] = p50, p99
		if by == warehouse.ByPair {
			p99 /= 3
		}
		result.Figure = max(result.Figure, p99)
		reports += len(took)
	}
	result.Also["reports_per_second"] = float64(reports) / float64(c.Seconds)
	figures, err := b.compare(ctx, history, filled)
	if err != nil {
		return err
	}
	result.Also["equal_figures"] = float64(figures)
	return result.print()
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// reportsBench is one warehouse, and a connection for what only a bench asks.
type reportsBench struct {
	house *warehouse.Warehouse
	dsn   string // of the warehouse
	conn  clickhouse.Conn
	last  uint64 // sequence
	end   []byte // the event there

	js         jetstream.JetStream // of the log that more comes into
	aggregator *aggregator.Service // stores that
}

func openReportsBench(ctx context.Context, dsn string) (*reportsBench, error) {
	address, err := url.Parse(dsn)
	if err != nil {
		return nil, err
	}
	address.Path = "/reports"
	house, err := warehouse.Open(warehouse.Config{DSN: address.String(), MaxConns: benchReaders + 2})
	if err != nil {
		return nil, err
	}
	if err := house.Migrate(ctx); err != nil {
		return nil, errors.Join(err, house.Close())
	}
	options, err := clickhouse.ParseDSN(address.String())
	if err != nil {
		return nil, errors.Join(err, house.Close())
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, errors.Join(err, house.Close())
	}
	return &reportsBench{house: house, dsn: address.String(), conn: conn}, nil
}

func (b *reportsBench) close() error { return errors.Join(b.conn.Close(), b.house.Close()) }

// fill stores the whole history; one batch fills while the other is inserted.
func (b *reportsBench) fill(ctx context.Context, history *dealtest.Bulk) error {
	full, spare := make(chan *warehouse.Batch), make(chan *warehouse.Batch, 2)
	spare <- &warehouse.Batch{}
	spare <- &warehouse.Batch{}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		for batch := range full {
			if err := b.house.Insert(ctx, batch); err != nil {
				return err
			}
			batch.Reset()
			spare <- batch
		}
		return nil
	})
	group.Go(func() error {
		defer close(full)
		for more := true; more; {
			var batch *warehouse.Batch
			select {
			case batch = <-spare:
			case <-ctx.Done():
				return ctx.Err()
			}
			var err error
			if more, err = b.gather(batch, history, aggregator.DefaultBatchRows); err != nil {
				return err
			}
			select {
			case full <- batch:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return group.Wait()
}

// gather appends the next events of the history, and tells whether there may be more.
func (b *reportsBench) gather(batch *warehouse.Batch, history *dealtest.Bulk, events int) (more bool, err error) {
	at := time.Now()
	for batch.Len() < events && batch.Takes(b.last+1) {
		_, payload, more := history.Next()
		if !more {
			return false, nil
		}
		b.last++
		b.end = append(b.end[:0], payload...)
		if err := batch.Append(b.last, at, payload); err != nil {
			return false, err
		}
	}
	return true, nil
}

// plainSum gives the milliseconds that one plain sum over all amounts of the ledger takes, the median of several.
func (b *reportsBench) plainSum(ctx context.Context) (float64, error) {
	var took []float64
	for range 11 {
		var sum int64
		start := time.Now()
		if err := b.conn.QueryRow(ctx, "SELECT sum(arraySum(entry.amount)) FROM deal_events").Scan(&sum); err != nil {
			return 0, fmt.Errorf("sum plainly: %w", err)
		}
		took = append(took, milliseconds(time.Since(start)))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// aggregate starts an aggregator, which carries on where the warehouse stands, and stop ends it.
func (b *reportsBench) aggregate(ctx context.Context, engines *benchEngines, log *zap.Logger) (stop func() error, err error) {
	b.js = engines.js
	if err := b.begin(ctx); err != nil {
		return nil, err
	}
	if b.aggregator, err = aggregator.New(aggregator.Config{NATS: engines.nc, Warehouse: b.house, Log: log}); err != nil {
		return nil, err
	}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- b.aggregator.Run(running) }()
	stop = func() error { cancel(); return <-ended }
	if err := b.aggregator.WaitFor(ctx, b.last); err != nil {
		return nil, errors.Join(err, stop())
	}
	return stop, nil
}

// begin makes a log whose first event is the last one that was stored.
func (b *reportsBench) begin(ctx context.Context) error {
	empty, err := b.js.Stream(ctx, stream.DealsStream)
	if err != nil {
		return fmt.Errorf("find the log: %w", err)
	}
	config := empty.CachedInfo().Config
	config.FirstSeq = b.last
	err = b.js.DeleteStream(ctx, stream.DealsStream)
	if err == nil {
		_, err = b.js.CreateStream(ctx, config)
	}
	if err == nil {
		_, err = b.js.Publish(ctx, stream.Subject(deal.ID{}), b.end)
	}
	if err != nil {
		return fmt.Errorf("begin the log: %w", err)
	}
	return nil
}

// read has reports of random years read while more comes in, and gives how long each of them took.
func (b *reportsBench) read(ctx context.Context, history, more *dealtest.Bulk, long time.Duration) (map[warehouse.By][]time.Duration, error) {
	enough, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return b.trickle(ctx, enough, more) })
	var mu sync.Mutex
	latencies := map[warehouse.By][]time.Duration{}
	for reader := range benchReaders {
		choose := rand.New(rand.NewPCG(uint64(reader), 0)) //nolint:gosec // no secret
		group.Go(func() error {
			for enough.Err() == nil {
				q := warehouse.VolumeQuery{
					Association: history.Associations[choose.IntN(len(history.Associations))].ID,
					Year:        dealtest.BulkFirstYear + choose.IntN(dealtest.BulkYears),
					By:          []warehouse.By{warehouse.ByTotal, warehouse.ByMonth, warehouse.ByChapter, warehouse.ByPair}[choose.IntN(4)],
				}
				start := time.Now()
				if err := b.report(ctx, q); err != nil {
					return err
				}
				took := time.Since(start)
				mu.Lock()
				latencies[q.By] = append(latencies[q.By], took)
				mu.Unlock()
			}
			return nil
		})
	}
	err := group.Wait()
	return latencies, err
}

// report asks what the service asks for a report of all that is there.
func (b *reportsBench) report(ctx context.Context, q warehouse.VolumeQuery) error {
	prefix, err := b.house.Latest(ctx)
	if err != nil {
		return err
	}
	v, err := b.house.VolumeOf(ctx, prefix, q)
	if err == nil && v.Total.Deals == 0 {
		err = fmt.Errorf("nothing in %d", q.Year)
	}
	return err
}

// trickle writes events into the log until it is enough, and waits until the aggregator has stored them.
func (b *reportsBench) trickle(ctx, enough context.Context, history *dealtest.Bulk) error {
	tick := time.NewTicker(benchTrickleEvery)
	defer tick.Stop()
	for {
		select {
		case <-enough.Done():
			return b.aggregator.WaitFor(ctx, b.last)
		case <-tick.C:
		}
		messages := make([]*nats.Msg, benchTrickle)
		for i := range messages {
			id, payload, more := history.Next()
			if !more {
				return errors.New("bench: too few --deals for so many --seconds")
			}
			messages[i] = nats.NewMsg(stream.Subject(id))
			messages[i].Data = bytes.Clone(payload)
		}
		ack, err := jetstreamext.PublishMsgBatch(ctx, b.js, messages)
		if err != nil {
			return fmt.Errorf("write to the log: %w", err)
		}
		b.last = ack.Sequence
	}
}

// compare holds every figure of every year up to the sequence against the history's own fold, and counts them.
func (b *reportsBench) compare(ctx context.Context, history *dealtest.Bulk, upTo uint64) (figures int, err error) {
	want := history.Fold()
	associations := []deal.ID{{}}
	for _, a := range history.Associations {
		associations = append(associations, a.ID)
	}
	check := func(key dealtest.Key, s warehouse.Sums) error {
		figures++
		w, there := want[key]
		if !there {
			w = dealtest.Sums{Amount: new(big.Int), ByParties: new(big.Int)}
		}
		delete(want, key)
		if s.Amount.Cmp(w.Amount) != 0 || s.AttestedByParties.Cmp(w.ByParties) != 0 || s.Deals != w.Deals || s.Unconverted != w.Unconverted {
			return fmt.Errorf("%+v is %+v in the reports and %+v in fact", key, s, w)
		}
		return nil
	}
	for _, association := range associations {
		for year := dealtest.BulkFirstYear - 1; year <= dealtest.BulkFirstYear+dealtest.BulkYears; year++ {
			for _, by := range []warehouse.By{warehouse.ByMonth, warehouse.ByChapter, warehouse.ByPair} {
				v, err := b.house.Volume(ctx, warehouse.VolumeQuery{Association: association, Year: year, By: by, UpTo: upTo})
				if err != nil {
					return figures, err
				}
				if by == warehouse.ByMonth {
					if err := check(dealtest.Key{Association: association, Year: year, By: dealtest.ByTotal}, v.Total); err != nil {
						return figures, err
					}
				}
				for _, item := range v.Items {
					key := dealtest.Key{Association: association, Year: year, By: dealtest.By(by), A: item.A, B: item.B, Month: item.Month}
					if by == warehouse.ByChapter {
						key.A = item.Chapter
					}
					if err := check(key, item.Sums); err != nil {
						return figures, err
					}
				}
			}
		}
	}
	for key := range want {
		return figures, fmt.Errorf("%+v is in no report", key)
	}
	return figures, nil
}
