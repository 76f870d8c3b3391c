// Package volume decides what a won deal counts for: in which association, chapter, pair, year and currency. Whatever
// the deal, chapters and pairs add up to the association to the last minor unit, and the order of the parties means
// nothing. The package never reads a store or a clock.
//
// With the shares s_i of a won deal, of whose parties m are members of an association on the won date:
//
//   - the association counts the sum of its members' shares, if at least two corporate groups of members took part;
//   - a chapter counts the sum of its members' shares;
//   - a pair (i, j) counts (s_i + s_j) / (m - 1); for two parties the pair is the deal;
//   - the year is that of the won date in the association's year, and holds the whole value;
//   - the value is converted at the reference rate of the won date, rounded half up once, and then spread over the shares.
//
// Integers by the largest remainder throughout. Several associations each count their own and are never added; what they
// count together, each share once, is Unduplicated.
package volume

import (
	"slices"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
)

// Association is what attribution needs to know of an association.
type Association struct {
	ID           deal.ID
	Currency     money.Currency // in which it reports
	YearStartsIn time.Month
	// Chapters gives the chapter of each company that was a member on the deal's won date.
	Chapters map[deal.ID]deal.ID
}

// Attribution is what a won deal counts for in one association.
type Attribution struct {
	Association deal.ID
	Year        int           // the association's year that holds won_on, named by the calendar year in which it starts
	Month       calendar.Date // the first day of won_on's calendar month
	Currency    money.Currency
	AmountMinor int64         // the converted shares of its members; 0 when withheld
	Chapters    []Chapter     // sum to AmountMinor; in the order of their IDs
	Pairs       []Pair        // sum to AmountMinor; in the order of their IDs
	Quote       *money.Quote  // the rate; nil when none was needed or none was found
	Evidence    deal.Evidence // who stands for the figures
	Withheld    Withheld
}

// Chapter is the part of one chapter's members; of the members without a chapter when its ID is zero.
type Chapter struct {
	Chapter     deal.ID
	AmountMinor int64
}

// Pair is the part of two companies together; A is the lesser ID.
type Pair struct {
	A, B        deal.ID
	AmountMinor int64
}

// Withheld is why a won deal counts for nothing yet.
type Withheld string

// The reasons for which a won deal's amount is withheld.
const (
	Nothing     Withheld = ""            // it counts
	Unconverted Withheld = "unconverted" // no rate within seven days before won_on: restated when it comes
	Duplicate   Withheld = "duplicate"   // the deal that it repeats counts
)

// Attribute tells what the won deal counts for in the association, and whether it counts there at all: it does when
// members of at least two corporate groups took part, unless a registrar excluded it or imported it for another
// association. The deal has won_on. Without rates, nil, only the association's own currency converts.
func Attribute(d deal.Deal, a Association, rates *money.Table) (Attribution, bool) {
	if !d.ImportedBy.IsZero() && d.ImportedBy != a.ID ||
		slices.ContainsFunc(d.Exclusions, func(x deal.Exclusion) bool { return x.Association == a.ID }) {
		return Attribution{}, false
	}
	groups := map[deal.ID]bool{}
	for _, p := range d.Parties {
		if _, member := a.Chapters[p.Company]; member {
			groups[p.Group] = true
		}
	}
	if len(groups) < 2 {
		return Attribution{}, false
	}
	result := Attribution{
		Association: a.ID,
		Year:        calendar.YearOf(*d.WonOn, a.YearStartsIn),
		Month:       d.WonOn.FirstOfMonth(),
		Currency:    a.Currency,
		Evidence:    d.Evidence,
	}
	value, quote, found := convert(d, a.Currency, rates)
	if !found {
		result.Withheld = Unconverted
		return result, true
	}
	result.Quote = quote
	parties, shares := spread(d.Parties, value)
	var companies []deal.ID
	var counted []int64
	for i, p := range parties {
		if _, member := a.Chapters[p.Company]; member {
			companies, counted = append(companies, p.Company), append(counted, shares[i])
			result.AmountMinor += shares[i]
		}
	}
	result.Chapters = chapters(companies, counted, a.Chapters)
	result.Pairs = pairs(companies, counted, result.AmountMinor)
	return result, true
}

// Unduplicated tells what the won deal counts for in all associations together: each share once, however many
// associations its party belongs to. The associations are those in which the deal counts; it is false when there are
// none. The amount is in EUR and the year is the calendar year, since associations differ in both; it stands beside
// their figures and is never added to them.
func Unduplicated(d deal.Deal, counting []Association, rates *money.Table) (Attribution, bool) {
	if len(counting) == 0 {
		return Attribution{}, false
	}
	result := Attribution{
		Year: calendar.YearOf(*d.WonOn, time.January), Month: d.WonOn.FirstOfMonth(), Currency: money.EUR, Evidence: d.Evidence,
	}
	value, quote, found := convert(d, result.Currency, rates)
	if !found {
		result.Withheld = Unconverted
		return result, true
	}
	result.Quote = quote
	parties, shares := spread(d.Parties, value)
	for i, p := range parties {
		if slices.ContainsFunc(counting, func(a Association) bool { _, member := a.Chapters[p.Company]; return member }) {
			result.AmountMinor += shares[i]
		}
	}
	return result, true
}

// spread gives the parties in the order of their companies, each with its share of the converted value.
func spread(parties []deal.Party, value int64) ([]deal.Party, []int64) {
	parties = slices.Clone(parties)
	slices.SortFunc(parties, func(p, q deal.Party) int { return p.Company.Compare(q.Company) })
	shares := make([]int64, len(parties))
	for i, p := range parties {
		shares[i] = p.ShareMinor
	}
	return parties, money.Spread(value, shares)
}

// convert gives the deal's value in the currency, rounded half up once.
func convert(d deal.Deal, to money.Currency, rates *money.Table) (int64, *money.Quote, bool) {
	if d.Value.Currency == to {
		return d.Value.Minor, nil, true
	}
	if rates == nil {
		return 0, nil, false
	}
	quote, found := rates.Find(d.Value.Currency, to, *d.WonOn)
	if !found {
		return 0, nil, false
	}
	value, err := quote.Convert(d.Value.Minor)
	if err != nil {
		return 0, nil, false
	}
	return value, &quote, true
}

func chapters(companies []deal.ID, shares []int64, chapterOf map[deal.ID]deal.ID) []Chapter {
	var result []Chapter
	for i, company := range companies {
		chapter := chapterOf[company]
		at, found := slices.BinarySearchFunc(result, chapter, func(c Chapter, id deal.ID) int { return c.Chapter.Compare(id) })
		if !found {
			result = slices.Insert(result, at, Chapter{Chapter: chapter})
		}
		result[at].AmountMinor += shares[i]
	}
	return result
}

// pairs gives each pair of m companies (s_i + s_j)/(m-1), which sums to the total; the integers by largest remainder.
func pairs(companies []deal.ID, shares []int64, total int64) []Pair {
	var result []Pair
	var weights []int64
	for i := range companies {
		for j := i + 1; j < len(companies); j++ {
			result = append(result, Pair{A: companies[i], B: companies[j]})
			weights = append(weights, shares[i]+shares[j])
		}
	}
	for i, amount := range money.Spread(total, weights) {
		result[i].AmountMinor = amount
	}
	return result
}
