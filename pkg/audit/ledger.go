package audit

import (
	"math/big"

	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// By is a way to cut an association's year into items, as the API names it.
type By string

// The ways to cut a year.
const (
	ByTotal   By = "total" // one item: the whole
	ByChapter By = "chapter"
	ByPair    By = "pair"
	ByMonth   By = "month"
)

// cutsOf are all ways to cut a year of the association, or of all together.
func cutsOf(of ID) []By {
	if of.isAll() {
		return []By{ByTotal, ByMonth}
	}
	return []By{ByTotal, ByChapter, ByPair, ByMonth}
}

// Item is one part of a year. Only the fields of the way in which it was cut are set.
type Item struct {
	Chapter ID
	A, B    ID    // the companies of a pair, the lesser first
	Month   int32 // days since 1970-01-01 of the month's first day
}

// Sums are what won deals add up to, in minor units of the association's currency.
type Sums struct {
	Amount            *big.Int
	AttestedByParties *big.Int // the part of Amount for which the parties stand, not a registrar
	Deals             int64    // of which Amount is made
	Unconverted       int64    // deals that wait for a rate and are not in Amount
}

// maxFindings is how many findings a Ledger keeps; it counts them all.
const maxFindings = 100

// Ledger is what the log says. In place of an association's id the zero ID stands for all associations together, each
// share counted once: in EUR, by calendar years, and only ByTotal and ByMonth.
type Ledger struct {
	LastSequence uint64 // of the last event; 0 for an empty log
	Events       int64
	Deals        int64 // different deals
	Won          int64 // deals that are won after the last event
	Bytes        int64 // of payload

	Findings     []Finding // the first 100
	FindingCount int64     // all

	lastDeal     ID  // of the last event; zero when it names none
	lastYear     int // calendar year in which the last event happened
	associations map[ID]*association
	all          *association
}

// allCurrency is that in which all associations together are counted.
const allCurrency = "EUR"

// isAll tells whether the ID stands for no association but for all together.
func (id ID) isAll() bool { return id == ID{} }

// association is what the log shows of one, or of all together.
type association struct {
	currency          string
	earliest, latest  int // months, between which the first month of its years must lie
	firstYear, toYear int // the years with any attribution, also one that was taken back
	figures           map[figureKey]*Sums
}

func newAssociation(currency string) *association {
	return &association{currency: currency, earliest: 1, latest: 12, figures: map[figureKey]*Sums{}}
}

// empty is a ledger of the same associations before the first event.
func (l *Ledger) empty() *Ledger {
	e := &Ledger{associations: map[ID]*association{}, all: newAssociation(allCurrency)}
	for id, a := range l.associations {
		e.associations[id] = newAssociation(a.currency)
	}
	return e
}

// of is nil for an association that the log does not show.
func (l *Ledger) of(id ID) *association {
	if id.isAll() {
		return l.all
	}
	return l.associations[id]
}

type figureKey struct {
	year int
	by   By
	item Item
}

// Associations lists the associations for which any deal ever counted.
func (l *Ledger) Associations() []ID {
	ids := make([]ID, 0, len(l.associations))
	for id := range l.associations {
		ids = append(ids, id)
	}
	return ids
}

// Currency is the association's reporting currency, empty when the log does not show it.
func (l *Ledger) Currency(of ID) string {
	if a := l.of(of); a != nil {
		return a.currency
	}
	return ""
}

// Items cuts an association's year. Items that add up to nothing are left out.
func (l *Ledger) Items(of ID, year int, by By) map[Item]Sums {
	items := map[Item]Sums{}
	a := l.of(of)
	if a == nil {
		return items
	}
	for key, s := range a.figures {
		if key.year == year && key.by == by && !s.isZero() {
			items[key.item] = *s
		}
	}
	return items
}

// Total is what an association's year adds up to.
func (l *Ledger) Total(of ID, year int) Sums {
	if a := l.of(of); a != nil {
		if s := a.figures[figureKey{year: year, by: ByTotal}]; s != nil {
			return *s
		}
	}
	return noSums()
}

// Years is the range of years in which a deal ever counted for the association; false when there is none.
func (l *Ledger) Years(of ID) (first, last int, ok bool) {
	a := l.of(of)
	if a == nil || len(a.figures) == 0 {
		return 0, 0, false
	}
	return a.firstYear, a.toYear, true
}

func noSums() Sums { return Sums{Amount: new(big.Int), AttestedByParties: new(big.Int)} }

func (s *Sums) isZero() bool {
	return s.Amount.Sign() == 0 && s.AttestedByParties.Sign() == 0 && s.Deals == 0 && s.Unconverted == 0
}

// post adds what a deal counts for, as the log states it, or takes it back when sign is -1.
func (l *Ledger) post(attributions []*dealregv1.Attribution, unduplicated *dealregv1.Attribution, sign int64) {
	for _, m := range attributions {
		if id, ok := toID(m.GetAssociationId()); ok && !id.isAll() && l.associations[id] != nil {
			l.associations[id].post(m, sign)
		}
	}
	if unduplicated != nil {
		l.all.post(unduplicated, sign)
	}
}

// post adds one attribution. One that cannot be placed (a currency that is not the association's, a year without end)
// has its finding and counts nowhere.
func (a *association) post(m *dealregv1.Attribution, sign int64) {
	year := int(m.GetYear())
	if a.currency != m.GetCurrency() || year < minYear || year > maxYear {
		return
	}
	if len(a.figures) == 0 {
		a.firstYear, a.toYear = year, year
	}
	a.firstYear, a.toYear = min(a.firstYear, year), max(a.toYear, year)
	add := func(by By, item Item, amountMinor int64) {
		key := figureKey{year: year, by: by, item: item}
		s := a.figures[key]
		if s == nil {
			zero := noSums()
			s = &zero
			a.figures[key] = s
		}
		switch m.GetWithheld() {
		case dealregv1.Withheld_WITHHELD_UNSPECIFIED:
			amount := new(big.Int).Mul(big.NewInt(sign), big.NewInt(amountMinor))
			s.Amount.Add(s.Amount, amount)
			if m.GetEvidence() == dealregv1.Evidence_EVIDENCE_PARTIES {
				s.AttestedByParties.Add(s.AttestedByParties, amount)
			}
			s.Deals += sign
		case dealregv1.Withheld_WITHHELD_UNCONVERTED:
			s.Unconverted += sign
		default: // the deal that it repeats counts
		}
	}
	add(ByTotal, Item{}, m.GetAmountMinor())
	add(ByMonth, Item{Month: m.GetMonth()}, m.GetAmountMinor())
	for _, c := range m.GetChapters() {
		if chapter, ok := chapterID(c); ok {
			add(ByChapter, Item{Chapter: chapter}, c.GetAmountMinor())
		}
	}
	for _, p := range m.GetPairs() {
		x, okX := toID(p.GetCompanyA())
		y, okY := toID(p.GetCompanyB())
		if okX && okY {
			add(ByPair, Item{A: x, B: y}, p.GetAmountMinor())
		}
	}
}
