package portal

import (
	"math/big"
	"strings"
)

// Amounts come as decimals of the API and stay decimals: these add and compare them exactly.

// ratOf reads a decimal; text that is none is 0.
func ratOf(text string) *big.Rat {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return new(big.Rat)
	}
	return r
}

// add gives the sum of two decimals with as many places as the longer one.
func add(a, b string) string {
	return new(big.Rat).Add(ratOf(a), ratOf(b)).FloatString(max(places(a), places(b)))
}

func places(text string) int {
	_, fraction, _ := strings.Cut(text, ".")
	return len(fraction)
}

func compare(a, b string) int { return ratOf(a).Cmp(ratOf(b)) }

// ratio is part/whole; nil when the whole is not positive.
func ratio(part, whole string) *big.Rat {
	w := ratOf(whole)
	if w.Sign() <= 0 {
		return nil
	}
	return new(big.Rat).Quo(ratOf(part), w)
}

// change is now/before - 1; nil when there was nothing before.
func change(now, before string) *big.Rat {
	r := ratio(now, before)
	if r == nil {
		return nil
	}
	return r.Sub(r, big.NewRat(1, 1))
}
