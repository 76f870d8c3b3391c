package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"maps"
	"math/big"
	"slices"

	"google.golang.org/protobuf/proto"

	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// view is one release of a year as the log has it: what each deal counts for after the last of its events up to upTo, or
// before the first that is held back.
type view struct {
	association ID
	year        int
	upTo        uint64
	held        map[uint64]bool
	groups      map[ID]ID // the corporate groups of that day, of companies that did not head their own

	deals      map[ID]counted
	stopped    map[ID]bool // an event of the deal was held back
	unreadable int64
	hash       hash.Hash // over the hash of each payload
}

// counted is what a deal counts for.
type counted struct {
	as    *dealregv1.Attribution // nil: for nothing
	since uint64                 // the sequence of the event that changed it last; 0 when it never counted
	by    []ID                   // the groups of its parties then
}

func newView(association ID, year int, upTo uint64) *view {
	return &view{
		association: association, year: year, upTo: upTo, held: map[uint64]bool{}, groups: map[ID]ID{},
		deals: map[ID]counted{}, stopped: map[ID]bool{}, hash: sha256.New(),
	}
}

func (v *view) logHash() string { return hex.EncodeToString(v.hash.Sum(nil)) }

// views are folded in one reading of the log.
type views []*view

// add folds one message into all of them. Its errors are ErrNewerSchema and errEnough.
func (all views) add(entry *dealregv1.LogEntry) error {
	sequence, payload := entry.GetSequence(), entry.GetPayload()
	if !slices.ContainsFunc(all, func(v *view) bool { return sequence <= v.upTo }) {
		return errEnough
	}
	event := &dealregv1.DealEvent{}
	err := proto.Unmarshal(payload, event)
	if err == nil && event.GetSchema() > newestSchema {
		return ErrNewerSchema
	}
	id, ok := toID(event.GetDealId())
	readable := err == nil && ok && event.GetSchema() > 0
	sum := sha256.Sum256(payload)
	for _, v := range all {
		if sequence > v.upTo {
			continue
		}
		v.hash.Write(sum[:])
		switch {
		case !readable:
			v.unreadable++
		case v.held[sequence]:
			v.stopped[id] = true
		case !v.stopped[id]:
			if m := v.countsFor(event); !sameCount(v.deals[id].as, m) {
				v.deals[id] = counted{m, sequence, v.groupsOf(event)}
			}
		}
	}
	return nil
}

// groupsOf gives the corporate groups of the event's parties, by what they were on the day of the release.
func (v *view) groupsOf(event *dealregv1.DealEvent) []ID {
	var groups []ID
	for _, p := range event.GetDeal().GetTerms().GetParties() {
		company, _ := toID(p.GetCompanyId())
		group, other := v.groups[company]
		if !other {
			group = company
		}
		groups = append(groups, group)
	}
	return groups
}

// countsFor gives what the event's deal counts for in the year, nil when that is nothing.
func (v *view) countsFor(event *dealregv1.DealEvent) *dealregv1.Attribution {
	for _, m := range event.GetAttributions() {
		id, ok := toID(m.GetAssociationId())
		if ok && id == v.association && int(m.GetYear()) == v.year && m.GetWithheld() != dealregv1.Withheld_WITHHELD_DUPLICATE {
			return m
		}
	}
	return nil
}

// figure is a sum in minor units, and the number of deals in it.
type figure struct {
	amount *big.Int
	deals  int64
	groups map[ID]bool // that took part
}

func (f *figure) add(minor int64, by []ID) {
	if f.groups == nil {
		f.groups = map[ID]bool{}
	}
	for _, group := range by {
		f.groups[group] = true
	}
	if f.amount == nil {
		f.amount = new(big.Int)
	}
	f.amount.Add(f.amount, big.NewInt(minor))
	f.deals++
}

// figures are all that a statement may show of a year.
type figures struct {
	total, byParties, byRegistrar, otherPairs figure
	months, chapters, pairs                   map[string]figure
	unconverted, companies                    int64
}

// figures adds up what the deals count for. A deal is in the pairs when all of its pairs are listed, else it is in the
// other pairs as a whole.
func (v *view) figures(listed map[string]bool) figures {
	zero := func() figure { return figure{amount: new(big.Int)} }
	f := figures{
		total: zero(), byParties: zero(), byRegistrar: zero(), otherPairs: zero(),
		months: map[string]figure{}, chapters: map[string]figure{}, pairs: map[string]figure{},
	}
	add := func(to map[string]figure, key string, minor int64, by []ID) {
		x := to[key]
		x.add(minor, by)
		to[key] = x
	}
	companies := map[string]bool{}
	for _, d := range v.deals {
		m := d.as
		switch {
		case m == nil:
			continue
		case m.GetWithheld() == dealregv1.Withheld_WITHHELD_UNCONVERTED:
			f.unconverted++
			continue
		}
		f.total.add(m.GetAmountMinor(), d.by)
		if m.GetEvidence() == dealregv1.Evidence_EVIDENCE_PARTIES {
			f.byParties.add(m.GetAmountMinor(), d.by)
		} else {
			f.byRegistrar.add(m.GetAmountMinor(), d.by)
		}
		add(f.months, Item{Month: m.GetMonth()}.key(ByMonth), m.GetAmountMinor(), d.by)
		for _, c := range m.GetChapters() {
			if id, ok := chapterID(c); ok {
				add(f.chapters, id.String(), c.GetAmountMinor(), d.by)
			}
		}
		for _, p := range m.GetPairs() {
			companies[string(p.GetCompanyA())], companies[string(p.GetCompanyB())] = true, true
		}
		if !slices.ContainsFunc(m.GetPairs(), func(p *dealregv1.PairAmount) bool { return !listed[pairKey(p)] }) {
			for _, p := range m.GetPairs() {
				add(f.pairs, pairKey(p), p.GetAmountMinor(), d.by)
			}
		} else {
			f.otherPairs.add(m.GetAmountMinor(), d.by)
		}
	}
	f.companies = int64(len(companies))
	return f
}

func pairKey(p *dealregv1.PairAmount) string {
	a, _ := toID(p.GetCompanyA())
	b, _ := toID(p.GetCompanyB())
	return Item{A: a, B: b}.key(ByPair)
}

// changeSince is what came, went or changed since the other view of the same year: by how much the total rose, and how
// many deals had an event that changed what they count for.
func (v *view) changeSince(other *view) figure {
	before, after := other.figures(nil).total, v.figures(nil).total
	change := figure{amount: new(big.Int).Sub(after.amount, before.amount)}
	for id, d := range v.deals {
		if other.deals[id].since != d.since {
			change.deals++
		}
	}
	return change
}

// sameCount tells whether both count for the same, whatever the rate.
func sameCount(a, b *dealregv1.Attribution) bool {
	return (a == nil) == (b == nil) && a.GetMonth() == b.GetMonth() && a.GetAmountMinor() == b.GetAmountMinor() &&
		a.GetEvidence() == b.GetEvidence() && a.GetWithheld() == b.GetWithheld() &&
		slices.EqualFunc(a.GetChapters(), b.GetChapters(), func(x, y *dealregv1.ChapterAmount) bool { return proto.Equal(x, y) }) &&
		slices.EqualFunc(a.GetPairs(), b.GetPairs(), func(x, y *dealregv1.PairAmount) bool { return proto.Equal(x, y) })
}

// keysOfBoth lists the keys of either, sorted.
func keysOfBoth[A, B any](a map[string]A, b map[string]B) []string {
	keys := slices.Collect(maps.Keys(a))
	for key := range b {
		if _, there := a[key]; !there {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}
