package disclosure

import (
	"math/big"
	"slices"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

// Cell is one published figure, or the mark that it is hidden. The zero Cell is hidden.
type Cell struct {
	shown  bool
	amount *big.Int // never nil when shown, never changed
	deals  int
}

// Hidden tells that the figure may not be seen. Amount and Deals give zero then, which means nothing.
func (c Cell) Hidden() bool { return !c.shown }

// Amount gives the sum in minor units of the association's currency: the caller's own copy. Only a change can be negative.
func (c Cell) Amount() *big.Int {
	if c.amount == nil {
		return new(big.Int)
	}
	return new(big.Int).Set(c.amount)
}

// Deals gives the number of deals.
func (c Cell) Deals() int { return c.deals }

// MonthCell is the figure of the deals won in one month.
type MonthCell struct {
	Month calendar.Date // its first day
	Cell
}

// ChapterCell is the figure of one chapter; of the members without a chapter when its ID is zero.
type ChapterCell struct {
	Chapter deal.ID
	Cell
}

// PairCell is the figure of two companies that both waived, of the deals all of whose pairs of members are waived.
type PairCell struct {
	Pair
	Cell
}

// hiddenCount marks a number that may not be seen.
const hiddenCount = -1

// Dimension is a way in which a statement divides the total.
type Dimension string

// The dimensions.
const (
	Coverage Dimension = "coverage" // attested by the parties, or by the registrar
	Months   Dimension = "months"
	Chapters Dimension = "chapters"
	Pairs    Dimension = "pairs"
)

// Dimensions gives all of them, the most wanted first.
func Dimensions() []Dimension { return []Dimension{Chapters, Months, Coverage, Pairs} }

// Published is what a board may see of one year. Only this package makes one, by Next or by reading back a Release;
// whatever shows figures to a board takes a Published and nothing else. Its figures are sums over the same deals, those
// that the release includes: each dimension that is shown without a hidden cell adds up to the total exactly.
type Published struct {
	policy      Policy
	total       Cell
	byParties   Cell
	byRegistrar Cell
	months      []MonthCell
	chapters    []ChapterCell
	pairs       []PairCell
	otherPairs  Cell
	change      Cell
	first       bool // there is no release before, and so no change
	unconverted int  // or hiddenCount
	leftOut     []Dimension
}

// Policy gives the policy under which it was published.
func (p Published) Policy() Policy { return p.policy }

// Total is the whole year's figure of the deals that the release includes. It is never hidden.
func (p Published) Total() Cell { return p.total }

// ByParties is how much of the total every party attested.
func (p Published) ByParties() Cell { return p.byParties }

// ByRegistrar is how much of the total a registrar attested on documents.
func (p Published) ByRegistrar() Cell { return p.byRegistrar }

// Months gives the months that have deals, in their order; none when the dimension is left out.
func (p Published) Months() []MonthCell { return slices.Clone(p.months) }

// Chapters gives the chapters that have deals, in the order of their IDs; none when the dimension is left out.
func (p Published) Chapters() []ChapterCell { return slices.Clone(p.chapters) }

// Pairs gives the pairs that both companies waived and that have deals, in the order of their IDs; none when the
// dimension is left out. Under Open it gives all pairs.
func (p Published) Pairs() []PairCell { return slices.Clone(p.pairs) }

// OtherPairs is the total without Pairs. A deal that also has a pair which is not waived is in here as a whole.
func (p Published) OtherPairs() Cell { return p.otherPairs }

// Change is the total less that of the release before, with the number of deals that came, went or changed. It is
// false for a year's first release.
func (p Published) Change() (Cell, bool) { return p.change, !p.first }

// Unconverted is the number of deals that wait for a rate; false when it is hidden.
func (p Published) Unconverted() (int, bool) { return max(p.unconverted, 0), p.unconverted >= 0 }

// LeftOut names the dimensions of the policy that this release does without, because too much of the total would have
// had to wait for them, or to be hidden in them.
func (p Published) LeftOut() []Dimension { return slices.Clone(p.leftOut) }
