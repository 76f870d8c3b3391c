package warehouse

import (
	"crypto/sha256"
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

// PartitionRows is how many sequences share a partition of the table. No insert crosses the border between two of them.
const PartitionRows = 1_000_000

// Partition tells in which partition the sequence lies.
func Partition(seq uint64) uint64 { return seq / PartitionRows }

// Batch holds consecutive events as the columns of deal_events, ready to be one block. The zero Batch is empty; it must
// not be copied. Once it has grown to its size, an event needs no allocation.
type Batch struct {
	seq          proto.ColUInt64
	version      proto.ColUInt32
	at           proto.ColInt64 // milliseconds since 1970
	payloadHash  proto.ColFixedStr32
	poison       proto.ColStr
	payload      proto.ColStr
	dealID       proto.ColUUID
	revision     proto.ColUInt64
	eventType    words
	status       words
	registeredBy proto.ColUUID
	companies    ids
	groups       proto.ColUUID // of the companies
	associations ids
	wonOn        proto.ColDate32
	wonOnNull    proto.ColUInt8
	currencyOf   words // of the deal's value
	title        proto.ColStr
	customer     proto.ColStr
	domain       proto.ColStr
	externalRef  proto.ColStr
	roles        words // of the companies
	joining      ids
	waitsFor     ids
	told         proto.ColBool // always true

	entryEnd    proto.ColUInt64
	kind        proto.ColInt8
	association proto.ColUUID
	year        proto.ColInt32
	month       proto.ColDate32
	a, b        proto.ColUUID
	currency    words
	amount      proto.ColInt64
	deals       proto.ColInt8
	byParties   proto.ColUInt8
	unconverted proto.ColInt8

	payloads int // bytes
	poisoned int
	event    logEvent // scratch
}

// Len gives the number of events in the batch.
func (b *Batch) Len() int { return len(b.seq) }

// The memory of a row and of an entry of its ledger, without what grows with the payload.
const (
	rowBytes   = 250
	entryBytes = 72
)

// Bytes gives about what the batch occupies in memory, rather more.
func (b *Batch) Bytes() int { return b.payloads + rowBytes*b.Len() + entryBytes*len(b.kind) }

// Poisoned gives the number of events in the batch that could not be read.
func (b *Batch) Poisoned() int { return b.poisoned }

// First gives the lowest sequence. The batch holds at least one event.
func (b *Batch) First() uint64 { return b.seq[0] }

// Last gives the highest sequence. The batch holds at least one event.
func (b *Batch) Last() uint64 { return b.seq[len(b.seq)-1] }

// Takes tells whether the event of the sequence may join the batch: it must follow the last one, in the same partition.
func (b *Batch) Takes(seq uint64) bool {
	return b.Len() == 0 || seq == b.Last()+1 && Partition(seq) == Partition(b.First())
}

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	for _, c := range []interface{ Reset() }{
		&b.seq, &b.version, &b.at, &b.payloadHash, &b.poison, &b.payload, &b.dealID, &b.revision, &b.registeredBy, &b.groups, &b.wonOn, &b.wonOnNull,
		&b.title, &b.customer, &b.domain, &b.externalRef, &b.told, &b.entryEnd, &b.kind, &b.association, &b.year, &b.month,
		&b.a, &b.b, &b.amount, &b.deals, &b.byParties, &b.unconverted,
	} {
		c.Reset()
	}
	for _, c := range []interface{ reset() }{
		&b.eventType, &b.status, &b.companies, &b.associations, &b.currencyOf, &b.roles, &b.joining, &b.waitsFor, &b.currency,
	} {
		c.reset()
	}
	b.payloads, b.poisoned = 0, 0
}

// Append adds the event that the log holds at the sequence; Takes must allow it. storedAt is when the log took it. The
// payload is not kept, but must stay as it is until the next Append.
//
// An event that breaks the contract of the log becomes a row too, marked with the reason and its raw bytes. The only
// error is a NewerSchemaError, which leaves the batch as it was: such an event can be read, but not by this code.
func (b *Batch) Append(seq uint64, storedAt time.Time, payload []byte) error {
	return b.append(seq, 0, storedAt, payload)
}

func (b *Batch) append(seq uint64, version uint32, storedAt time.Time, payload []byte) error {
	e := &b.event
	err := e.decode(payload)
	if newer, ok := err.(*NewerSchemaError); ok { //nolint:errorlint // decode gives it unwrapped, and this is the hot path
		newer.Sequence = seq
		return newer
	}
	b.seq, b.version = append(b.seq, seq), append(b.version, version)
	b.payloadHash = append(b.payloadHash, sha256.Sum256(payload))
	b.payloads += len(payload)
	b.told = append(b.told, true)
	if err != nil { // what follows is that of an empty event
		b.poisoned++
		b.poison.Append(err.Error())
		b.payload.AppendBytes(payload)
		b.at = append(b.at, storedAt.UnixMilli())
		b.eventType.addName("")
		e.reset()
	} else {
		b.poison.Append("")
		b.payload.Append("")
		b.at = append(b.at, e.at.seconds*1000+int64(e.at.nanos/1e6))
		b.eventType.addName(typeName(e.kind))
	}
	b.appendEvent(e)
	return nil
}

func (b *Batch) appendEvent(e *logEvent) {
	d, t := &e.deal, &e.deal.terms
	b.dealID = append(b.dealID, orZero(e.dealID))
	b.revision = append(b.revision, e.revision)
	b.status.addName(statusName(d.status))
	b.registeredBy = append(b.registeredBy, orZero(d.registeredBy))
	for i := range t.parties {
		p := &t.parties[i]
		b.companies.values = append(b.companies.values, orZero(p.company))
		b.groups = append(b.groups, orZero(p.groupOrItself()))
		b.roles.addName(roleName(p.role))
	}
	b.companies.end()
	for _, id := range e.associations {
		b.associations.values = append(b.associations.values, orZero(id))
	}
	b.associations.end()
	if t.hasWonOn {
		b.wonOn, b.wonOnNull = append(b.wonOn, proto.Date32(t.wonOn)), append(b.wonOnNull, 0)
	} else {
		b.wonOn, b.wonOnNull = append(b.wonOn, 0), append(b.wonOnNull, 1)
	}
	b.currencyOf.add(t.currency)
	b.title.AppendBytes(d.title)
	b.customer.AppendBytes(d.customer)
	b.domain.AppendBytes(d.domain)
	b.externalRef.AppendBytes(d.externalRef)
	b.appendStandings(d)
	b.appendChange(e.replaces, e.attributions)
	b.appendChange(e.unduplicatedReplaces, e.unduplicated)
	b.entryEnd = append(b.entryEnd, uint64(len(b.kind)))
}

// input names the columns.
func (b *Batch) input() proto.Input {
	entry := func(values proto.ColInput) array { return array{&b.entryEnd, values} }
	return proto.Input{
		{Name: "seq", Data: &b.seq},
		{Name: "version", Data: &b.version},
		{Name: "at", Data: proto.Alias(&b.at, "DateTime64(3, 'UTC')")},
		{Name: "payload_hash", Data: &b.payloadHash},
		{Name: "poison", Data: &b.poison},
		{Name: "payload", Data: &b.payload},
		{Name: "deal_id", Data: &b.dealID},
		{Name: "revision", Data: &b.revision},
		{Name: "type", Data: b.eventType.column()},
		{Name: "status", Data: b.status.column()},
		{Name: "registered_by", Data: &b.registeredBy},
		{Name: "companies", Data: b.companies.column()},
		{Name: "groups", Data: array{&b.companies.ends, &b.groups}},
		{Name: "associations", Data: b.associations.column()},
		{Name: "won_on", Data: nullable{&b.wonOnNull, &b.wonOn}},
		{Name: "value_currency", Data: b.currencyOf.column()},
		{Name: "title", Data: &b.title},
		{Name: "customer", Data: &b.customer},
		{Name: "customer_domain", Data: &b.domain},
		{Name: "external_ref", Data: &b.externalRef},
		{Name: "roles", Data: array{&b.companies.ends, b.roles.column()}},
		{Name: "joining", Data: b.joining.column()},
		{Name: "waits_for", Data: b.waitsFor.column()},
		{Name: "told", Data: &b.told},
		{Name: "entry.kind", Data: entry(proto.Alias(&b.kind, "Enum8('association' = 1, 'chapter' = 2, 'pair' = 3)"))},
		{Name: "entry.association_id", Data: entry(&b.association)},
		{Name: "entry.year", Data: entry(&b.year)},
		{Name: "entry.month", Data: entry(&b.month)},
		{Name: "entry.a", Data: entry(&b.a)},
		{Name: "entry.b", Data: entry(&b.b)},
		{Name: "entry.currency", Data: entry(b.currency.column())},
		{Name: "entry.amount", Data: entry(&b.amount)},
		{Name: "entry.deals", Data: entry(&b.deals)},
		{Name: "entry.by_parties", Data: entry(&b.byParties)},
		{Name: "entry.unconverted", Data: entry(&b.unconverted)},
	}
}
