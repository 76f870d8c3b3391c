package dealtest

import (
	"bytes"
	"crypto/sha256"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
)

func TestBulk_IsAHistoryAsTheRegistryWritesIt(t *testing.T) {
	t.Parallel()
	const deals = 20_000
	b := NewBulk(deals, 7)
	last, refs := map[deal.ID]stream.Stored{}, map[string]bool{}
	events, won, companies := 0, 0, map[deal.ID]bool{}
	for id, payload, more := b.Next(); more; id, payload, more = b.Next() {
		events++
		e, err := stream.Decode(payload)
		if err != nil {
			t.Fatal(err)
		}
		before, there := last[id]
		if e.Deal.ID != id || e.Deal.Revision != before.Deal.Revision+1 {
			t.Fatalf("event %d is revision %d of %s, behind %d of %s", events, e.Deal.Revision, e.Deal.ID, before.Deal.Revision, id)
		}
		if there && !bytes.Equal(e.PreviousHash, before.Hash()) || !there && e.PreviousHash != nil {
			t.Fatalf("event %d breaks the chain of its deal", events)
		}
		if there && e.Deal.ExternalRef != before.Deal.ExternalRef {
			t.Fatalf("event %d changes its reference", events)
		}
		last[id] = stream.Stored{Payload: bytes.Clone(payload), Event: e}
		refs[e.Deal.ExternalRef] = true
		if e.Deal.Status == deal.Won {
			won++
		}
		for _, p := range e.Deal.Parties {
			companies[p.Company] = true
		}
	}
	if len(last) != deals || len(refs) != deals || won != deals {
		t.Errorf("%d deals with %d references, %d of them won; want %d of each", len(last), len(refs), won, deals)
	}
	if events < deals*11/10 || len(companies) < BulkCompanies*9/10 {
		t.Errorf("%d events of %d companies", events, len(companies))
	}
}

func TestBulk_IsTheSameEachTime(t *testing.T) {
	t.Parallel()
	hash := func(seed uint64) (sum [32]byte) {
		b, all := NewBulk(3000, seed), sha256.New()
		for _, payload, more := b.Next(); more; _, payload, more = b.Next() {
			_, _ = all.Write(payload)
		}
		copy(sum[:], all.Sum(nil))
		return sum
	}
	first := hash(1)
	if again := hash(1); again != first {
		t.Error("the same seed gives another history")
	}
	if hash(2) == first {
		t.Error("another seed gives the same history")
	}
}

func TestBulk_FoldsToWhatItsDealsAddUpTo(t *testing.T) {
	t.Parallel()
	b := NewBulk(20_000, 3)
	var events []stream.Stored
	for _, payload, more := b.Next(); more; _, payload, more = b.Next() {
		e, err := stream.Decode(payload)
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, stream.Stored{Event: e})
	}
	want := Fold(events)
	if len(want) < 1000 {
		t.Fatalf("only %d figures", len(want))
	}
	if diff := cmp.Diff(want, b.Fold(), cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })); diff != "" {
		t.Errorf("-each deal +copies:\n%.2000s", diff)
	}
}

func BenchmarkBulk(b *testing.B) {
	bulk, size := NewBulk(b.N, 1), 0
	b.ResetTimer()
	for range b.N {
		_, payload, _ := bulk.Next()
		size += len(payload)
	}
	b.ReportMetric(float64(size)/float64(b.N), "bytes/event")
}
