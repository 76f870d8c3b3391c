package deal

import (
	"strings"
	"time"
	"unicode"

	"github.com/dealreg/dealreg/pkg/calendar"
)

// RepeatDays is how many days may lie between two deals that may be the same one.
const RepeatDays = 90

// MayRepeat tells whether the two may be one deal that was registered twice: the customer is the same, at least two
// companies are parties of both, their days lie at most RepeatDays apart, and neither has ended without being won. Rows
// that one association's registrar imported are distinct by the registrar's word. The order of the two, and of their
// parties, means nothing; a deal never repeats itself.
//
// The day of a deal is its won_on, else its expected_on, else that of its registration in UTC.
func MayRepeat(a, b Deal) bool {
	if a.ID == b.ID || a.Status == New || b.Status == New || a.Status.Final() || b.Status.Final() {
		return false
	}
	if !a.ImportedBy.IsZero() && a.ImportedBy == b.ImportedBy {
		return false
	}
	apart := a.day() - b.day()
	return -RepeatDays <= apart && apart <= RepeatDays && a.Customer.Same(b.Customer) && len(a.SharedCompanies(b.Terms)) >= 2
}

// SharedCompanies are those that are parties of both terms, in the order of the first.
func (t Terms) SharedCompanies(other Terms) []ID {
	var both []ID
	for _, p := range t.Parties {
		if _, there := other.Party(p.Company); there {
			both = append(both, p.Company)
		}
	}
	return both
}

// Same tells whether two customers are one company, as far as their names tell: in one country under one name but for
// case, white space and punctuation, or at one domain. Legal forms stay part of the name.
func (c Customer) Same(other Customer) bool {
	if c.Domain != "" && strings.EqualFold(c.Domain, other.Domain) {
		return true
	}
	key := c.nameKey()
	return key != "" && c.Country == other.Country && key == other.nameKey()
}

// nameKey is what names that are the same have in common. It finds no two spellings of one character: names come in
// NFC. The warehouse's column customer_key is coarser, never finer.
func (c Customer) nameKey() string {
	return spellings.Replace(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsPunct(r) || unicode.In(r, unicode.Cc, unicode.Cf) {
			return -1
		}
		return unicode.ToLower(r)
	}, c.Name))
}

// spellings are the letters whose lower case depends on where they stand.
var spellings = strings.NewReplacer("ß", "ss", "ς", "σ")

func (d Deal) day() calendar.Date {
	switch {
	case d.WonOn != nil:
		return *d.WonOn
	case d.ExpectedOn != nil:
		return *d.ExpectedOn
	}
	return calendar.DateOf(d.RegisteredAt, time.UTC)
}
