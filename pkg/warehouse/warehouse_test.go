package warehouse_test

import (
	"crypto/sha256"
	"fmt"
	"math/big"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

var (
	start       = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	association = id(1)
	chapterX    = id(11)
	chapterY    = id(12)
	alpha       = id(21)
	beta        = id(22)
	gamma       = id(23)
)

func id(n byte) deal.ID { return deal.ID{0: 0xd0, 15: n} }

func bytesOf(id deal.ID) []byte { return id[:] }

// event is a sound event of the deal at a minute after start.
func event(d deal.ID, revision uint64, status dealregv1.Status) *dealregv1.DealEvent {
	wonOn := int32(calendar.New(2026, 3, 1))
	return &dealregv1.DealEvent{
		Schema: 1, DealId: bytesOf(d), Revision: revision, Type: dealregv1.EventType_EVENT_TYPE_REGISTERED,
		At:       timestamppb.New(start.Add(time.Duration(revision) * time.Minute)),
		Audience: &dealregv1.Audience{AssociationIds: [][]byte{bytesOf(association)}},
		Deal: &dealregv1.Deal{
			Status: status, Title: "t", RegisteredBy: bytesOf(alpha),
			Terms: &dealregv1.Terms{WonOn: &wonOn, Parties: []*dealregv1.Party{{CompanyId: bytesOf(alpha)}, {CompanyId: bytesOf(beta)}}},
		},
	}
}

func attribution(minor int64) *dealregv1.Attribution {
	return &dealregv1.Attribution{
		AssociationId: bytesOf(association), Year: 2026, Month: int32(calendar.New(2026, 3, 1)), Currency: "EUR", AmountMinor: minor,
		Evidence: dealregv1.Evidence_EVIDENCE_PARTIES,
		Chapters: []*dealregv1.ChapterAmount{
			{ChapterId: bytesOf(chapterX), AmountMinor: minor - 1}, {ChapterId: bytesOf(chapterY), AmountMinor: 1},
		},
		Pairs: []*dealregv1.PairAmount{{CompanyA: bytesOf(alpha), CompanyB: bytesOf(beta), AmountMinor: minor}},
	}
}

func won(d deal.ID, revision uint64, replaces, attributions []*dealregv1.Attribution) *dealregv1.DealEvent {
	e := event(d, revision, dealregv1.Status_STATUS_WON)
	e.Replaces, e.Attributions = replaces, attributions
	return e
}

// together gives the event what the deal counts for in all associations together.
func together(e *dealregv1.DealEvent, before, after *dealregv1.Attribution) *dealregv1.DealEvent {
	e.UnduplicatedReplaces, e.Unduplicated = before, after
	return e
}

// euros are of March 2026.
func euros(minor int64) *dealregv1.Attribution {
	a := attribution(minor)
	a.AssociationId, a.Chapters, a.Pairs = nil, nil, nil
	return a
}

type list = []*dealregv1.Attribution

func marshal(t testing.TB, e *dealregv1.DealEvent) []byte {
	t.Helper()
	payload, err := proto.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// insert stores the payloads at consecutive sequences from first on.
func insert(t testing.TB, w *warehouse.Warehouse, first uint64, payloads ...[]byte) {
	t.Helper()
	var b warehouse.Batch
	for i, payload := range payloads {
		if err := b.Append(first+uint64(i), start, payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Insert(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
}

func volume(t testing.TB, w *warehouse.Warehouse, by warehouse.By, upTo uint64) warehouse.Volume {
	t.Helper()
	v, err := w.Volume(t.Context(), warehouse.VolumeQuery{Association: association, Year: 2026, By: by, UpTo: upTo})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func sums(amount, attested, deals, unconverted int64) warehouse.Sums {
	return warehouse.Sums{Amount: big.NewInt(amount), AttestedByParties: big.NewInt(attested), Deals: deals, Unconverted: unconverted}
}

// written gives the next events of the workload and their payloads.
func written(work *dealtest.Workload, n int) (events []stream.Stored, payloads [][]byte) {
	for range n {
		e := work.Next()
		events, payloads = append(events, e), append(payloads, e.Payload)
	}
	return events, payloads
}

// repair puts the event in the place of the first one that could not be read.
func repair(t *testing.T, w *warehouse.Warehouse) {
	t.Helper()
	poison, _, err := w.Poison(t.Context(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var batch warehouse.Batch
	batch.AppendRepaired(poison[0])
	if err := w.Insert(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
}

func same(t testing.TB, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(warehouse.Prefix{}), cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestMain(m *testing.M) { os.Exit(embeddedtest.Main(m)) }

func TestMigrate_MayRunTwiceAndAtOnce(t *testing.T) {
	t.Parallel()
	dsn := warehousetest.DSN(t)
	var group sync.WaitGroup
	for range 3 {
		w := warehousetest.Open(t, dsn)
		group.Go(func() {
			for range 2 {
				if err := w.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if err := warehousetest.Open(t, dsn).Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReady_FailsBeforeTheFirstMigration(t *testing.T) {
	t.Parallel()
	if err := warehousetest.Open(t, warehousetest.DSN(t)).Ready(t.Context()); err == nil {
		t.Error("ready without a database")
	}
}

func TestVolume_AnyPrefixIsWhatWasTrueThen(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	one, two := id(31), id(32)
	registrar := attribution(500)
	registrar.Evidence = dealregv1.Evidence_EVIDENCE_REGISTRAR
	waiting := &dealregv1.Attribution{
		AssociationId: bytesOf(association), Year: 2026, Month: int32(calendar.New(2026, 4, 1)), Currency: "EUR",
		Withheld: dealregv1.Withheld_WITHHELD_UNCONVERTED,
	}
	duplicate := proto.Clone(waiting).(*dealregv1.Attribution)
	duplicate.Withheld = dealregv1.Withheld_WITHHELD_DUPLICATE
	insert(t, w, 1,
		marshal(t, event(one, 1, dealregv1.Status_STATUS_PENDING)),
		marshal(t, won(one, 2, nil, list{attribution(1000)})),
		marshal(t, won(two, 1, nil, list{registrar})),
		marshal(t, won(one, 3, list{attribution(1000)}, list{attribution(1000)})), // nothing changed
		marshal(t, won(one, 4, list{attribution(1000)}, list{attribution(700)})),
		marshal(t, won(two, 2, list{registrar}, list{waiting})),
		marshal(t, won(two, 3, list{waiting}, list{duplicate})),
		marshal(t, won(one, 5, list{attribution(700)}, nil)),
	)
	for upTo, want := range []warehouse.Sums{
		sums(0, 0, 0, 0), sums(0, 0, 0, 0), sums(1000, 1000, 1, 0), sums(1500, 1000, 2, 0), sums(1500, 1000, 2, 0),
		sums(1200, 700, 2, 0), sums(700, 700, 1, 1), sums(700, 700, 1, 0), sums(0, 0, 0, 0),
	} {
		same(t, volume(t, w, warehouse.ByTotal, uint64(upTo)).Total, want)
	}
	same(t, volume(t, w, warehouse.ByChapter, 5).Items, []warehouse.Item{
		{Chapter: chapterX, Sums: sums(1198, 699, 2, 0)}, {Chapter: chapterY, Sums: sums(2, 1, 2, 0)},
	})
	same(t, volume(t, w, warehouse.ByPair, 5).Items, []warehouse.Item{{A: alpha, B: beta, Sums: sums(1200, 700, 2, 0)}})
	same(t, volume(t, w, warehouse.ByMonth, 6).Items, []warehouse.Item{
		{Month: calendar.New(2026, 3, 1), Sums: sums(700, 700, 1, 0)}, {Month: calendar.New(2026, 4, 1), Sums: sums(0, 0, 0, 1)},
	})
	if items := volume(t, w, warehouse.ByPair, 8).Items; len(items) != 0 {
		t.Errorf("a pair remains whose every entry was taken back: %v", items)
	}
	next, err := w.Volume(t.Context(), warehouse.VolumeQuery{Association: association, Year: 2027, By: warehouse.ByTotal, UpTo: 5})
	if err != nil {
		t.Fatal(err)
	}
	same(t, next.PreviousYear, sums(1200, 700, 2, 0))
	pairs, err := w.CompanyVolume(t.Context(), beta, 2026, 5)
	if err != nil {
		t.Fatal(err)
	}
	same(t, pairs, []warehouse.CompanyPair{{Association: association, Partner: alpha, Currency: "EUR", Sums: sums(1200, 700, 2, 0)}})
}

func TestVolume_OfAllTogetherStandsBesideTheAssociations(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	one, two := id(31), id(32)
	elsewhere := attribution(900)
	elsewhere.AssociationId = bytesOf(id(2))
	waiting := euros(0)
	waiting.Withheld = dealregv1.Withheld_WITHHELD_UNCONVERTED
	counts := list{attribution(1000), elsewhere}
	insert(t, w, 1,
		marshal(t, together(won(one, 1, nil, counts), nil, euros(1000))),
		marshal(t, together(won(two, 1, nil, list{attribution(500)}), nil, waiting)),
		marshal(t, together(won(one, 2, counts, counts), euros(1000), euros(1000))),    // nothing changed
		marshal(t, together(won(one, 3, counts, counts[1:]), euros(1000), euros(900))), // excluded in one of them
		marshal(t, together(won(two, 2, counts[:0], counts[:0]), waiting, euros(450))), // only a rate came
		marshal(t, together(won(one, 4, counts[1:], nil), euros(900), nil)),            //
		marshal(t, together(won(id(33), 1, nil, list{attribution(1)}), nil, nil)),      // of an older release
	)
	for upTo, want := range []warehouse.Sums{
		sums(0, 0, 0, 0), sums(1000, 1000, 1, 0), sums(1000, 1000, 1, 1), sums(1000, 1000, 1, 1), sums(900, 900, 1, 1),
		sums(1350, 1350, 2, 0), sums(450, 450, 1, 0), sums(450, 450, 1, 0),
	} {
		v, err := w.Volume(t.Context(), warehouse.VolumeQuery{Year: 2026, By: warehouse.ByMonth, UpTo: uint64(upTo)})
		if err != nil {
			t.Fatal(err)
		}
		same(t, v.Total, want)
		if upTo > 0 {
			same(t, v.Items, []warehouse.Item{{Month: calendar.New(2026, 3, 1), Sums: want}})
		}
	}
	same(t, volume(t, w, warehouse.ByTotal, 3).Total, sums(1500, 1500, 2, 0))
	// Nobody's list of deals that wait for a rate has one that only the total of all waits for.
	insert(t, w, 8, marshal(t, together(won(two, 3, nil, list{attribution(500)}), nil, waiting)))
	found, _, err := w.FindDeals(t.Context(), warehouse.Filter{Unconverted: true}, 10, warehouse.Cursor{})
	if err != nil || len(found) != 0 {
		t.Errorf("%v, %v", found, err)
	}
}

func TestVolume_SumsBeyond64Bits(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	const most = int64(1) << 62
	insert(t, w, 1,
		marshal(t, won(id(31), 1, nil, list{attribution(most)})),
		marshal(t, won(id(32), 1, nil, list{attribution(most)})),
		marshal(t, won(id(33), 1, nil, list{attribution(most)})))
	want := new(big.Int).Mul(big.NewInt(most), big.NewInt(3))
	if got := volume(t, w, warehouse.ByTotal, 3).Total.Amount; got.Cmp(want) != 0 {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestInsert_TheSameRangesAgainCountOnce(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	payloads := make([][]byte, 40)
	for i := range payloads {
		payloads[i] = marshal(t, won(id(byte(100+i)), 1, nil, list{attribution(10)}))
	}
	insert(t, w, 1, payloads...)
	insert(t, w, 1, payloads...)
	insert(t, w, 11, payloads[10:20]...)
	same(t, volume(t, w, warehouse.ByTotal, 40).Total, sums(400, 400, 40, 0))
	prefix, err := w.Prefix(t.Context(), 40)
	if err != nil {
		t.Fatal(err)
	}
	same(t, prefix, warehouse.Prefix{First: 1, Last: 40, Sequences: 40, At: start.Add(time.Minute)})
}

func TestPrefix_ShowsAHole(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	insert(t, w, 1, marshal(t, event(id(31), 1, dealregv1.Status_STATUS_PENDING)))
	insert(t, w, 3, marshal(t, event(id(31), 3, dealregv1.Status_STATUS_PENDING)))
	for upTo, whole := range []bool{true, true, true, false} {
		prefix, err := w.Prefix(t.Context(), uint64(upTo))
		if err != nil {
			t.Fatal(err)
		}
		if prefix.Whole() != whole {
			t.Errorf("up to %d: whole is %v: %+v", upTo, prefix.Whole(), prefix)
		}
	}
}

func TestFirstMissing_IsTheLowestSequenceThatIsNotStored(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	payload := marshal(t, event(id(31), 1, dealregv1.Status_STATUS_PENDING))
	missing := func(upTo uint64) uint64 {
		t.Helper()
		sequence, err := w.FirstMissing(t.Context(), upTo)
		if err != nil {
			t.Fatal(err)
		}
		return sequence
	}
	if none, first := missing(0), missing(3); none != 0 || first != 1 {
		t.Errorf("of nothing %d is missing, and of three %d", none, first)
	}
	for _, sequence := range []uint64{2, 3, 3, 5, 7} { // one of them twice
		insert(t, w, sequence, payload)
	}
	if first := missing(7); first != 1 {
		t.Errorf("%d instead of the first one", first)
	}
	insert(t, w, 1, payload)
	for upTo, want := range []uint64{0, 0, 0, 0, 4, 4, 4, 4, 4} {
		if got := missing(uint64(upTo)); got != want { // #nosec G115 -- up to 8
			t.Errorf("up to %d: %d is missing; want %d", upTo, got, want)
		}
	}
	insert(t, w, 4, payload)
	insert(t, w, 6, payload)
	if within, behind := missing(7), missing(9); within != 0 || behind != 8 {
		t.Errorf("up to the last %d is missing, and behind it %d", within, behind)
	}
}

func TestCheckpoint_IsTheHighestSequenceWithItsHash(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	empty, err := w.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, empty, warehouse.Checkpoint{})
	last := marshal(t, event(id(31), 2, dealregv1.Status_STATUS_ACTIVE))
	insert(t, w, 1, marshal(t, event(id(31), 1, dealregv1.Status_STATUS_PENDING)), last)
	got, err := w.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, warehouse.Checkpoint{Sequence: 2, PayloadHash: sha256.Sum256(last), At: start.Add(2 * time.Minute)})
}

func TestBatch_NeverCrossesAPartition(t *testing.T) {
	t.Parallel()
	var b warehouse.Batch
	payload := marshal(t, event(id(31), 1, dealregv1.Status_STATUS_PENDING))
	if err := b.Append(warehouse.PartitionRows-1, start, payload); err != nil {
		t.Fatal(err)
	}
	if b.Takes(warehouse.PartitionRows) {
		t.Error("takes an event of the next partition")
	}
	b.Reset()
	if !b.Takes(warehouse.PartitionRows) {
		t.Error("refuses the first event of a partition although empty")
	}
}

func TestBatch_MarksPoison(t *testing.T) {
	t.Parallel()
	broken := map[string]func(*dealregv1.DealEvent){
		"schema":      func(e *dealregv1.DealEvent) { e.Schema = 0 },
		"revision":    func(e *dealregv1.DealEvent) { e.Revision = 0 },
		"time":        func(e *dealregv1.DealEvent) { e.At = nil },
		"deal id":     func(e *dealregv1.DealEvent) { e.DealId = e.DealId[:15] },
		"no deal":     func(e *dealregv1.DealEvent) { e.Deal = nil },
		"status":      func(e *dealregv1.DealEvent) { e.Deal.Status = 99 },
		"party":       func(e *dealregv1.DealEvent) { e.Deal.Terms.Parties[0].CompanyId = nil },
		"won_on":      func(e *dealregv1.DealEvent) { e.Deal.Terms.WonOn = proto.Int32(1 << 30) },
		"audience":    func(e *dealregv1.DealEvent) { e.Audience.AssociationIds[0] = []byte("x") },
		"association": func(e *dealregv1.DealEvent) { e.Attributions[0].AssociationId = nil },
		"chapter":     func(e *dealregv1.DealEvent) { e.Attributions[0].Chapters[0].ChapterId = []byte("x") },
		"pair":        func(e *dealregv1.DealEvent) { e.Attributions[0].Pairs[0].CompanyB = nil },
		"month":       func(e *dealregv1.DealEvent) { e.Attributions[0].Month = -1 << 30 },
		"withheld":    func(e *dealregv1.DealEvent) { e.Attributions[0].Withheld = 99 },
		"sum":         func(e *dealregv1.DealEvent) { e.Attributions[0].AmountMinor++ },
		"replaces":    func(e *dealregv1.DealEvent) { e.Replaces = list{{}} },

		"unduplicated in an association": func(e *dealregv1.DealEvent) { e.Unduplicated.AssociationId = bytesOf(association) },
		"unduplicated with chapters":     func(e *dealregv1.DealEvent) { e.Unduplicated.Chapters = e.Attributions[0].Chapters },
		"unduplicated with pairs":        func(e *dealregv1.DealEvent) { e.Unduplicated.Pairs = e.Attributions[0].Pairs },
		"unduplicated not in euros":      func(e *dealregv1.DealEvent) { e.Unduplicated.Currency = "USD" },
		"unduplicated's month":           func(e *dealregv1.DealEvent) { e.Unduplicated.Month = 1 << 30 },
		"unduplicated withheld":          func(e *dealregv1.DealEvent) { e.Unduplicated.Withheld = 99 },
		"unduplicated before":            func(e *dealregv1.DealEvent) { e.UnduplicatedReplaces = attribution(10) },
	}
	for name, damage := range broken {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := together(won(id(31), 1, nil, list{attribution(10)}), nil, euros(10))
			var b warehouse.Batch
			if err := b.Append(1, start, marshal(t, e)); err != nil || b.Poisoned() != 0 {
				t.Fatalf("the sound event: %v, %d poisoned", err, b.Poisoned())
			}
			damage(e)
			if err := b.Append(2, start, marshal(t, e)); err != nil || b.Poisoned() != 1 {
				t.Errorf("%v, %d poisoned", err, b.Poisoned())
			}
		})
	}
}

func TestInsert_KeepsPoisonBesideSoundEvents(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	insert(t, w, 1,
		marshal(t, won(id(31), 1, nil, list{attribution(10)})), []byte("\xff\xffgarbage"), []byte{},
		marshal(t, won(id(32), 1, nil, list{attribution(10)})))
	same(t, volume(t, w, warehouse.ByTotal, 4).Total, sums(20, 20, 2, 0))
	prefix, err := w.Prefix(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	if !prefix.Whole() || prefix.Quarantined != 2 {
		t.Errorf("got %+v", prefix)
	}
}

func TestBatch_RefusesANewerSchemaAndStaysAsItWas(t *testing.T) {
	t.Parallel()
	e := event(id(31), 1, dealregv1.Status_STATUS_PENDING)
	e.Schema = warehouse.KnownSchema + 1
	var b warehouse.Batch
	err := b.Append(7, start, marshal(t, e))
	want := &warehouse.NewerSchemaError{Sequence: 7, Schema: warehouse.KnownSchema + 1}
	if diff := cmp.Diff(error(want), err); diff != "" || b.Len() != 0 {
		t.Errorf("%d rows, %s", b.Len(), diff)
	}
}

func TestInsert_OfAFullBatchIsOnePart(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	payload := marshal(t, won(id(31), 1, nil, list{attribution(10)}))
	payloads := make([][]byte, 100_000)
	for i := range payloads {
		payloads[i] = payload
	}
	insert(t, w, 1, payloads...)
	parts, err := w.Parts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if parts != 1 {
		t.Errorf("%d parts", parts)
	}
}

func TestFindDeals_PagesByLatestStateWhileTheLogGrows(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	var payloads [][]byte
	for i := range byte(5) {
		payloads = append(payloads, marshal(t, event(id(40+i), 1, dealregv1.Status_STATUS_PENDING)))
	}
	payloads = append(payloads, marshal(t, event(id(40), 2, dealregv1.Status_STATUS_ACTIVE)), []byte("poison"))
	insert(t, w, 1, payloads...)
	insert(t, w, 1, payloads...)

	find := func(f warehouse.Filter, limit int, from warehouse.Cursor) ([]deal.ID, warehouse.Cursor) {
		t.Helper()
		from, err := warehouse.ParseCursor(from.String())
		if err != nil {
			t.Fatal(err)
		}
		ids, next, err := w.FindDeals(t.Context(), f, limit, from)
		if err != nil {
			t.Fatal(err)
		}
		return ids, next
	}
	first, next := find(warehouse.Filter{}, 2, warehouse.Cursor{})
	same(t, first, []deal.ID{id(40), id(44)})
	insert(t, w, 8, marshal(t, event(id(42), 2, dealregv1.Status_STATUS_ACTIVE)))
	second, next := find(warehouse.Filter{}, 2, next)
	same(t, second, []deal.ID{id(43), id(42)})
	third, next := find(warehouse.Filter{}, 2, next)
	same(t, third, []deal.ID{id(41)})
	if !next.IsZero() {
		t.Error("a page after the last one")
	}
	for name, tc := range map[string]struct {
		filter warehouse.Filter
		want   []deal.ID
	}{
		"status now":        {warehouse.Filter{Status: "active"}, []deal.ID{id(42), id(40)}},
		"not a former one":  {warehouse.Filter{Status: "pending"}, []deal.ID{id(44), id(43), id(41)}},
		"company":           {warehouse.Filter{Company: beta, Status: "active"}, []deal.ID{id(42), id(40)}},
		"another company":   {warehouse.Filter{Company: gamma}, nil},
		"association":       {warehouse.Filter{Association: association, Status: "active"}, []deal.ID{id(42), id(40)}},
		"no association":    {warehouse.Filter{Association: id(2)}, nil},
		"year":              {warehouse.Filter{Year: 2026, Status: "active"}, []deal.ID{id(42), id(40)}},
		"year from July on": {warehouse.Filter{Year: 2025, YearStartsIn: time.July, Status: "active"}, []deal.ID{id(42), id(40)}},
		"another year":      {warehouse.Filter{Year: 2025}, nil},
		"updated since":     {warehouse.Filter{UpdatedSince: start.Add(2 * time.Minute)}, []deal.ID{id(42), id(40)}},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := find(tc.filter, 10, warehouse.Cursor{})
			same(t, got, tc.want)
		})
	}
}

func TestParseCursor_RefusesWhatNoPageGave(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"x", "1", "1.", ".1", "1.2", "1.0", "!.!", "5.1.1"} {
		if _, err := warehouse.ParseCursor(text); err == nil {
			t.Errorf("accepts %q", text)
		}
	}
}

func TestOpen_RefusesWithoutRepeatingTheSecret(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"", "clickhouse://u:hunter2@h:9000/a;drop", "%:hunter2"} {
		if _, err := warehouse.Open(warehouse.Config{DSN: dsn}); err == nil {
			t.Errorf("accepts %q", dsn)
		} else if got := fmt.Sprint(err); strings.Contains(got, "hunter2") {
			t.Errorf("%q", got)
		}
	}
}

func FuzzBatch_TakesAnyPayload(f *testing.F) {
	f.Add(marshal(f, won(id(31), 1, list{attribution(9)}, list{attribution(10)})))
	f.Add([]byte{})
	f.Add(marshal(f, &dealregv1.DealEvent{
		Schema: 1, DealId: bytesOf(alpha), Revision: 1, At: timestamppb.New(start),
		Deal: &dealregv1.Deal{Status: dealregv1.Status_STATUS_WON, RegisteredBy: bytesOf(alpha)}, // no terms
	}))
	f.Fuzz(func(t *testing.T, payload []byte) {
		var b warehouse.Batch
		if err := b.Append(1, start, payload); err == nil && b.Len() != 1 {
			t.Errorf("%d rows", b.Len())
		}
	})
}
