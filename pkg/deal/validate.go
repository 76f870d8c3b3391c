package deal

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/money"
)

// The bounds of a deal's fields, in characters (Unicode code points) and parties.
const (
	MaxTitle        = 500
	MaxDescription  = 2000
	MaxExternalRef  = 64
	MaxCustomerName = 120
	MaxReason       = 500
	MaxReference    = 500
	MinParties      = 2
	MaxParties      = 10
)

func (e *Invalid) details(d Details) {
	e.text("/title", d.Title, 1, MaxTitle)
	e.text("/description", d.Description, 0, MaxDescription)
	e.text("/external_ref", d.ExternalRef, 0, MaxExternalRef)
	e.text("/customer/name", d.Customer.Name, 1, MaxCustomerName)
	if d.ExpectedOn != nil && !d.ExpectedOn.Valid() {
		e.Add("/expected_on", "lies outside 1900 to 2299")
	}
}

func (e *Invalid) text(pointer, text string, shortest, longest int) {
	n := utf8.RuneCountInString(text)
	switch {
	case !utf8.ValidString(text):
		e.Add(pointer, "is not UTF-8: send the text in UTF-8")
	case n < shortest || strings.TrimSpace(text) == "" && shortest > 0:
		e.Add(pointer, "is empty: fill it in")
	case n > longest:
		e.Add(pointer, fmt.Sprintf("has %d characters, at most %d are allowed: shorten it", n, longest))
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }):
		e.Add(pointer, "holds a control character: remove it")
	}
}

// terms checks the figures and the parties.
func (e *Invalid) terms(t Terms) {
	value, known := t.Value.Minor, t.Value.Currency.Known()
	if !known {
		e.Add("/value/currency", "is no active currency: write its ISO 4217 code, such as EUR")
	}
	if value < 1 || value > money.MaxMinor {
		e.Add("/value/amount", "must be more than 0 and at most 10^15 minor units")
	}
	if n := len(t.Parties); n < MinParties || n > MaxParties {
		e.Add("/parties", fmt.Sprintf("has %d parties: a deal has %d to %d", n, MinParties, MaxParties))
		return
	}
	var sum int64
	leads, sound := 0, known
	for i, p := range t.Parties {
		at := fmt.Sprintf("/parties/%d", i)
		if p.Company.IsZero() {
			e.Add(at+"/company_id", "is missing: name the company")
		}
		if slices.ContainsFunc(t.Parties[:i], func(q Party) bool { return q.Company == p.Company }) {
			e.Add(at+"/company_id", "names a company twice: give each company one entry")
		}
		switch p.Role {
		case Lead:
			leads++
		case Delivery, Reseller, Vendor, Advisor, Other:
		default:
			e.Add(at+"/role", "is no role: use lead, delivery, reseller, vendor, advisor or other")
		}
		if p.ShareMinor < 0 || p.ShareMinor > money.MaxMinor {
			e.Add(at+"/share/amount", "must be from 0 to 10^15 minor units")
			sound = false
			continue
		}
		sum += p.ShareMinor
	}
	if leads != 1 {
		e.Add("/parties", fmt.Sprintf("has %d leads: give exactly one party the role lead", leads))
	}
	if t.groups() < 2 {
		e.Add("/parties", "are all of one corporate group: a joint deal needs two groups")
	}
	if sound && sum != value {
		e.Add("/parties", fmt.Sprintf("have shares of %s in sum, the value is %s: the shares must sum to the value exactly",
			money.Amount{Minor: sum, Currency: t.Value.Currency}.Decimal(), t.Value.Decimal()))
	}
}

// wonOn checks the day of the win as far as the actor may reach back. The day that stands already, nil for none, stays
// allowed: an old deal can be corrected.
func (e *Invalid) wonOn(day, stands *calendar.Date, c Command) {
	const pointer = "/won_on"
	earliest := calendar.DateOf(c.Today.Time().AddDate(-MemberYears, 0, 0), time.UTC)
	reach := fmt.Sprintf("lies before %s: a member reaches %d years back; ask the registrar to import older deals", earliest, MemberYears)
	if !c.By.Association.IsZero() {
		earliest, reach = EarliestImport, fmt.Sprintf("lies before %s, the first day that can be imported", EarliestImport)
	}
	switch {
	case day == nil:
		e.Add(pointer, "is missing: name the day on which the deal was won, as in 2026-11-22")
	case stands != nil && *day == *stands:
	case *day > c.Today:
		e.Add(pointer, fmt.Sprintf("lies in the future: today is %s", c.Today))
	case *day < earliest:
		e.Add(pointer, reach)
	}
}

// sameCompanies refuses terms that take a party in, which has accepted nothing, or leave one out, which could not attest
// them: what all have accepted stays between them.
func (e *Invalid) sameCompanies(before, after Terms) {
	same := len(before.Parties) == len(after.Parties)
	for _, p := range before.Parties {
		_, there := after.Party(p.Company)
		same = same && there
	}
	if !same {
		e.Add("/parties", "names other companies than have accepted the deal: withdraw it and register one that replaces it, or correct it once it is won")
	}
}
