package disclosure_test

import (
	"testing"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/disclosure"
	"github.com/dealreg/dealreg/pkg/disclosuretest"
)

// state is that of a deal of the groups, which counts for the amount in one month and one chapter.
func state(sequence uint64, amount int64, groups ...int) disclosure.State {
	s := unconverted(sequence, groups...)
	s.Unconverted = false
	s.Chapters = []disclosure.Chapter{{Chapter: disclosuretest.ID(disclosuretest.Chapter, 1), AmountMinor: amount}}
	pair := disclosure.NewPair(disclosuretest.ID(disclosuretest.Company, groups[0]), disclosuretest.ID(disclosuretest.Company, groups[1]))
	s.Pairs = []disclosure.PairAmount{{Pair: pair, AmountMinor: amount}}
	return s
}

func unconverted(sequence uint64, groups ...int) disclosure.State {
	s := disclosure.State{Sequence: sequence, Month: calendar.New(2026, 1, 1), ByParties: true, Unconverted: true}
	for _, g := range groups {
		s.Groups = append(s.Groups, disclosuretest.ID(disclosuretest.Group, g))
	}
	return s
}

func guarded(year int, deals ...disclosure.Deal) disclosure.Year {
	return disclosure.Year{Association: disclosuretest.ID(disclosuretest.Association, 1), Year: year, Policy: disclosure.Guarded, Deals: deals}
}

func oneDeal(n int, states ...disclosure.State) disclosure.Deal {
	return disclosure.Deal{ID: disclosuretest.ID(disclosuretest.Deal, n), States: states}
}

// strangers are deals of two companies each that are in no other one, one after each sequence.
func strangers(from, to int) (deals []disclosure.Deal) {
	for i := from; i < to; i++ {
		deals = append(deals, oneDeal(i, state(uint64(i+1), int64(1000+10*i), 2*i, 2*i+1)))
	}
	return deals
}

// The board saw ten deals in a release and two more live. What the next release tells beyond these is one deal.
func TestNext_KeepsADealThatCameAfterTheBoardSawEverything(t *testing.T) {
	t.Parallel()
	y := guarded(2026, strangers(0, 10)...)
	y.Policy = disclosure.Open
	y.Released = []disclosure.Release{disclosure.Next(y, 10, false, nil)}
	y.Policy, y.OpenUntil = disclosure.Guarded, 12
	y.Deals = append(y.Deals, strangers(10, 13)...)
	if got := disclosure.Next(y, 20, false, nil).Published.Total(); got.Deals() > 12 {
		t.Errorf("shows %s of %d deals", got.Amount(), got.Deals())
	}
}

// Three deals go from one year to the next, where a new one joins them: the one year loses what the other gains but for it.
func TestNext_KeepsADealAmongThoseThatComeFromAnotherYear(t *testing.T) {
	t.Parallel()
	before, after := guarded(2025, strangers(0, 10)...), guarded(2026, strangers(20, 30)...)
	before.Released = []disclosure.Release{disclosure.Next(before, 50, false, nil)}
	after.Released = []disclosure.Release{disclosure.Next(after, 50, false, []disclosure.Year{before})}
	for i := range 3 {
		was := before.Deals[i].States[0]
		before.Deals[i].States = append(before.Deals[i].States, disclosure.State{Sequence: uint64(60 + i), Groups: was.Groups})
		was.Sequence = uint64(60 + i)
		after.Deals = append(after.Deals, oneDeal(i, was))
	}
	after.Deals = append(after.Deals, oneDeal(40, state(70, 777, 80, 81)))
	before.Released = append(before.Released, disclosure.Next(before, 100, false, []disclosure.Year{after}))
	left, _ := before.Released[1].Published.Change()
	came, _ := disclosure.Next(after, 100, false, []disclosure.Year{before}).Published.Change()
	if left.Deals() != 3 || came.Deals() > 3 {
		t.Errorf("%d deals went, and %d came", left.Deals(), came.Deals())
	}
}

// Four took part in a deal, or were to: the last one could work out the third deal if it knew the first one.
func TestNext_TakesWhoeverWasToldOfADealForOneWhoMayKnowIt(t *testing.T) {
	t.Parallel()
	y := guarded(2026, oneDeal(1, state(1, 1000, 1, 2, 3)), oneDeal(2, state(2, 1000, 4, 5)), oneDeal(3, state(3, 777, 6, 7)))
	if total := disclosure.Next(y, 10, false, nil).Published.Total(); total.Deals() != 3 {
		t.Fatalf("shows %d deals although nobody is in two", total.Deals())
	}
	y.Deals[0].Insiders = append(y.Deals[0].States[0].Groups, disclosuretest.ID(disclosuretest.Group, 4))
	if total := disclosure.Next(y, 10, false, nil).Published.Total(); total.Deals() != 0 {
		t.Errorf("shows %s of %d deals", total.Amount(), total.Deals())
	}
}

func TestNext_TellsTheNumberOfUnconvertedDealsByTheRuleOfACell(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		groups [][]int
		want   int // or -1 when it is hidden
	}{
		{"none", nil, 0},
		{"one", [][]int{{1, 2}}, -1},
		{"two", [][]int{{1, 2}, {3, 4}}, -1},
		{"three of three groups", [][]int{{1, 2, 3}, {1, 2, 3}, {1, 2, 3}}, 3},
		{"three of two groups", [][]int{{1, 2}, {1, 2}, {1, 2}}, -1},
		{"three of which somebody knows all but one", [][]int{{1, 2}, {1, 3}, {4, 5}}, -1},
		{"three of strangers", [][]int{{1, 2}, {3, 4}, {5, 6}}, 3},
	} {
		y := guarded(2026, strangers(10, 20)...)
		for i, groups := range c.groups {
			y.Deals = append(y.Deals, oneDeal(i, unconverted(uint64(i+1), groups...)))
		}
		got, shown := disclosure.Next(y, 100, false, nil).Published.Unconverted()
		if !shown {
			got = -1
		}
		if got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
