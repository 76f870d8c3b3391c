package money_test

import (
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/money"
)

func TestSplit_GivesTheRemainderToTheFirst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		total int64
		n     int
		want  []int64
	}{
		{100, 3, []int64{34, 33, 33}},
		{101, 3, []int64{34, 34, 33}},
		{2, 4, []int64{1, 1, 0, 0}},
		{0, 2, []int64{0, 0}},
		{7, 1, []int64{7}},
	} {
		if got := money.Split(c.total, c.n); !slices.Equal(got, c.want) {
			t.Errorf("Split(%d, %d) = %v; want %v", c.total, c.n, got, c.want)
		}
	}
}

func TestSplit_SumsExactlyAndDiffersByAtMostOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Int64Range(0, math.MaxInt64).Draw(t, "total")
		parts := money.Split(total, rapid.IntRange(1, 50).Draw(t, "n"))
		if sum(parts).Cmp(big.NewInt(total)) != 0 {
			t.Fatalf("%v sum to %s", parts, sum(parts))
		}
		if !slices.IsSortedFunc(parts, func(a, b int64) int { return int(b - a) }) || parts[0]-parts[len(parts)-1] > 1 {
			t.Fatalf("%v: not equal parts with the remainder first", parts)
		}
	})
}

func TestSpread_GivesWhatIsLeftToTheLargestRemainders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		total   int64
		weights []int64
		want    []int64
	}{
		{100, []int64{1, 1, 1}, []int64{34, 33, 33}},              // equal remainders: the lower index
		{10, []int64{5, 3, 2}, []int64{5, 3, 2}},                  // nothing left
		{10, []int64{1, 5}, []int64{2, 8}},                        // 1.67 and 8.33
		{5, []int64{1, 2, 4}, []int64{1, 1, 3}},                   // 0.71, 1.43 and 2.86
		{1, []int64{0, 1, 1}, []int64{0, 1, 0}},                   // a weight of zero gets nothing
		{3, []int64{0, 0}, []int64{3, 0}},                         // all zero: the first
		{0, []int64{3, 4}, []int64{0, 0}},                         // nothing to spread
		{4, []int64{math.MaxInt64, math.MaxInt64}, []int64{2, 2}}, // the sum of the weights exceeds int64
		{math.MaxInt64, []int64{math.MaxInt64, 0}, []int64{math.MaxInt64, 0}},
	} {
		if got := money.Spread(c.total, c.weights); !slices.Equal(got, c.want) {
			t.Errorf("Spread(%d, %v) = %v; want %v", c.total, c.weights, got, c.want)
		}
	}
}

func TestSpread_SumsExactlyAndStaysWithinOneOfTheProportion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Int64Range(0, math.MaxInt64).Draw(t, "total")
		weights := rapid.SliceOfN(rapid.Int64Range(0, math.MaxInt64), 1, 45).Draw(t, "weights")
		parts := money.Spread(total, weights)
		if sum(parts).Cmp(big.NewInt(total)) != 0 {
			t.Fatalf("%v sum to %s", parts, sum(parts))
		}
		whole := sum(weights)
		if whole.Sign() == 0 {
			return
		}
		for i, w := range weights {
			exact := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(total), big.NewInt(w)), whole)
			off := exact.Sub(exact, new(big.Rat).SetInt64(parts[i]))
			if off.Abs(off).Cmp(big.NewRat(1, 1)) >= 0 {
				t.Fatalf("part %d is %d: off by %s", i, parts[i], off.FloatString(3))
			}
			if w == 0 && parts[i] != 0 {
				t.Fatalf("part %d of weight zero is %d", i, parts[i])
			}
		}
	})
}

func TestDivision_PanicsOnWhatNoCallerMeans(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(){
		"split a negative total":  func() { money.Split(-1, 2) },
		"split into no parts":     func() { money.Split(1, 0) },
		"spread a negative total": func() { money.Spread(-1, []int64{1}) },
		"spread over no weights":  func() { money.Spread(1, nil) },
		"spread with a negative":  func() { money.Spread(1, []int64{2, -1}) },
		"decimals of no currency": func() { money.Currency("").Exponent() },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
}

func sum(parts []int64) *big.Int {
	total := new(big.Int)
	for _, p := range parts {
		total.Add(total, big.NewInt(p))
	}
	return total
}
