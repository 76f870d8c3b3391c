package warehouse

import (
	"crypto/sha256"
	"time"

	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/calendar"
)

// PartitionRows is how many sequences share a partition of the table. No insert crosses the border between two of them.
const PartitionRows = 1_000_000

// Partition tells in which partition the sequence lies.
func Partition(seq uint64) uint64 { return seq / PartitionRows }

// Batch holds consecutive events as the columns of deal_events, ready to be one block. The zero Batch is empty.
//
// The entries of all rows lie one behind the other; entryEnd holds, for each row, where its entries end.
type Batch struct {
	seq          []uint64
	at           []time.Time
	payloadHash  [][]byte
	poison       []string
	payload      []string
	dealID       []uuid.UUID
	revision     []uint64
	eventType    []string
	status       []string
	registeredBy []uuid.UUID
	companies    [][]uuid.UUID
	groups       [][]uuid.UUID // of the companies
	associations [][]uuid.UUID
	wonOn        []*time.Time
	currencyOf   []string // of the deal's value
	title        []string
	customer     []string
	domain       []string
	externalRef  []string
	roles        [][]string
	joining      [][]uuid.UUID
	waitsFor     [][]uuid.UUID
	told         []bool // always true

	entryEnd    []int
	kind        []int8
	association []uuid.UUID
	year        []int32
	month       []time.Time
	a, b        []uuid.UUID
	currency    []string
	amount      []int64
	deals       []int8
	byParties   []uint8
	unconverted []int8

	bytes    int
	poisoned int
	entries  []Entry // scratch
}

// Len gives the number of events in the batch.
func (b *Batch) Len() int { return len(b.seq) }

// Bytes gives the size of the payloads in the batch: about what it occupies in memory.
func (b *Batch) Bytes() int { return b.bytes }

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
	clear(b.companies)
	clear(b.groups)
	clear(b.associations)
	clear(b.roles)
	clear(b.joining)
	clear(b.waitsFor)
	*b = Batch{
		seq: b.seq[:0], at: b.at[:0], payloadHash: b.payloadHash[:0], poison: b.poison[:0], payload: b.payload[:0],
		dealID: b.dealID[:0], revision: b.revision[:0], eventType: b.eventType[:0], status: b.status[:0],
		registeredBy: b.registeredBy[:0], companies: b.companies[:0], groups: b.groups[:0], associations: b.associations[:0],
		wonOn: b.wonOn[:0], currencyOf: b.currencyOf[:0], title: b.title[:0], customer: b.customer[:0], domain: b.domain[:0],
		externalRef: b.externalRef[:0], roles: b.roles[:0], joining: b.joining[:0], waitsFor: b.waitsFor[:0], told: b.told[:0],
		entryEnd: b.entryEnd[:0], kind: b.kind[:0], association: b.association[:0],
		year: b.year[:0], month: b.month[:0], a: b.a[:0], b: b.b[:0], currency: b.currency[:0], amount: b.amount[:0],
		deals: b.deals[:0], byParties: b.byParties[:0], unconverted: b.unconverted[:0], entries: b.entries[:0],
	}
}

// Append adds the event that the log holds at the sequence; Takes must allow it. storedAt is when the log took it.
//
// An event that breaks the contract of the log becomes a row too, marked with the reason and its raw bytes. The only
// error is a NewerSchemaError, which leaves the batch as it was: such an event can be read, but not by this code.
func (b *Batch) Append(seq uint64, storedAt time.Time, payload []byte) error {
	event, err := decode(payload)
	if newer, ok := err.(*NewerSchemaError); ok { //nolint:errorlint // decode gives it unwrapped, and this is the hot path
		newer.Sequence = seq
		return newer
	}
	hash := sha256.Sum256(payload)
	b.seq = append(b.seq, seq)
	b.payloadHash = append(b.payloadHash, hash[:])
	b.bytes += len(payload)
	if err != nil {
		b.appendPoison(storedAt, payload, err.Error())
		return nil
	}
	d := event.GetDeal()
	b.at = append(b.at, event.GetAt().AsTime())
	b.poison = append(b.poison, "")
	b.payload = append(b.payload, "")
	b.dealID = append(b.dealID, uuid.UUID(event.GetDealId()))
	b.revision = append(b.revision, event.GetRevision())
	b.eventType = append(b.eventType, typeName(event.GetType()))
	b.status = append(b.status, statusName(d.GetStatus()))
	b.registeredBy = append(b.registeredBy, uuid.UUID(d.GetRegisteredBy()))
	companies := make([]uuid.UUID, len(d.GetTerms().GetParties()))
	groups, roles := make([]uuid.UUID, len(companies)), make([]string, len(companies))
	for i, p := range d.GetTerms().GetParties() {
		companies[i], roles[i] = uuid.UUID(p.GetCompanyId()), roleName(p.GetRole())
		groups[i] = companies[i]
		if group := p.GetGroupId(); len(group) > 0 {
			groups[i] = uuid.UUID(group)
		}
	}
	b.companies = append(b.companies, companies)
	b.groups = append(b.groups, groups)
	associations := make([]uuid.UUID, len(event.GetAudience().GetAssociationIds()))
	for i, id := range event.GetAudience().GetAssociationIds() {
		associations[i] = uuid.UUID(id)
	}
	b.associations = append(b.associations, associations)
	var wonOn *time.Time
	if terms := d.GetTerms(); terms != nil && terms.WonOn != nil {
		day := calendar.Date(terms.GetWonOn()).Time()
		wonOn = &day
	}
	b.wonOn = append(b.wonOn, wonOn)
	b.currencyOf = append(b.currencyOf, d.GetTerms().GetCurrency())
	b.title = append(b.title, d.GetTitle())
	b.customer = append(b.customer, d.GetCustomer().GetName())
	b.domain = append(b.domain, d.GetCustomer().GetDomain())
	b.externalRef = append(b.externalRef, d.GetExternalRef())
	b.roles = append(b.roles, roles)
	b.joining = append(b.joining, joining(d, companies))
	b.waitsFor = append(b.waitsFor, waitsFor(d, companies))
	b.told = append(b.told, true)
	b.entries = AppendEntries(b.entries[:0], event)
	for i := range b.entries {
		b.appendEntry(&b.entries[i])
	}
	b.entryEnd = append(b.entryEnd, len(b.kind))
	return nil
}

func (b *Batch) appendPoison(storedAt time.Time, payload []byte, reason string) {
	b.poisoned++
	b.at = append(b.at, storedAt)
	b.poison = append(b.poison, reason)
	b.payload = append(b.payload, string(payload))
	b.dealID = append(b.dealID, uuid.UUID{})
	b.revision = append(b.revision, 0)
	b.eventType = append(b.eventType, "")
	b.status = append(b.status, "")
	b.registeredBy = append(b.registeredBy, uuid.UUID{})
	b.companies = append(b.companies, nil)
	b.groups = append(b.groups, nil)
	b.associations = append(b.associations, nil)
	b.wonOn = append(b.wonOn, nil)
	b.currencyOf = append(b.currencyOf, "")
	b.title = append(b.title, "")
	b.customer = append(b.customer, "")
	b.domain = append(b.domain, "")
	b.externalRef = append(b.externalRef, "")
	b.roles = append(b.roles, nil)
	b.joining = append(b.joining, nil)
	b.waitsFor = append(b.waitsFor, nil)
	b.told = append(b.told, true)
	b.entryEnd = append(b.entryEnd, len(b.kind))
}

func (b *Batch) appendEntry(e *Entry) {
	byParties := uint8(0)
	if e.ByParties {
		byParties = 1
	}
	b.kind = append(b.kind, int8(e.Kind))
	b.association = append(b.association, uuid.UUID(e.Association))
	b.year = append(b.year, e.Year)
	b.month = append(b.month, calendar.Date(e.Month).Time())
	b.a = append(b.a, uuid.UUID(e.A))
	b.b = append(b.b, uuid.UUID(e.B))
	b.currency = append(b.currency, e.Currency)
	b.amount = append(b.amount, e.AmountMinor)
	b.deals = append(b.deals, e.Deals)
	b.byParties = append(b.byParties, byParties)
	b.unconverted = append(b.unconverted, e.Unconverted)
}
