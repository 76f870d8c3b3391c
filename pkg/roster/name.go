package roster

import (
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// CleanName is a name as it is stored: NFC, without white space at its ends and with one space for any run of it,
// no-break spaces included.
func CleanName(name string) string {
	return strings.Join(strings.FieldsFunc(norm.NFC.String(name), unicode.IsSpace), " ")
}

// NameKey is what two names that are the same have in common: CleanName with the case folded.
func NameKey(name string) string {
	return norm.NFC.String(strings.Map(foldRune, cases.Fold().String(CleanName(name))))
}

// foldRune gives one rune for all that differ in case only. Alone it would miss ß and SS; cases.Fold alone exchanges
// the two cases of Cherokee.
func foldRune(r rune) rune {
	first := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		first = min(first, next)
	}
	return unicode.ToLower(first)
}

// hasControl tells whether text holds characters that no name needs: controls and the marks that turn text around.
func hasControl(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	})
}
