package reports

import (
	"strings"

	"github.com/dealreg/dealreg/pkg/money"
)

// book is a report as tables: each is a sheet of a workbook, and all of them together are one CSV. Both write what
// stands here and nothing else, so they hold the same figures.
type book struct {
	name     string // of the file, without its ending
	currency money.Currency
	tables   []table
}

type table struct {
	name   string
	header []string
	rows   [][]field // each as long as the header
}

// field is one value of a table.
type field struct {
	kind fieldKind
	text string // of what is no text the plain decimal, as the API writes it
}

type fieldKind int

const (
	isText fieldKind = iota
	isAmount
	isCount
	isPercent
	kinds // how many there are
)

// text is a field of any origin: it is made harmless here, for every form of export.
func text(s string) field { return field{text: harmless(s)} }

// amount is a decimal of the book's currency, as money.Decimal writes it.
func amount(decimal string) field { return field{kind: isAmount, text: decimal} }

func count(decimal string) field { return field{kind: isCount, text: decimal} }

// percent is a decimal with one place behind the point.
func percent(decimal string) field { return field{kind: isPercent, text: decimal} }

// harmless keeps a spreadsheet from taking a text for a formula: what begins as one does gets an apostrophe before it. The
// beginnings are those that OWASP lists under CSV Injection, the full-width ones included, and the null character of ASVS
// 1.2.10. A cell may also begin behind a semicolon, which is where a spreadsheet divides a CSV in a country that writes
// decimals with a comma; spaces and quotes before a formula do not hide it.
func harmless(s string) string {
	var out strings.Builder
	begins := true
	for _, r := range s {
		if begins && strings.ContainsRune("=+-@\t\r\n\x00＝＋－＠", r) {
			out.WriteByte('\'')
		}
		out.WriteRune(r)
		begins = r == ';' || begins && (r == ' ' || r == '"')
	}
	return out.String()
}

// fileName makes a name that every system takes, of ASCII letters, digits and hyphens.
func fileName(parts ...string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return ' '
	}, strings.Join(parts, " "))
	words := strings.Fields(clean)
	return strings.Join(words, "-")
}
