package disclosure

import (
	"cmp"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

// Policy is what an association's members agreed that its board may see.
type Policy string

// The policies.
const (
	Open    Policy = "open"    // everything, pairs included
	Guarded Policy = "guarded" // releases: total, coverage, months, chapters, and the pairs that both companies waived
	Strict  Policy = "strict"  // releases: the total alone
)

// Year is one year of one association: its deals with their history, and what was released of it so far.
type Year struct {
	Association deal.ID
	Year        int
	Policy      Policy
	OpenUntil   uint64 // up to this event of the log the board saw everything live, whatever the policy is now; 0: it never did
	Waived      []Pair // the pairs of companies that both waived, in any order
	Deals       []Deal // each deal that ever counted in the year, once, in any order
	Released    []Release
}

// Silent tells that nobody was ever shown anything of the year: it does not matter to what others may show.
func (y Year) Silent() bool { return y.Policy != Open && y.OpenUntil == 0 && len(y.Released) == 0 }

// live tells whether the board sees, or saw, the deal as the event of the sequence left it.
func (y Year) live(sequence uint64) bool { return y.Policy == Open || sequence <= y.OpenUntil }

// expects tells whether the board sees the deal as soon as there is a rate, if it still sees everything then.
func (y Year) expects(d Deal) bool {
	return y.Policy == Open && len(d.States) > 0 && d.States[len(d.States)-1].Unconverted
}

// Deal is what one deal counted for in the year, from the first event of the log to the latest.
type Deal struct {
	ID     deal.ID
	States []State // in the order of their sequences
	// Insiders are all groups that were ever told anything of the deal, those of the states or more: parties that declined or
	// were taken out before it was won, those of corrections, and what a company's group was before. Whether they know what
	// the deal counts for is not certain, so nothing is built on either.
	Insiders []deal.ID
}

// State is what the deal counts for after one event. A state without chapters counts for nothing: the deal is void,
// excluded, withheld as a duplicate, or has gone to another year. Events that change nothing here need no state.
type State struct {
	Sequence    uint64        // of the event in the log
	Groups      []deal.ID     // the corporate groups of all its parties, who know the deal; a company without one is its own
	Month       calendar.Date // the first day of the month of won_on
	ByParties   bool          // every party attested the figures; else the registrar did
	Unconverted bool          // counts, but for no amount yet, because a rate is missing: it has no chapters
	Chapters    []Chapter     // the amounts of its chapters, at least 0; they sum to what the deal counts for
	Pairs       []PairAmount  // of all its pairs of member companies; they sum to the same
}

// Chapter is the part of one chapter's members; of the members without a chapter when its ID is zero.
type Chapter struct {
	Chapter     deal.ID
	AmountMinor int64 // 0 to 10^15
}

// Pair is two companies. NewPair puts the lesser ID first; a Pair made otherwise must keep to that.
type Pair struct{ A, B deal.ID }

// NewPair gives the pair of two companies.
func NewPair(a, b deal.ID) Pair {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	return Pair{A: a, B: b}
}

// Compare orders pairs by their IDs.
func (p Pair) Compare(q Pair) int { return cmp.Or(p.A.Compare(q.A), p.B.Compare(q.B)) }

// PairAmount is the part of two companies together.
type PairAmount struct {
	Pair
	AmountMinor int64
}

// Counts tells whether the state counts for an amount.
func (s State) Counts() bool { return len(s.Chapters) > 0 }

// AmountMinor is what the deal counts for in this state: minor units of the association's currency.
func (s State) AmountMinor() int64 {
	var sum int64
	for _, c := range s.Chapters {
		sum += c.AmountMinor
	}
	return sum
}

// nothing is the position of a state that is not there.
const nothing int32 = -1

// position finds the state after the events up to and including the sequence.
func (d Deal) position(sequence uint64) int32 {
	i := len(d.States) - 1
	for i >= 0 && d.States[i].Sequence > sequence {
		i--
	}
	return int32(i) // #nosec G115 -- a deal has fewer events
}
