package warehouse

import (
	"google.golang.org/protobuf/proto"

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

// AppendEntries appends what the event posts: the attributions that it replaces, negated, and its own. An event that
// leaves them as they were posts nothing. What the deal counts for in all associations together is posted likewise, as
// the total of an association with the zero id.
//
// A deal without a rate counts as unconverted, with no amount. A deal that gave way to its duplicate counts for nothing.
func AppendEntries(entries []Entry, event *dealregv1.DealEvent) []Entry {
	entries = appendChange(entries, event.GetReplaces(), event.GetAttributions())
	return appendChange(entries, present(event.GetUnduplicatedReplaces()), present(event.GetUnduplicated()))
}

func present(a *dealregv1.Attribution) []*dealregv1.Attribution {
	if a == nil {
		return nil
	}
	return []*dealregv1.Attribution{a}
}

// appendChange takes back what counted before and posts what counts after, when they differ.
func appendChange(entries []Entry, before, after []*dealregv1.Attribution) []Entry {
	if sameAttributions(before, after) {
		return entries
	}
	for _, a := range before {
		entries = appendAttribution(entries, a, -1)
	}
	for _, a := range after {
		entries = appendAttribution(entries, a, 1)
	}
	return entries
}

func sameAttributions(a, b []*dealregv1.Attribution) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !proto.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// appendAttribution posts one attribution; sign is 1, or -1 to take it back.
func appendAttribution(entries []Entry, a *dealregv1.Attribution, sign int8) []Entry {
	base := Entry{
		Year:      a.GetYear(),
		Month:     a.GetMonth(),
		Currency:  a.GetCurrency(),
		ByParties: a.GetEvidence() == dealregv1.Evidence_EVIDENCE_PARTIES,
	}
	copy(base.Association[:], a.GetAssociationId())
	counts := false
	switch a.GetWithheld() {
	case dealregv1.Withheld_WITHHELD_UNSPECIFIED:
		base.Deals, counts = sign, true
	case dealregv1.Withheld_WITHHELD_UNCONVERTED:
		base.Unconverted = sign
	default:
		return entries
	}
	post := func(kind Kind, x, y []byte, amountMinor int64) {
		e := base
		e.Kind = kind
		if x != nil {
			e.A = deal.ID(x)
		}
		if y != nil {
			e.B = deal.ID(y)
		}
		if counts {
			e.AmountMinor = int64(sign) * amountMinor
		}
		entries = append(entries, e)
	}
	post(KindAssociation, nil, nil, a.GetAmountMinor())
	for _, c := range a.GetChapters() {
		post(KindChapter, c.GetChapterId(), nil, c.GetAmountMinor())
	}
	for _, p := range a.GetPairs() {
		post(KindPair, p.GetCompanyA(), p.GetCompanyB(), p.GetAmountMinor())
	}
	return entries
}
