package dealcsv

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
)

// synonyms are what people call our columns in English and German, the likeliest first, as plain writes them.
var synonyms = map[string][]string{
	"external_ref": {
		"externalref", "reference", "referenz", "ref", "dealid", "dealno", "dealnr", "opportunityid", "projectno", "projektnummer", "projektnr",
		"auftragsnummer", "auftragsnr", "vorgangsnummer", "vorgang", "aktenzeichen", "belegnummer", "lineref", "id", "number", "nummer", "no", "nr",
	},
	"title": {
		"title", "titel", "dealname", "opportunityname", "opportunity", "projectname", "projektname", "project", "projekt", "deal", "geschäft",
		"subject", "betreff", "bezeichnung", "description", "beschreibung", "name",
	},
	"customer": {
		"customer", "customername", "kunde", "kundenname", "endcustomer", "endkunde", "client", "clientname", "accountname", "account", "auftraggeber",
	},
	"customer_country": {
		"customercountry", "countrycode", "country", "kundenland", "land", "ländercode", "länderkürzel", "billingcountry", "accountcountry",
	},
	"customer_domain": {"customerdomain", "kundendomain", "domain"},
	"currency":        {"currency", "currencycode", "währung", "waehrung", "currencyisocode", "währungscode"},
	"amount": {
		"amount", "betrag", "value", "wert", "dealvalue", "contractvalue", "auftragswert", "auftragssumme", "auftragsvolumen", "volumen", "volume",
		"gesamtbetrag", "total", "totalvalue", "summe", "umsatz", "nettobetrag", "netto", "price", "preis",
	},
	"status":      {"status", "stage", "phase", "stand"},
	"expected_on": {"expectedon", "expecteddate", "expectedclosedate", "erwartetam", "erwartet"},
	"won_on": {
		"wonon", "wondate", "datewon", "gewonnenam", "gewonnen", "won", "closedon", "closedate", "closeddate", "abschlussdatum", "abschluss",
		"zuschlagsdatum", "zuschlag", "auftragsdatum", "orderdate", "vertragsdatum", "contractdate", "startdate", "date", "datum",
	},
	"chapter": {"chapter", "sektion", "section", "region", "landesverband", "regionalverband", "branch"},
}

// parties are what people call the companies that share a deal, before or behind a number or without one.
var parties = []string{
	"party", "partei", "partner", "partnername", "partnerfirma", "company", "companyname", "firma", "unternehmen", "member", "mitglied", "beteiligter",
	"beteiligtesunternehmen", "beteiligt",
}

// Guess proposes the entries of a map for a file. An entry of before, which an earlier file of the same sender used, stands
// where the file has its column; then names decide, ours before their synonyms. own, when it is not empty, is the name of
// the company that sends the file: it is a party of every row where the file names fewer than two. How numbers and days are
// written is seen in the rows. A column that nothing fits has no entry.
func Guess(s Sample, before map[string]string, own string) map[string]string {
	g := guess{header: s.Header, taken: make([]bool, len(s.Header)), names: map[string]string{}}
	for _, column := range columns {
		if name, known := before[column]; known {
			g.remember(column, name)
		}
	}
	for _, column := range columns { // our own names first, wherever they stand
		g.take(column, g.find(func(name string) bool { return roster.NameKey(name) == column }))
	}
	for _, column := range columns {
		for _, synonym := range synonyms[column] {
			g.take(column, g.find(func(name string) bool { return plain(name) == synonym }))
		}
	}
	g.parties(own)
	g.form(s, before[Dates])
	return g.names
}

type guess struct {
	header []string
	taken  []bool
	names  map[string]string
}

func (g *guess) remember(column, name string) {
	if strings.HasPrefix(name, "=") {
		g.names[column] = name
		return
	}
	g.take(column, g.find(func(other string) bool { return roster.NameKey(other) == roster.NameKey(name) }))
}

// find is the first column of the file that is free and fits; -1 when none does. One whose name reads as a constant of a
// map can be taken by none.
func (g *guess) find(fits func(name string) bool) int {
	for i, name := range g.header {
		if !g.taken[i] && !strings.HasPrefix(name, "=") && strings.TrimSpace(name) != "" && fits(name) {
			return i
		}
	}
	return -1
}

func (g *guess) take(column string, i int) {
	if _, has := g.names[column]; has || i < 0 {
		return
	}
	g.names[column], g.taken[i] = g.header[i], true
}

// parties gives the columns that name companies the next free places, with the role and the share of the same number.
func (g *guess) parties(own string) {
	type named struct{ number, at int }
	var found []named
	for i, name := range g.header {
		if number, is := partyNumber(plain(name), ""); is && g.find(func(other string) bool { return other == name }) == i {
			found = append(found, named{number, i})
		}
	}
	slices.SortStableFunc(found, func(a, b named) int { return a.number - b.number })
	next := 1
	free := func() string {
		for next <= deal.MaxParties && g.names[partyColumn(next)] != "" {
			next++
		}
		return partyColumn(next)
	}
	if _, has := g.names["party_1"]; own != "" && !has && len(found) < 2 {
		g.names["party_1"] = "=" + own
	}
	for _, p := range found {
		column := free()
		if next > deal.MaxParties {
			return
		}
		g.take(column, p.at)
		for part, words := range map[string][]string{"_role": {"role", "rolle"}, "_share": {"share", "anteil"}} {
			for _, word := range words {
				g.take(column+part, g.find(func(name string) bool {
					number, is := partyNumber(plain(name), word)
					return is && number == p.number
				}))
			}
		}
	}
}

// partyNumber tells whether a name is that of a party, or of the part of one that a word says, and which number it has; 0
// for none.
func partyNumber(name, word string) (number int, is bool) {
	digits := strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return r
		}
		return -1
	}, name)
	letters := strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, name)
	if len(digits) > 2 {
		return 0, false
	}
	number, _ = strconv.Atoi(digits) // 0 where there is none
	if word != "" && letters == word {
		return number, true
	}
	letters = strings.TrimPrefix(strings.TrimSuffix(letters, word), word)
	return number, slices.Contains(parties, letters)
}

// plain is a name without case, spaces and signs.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, roster.NameKey(name))
}

var (
	pointed    = regexp.MustCompile(`^\d{1,3}(,\d{3})+(\.\d+)?\D*$`)
	commaed    = regexp.MustCompile(`^\d{1,3}(\.\d{3})+(,\d+)?\D*$|^\d+,\d{1,2}\D*$`)
	withSymbol = regexp.MustCompile(`^\D+\d|\d\s*[^\d\s.,]+$`)
)

// form looks at the cells of the amounts and the days.
func (g *guess) form(s Sample, datesBefore string) {
	var points, commas, symbols int
	for _, cell := range g.cells(s, func(column string) bool { return column == "amount" || strings.HasSuffix(column, "_share") }) {
		if withSymbol.MatchString(cell) {
			symbols++
		}
		switch digits := strings.TrimLeftFunc(cell, func(r rune) bool { return !unicode.IsDigit(r) }); {
		case pointed.MatchString(digits):
			points++
		case commaed.MatchString(digits):
			commas++
		}
	}
	switch {
	case commas > points:
		g.names[Decimal] = DecimalComma
	case points+symbols > 0:
		g.names[Decimal] = DecimalPoint
	}
	var foreign, dayFirst, monthFirst int
	for _, cell := range g.cells(s, func(column string) bool { return column == "won_on" || column == "expected_on" }) {
		p := written.FindStringSubmatch(cell)
		if p == nil || len(p[1]) == 4 && cell == p[1]+"-"+p[3]+"-"+p[5] {
			continue
		}
		foreign++
		first, _ := strconv.Atoi(p[1])
		second, _ := strconv.Atoi(p[3])
		switch {
		case len(p[1]) == 4:
		case first > 12 || p[2] == ".":
			dayFirst++
		case second > 12:
			monthFirst++
		}
	}
	switch {
	case foreign == 0:
	case monthFirst > dayFirst:
		g.names[Dates] = MonthFirst
	case dayFirst == 0 && datesBefore != "":
		g.names[Dates] = datesBefore
	default:
		g.names[Dates] = DayFirst
	}
}

// cells are the filled ones that some of our columns take.
func (g *guess) cells(s Sample, of func(column string) bool) []string {
	var all []string
	for _, column := range slices.Sorted(maps.Keys(g.names)) {
		i := slices.Index(s.Header, g.names[column])
		if i < 0 || !of(column) {
			continue
		}
		for row := range s.Rows {
			if cell := roster.CleanName(s.Cell(row, i)); cell != "" {
				all = append(all, cell)
			}
		}
	}
	return all
}
