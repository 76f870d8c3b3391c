package money

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// MaxMinor is the largest amount of a deal in minor units: 10^15.
const MaxMinor = 1_000_000_000_000_000

// Amount is a sum of money: Minor units (cents for EUR, yen for JPY, fils for BHD) of a currency.
type Amount struct {
	Minor    int64
	Currency Currency
}

// Parse reads a plain decimal such as 1250000.00: digits, then perhaps a point and more digits. Decimals beyond
// the exponent of c must be zeros. The result lies between 0 and MaxMinor. Errors say what to write and never
// repeat the text, so that no amount reaches a log.
func Parse(text string, c Currency) (Amount, error) {
	if !c.Known() {
		return Amount{}, fmt.Errorf("%q is not the code of an active currency", shorten(string(c)))
	}
	exponent := c.Exponent()
	whole, decimals, ok := cutDecimal(text)
	if !ok {
		return Amount{}, errors.New(howToWrite(c))
	}
	if len(decimals) > exponent {
		if strings.Trim(decimals[exponent:], "0") != "" {
			return Amount{}, errors.New(howToWrite(c))
		}
		decimals = decimals[:exponent]
	}
	decimals += strings.Repeat("0", exponent-len(decimals))
	var minor int64
	for _, digit := range whole + decimals {
		minor = minor*10 + int64(digit-'0')
		if minor > MaxMinor {
			return Amount{}, fmt.Errorf("too large: write at most %s %s", Amount{MaxMinor, c}.Decimal(), c)
		}
	}
	return Amount{Minor: minor, Currency: c}, nil
}

// Decimal writes a with all decimals of its currency and without a separator of thousands, as Parse reads it.
// It panics when the currency is not Known.
func (a Amount) Decimal() string {
	return Decimal(big.NewInt(a.Minor), a.Currency)
}

// Decimal writes minor units of c as Amount.Decimal does. Sums of any size and sign are fine.
func Decimal(minor *big.Int, c Currency) string {
	exponent := c.Exponent()
	digits := new(big.Int).Abs(minor).String()
	if missing := exponent + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	if exponent > 0 {
		point := len(digits) - exponent
		digits = digits[:point] + "." + digits[point:]
	}
	if minor.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

func howToWrite(c Currency) string {
	switch exponent := c.Exponent(); exponent {
	case 0:
		return fmt.Sprintf("write 1250000: digits only, %s has no decimals", c)
	default:
		return fmt.Sprintf("write 1250000.%s: digits, a point, at most %d decimals for %s",
			strings.Repeat("0", exponent), exponent, c)
	}
}

// cutDecimal cuts a plain decimal at its point. It is false unless there are ASCII digits, and after a point again.
func cutDecimal(text string) (whole, decimals string, ok bool) {
	whole, decimals, hasPoint := strings.Cut(text, ".")
	return whole, decimals, isDigits(whole) && (!hasPoint || isDigits(decimals))
}

func isDigits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
