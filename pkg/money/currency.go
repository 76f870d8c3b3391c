// Package money holds amounts in integer minor units, divides them without losing a unit, and converts them once
// at a published reference rate. It never uses floating point, never rounds twice and never fetches a rate.
package money

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Currency is an ISO 4217 code such as EUR. ParseCurrency makes valid ones out of text.
type Currency string

// EUR is the currency that reference rates are quoted against.
const EUR Currency = "EUR"

// exponents is ISO 4217's list one of 2026-01-01 with the number of decimals of each currency, without funds (BOV,
// CHE, CHW, CLF, COU, MXV, USN, UYI, UYW), units of account (XAD, XDR, XSU, XUA, XBA to XBD), metals and testing codes.
// A code that the standard withdraws stays here: the log keeps amounts in it for ever. Of the codes withdrawn before, those
// are here in which a member may still register a deal, five years back: BGN (2026) and HRK (2023).
var exponents = func() map[Currency]int {
	table := map[Currency]int{}
	for exponent, codes := range []string{
		0: `BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF`,
		2: `AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP
		    CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HRK HTG HUF IDR ILS
		    INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN
		    MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE
		    SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR
		    ZMW ZWG`,
		3: `BHD IQD JOD KWD LYD OMR TND`,
	} {
		for code := range strings.FieldsSeq(codes) {
			table[Currency(code)] = exponent
		}
	}
	return table
}()

// ParseCurrency accepts the code of an active currency in capitals; the error says what to write.
func ParseCurrency(text string) (Currency, error) {
	if c := Currency(text); c.Known() {
		return c, nil
	}
	if c := Currency(strings.ToUpper(strings.TrimSpace(text))); c.Known() {
		return "", fmt.Errorf("write %s: three capital letters", c)
	}
	return "", fmt.Errorf("%q is not the code of an active currency: write its ISO 4217 code, such as EUR", shorten(text))
}

// Currencies returns every known code in alphabetical order.
func Currencies() []Currency {
	return slices.Sorted(maps.Keys(exponents))
}

// Known says whether c is a code that ParseCurrency accepts.
func (c Currency) Known() bool {
	_, ok := exponents[c]
	return ok
}

// Exponent returns the number of decimals of c: 0 for JPY, 2 for EUR, 3 for BHD. It panics when c is not Known,
// because any answer would be wrong by powers of ten; check what comes from outside first.
func (c Currency) Exponent() int {
	exponent, ok := exponents[c]
	if !ok {
		panic(fmt.Sprintf("money: unknown currency %q", string(c)))
	}
	return exponent
}

// shorten keeps what a user wrote short enough for an error message.
func shorten(text string) string {
	const longest = 20
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return text
}
