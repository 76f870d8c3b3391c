package money

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/dealreg/dealreg/pkg/calendar"
)

// Rate is how many units of a currency one euro buys, as the decimal that was published (1.136072): kept verbatim,
// so that an auditor finds it in the source.
type Rate string

const longestRate = 32

// ParseRate accepts a positive plain decimal of at most 32 characters; the error says what to write.
func ParseRate(text string) (Rate, error) {
	if _, err := ratio(text); err != nil {
		return "", err
	}
	return Rate(text), nil
}

func ratio(text string) (*big.Rat, error) {
	if _, _, ok := cutDecimal(text); ok && len(text) <= longestRate {
		if rat, ok := new(big.Rat).SetString(text); ok && rat.Sign() > 0 {
			return rat, nil
		}
	}
	return nil, errors.New("write 1.136072: units per euro above 0, digits and a point, at most 32 characters")
}

// Quote is a cross rate through the euro, with all that an event needs to prove it: both published rates, the day
// on which they were published and by whom. The rate of EUR itself is "1".
type Quote struct {
	From, To             Currency
	FromPerEUR, ToPerEUR string
	Date                 calendar.Date
	Source               string
}

// maxConverted bounds the result of a conversion in minor units, in both signs.
const maxConverted = 9_000_000_000_000_000_000

// Identity says whether the quote converts nothing, because both currencies are the same. Such a quote has no
// rates and no source.
func (q Quote) Identity() bool { return q.From == q.To }

// Convert turns minor units of From into minor units of To: exactly, then rounded half up once. A negative amount
// gives the negative of what its absolute value gives. It is an error when a currency or rate of q is not valid or
// when the result is beyond 9*10^18 minor units.
func (q Quote) Convert(minor int64) (int64, error) {
	if !q.From.Known() || !q.To.Known() {
		return 0, fmt.Errorf("convert %q to %q: not the codes of active currencies", shorten(string(q.From)), shorten(string(q.To)))
	}
	converted := big.NewInt(minor)
	if !q.Identity() {
		from, err := ratio(q.FromPerEUR)
		if err != nil {
			return 0, fmt.Errorf("rate of %s on %s: %w", q.From, q.Date, err)
		}
		to, err := ratio(q.ToPerEUR)
		if err != nil {
			return 0, fmt.Errorf("rate of %s on %s: %w", q.To, q.Date, err)
		}
		exact := new(big.Rat).SetInt(converted)
		exact.Mul(exact, to.Quo(to, from))
		exact.Mul(exact, new(big.Rat).SetFrac(powerOfTen(q.To.Exponent()), powerOfTen(q.From.Exponent())))
		converted = roundHalfUp(exact)
	}
	if converted.CmpAbs(big.NewInt(maxConverted)) > 0 {
		return 0, fmt.Errorf("convert %s to %s: the result is beyond 9*10^18 minor units", q.From, q.To)
	}
	return converted.Int64(), nil
}

// roundHalfUp rounds the absolute value of exact half up and keeps the sign.
func roundHalfUp(exact *big.Rat) *big.Int {
	twice := new(big.Int).Lsh(new(big.Int).Abs(exact.Num()), 1)
	twice.Add(twice, exact.Denom())
	rounded := twice.Quo(twice, new(big.Int).Lsh(exact.Denom(), 1))
	if exact.Sign() < 0 {
		rounded.Neg(rounded)
	}
	return rounded
}

func powerOfTen(exponent int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(exponent)), nil)
}
