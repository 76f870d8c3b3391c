package warehouse

import (
	"github.com/ClickHouse/ch-go/proto"

	"github.com/dealreg/dealreg/pkg/deal"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// Kind tells the three views of an association's volume apart. Each of them adds up to the same total, so they are
// never added to each other.
type Kind int8

// The kinds, with the numbers of the table's enum.
const (
	KindAssociation Kind = 1
	KindChapter     Kind = 2
	KindPair        Kind = 3
)

// String gives the name of the table's enum.
func (k Kind) String() string { return [...]string{"", "association", "chapter", "pair"}[k] }

// Entry is one line of the ledger. What a report shows is the sum of entries; a figure that changed is posted again,
// with the old one negated, so the sum over any prefix of the log is what was true then.
type Entry struct {
	Kind        Kind
	Association deal.ID // zero for all associations together
	Year        int32   // the association's year, by the calendar year in which it starts
	Month       int32   // days since 1970-01-01 of the month's first day
	A, B        deal.ID
	Currency    string
	AmountMinor int64
	Deals       int8 // 1 for a deal that counts, -1 for one that no longer does
	ByParties   bool // whether the parties themselves stand for the figures
	Unconverted int8 // 1 for a deal that waits for a rate, -1 for one that no longer does
}

// appendChange posts what an event changes, as entries of its row: the attributions that it replaces, negated, and its
// own. An event that leaves them as they were posts nothing. What the deal counts for in all associations together is
// posted likewise, as the total of an association with the zero id.
//
// A deal without a rate counts as unconverted, with no amount. A deal that gave way to its duplicate counts for nothing.
func (b *Batch) appendChange(before, after []attribution) {
	if sameAttributions(before, after) {
		return
	}
	for i := range before {
		b.appendAttribution(&before[i], -1)
	}
	for i := range after {
		b.appendAttribution(&after[i], 1)
	}
}

func sameAttributions(a, b []attribution) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !a[i].same(&b[i]) {
			return false
		}
	}
	return true
}

// appendAttribution posts one attribution; sign is 1, or -1 to take it back.
func (b *Batch) appendAttribution(a *attribution, sign int8) {
	counts := dealregv1.Withheld(a.withheld) == dealregv1.Withheld_WITHHELD_UNSPECIFIED
	if !counts && dealregv1.Withheld(a.withheld) != dealregv1.Withheld_WITHHELD_UNCONVERTED {
		return
	}
	b.appendEntry(a, sign, counts, KindAssociation, share{amountMinor: a.amountMinor})
	for _, c := range a.chapters {
		b.appendEntry(a, sign, counts, KindChapter, c)
	}
	for _, p := range a.pairs {
		b.appendEntry(a, sign, counts, KindPair, p)
	}
}

// appendEntry posts one entry: of a deal that counts, or that waits for a rate.
func (b *Batch) appendEntry(a *attribution, sign int8, counts bool, kind Kind, s share) {
	var deals, unconverted int8
	var amountMinor int64
	if counts {
		deals, amountMinor = sign, int64(sign)*s.amountMinor
	} else {
		unconverted = sign
	}
	var byParties uint8
	if dealregv1.Evidence(a.evidence) == dealregv1.Evidence_EVIDENCE_PARTIES {
		byParties = 1
	}
	b.kind = append(b.kind, int8(kind))
	b.association = append(b.association, orZero(a.association))
	b.year = append(b.year, a.year)
	b.month = append(b.month, proto.Date32(a.month))
	b.a = append(b.a, orZero(s.a))
	b.b = append(b.b, orZero(s.b))
	b.currency.add(a.currency)
	b.amount = append(b.amount, amountMinor)
	b.deals = append(b.deals, deals)
	b.byParties = append(b.byParties, byParties)
	b.unconverted = append(b.unconverted, unconverted)
}
