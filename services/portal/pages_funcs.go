package portal

import (
	"html/template"
	"math"
	"math/big"
	"time"

	"github.com/dealreg/dealreg/services/portal/api"
)

// pageFuncs are what templates compute and say alike in every language.
func pageFuncs() template.FuncMap {
	return template.FuncMap{
		"list": func(items ...any) []any { return items },
		"plus": func(terms ...int) (sum int) {
			for _, t := range terms {
				sum += t
			}
			return sum
		},
		"ceil": math.Ceil, "bar": barOf, "changeOf": changeOf,
		"largestOf":   func(rows []Row) string { return largestAmount(rows, func(r Row) api.Cell { return r.Cell }) },
		"largestPair": func(rows []Pair) string { return largestAmount(rows, func(p Pair) api.Cell { return p.Cell }) },
		"chapterRows": func(y *Year, rows []Row, rest *api.Cell, address string) chapterRows {
			return chapterRows{y, rows, rest, address}
		},
		"pairRows": func(y *Year, rows []Pair, rest *api.Cell, address string) pairRows {
			return pairRows{y, rows, rest, address}
		},
		"dealRows": func(caption, when string, won, own bool, lines []dealLine) dealRows {
			return dealRows{caption, when, won, own, lines}
		},
	}
}

// What the shared tables show.
type (
	chapterRows struct {
		Year    *Year
		Rows    []Row
		Rest    *api.Cell
		Address string // of the year's page
	}
	pairRows struct {
		Year    *Year
		Rows    []Pair
		Rest    *api.Cell
		Address string // of the year's page
	}
	dealRows struct {
		Caption, When string
		Won           bool // the day on which it was won, instead of what waits
		Own           bool // the own share too
		Lines         []dealLine
	}
)

// barOf is the length of a bar of at most 100.
func barOf(amount, largest string) string {
	r := ratio(amount, largest)
	if r == nil || r.Sign() < 0 {
		return "0"
	}
	return r.Mul(r, big.NewRat(100, 1)).FloatString(2)
}

// changeOf compares two cells; nil where one of them is hidden, missing or nothing.
func changeOf(now api.Cell, before *api.Cell) *big.Rat {
	if before == nil || before.Hidden || now.Hidden {
		return nil
	}
	return change(now.Amount, before.Amount)
}

func largestAmount[T any](rows []T, cell func(T) api.Cell) string {
	largest := "0"
	for _, row := range rows {
		if c := cell(row); !c.Hidden && compare(c.Amount, largest) > 0 {
			largest = c.Amount
		}
	}
	return largest
}

// dayOf writes a point in time as a day in UTC.
func (s *speech) dayOf(t *time.Time) string { return s.day(t.UTC()) }
