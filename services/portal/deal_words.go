package portal

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/services/portal/api"
)

// country is one that a customer can be of.
type country struct{ Code, Name string }

// countryName names a country; a code that is none stays as it is.
func (s *speech) countryName(code string) string {
	region, err := language.ParseRegion(code)
	if err != nil {
		return code
	}
	if name := display.Regions(language.Make(s.Code)).Name(region); name != "" {
		return name
	}
	return code
}

// countries lists all of them by name.
func (s *speech) countries() []country {
	s.once.Do(func() {
		for first := 'A'; first <= 'Z'; first++ {
			for second := 'A'; second <= 'Z'; second++ {
				if code := string([]rune{first, second}); roster.IsCountry(code) {
					s.all = append(s.all, country{code, s.countryName(code)})
				}
			}
		}
		order := collate.New(language.Make(s.Code))
		slices.SortFunc(s.all, func(a, b country) int { return order.CompareString(a.Name, b.Name) })
	})
	return s.all
}

// typed writes an amount as its reader would type it.
func (s *speech) typed(a api.Amount) string {
	whole, fraction, _ := strings.Cut(a.Amount, ".")
	if n, err := strconv.ParseInt(whole, 10, 64); err == nil {
		whole = s.number(n)
	}
	if strings.Trim(fraction, "0") == "" {
		return whole
	}
	return whole + s.decimal + fraction
}
