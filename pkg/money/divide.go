package money

import (
	"cmp"
	"math/big"
	"slices"
)

// Split divides total into n parts that sum to total exactly and differ by at most one unit. The first parts carry
// the remainder. It panics when total is negative or n is below 1.
func Split(total int64, n int) []int64 {
	if total < 0 || n < 1 {
		panic("money: Split needs a total of at least 0 and at least one part")
	}
	parts := make([]int64, n)
	each, remainder := total/int64(n), total%int64(n)
	for i := range parts {
		parts[i] = each
		if int64(i) < remainder {
			parts[i]++
		}
	}
	return parts
}

// Spread divides total in proportion to weights by the method of the largest remainder: the parts sum to total
// exactly and each lies less than one unit from its exact proportion. Among equal remainders the lower index wins,
// so the same input always gives the same parts. A weight of zero gets nothing, unless all are zero: then the
// first part is the whole. It panics when total or a weight is negative, or when there are no weights.
func Spread(total int64, weights []int64) []int64 {
	if total < 0 || len(weights) == 0 {
		panic("money: Spread needs a total of at least 0 and at least one weight")
	}
	sum := new(big.Int)
	for _, w := range weights {
		if w < 0 {
			panic("money: Spread needs weights of at least 0")
		}
		sum.Add(sum, big.NewInt(w))
	}
	parts := make([]int64, len(weights))
	if sum.Sign() == 0 {
		parts[0] = total
		return parts
	}
	remainders := make([]*big.Int, len(weights))
	byRemainder := make([]int, len(weights))
	left := total
	for i, w := range weights {
		share := new(big.Int).Mul(big.NewInt(total), big.NewInt(w))
		share, remainders[i] = share.QuoRem(share, sum, new(big.Int))
		parts[i] = share.Int64()
		left -= parts[i]
		byRemainder[i] = i
	}
	slices.SortFunc(byRemainder, func(a, b int) int {
		return cmp.Or(remainders[b].Cmp(remainders[a]), cmp.Compare(a, b))
	})
	for _, i := range byRemainder[:left] {
		parts[i]++
	}
	return parts
}
