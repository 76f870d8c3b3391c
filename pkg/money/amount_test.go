package money_test

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/money"
)

var anyCurrency = rapid.SampledFrom(money.Currencies())

func TestParseCurrency_KnowsTheActiveCodesAndTheirDecimals(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]int{
		"EUR": 2, "USD": 2, "XCG": 2, "ZWG": 2, "JPY": 0, "ISK": 0, "XPF": 0, "BHD": 3, "TND": 3,
	} {
		c, err := money.ParseCurrency(code)
		if err != nil || c.Exponent() != want {
			t.Errorf("%s: %v; want %d decimals", code, err, want)
		}
	}
	if got := len(money.Currencies()); got != 157 {
		t.Errorf("%d currencies; want 157: 16 without decimals, 7 with three, 134 with two", got)
	}
	for _, code := range []string{"", "EU", "EURO", "XXX", "XTS", "XAU", "CLF", "UYI", "UYW", "CHE", "USN", "CYP", "DEM"} {
		if _, err := money.ParseCurrency(code); err == nil || !strings.Contains(err.Error(), "such as EUR") {
			t.Errorf("ParseCurrency(%q): %v; want an error that says what to write", code, err)
		}
	}
	for _, code := range []string{"eur", " EUR", "Eur"} {
		if _, err := money.ParseCurrency(code); err == nil || !strings.Contains(err.Error(), "write EUR") {
			t.Errorf("ParseCurrency(%q): %v; want the right spelling", code, err)
		}
	}
}

func TestParse_ReadsPlainDecimals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text     string
		currency money.Currency
		want     int64
	}{
		{"1250000.00", "EUR", 125000000},
		{"100", "EUR", 10000},
		{"100.5", "EUR", 10050},
		{"100.5000", "EUR", 10050},
		{"0", "EUR", 0},
		{"0.01", "EUR", 1},
		{"0012", "EUR", 1200},
		{"100", "JPY", 100},
		{"100.00", "JPY", 100},
		{"1.234", "BHD", 1234},
		{"1.2", "BHD", 1200},
		{"10000000000000.00", "EUR", money.MaxMinor},
		{"1000000000000000", "JPY", money.MaxMinor},
		{"1000000000000.000", "BHD", money.MaxMinor},
	} {
		got, err := money.Parse(c.text, c.currency)
		if want := (money.Amount{Minor: c.want, Currency: c.currency}); err != nil || got != want {
			t.Errorf("Parse(%q, %s) = %v, %v; want %v", c.text, c.currency, got, err, want)
		}
	}
}

func TestParse_RefusesEverythingElseAndSaysWhatToWrite(t *testing.T) {
	t.Parallel()
	const (
		euro  = "write 1250000.00: digits, a point, at most 2 decimals for EUR"
		yen   = "write 1250000: digits only, JPY has no decimals"
		dinar = "write 1250000.000: digits, a point, at most 3 decimals for BHD"
	)
	for _, c := range []struct {
		text     string
		currency money.Currency
		want     string
	}{
		{"", "EUR", euro},
		{".", "EUR", euro},
		{".5", "EUR", euro},
		{"5.", "EUR", euro},
		{"-5", "EUR", euro},
		{"+5", "EUR", euro},
		{" 5", "EUR", euro},
		{"5 ", "EUR", euro},
		{"1,250,000.00", "EUR", euro},
		{"1.250.000", "EUR", euro},
		{"1_000", "EUR", euro},
		{"1e3", "EUR", euro},
		{"0x10", "EUR", euro},
		{"٣", "EUR", euro},
		{"0.001", "EUR", euro},
		{"0.5", "JPY", yen},
		{"0.0001", "BHD", dinar},
		{"10000000000000.01", "EUR", "too large: write at most 10000000000000.00 EUR"},
		{"1000000000000001", "JPY", "too large: write at most 1000000000000000 JPY"},
		{strings.Repeat("9", 1000), "EUR", "too large: write at most 10000000000000.00 EUR"},
		{"1", "DEM", `"DEM" is not the code of an active currency`},
	} {
		if got, err := money.Parse(c.text, c.currency); err == nil || err.Error() != c.want {
			t.Errorf("Parse(%q, %s) = %v, %v; want %s", c.text, c.currency, got, err, c.want)
		}
	}
}

func TestDecimal_WritesAllDecimalsOfAnySum(t *testing.T) {
	t.Parallel()
	huge, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	for _, c := range []struct {
		minor    *big.Int
		currency money.Currency
		want     string
	}{
		{big.NewInt(0), "EUR", "0.00"},
		{big.NewInt(5), "EUR", "0.05"},
		{big.NewInt(-5), "EUR", "-0.05"},
		{big.NewInt(-12345), "EUR", "-123.45"},
		{big.NewInt(0), "JPY", "0"},
		{big.NewInt(-7), "JPY", "-7"},
		{big.NewInt(7), "BHD", "0.007"},
		{huge, "EUR", "-1234567890123456789012345678.90"},
	} {
		if got := money.Decimal(c.minor, c.currency); got != c.want {
			t.Errorf("Decimal(%s, %s) = %s; want %s", c.minor, c.currency, got, c.want)
		}
	}
}

func TestParse_ReadsBackWhatDecimalWrites(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := money.Amount{
			Minor:    rapid.Int64Range(0, money.MaxMinor).Draw(t, "minor"),
			Currency: anyCurrency.Draw(t, "currency"),
		}
		if out, err := money.Parse(in.Decimal(), in.Currency); err != nil || out != in {
			t.Fatalf("Parse(%s, %s) = %v, %v", in.Decimal(), in.Currency, out, err)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"1250000.00", "100", "0.5", "-1", "1e3", "1,000", "99999999999999999999", "0.00000000000000000000", ""} {
		f.Add(text, "EUR")
		f.Add(text, "JPY")
	}
	f.Add("1.0", "nonsense")
	f.Fuzz(func(t *testing.T, text, code string) {
		amount, err := money.Parse(text, money.Currency(code))
		if err != nil {
			return
		}
		if amount.Minor < 0 || amount.Minor > money.MaxMinor {
			t.Fatalf("Parse(%q, %s) = %d: out of range", text, code, amount.Minor)
		}
		exact, _ := new(big.Rat).SetString(text)
		written, _ := new(big.Rat).SetString(amount.Decimal())
		if exact == nil || exact.Cmp(written) != 0 {
			t.Fatalf("Parse(%q, %s) reads %s", text, code, amount.Decimal())
		}
	})
}
