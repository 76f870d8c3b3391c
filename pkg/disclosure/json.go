package disclosure

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

// The stored form of a release. A figure is {"amount_minor": "12300", "deals": 12} or {"hidden": true}.
type storedRelease struct {
	Number    int             `json:"number"`
	AsOf      uint64          `json:"as_of_sequence"`
	Closing   bool            `json:"closing,omitempty"`
	Held      []storedHeld    `json:"held,omitempty"`
	Published storedPublished `json:"published"`
}

type storedHeld struct {
	Deal deal.ID `json:"deal"`
	From uint64  `json:"from_sequence"`
}

type storedPublished struct {
	Policy      Policy          `json:"policy"`
	Total       storedCell      `json:"total"`
	ByParties   storedCell      `json:"attested_by_parties"`
	ByRegistrar storedCell      `json:"attested_by_registrar"`
	Months      []storedMonth   `json:"months,omitempty"`
	Chapters    []storedChapter `json:"chapters,omitempty"`
	Pairs       []storedPair    `json:"pairs,omitempty"`
	OtherPairs  storedCell      `json:"other_pairs"`
	Change      *storedCell     `json:"change,omitempty"`
	Unconverted *int            `json:"unconverted_deals,omitempty"`
	LeftOut     []Dimension     `json:"left_out,omitempty"`
}

type storedCell struct {
	Hidden bool   `json:"hidden,omitempty"`
	Amount string `json:"amount_minor,omitempty"`
	Deals  int    `json:"deals,omitempty"`
}

type storedMonth struct {
	Month calendar.Date `json:"month"`
	storedCell
}

type storedChapter struct {
	Chapter deal.ID `json:"chapter"`
	storedCell
}

type storedPair struct {
	Companies []deal.ID `json:"companies"` // two
	storedCell
}

// MarshalJSON writes the release as UnmarshalJSON reads it.
func (r Release) MarshalJSON() ([]byte, error) {
	p := r.Published
	stored := storedRelease{
		Number: r.Number, AsOf: r.AsOf, Closing: r.Closing,
		Published: storedPublished{
			Policy: p.policy, Total: store(p.total), ByParties: store(p.byParties), ByRegistrar: store(p.byRegistrar),
			OtherPairs: store(p.otherPairs), LeftOut: p.leftOut,
		},
	}
	for _, h := range r.Held {
		stored.Held = append(stored.Held, storedHeld(h))
	}
	for _, c := range p.months {
		stored.Published.Months = append(stored.Published.Months, storedMonth{c.Month, store(c.Cell)})
	}
	for _, c := range p.chapters {
		stored.Published.Chapters = append(stored.Published.Chapters, storedChapter{c.Chapter, store(c.Cell)})
	}
	for _, c := range p.pairs {
		stored.Published.Pairs = append(stored.Published.Pairs, storedPair{[]deal.ID{c.A, c.B}, store(c.Cell)})
	}
	if change, ok := p.Change(); ok {
		cell := store(change)
		stored.Published.Change = &cell
	}
	if n, ok := p.Unconverted(); ok {
		stored.Published.Unconverted = &n
	}
	return json.Marshal(stored)
}

func store(c Cell) storedCell {
	if c.Hidden() {
		return storedCell{Hidden: true}
	}
	return storedCell{Amount: c.amount.String(), Deals: c.deals}
}

// UnmarshalJSON reads a stored release. It refuses unknown fields, figures that are no figures, lists out of order, and
// whatever else MarshalJSON never writes.
func (r *Release) UnmarshalJSON(data []byte) error {
	var stored storedRelease
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&stored); err != nil {
		return fmt.Errorf("release: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("release: something follows it")
	}
	read := reader{}
	release := read.release(stored)
	if read.err != nil {
		return fmt.Errorf("release %d: %w", stored.Number, read.err)
	}
	*r = release
	return nil
}

// reader keeps the first thing that is wrong.
type reader struct{ err error }

func (read *reader) check(ok bool, what string) {
	if !ok && read.err == nil {
		read.err = errors.New(what)
	}
}

func (read *reader) release(stored storedRelease) Release {
	read.check(stored.Number >= 1, "its number is below 1")
	r := Release{Number: stored.Number, AsOf: stored.AsOf, Closing: stored.Closing, Published: read.published(stored.Published)}
	read.check(r.Published.first == (r.Number == 1), "a first release has no change, and every other has")
	for i, h := range stored.Held {
		read.check(h.From >= 1 && h.From <= r.AsOf, "a deal is held from a sequence that it does not reach")
		read.check(i == 0 || stored.Held[i-1].Deal.Compare(h.Deal) < 0, "the held deals are out of order")
		r.Held = append(r.Held, Held(h))
	}
	return r
}

func (read *reader) published(stored storedPublished) Published {
	p := Published{
		policy: stored.Policy, total: read.cell(stored.Total), byParties: read.cell(stored.ByParties), byRegistrar: read.cell(stored.ByRegistrar),
		otherPairs: read.cell(stored.OtherPairs), first: stored.Change == nil, unconverted: hiddenCount, leftOut: stored.LeftOut,
	}
	read.check(p.policy == Open || p.policy == Guarded || p.policy == Strict, "it has no policy")
	read.check(!p.total.Hidden(), "the total is hidden")
	read.check(p.byParties.Hidden() == p.byRegistrar.Hidden(), "half of the coverage is hidden")
	for i, c := range stored.Months {
		read.check(c.Month == c.Month.FirstOfMonth(), "a month does not begin on its first day")
		read.check(i == 0 || stored.Months[i-1].Month < c.Month, "the months are out of order")
		p.months = append(p.months, MonthCell{c.Month, read.cell(c.storedCell)})
	}
	for i, c := range stored.Chapters {
		read.check(i == 0 || stored.Chapters[i-1].Chapter.Compare(c.Chapter) < 0, "the chapters are out of order")
		p.chapters = append(p.chapters, ChapterCell{c.Chapter, read.cell(c.storedCell)})
	}
	for i, c := range stored.Pairs {
		read.check(len(c.Companies) == 2, "a pair is not of two companies")
		if read.err != nil {
			return Published{}
		}
		pair := Pair{A: c.Companies[0], B: c.Companies[1]}
		read.check(pair.A.Compare(pair.B) < 0, "the companies of a pair are out of order")
		read.check(i == 0 || p.pairs[i-1].Compare(pair) < 0, "the pairs are out of order")
		p.pairs = append(p.pairs, PairCell{pair, read.cell(c.storedCell)})
		read.check(!p.pairs[i].Hidden(), "a pair is hidden")
	}
	if stored.Change != nil {
		p.change = read.figure(*stored.Change)
		read.check(!p.change.Hidden(), "the change is hidden")
	}
	if stored.Unconverted != nil {
		p.unconverted = *stored.Unconverted
		read.check(p.unconverted >= 0, "it has fewer than no deals without a rate")
	}
	for i, x := range p.leftOut {
		all := dimensionsOf(Guarded)
		at := slices.Index(all, x)
		read.check(at >= 0 && (i == 0 || slices.Index(all, p.leftOut[i-1]) < at), "what it leaves out is no list of dimensions")
	}
	return p
}

// cell reads a figure that is not negative.
func (read *reader) cell(stored storedCell) Cell {
	c := read.figure(stored)
	read.check(c.Hidden() || c.amount.Sign() >= 0, "a figure is negative")
	return c
}

func (read *reader) figure(stored storedCell) Cell {
	if stored.Hidden {
		read.check(stored == storedCell{Hidden: true}, "a hidden figure has a value")
		return Cell{}
	}
	const longest = 40 // digits, far beyond every sum
	amount, ok := new(big.Int), len(stored.Amount) <= longest
	if ok {
		amount, ok = amount.SetString(stored.Amount, 10)
	}
	ok = ok && amount.String() == stored.Amount && stored.Deals >= 0
	read.check(ok, "a figure is no number of minor units with a number of deals")
	if !ok {
		return Cell{}
	}
	return Cell{shown: true, amount: amount, deals: stored.Deals}
}
