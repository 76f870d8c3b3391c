package portal

import (
	"cmp"
	"math/big"
	"strconv"
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

// minorOf reads a decimal of at most 18 digits as an integer and its number of places. Most amounts are such, and an
// association of thousands of members has tens of thousands of pairs to add and sort.
func minorOf(text string) (minor int64, fraction int, ok bool) {
	point := false
	for i := range len(text) {
		switch c := text[i]; {
		case c == '.' && !point:
			point = true
		case c >= '0' && c <= '9' && i < 18:
			minor = minor*10 + int64(c-'0')
			if point {
				fraction++
			}
		default:
			return 0, 0, false
		}
	}
	return minor, fraction, text != ""
}

// add gives the sum of two decimals with as many places as the longer one.
func add(a, b string) string {
	x, places1, ok1 := minorOf(a)
	y, places2, ok2 := minorOf(b)
	if ok1 && ok2 && (places1 == places2 || x == 0 && places1 < places2) {
		digits := strconv.FormatInt(x+y, 10)
		if places2 == 0 {
			return digits
		}
		if missing := places2 + 1 - len(digits); missing > 0 {
			digits = strings.Repeat("0", missing) + digits
		}
		whole := len(digits) - places2
		return digits[:whole] + "." + digits[whole:]
	}
	return new(big.Rat).Add(ratOf(a), ratOf(b)).FloatString(max(places(a), places(b)))
}

func places(text string) int {
	_, fraction, _ := strings.Cut(text, ".")
	return len(fraction)
}

func compare(a, b string) int {
	x, places1, ok1 := minorOf(a)
	y, places2, ok2 := minorOf(b)
	if ok1 && ok2 && places1 == places2 {
		return cmp.Compare(x, y)
	}
	return ratOf(a).Cmp(ratOf(b))
}

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
