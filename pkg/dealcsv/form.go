package dealcsv

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/money"
)

// The keys of a map that say how the file writes numbers and days, and what they may say.
const (
	Decimal      = "decimal" // "." or ",": the sign before the cents; the other one may part thousands
	Dates        = "dates"   // "dmy" or "mdy": the order of day, month and year
	DayFirst     = "dmy"
	MonthFirst   = "mdy"
	DecimalPoint = "."
	DecimalComma = ","
)

// form is how a file writes numbers and days. The zero form is our own: 1250000.00 and 2026-11-22.
type form struct{ decimal, dates string }

var grouped = map[string]*regexp.Regexp{
	DecimalPoint: regexp.MustCompile(`^\d{1,3}(,\d{3})+(\.\d+)?$`),
	DecimalComma: regexp.MustCompile(`^\d{1,3}(\.\d{3})+(,\d+)?$`),
}

var symbols = map[money.Currency]string{"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "CHF": "Fr."}

// number gives a number of the file in our own form. A file with a decimal sign of its own may part thousands and name
// the currency of the row beside each amount.
func (f form) number(text string, c money.Currency) (string, bool) {
	if f.decimal == "" {
		return text, isDecimal(text)
	}
	for _, name := range []string{string(c), symbols[c]} {
		if name != "" {
			text = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(text, name), name))
		}
	}
	if grouped[f.decimal].MatchString(text) {
		text = strings.ReplaceAll(text, other(f.decimal), "")
	}
	text, cents, has := strings.Cut(text, f.decimal)
	if has {
		text += "." + cents
	}
	return text, isDecimal(text) && (f.decimal == DecimalPoint || has || !strings.Contains(text, "."))
}

func other(sign string) string {
	if sign == DecimalPoint {
		return DecimalComma
	}
	return DecimalPoint
}

// sample shows the sender how to write an amount.
func (f form) sample() string {
	if f.decimal == DecimalComma {
		return "1.250.000,00, with a comma before the cents"
	}
	return "1250000.00, digits and a point, without separators of thousands"
}

// written is a day as people write it, in any order, with or without a time of the day behind it.
var written = regexp.MustCompile(`^(\d{1,4})([./-])(\d{1,2})([./-])(\d{1,4})\.?(?:[ T]\d{1,2}:\d{2}\S*(?: [AP]M)?)?$`)

// day reads a day of the file. 2026-11-22 is one in every file.
func (f form) day(text string) (calendar.Date, error) {
	if p := written.FindStringSubmatch(text); f.dates != "" && p != nil && p[2] == p[4] {
		day, month, year := p[1], p[3], p[5]
		switch {
		case len(p[1]) == 4:
			year, day = p[1], p[5]
		case f.dates == MonthFirst:
			day, month = p[3], p[1]
		}
		text = year + "-" + twoDigits(month) + "-" + twoDigits(day)
	}
	return calendar.ParseDate(text)
}

func twoDigits(text string) string {
	n, err := strconv.Atoi(text)
	if err != nil {
		return text
	}
	return fmt.Sprintf("%02d", n)
}

func (f form) sampleDay() string {
	switch f.dates {
	case DayFirst:
		return "22.11.2026 (day, month, year)"
	case MonthFirst:
		return "11/22/2026 (month, day, year)"
	}
	return "2026-11-22 (year-month-day)"
}
