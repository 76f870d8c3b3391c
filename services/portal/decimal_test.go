package portal

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestDecimals_AddAndCompareAsRationalsDo(t *testing.T) {
	t.Parallel()
	decimal := rapid.StringMatching(`-?[0-9]{1,24}(\.[0-9]{1,4})?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := decimal.Draw(t, "a"), decimal.Draw(t, "b")
		if rapid.Bool().Draw(t, "same") {
			b = a
		}
		want := new(big.Rat).Add(ratOf(a), ratOf(b)).FloatString(max(places(a), places(b)))
		if got := add(a, b); got != want {
			t.Fatalf("%s + %s is %s, want %s", a, b, got, want)
		}
		if got, want := compare(a, b), ratOf(a).Cmp(ratOf(b)); got != want {
			t.Fatalf("compare(%s, %s) is %d, want %d", a, b, got, want)
		}
	})
}
