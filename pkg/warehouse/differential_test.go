package warehouse

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/dealtest"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

var storedAt = time.UnixMilli(1.7e12)

// compareWithReference appends the payload to a batch that may hold others before it, and compares its row.
func compareWithReference(t interface{ Fatalf(string, ...any) }, b *Batch, payload []byte) {
	want, wantNewer := reference(storedAt, payload)
	before := b.Len()
	err := b.Append(uint64(before+1), storedAt, payload)
	if wantNewer != nil {
		wantNewer.Sequence = uint64(before + 1)
		if diff := cmp.Diff(error(wantNewer), err); diff != "" || b.Len() != before {
			t.Fatalf("%d rows more: %s", b.Len()-before, diff)
		}
		return
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	rows := b.rows()
	if !reflect.DeepEqual(want, rows[before]) { // many times faster than the difference
		t.Fatalf("-reference +got, of %x:\n%s", payload, cmp.Diff(want, rows[before]))
	}
	if (want.Poison != "") != (b.Poisoned() > 0) && before == 0 {
		t.Fatalf("%d poisoned", b.Poisoned())
	}
}

// fill sets fields of a message at random: mostly to what makes a sound event.
func fill(r *rapid.T, m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if rapid.IntRange(0, 9).Draw(r, "leave out") == 9 {
			continue
		}
		if f.IsList() {
			list := m.Mutable(f).List()
			for range rapid.IntRange(0, 2).Draw(r, "elements") {
				if f.Message() != nil {
					fill(r, list.AppendMutable().Message())
				} else {
					list.Append(value(r, f))
				}
			}
			continue
		}
		if f.Message() != nil {
			fill(r, m.Mutable(f).Message())
			continue
		}
		m.Set(f, value(r, f))
	}
}

func value(r *rapid.T, f protoreflect.FieldDescriptor) protoreflect.Value {
	small := int64(rapid.SampledFrom([]int32{1, 1, 2, 3, 4, 0, -1, 9, 20, 200, math.MaxInt32, math.MinInt32}).Draw(r, "number"))
	switch f.Kind() { //nolint:exhaustive // the contract has no others
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(small))
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(small&1 == 1)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(small))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(small)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(min(max(small, 0), 4)))
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(uint64(small))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(rapid.SampledFrom([]string{"EUR", "JPY", "", "Ü", "x"}).Draw(r, "text"))
	case protoreflect.BytesKind:
		id := make([]byte, rapid.SampledFrom([]int{16, 16, 16, 16, 16, 16, 0, 15, 17}).Draw(r, "size"))
		for i := range id {
			id[i] = byte(small)
		}
		return protoreflect.ValueOfBytes(id)
	}
	panic("the contract has a new kind of field: " + f.Kind().String())
}

// drawnEvent is an event with anything in its fields, which is sound at times.
func drawnEvent(r *rapid.T) []byte {
	e := &dealregv1.DealEvent{}
	fill(r, e.ProtoReflect())
	if rapid.Bool().Draw(r, "mend") { // what else would hide most of the rest
		e.Schema, e.Revision = 1, 7
		e.DealId = make([]byte, 16)
		e.At = &timestamppb.Timestamp{Seconds: int64(rapid.Int32().Draw(r, "seconds")), Nanos: rapid.Int32Range(0, 999_999_999).Draw(r, "nanos")}
		if e.Deal == nil {
			e.Deal = &dealregv1.Deal{}
		}
		e.Deal.Status, e.Deal.RegisteredBy = dealregv1.Status(rapid.IntRange(1, 10).Draw(r, "status")), make([]byte, 16)
		for _, p := range e.Deal.GetTerms().GetParties() {
			p.CompanyId = append(make([]byte, 15), byte(p.GetRole()))
		}
		for i := range e.GetAudience().GetAssociationIds() {
			e.Audience.AssociationIds[i] = make([]byte, 16)
		}
		for _, a := range slices.Concat(e.Attributions, e.Replaces) {
			mend(a)
			a.AssociationId = append(make([]byte, 15), 1)
		}
		for _, a := range []*dealregv1.Attribution{e.Unduplicated, e.UnduplicatedReplaces} {
			if a != nil {
				mend(a)
				a.AssociationId, a.Chapters, a.Pairs, a.Currency = nil, nil, nil, "EUR"
			}
		}
		if rapid.Bool().Draw(r, "unchanged") {
			e.Replaces, e.UnduplicatedReplaces = e.Attributions, e.Unduplicated
		}
		if e.Deal.Terms != nil {
			e.Deal.Terms.WonOn = new(int32(rapid.IntRange(0, 30_000).Draw(r, "won_on")))
		}
	}
	payload, err := proto.Marshal(e)
	if err != nil {
		r.Fatal(err)
	}
	return payload
}

func mend(a *dealregv1.Attribution) {
	a.Month, a.Withheld = 19_000, a.Withheld&3%3
	chapters, pairs := a.AmountMinor, a.AmountMinor
	for _, c := range a.Chapters {
		chapters -= c.AmountMinor
		c.ChapterId = make([]byte, len(c.ChapterId)/16*16)
	}
	for _, p := range a.Pairs {
		pairs -= p.AmountMinor
		p.CompanyA, p.CompanyB = make([]byte, 16), make([]byte, 16)
	}
	a.Chapters = append(a.Chapters, &dealregv1.ChapterAmount{AmountMinor: chapters})
	a.Pairs = append(a.Pairs, &dealregv1.PairAmount{CompanyA: make([]byte, 16), CompanyB: make([]byte, 16), AmountMinor: pairs})
}

// mutated damages the payload, or writes it in another way that means the same.
func mutated(r *rapid.T, payload []byte) []byte {
	payload = slices.Clone(payload)
	for range rapid.IntRange(0, 3).Draw(r, "mutations") {
		at := rapid.IntRange(0, max(len(payload)-1, 0)).Draw(r, "at")
		switch rapid.IntRange(0, 7).Draw(r, "mutation") {
		case 0:
			payload = payload[:at]
		case 1:
			if len(payload) > 0 {
				payload[at] = rapid.Byte().Draw(r, "byte")
			}
		case 2:
			payload = slices.Delete(payload, at, min(at+1, len(payload)))
		case 3:
			payload = slices.Insert(payload, at, rapid.Byte().Draw(r, "byte"))
		case 4: // a field twice
			payload = append(payload, payload...)
		case 5: // another event over it: messages merge
			payload = append(payload, drawnEvent(r)...)
		case 6: // a field that nobody knows, of any type
			unknown := protowire.AppendTag(nil, protowire.Number(rapid.Int32Range(1, 1<<29-1).Draw(r, "field")), protowire.Type(rapid.IntRange(0, 7).Draw(r, "type")))
			payload = append(append(unknown, rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(r, "value")...), payload...)
		case 7: // a number longer than need be
			payload = append(payload, 0x98, 0x80, 0x00, 0x85, 0x80, 0x00)
		}
	}
	return payload
}

func TestAppend_MakesTheRowThatTheGeneratedCodeMakes(t *testing.T) {
	t.Parallel()
	var b Batch
	rapid.Check(t, func(r *rapid.T) {
		b.Reset() // whatever it held before
		for range rapid.IntRange(1, 4).Draw(r, "events") {
			compareWithReference(r, &b, mutated(r, drawnEvent(r)))
		}
	})
}

func TestAppend_MakesTheRowsOfAHistory(t *testing.T) {
	t.Parallel()
	work := dealtest.NewWorkload(0, dealtest.Seeded(1789))
	var b Batch
	for range 2000 {
		b.Reset()
		payload := work.Next().Payload
		compareWithReference(t, &b, payload)
		for _, cut := range []int{0, len(payload) / 3, len(payload) - 1} {
			compareWithReference(t, &b, payload[:cut])
		}
	}
}

func TestAppend_NeedsNoAllocationForAnEvent(t *testing.T) { //nolint:paralleltest // counts the allocations of the process
	work := dealtest.NewWorkload(0, dealtest.Seeded(1848))
	payloads := make([][]byte, 5000)
	for i := range payloads {
		payloads[i] = work.Next().Payload
	}
	var b Batch
	perBatch := testing.AllocsPerRun(5, func() {
		b.Reset()
		for i, payload := range payloads {
			if err := b.Append(uint64(i+1), storedAt, payload); err != nil {
				t.Fatal(err)
			}
		}
	})
	if perBatch > 100 {
		t.Errorf("%v allocations for %d events", perBatch, len(payloads))
	}
}

func FuzzAppend_MakesTheRowThatTheGeneratedCodeMakes(f *testing.F) {
	work := dealtest.NewWorkload(0, dealtest.Seeded(1917))
	for range 30 {
		f.Add(work.Next().Payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) { compareWithReference(t, &Batch{}, payload) })
}

func BenchmarkAppend(b *testing.B) {
	work := dealtest.NewWorkload(0, dealtest.Seeded(1))
	payloads := make([][]byte, 20_000)
	for i := range payloads {
		payloads[i] = work.Next().Payload
	}
	var batch Batch
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(payloads) == 0 {
			batch.Reset()
		}
		if err := batch.Append(uint64(i+1), storedAt, payloads[i%len(payloads)]); err != nil {
			b.Fatal(err)
		}
	}
}

// Every byte of many events of a history changed, each one alone: to its successor, and to one that is no UTF-8.
func TestAppend_MakesTheRowOfAHistoryWithAnyByteChanged(t *testing.T) {
	t.Parallel()
	work := dealtest.NewWorkload(0, dealtest.Seeded(1815))
	var b Batch
	for i := range 1500 {
		payload := work.Next().Payload
		if i%100 != 99 {
			continue
		}
		for at, was := range payload {
			for _, is := range []byte{was + 1, 0xff} {
				payload[at] = is
				b.Reset()
				compareWithReference(t, &b, payload)
			}
			payload[at] = was
		}
	}
}
