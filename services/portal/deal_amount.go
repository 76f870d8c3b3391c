package portal

import (
	"strings"
	"unicode"
)

// readAmount turns an amount as people write it into the API's decimal: "1.250.000,50" where the comma is the decimal
// sign, "1,250,000.50" where the point is, "480 000" and "480'000" everywhere. The other sign separates thousands when
// three digits follow it each time, else it is taken for the decimal sign too. Text that is no amount stays as it is, for
// the API to say how it is written.
func readAmount(text, decimal string) string {
	plain := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '\'' || r == '\u2019' {
			return -1
		}
		return r
	}, text)
	other := "."
	if decimal == "." {
		other = ","
	}
	whole, fraction, has := strings.Cut(plain, decimal)
	switch groups := strings.Split(whole, other); {
	case len(groups) == 1:
	case areThousands(groups):
		whole = strings.Join(groups, "")
	case len(groups) == 2 && !has:
		whole, fraction, has = groups[0], groups[1], true
	default:
		return text
	}
	if !isNumber(whole) || has && !isNumber(fraction) {
		return text
	}
	if has {
		return whole + "." + fraction
	}
	return whole
}

func areThousands(groups []string) bool {
	for i, g := range groups {
		if i == 0 && (g == "" || len(g) > 3) || i > 0 && len(g) != 3 || !isNumber(g) {
			return false
		}
	}
	return true
}

func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}
