package audit

import (
	"math/big"
	"strings"

	"github.com/dealreg/dealreg/pkg/money"
)

// unit is how many minor units one unit of a known currency has: 100 for EUR.
func unit(currency string) *big.Rat {
	exponent := int64(money.Currency(currency).Exponent())
	return new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(exponent), nil))
}

// parseRate reads a published rate, a plain decimal above 0 of at most 32 characters. One euro is one euro.
func parseRate(currency, text string) (*big.Rat, bool) {
	rate, ok := parseDecimal(text, 32)
	if !ok || rate.Sign() <= 0 || currency == "EUR" && text != "1" {
		return nil, false
	}
	return rate, true
}

// parseDecimal reads digits with perhaps a point between them, at most so many characters: big.Rat alone would also
// read an exponent that fills the memory.
func parseDecimal(text string, longest int) (*big.Rat, bool) {
	whole, decimals, hasPoint := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	if len(text) > longest || whole == "" || hasPoint && decimals == "" || strings.Trim(whole+decimals, "0123456789") != "" {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

// halfUp rounds a number of at least 0 to the next integer, a half upwards.
func halfUp(exact *big.Rat) *big.Int {
	return floor(new(big.Rat).Add(exact, big.NewRat(1, 2)))
}

func floor(exact *big.Rat) *big.Int {
	return new(big.Int).Div(exact.Num(), exact.Denom())
}

// largestRemainder turns exact parts that sum to total into integers that do: each is rounded down, and what is left
// goes, one unit each, to the parts that lost most; among equals to the first.
func largestRemainder(exact []*big.Rat, total *big.Int) []*big.Int {
	parts := make([]*big.Int, len(exact))
	lost := make([]*big.Rat, len(exact))
	left := new(big.Int).Set(total)
	for i, e := range exact {
		parts[i] = floor(e)
		lost[i] = new(big.Rat).Sub(e, new(big.Rat).SetInt(parts[i]))
		left.Sub(left, parts[i])
	}
	one := big.NewInt(1)
	for ; left.Sign() > 0; left.Sub(left, one) {
		most := 0
		for i := range lost {
			if lost[i].Cmp(lost[most]) > 0 {
				most = i
			}
		}
		parts[most].Add(parts[most], one)
		lost[most].SetInt64(-1) // served
	}
	return parts
}
