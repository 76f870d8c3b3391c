package aggregator_test

import (
	"context"
	"errors"
	"io"
	"math/big"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
	"github.com/dealreg/dealreg/services/aggregator"
)

var association = deal.ID{0: 1, 15: 1}

// patience is how long a test waits for anything: a machine that others keep busy takes its time.
const patience = 5 * time.Minute

// bench is one log and one warehouse, with at most one aggregator between them.
type bench struct {
	t         *testing.T
	nc        *nats.Conn
	js        jetstream.JetStream
	dsn       string
	warehouse *warehouse.Warehouse
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, nc: embeddedtest.NATS(t), dsn: warehousetest.DSN(t)}
	b.warehouse = warehousetest.Open(t, b.dsn)
	var err error
	if b.js, err = jetstream.New(b.nc); err != nil {
		t.Fatal(err)
	}
	return b
}

// log makes the stream, but one that can be damaged. It is in memory, so that another can take its place at once.
func (b *bench) log() {
	b.t.Helper()
	_, err := b.js.CreateStream(b.t.Context(), jetstream.StreamConfig{
		Name: stream.DealsStream, Subjects: []string{"deals.*.*"}, AllowDirect: true, Storage: jetstream.MemoryStorage,
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// dropLog removes the stream, as a disk that lost it.
func (b *bench) dropLog() {
	b.t.Helper()
	if err := b.js.DeleteStream(b.t.Context(), stream.DealsStream); err != nil {
		b.t.Fatal(err)
	}
}

// dropEvent removes one event from the log.
func (b *bench) dropEvent(sequence uint64) {
	b.t.Helper()
	log, err := b.js.Stream(b.t.Context(), stream.DealsStream)
	if err == nil {
		err = log.DeleteMsg(b.t.Context(), sequence)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) publish(payloads ...[]byte) {
	b.t.Helper()
	var acks []jetstream.PubAckFuture
	for _, payload := range payloads {
		ack, err := b.js.PublishAsync("deals.0.x", payload, jetstream.WithStallWait(patience))
		if err != nil {
			b.t.Fatal(err)
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			b.t.Fatal(err)
		case <-b.t.Context().Done():
			b.t.Fatal("no ack")
		}
	}
}

// store puts one event into the warehouse.
func (b *bench) store(seq uint64, payload []byte) {
	b.t.Helper()
	var batch warehouse.Batch
	if err := batch.Append(seq, time.Unix(0, 0), payload); err != nil {
		b.t.Fatal(err)
	}
	if err := b.warehouse.Insert(b.t.Context(), &batch); err != nil {
		b.t.Fatal(err)
	}
}

// won gives n payloads of won deals that count 1.00 each.
func won(n int) [][]byte {
	payloads := make([][]byte, n)
	for i := range payloads {
		id := deal.ID{0: 9, 12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}
		payloads[i] = encode(&dealregv1.DealEvent{
			Schema: 1, DealId: id[:], Revision: 1, Type: dealregv1.EventType_EVENT_TYPE_WON, At: timestamppb.New(time.Unix(1.7e9, 0)),
			Deal: &dealregv1.Deal{Status: dealregv1.Status_STATUS_WON, RegisteredBy: id[:]},
			Attributions: []*dealregv1.Attribution{{
				AssociationId: association[:], Year: 2026, Month: int32(calendar.New(2026, 1, 1)), Currency: "EUR", AmountMinor: 100,
				Chapters: []*dealregv1.ChapterAmount{{ChapterId: id[:], AmountMinor: 100}},
				Pairs:    []*dealregv1.PairAmount{{CompanyA: id[:], CompanyB: association[:], AmountMinor: 100}},
			}},
		})
	}
	return payloads
}

func encode(e *dealregv1.DealEvent) []byte {
	payload, err := proto.Marshal(e)
	if err != nil {
		panic(err)
	}
	return payload
}

// run starts an aggregator; stop ends it as SIGTERM does.
func (b *bench) run(change ...func(*aggregator.Config)) (s *aggregator.Service, health *health, stop func()) {
	b.t.Helper()
	health = newHealth()
	cfg := aggregator.Config{NATS: b.nc, Warehouse: b.warehouse, Health: health, Pace: time.Millisecond, Metrics: prometheus.NewRegistry()}
	for _, f := range change {
		f(&cfg)
	}
	s, err := aggregator.New(cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			b.t.Error(err)
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	b.t.Cleanup(stop)
	return s, health, stop
}

// carry makes a log of the payloads and has an aggregator bring them all into the warehouse, which goes on as with run.
func (b *bench) carry(payloads [][]byte, change ...func(*aggregator.Config)) (s *aggregator.Service, health *health, stop func()) {
	b.t.Helper()
	b.log()
	b.publish(payloads...)
	s, health, stop = b.run(change...)
	b.wait(s, uint64(len(payloads)))
	return s, health, stop
}

func (b *bench) wait(s *aggregator.Service, seq uint64) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	if err := s.WaitFor(ctx, seq); err != nil {
		b.t.Fatal(err)
	}
}

// halted waits until the aggregator stopped for the reason of the type of want.
func halted[E error](b *bench, s *aggregator.Service) E {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	err := s.WaitFor(ctx, 1<<62)
	var want E
	if !errors.As(err, &want) {
		b.t.Fatalf("got %v, want %T", err, want)
	}
	return want
}

// holds checks that the warehouse has every sequence up to the last once, and deals that count 1.00 each.
func (b *bench) holds(last uint64, deals int64, quarantined uint64) {
	b.t.Helper()
	prefix, err := b.warehouse.Prefix(b.t.Context(), 1<<62)
	if err != nil {
		b.t.Fatal(err)
	}
	if !prefix.Whole() || prefix.Sequences != last || prefix.Quarantined != quarantined {
		b.t.Errorf("up to %d with %d quarantined: %+v", last, quarantined, prefix)
	}
	v, err := b.warehouse.Volume(b.t.Context(), warehouse.VolumeQuery{Association: association, Year: 2026, UpTo: last})
	if err != nil {
		b.t.Fatal(err)
	}
	if v.Total.Deals != deals || v.Total.Amount.Cmp(big.NewInt(100*deals)) != 0 {
		b.t.Errorf("%d deals of %s, want %d", v.Total.Deals, v.Total.Amount, deals)
	}
}

// health keeps what was reported and lets tests wait for it.
type health struct {
	mu      sync.Mutex
	reports map[string][]error // of each part, in their order
	changed chan struct{}
}

func newHealth() *health { return &health{reports: map[string][]error{}, changed: make(chan struct{})} }

func (h *health) Report(part string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reports[part] = append(h.reports[part], err)
	close(h.changed)
	h.changed = make(chan struct{})
}

// until waits for a state of a part.
func (h *health) until(t *testing.T, part string, ok func(error) bool) {
	t.Helper()
	for {
		h.mu.Lock()
		reports, changed := h.reports[part], h.changed
		h.mu.Unlock()
		err := reports[len(reports)-1] // New reports each part
		if ok(err) {
			return
		}
		select {
		case <-changed:
		case <-time.After(patience):
			t.Fatalf("%s stays %v", part, err)
		}
	}
}

// heard tells whether a part was ever in a state.
func (h *health) heard(part string, so func(error) bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.reports[part], so)
}

func well(err error) bool { return err == nil }

func TestMain(m *testing.M) { os.Exit(embeddedtest.Main(m)) }

func TestRun_StoresEveryEventOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.log()
	s, health, _ := b.run()
	b.publish(won(500)...)
	b.wait(s, 500)
	b.holds(500, 500, 0)
	for _, part := range []string{"nats", "clickhouse", "aggregator"} {
		health.until(t, part, well)
	}
}

func TestRun_WaitsForTheLogAndSaysSo(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, health, _ := b.run()
	health.until(t, "clickhouse", well)
	health.until(t, "nats", func(err error) bool { return errors.Is(err, jetstream.ErrStreamNotFound) })
	select {
	case <-s.Verified():
		t.Error("verified without a log")
	default:
	}
	b.log()
	b.publish(won(3)...)
	b.wait(s, 3)
	<-s.Verified()
	health.until(t, "nats", well)
}

func TestRun_StoppedAnywhereGoesOnWhereTheWarehouseStands(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.log()
	b.publish(won(3000)...)
	small := func(c *aggregator.Config) { c.BatchRows = 64 }
	for target := uint64(1); target <= 3000; target += 700 {
		s, _, stop := b.run(small)
		b.wait(s, target)
		stop() // while the next batches are on their way
	}
	s, _, _ := b.run(small)
	b.wait(s, 3000)
	b.holds(3000, 3000, 0)
}

func TestRun_TwoAtOnceCountOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.log()
	b.publish(won(2000)...)
	one, _, _ := b.run(func(c *aggregator.Config) { c.BatchRows = 100 })
	two, _, _ := b.run(func(c *aggregator.Config) { c.BatchRows = 130 })
	b.wait(one, 2000)
	b.wait(two, 2000)
	b.holds(2000, 2000, 0)
}

func TestRun_ALostAnswerStoresNothingTwice(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := b.warehouse.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy := warehousetest.NewProxy(t, b.dsn)
	b.warehouse = warehousetest.Open(t, proxy.DSN)
	proxy.LoseAnswers()
	_, health, _ := b.carry(won(1000), func(c *aggregator.Config) { c.BatchRows = 100 })
	if !health.heard("clickhouse", func(err error) bool { return errors.Is(err, io.EOF) }) {
		t.Error("no answer was lost, or it was not said that the warehouse is away")
	}
	b.holds(1000, 1000, 0)
	if rows := warehousetest.Rows(t, b.dsn); rows != 1000 {
		t.Errorf("%d rows for 1000 sequences", rows)
	}
}

func TestRun_PoisonBecomesARow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	payloads := won(5)
	payloads[2] = []byte("\xff\xfe no event")
	registry := prometheus.NewRegistry()
	_, health, _ := b.carry(payloads, func(c *aggregator.Config) { c.Metrics = registry })
	b.holds(5, 4, 1)
	health.until(t, "aggregator", well)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "dealreg_aggregator_poison_total" && f.GetMetric()[0].GetCounter().GetValue() == 1 {
			return
		}
	}
	t.Errorf("the poison is not counted: %v", families)
}

func TestRun_HaltsAtAGapAndKeepsWhatCameBefore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.log()
	b.publish(won(10)...)
	b.dropEvent(7)
	s, health, _ := b.run()
	if gap := halted[*stream.GapError](b, s); *gap != (stream.GapError{Want: 7, Got: 8}) {
		t.Errorf("got %+v", gap)
	}
	b.holds(6, 6, 0)
	health.until(t, "aggregator", func(err error) bool { return err != nil })
}

// Nothing comes behind it, so that only the silence shows it.
func TestRun_HaltsAtALastEventThatIsMissing(t *testing.T) {
	t.Parallel()
	for _, stored := range []int{0, 9} {
		b := newBench(t)
		b.log()
		b.publish(won(10)[:9]...)
		if stored > 0 {
			s, _, stop := b.run()
			b.wait(s, 9)
			stop()
		}
		b.publish(won(10)[9])
		b.dropEvent(10)
		s, health, _ := b.run()
		if gap := halted[*stream.GapError](b, s); *gap != (stream.GapError{Want: 10, Got: 11}) {
			t.Errorf("got %+v", gap)
		}
		b.holds(9, 9, 0)
		health.until(t, "aggregator", func(err error) bool { return err != nil })
	}
}

func TestRun_HaltsBeforeAnythingIsWrittenWhenAnEventIsMissingThatTheWarehouseHolds(t *testing.T) {
	t.Parallel()
	for _, missing := range []uint64{1, 4, 9} {
		b := newBench(t)
		s, _, stop := b.carry(won(10))
		<-s.Verified()
		stop()
		b.dropEvent(missing)
		s, health, _ := b.run()
		if gap := halted[*stream.GapError](b, s); *gap != (stream.GapError{Want: missing, Got: missing + 1}) {
			t.Errorf("got %+v", gap)
		}
		select {
		case <-s.Verified():
			t.Error("verified a log that lacks an event")
		default:
		}
		health.until(t, "nats", well)
		b.holds(10, 10, 0)
	}
}

func TestRun_HaltsAtAnEventOfANewerSchema(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.log()
	b.publish(won(3)...)
	b.publish(encode(&dealregv1.DealEvent{Schema: warehouse.KnownSchema + 1}))
	b.publish(won(3)...)
	s, _, _ := b.run()
	if newer := halted[*warehouse.NewerSchemaError](b, s); newer.Sequence != 4 {
		t.Errorf("got %+v", newer)
	}
	b.holds(3, 3, 0)
}

func TestRun_HaltsWhenTheLogLostItsTail(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, _, stop := b.carry(won(5))
	stop()
	b.dropLog()
	b.log()
	b.publish(won(3)...)
	s, _, _ := b.run()
	if got := halted[*stream.TruncatedError](b, s); *got != (stream.TruncatedError{Known: 5, Last: 3}) {
		t.Errorf("got %+v", got)
	}
	select {
	case <-s.Verified():
		t.Error("verified a log that lost its tail")
	default:
	}
}

func TestRun_HaltsWhenTheLogLosesItsTailMeanwhile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, _, _ := b.carry(won(5))
	b.dropLog()
	b.log()
	b.publish(won(3)...)
	if got := halted[*stream.TruncatedError](b, s); got.Known != 5 {
		t.Errorf("got %+v", got)
	}
}

func TestRun_HaltsWhenTheEventAtTheCheckpointChanged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, _, stop := b.carry(won(5))
	stop()
	b.dropLog()
	b.log()
	b.publish(won(4)...)
	b.publish(won(1)...) // another event under the same sequence
	b.publish(won(4)...)
	s, _, _ := b.run()
	if got := halted[*stream.ChangedError](b, s); got.Sequence != 5 {
		t.Errorf("got %+v", got)
	}
	b.holds(5, 5, 0)
}

func TestRun_HaltsWhenTheWarehouseHasAHole(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.log()
	payloads := won(5)
	b.publish(payloads...)
	if err := b.warehouse.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.store(3, payloads[2])
	s, _, _ := b.run()
	if got := halted[*aggregator.HoleError](b, s); *got != (aggregator.HoleError{Have: 1, Want: 3}) {
		t.Errorf("got %+v", got)
	}
}

func TestRun_SplitsInsertsAtThePartition(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const first = warehouse.PartitionRows - 5
	_, err := b.js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: stream.DealsStream, Subjects: []string{"deals.*.*"}, FirstSeq: first,
	})
	if err != nil {
		t.Fatal(err)
	}
	payloads := won(10)
	b.publish(payloads...)
	if err := b.warehouse.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	warehousetest.Exec(t, b.dsn, "INSERT INTO deal_events (seq) SELECT number + 1 FROM numbers({rows:UInt64})", clickhouse.Named("rows", first-1))
	b.store(first, payloads[0])
	s, _, _ := b.run()
	b.wait(s, first+9)
	b.holds(first+9, 10, 0)
}

func TestWaitFor_EndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, _, _ := b.run()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.WaitFor(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestNew_NamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	if _, err := aggregator.New(aggregator.Config{}); err == nil {
		t.Error("accepts an empty configuration")
	}
}
