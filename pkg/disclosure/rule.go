package disclosure

import (
	"cmp"
	"slices"
)

// The rule's parameters. None of them, and nothing from which they follow, is in any output.
const (
	fewestDeals   = 3  // in a cell
	fewestGroups  = 3  // that took part in a cell
	percentUnsure = 10 // of a deal: as much its amount must be uncertain by
	percentHeld   = 5  // of the year's value: detail may keep as much waiting
	percentHidden = 15 // of the total: a dimension may hide as much, else it is left out
)

// slack is by how much an amount must be uncertain.
func slack(amountMinor int64) int64 {
	return (amountMinor + 100/percentUnsure - 1) / (100 / percentUnsure)
}

// contribution is what one deal adds to a cell, or changes in it: never negative.
type contribution struct {
	amount int64
	groups []int32 // that know the deal
}

// weak is the rule of one cell: it has at least three deals of three groups, and for each group, and for an outsider,
// the deals that they do not take part in are none, or at least two of which the largest stays uncertain by the rest. It
// gives nil for a cell that keeps the rule, as an empty one does, and else the deals without which it may: those that
// stand out, or all when the deals or the groups are too few.
func weak(cell []contribution) []int {
	if len(cell) == 0 {
		return nil
	}
	order := make([]int, len(cell))
	for i := range order {
		order[i] = i
	}
	total, known := knowledge(cell, func(c contribution) (int64, []int32) { return c.amount, c.groups })
	if len(cell) < fewestDeals || len(known) < fewestGroups {
		return order
	}
	if largest, most := extremes(cell, known); largest > 0 && total-most-largest >= slack(largest) {
		return nil // as in every large cell
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(cell[b].amount, cell[a].amount), cmp.Compare(a, b)) })
	var standOut []int
	check := func(group int32) {
		others := slices.IndexFunc(order, func(i int) bool { return !slices.Contains(cell[i].groups, group) })
		if others < 0 || slices.Contains(standOut, order[others]) {
			return
		}
		largest := order[others]
		second := slices.IndexFunc(order[others+1:], func(i int) bool { return !slices.Contains(cell[i].groups, group) })
		if second < 0 || total-known[group]-cell[largest].amount < slack(cell[largest].amount) {
			standOut = append(standOut, largest)
		}
	}
	check(outsider)
	for group := range known {
		check(group)
	}
	slices.Sort(standOut)
	return standOut
}

// extremes gives the largest amount, and the most that a group knows.
func extremes(cell []contribution, known map[int32]int64) (largest, most int64) {
	for _, c := range cell {
		largest = max(largest, c.amount)
	}
	for _, amount := range known {
		most = max(most, amount)
	}
	return largest, most
}

// outsider takes part in no deal.
const outsider int32 = -1

// enough bounds sums: no uncertainty that is asked for comes near it, so that sums need not grow beyond.
const enough = int64(1) << 61

// knowledge sums what there is, and what each group knows of it. Sums beyond enough stay there, so that the difference
// is never more than what the group really does not know.
func knowledge[T any](all []T, of func(T) (int64, []int32)) (total int64, known map[int32]int64) {
	known = map[int32]int64{}
	for _, each := range all {
		amount, groups := of(each)
		total = min(total+amount, enough)
		for _, g := range groups {
			known[g] = min(known[g]+amount, enough)
		}
	}
	return total, known
}
