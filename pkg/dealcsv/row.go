package dealcsv

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
)

// Row is one row of the file. What it holds is complete when it is Sound. Text is NFC with single spaces.
type Row struct {
	Line    int      // on which the record starts, counted from 1 as an editor does
	Record  []string // the cells of the file
	Reasons []string // why the row cannot be a deal: column, fault and remedy, every one of them

	ExternalRef string // 1-64 characters, no two sound rows of a file have the same
	Title       string // 1-500 characters
	Customer    deal.Customer
	Value       money.Amount // above 0
	// Status is won, closing, pending, or empty where the file leaves it to the import.
	Status     deal.Status
	ExpectedOn *calendar.Date
	WonOn      *calendar.Date // nil only when Status is pending
	Parties    []Party        // 2-10 with different names, exactly one of them the lead
	Chapter    string         // 0-200 characters
}

// Party is one company's part in a row.
type Party struct {
	Column     string // of the file that names the company
	Name       string // a company's id, domain or exact name, 1-200 characters
	Role       deal.PartyRole
	ShareMinor int64 // minor units of the row's currency
	HasShare   bool  // false for every party of a row that leaves the shares open
}

// Sound tells whether the row can be a deal.
func (row Row) Sound() bool { return len(row.Reasons) == 0 }

// Details are those of the deal that a sound row describes.
func (row Row) Details() deal.Details {
	return deal.Details{Title: row.Title, ExternalRef: row.ExternalRef, Customer: row.Customer, ExpectedOn: row.ExpectedOn}
}

// Shares are the minor units of each party of a sound row, which sum to the value exactly: those of the file or, where
// it has none, equal ones of which the first carry the remainder.
func (row Row) Shares() []int64 {
	shares := make([]int64, len(row.Parties))
	for i, p := range row.Parties {
		if !p.HasShare {
			return money.Split(row.Value.Minor, len(row.Parties))
		}
		shares[i] = p.ShareMinor
	}
	return shares
}

func (row *Row) fault(s source, format string, args ...any) {
	row.Reasons = append(row.Reasons, s.label+": "+fmt.Sprintf(format, args...))
}

// decode fills the row from its record.
func (r *Reader) decode(row *Row) {
	row.ExternalRef = row.text(r.source("external_ref"), 1, deal.MaxExternalRef)
	row.Title = row.text(r.source("title"), 1, deal.MaxTitle)
	row.Customer = deal.Customer{
		Name:    row.text(r.source("customer"), 1, deal.MaxCustomerName),
		Country: row.country(r.source("customer_country")),
		Domain:  row.domain(r.source("customer_domain")),
	}
	row.Value.Currency = row.currency(r.source("currency"))
	amount := r.source("amount")
	if text := row.clean(amount); text == "" {
		row.fault(amount, "no number: write the amount as 1250000.00")
	} else {
		minor, sound := row.minor(amount, text)
		row.Value.Minor = minor
		if sound && minor == 0 && row.Value.Currency != "" {
			row.fault(amount, "must be more than 0: write the value of the deal")
		}
	}
	row.Status = row.status(r.source("status"))
	row.ExpectedOn = row.day(r.source("expected_on"))
	wonOn := r.source("won_on")
	row.WonOn = row.day(wonOn)
	if row.Status != deal.Pending && row.clean(wonOn) == "" {
		row.fault(wonOn, "missing: write the day on which the deal was won, as in 2026-11-22")
	}
	row.parties(r.parties)
	row.Chapter = row.text(r.source("chapter"), 0, longestName)
	row.plain(r.source("chapter"), row.Chapter)
}

// longestName is the most that the directory takes for a company or a chapter, in characters.
const longestName = 200

// clean is the cell without stray white space. What is not UTF-8 becomes U+FFFD; text names that fault.
func (row *Row) clean(s source) string {
	cell := s.constant
	if s.index >= 0 {
		cell = row.Record[s.index]
	}
	return roster.CleanName(strings.ToValidUTF8(cell, "\ufffd"))
}

// text is the clean cell, with a reason when it is not UTF-8, holds controls or has a length out of bounds.
func (row *Row) text(s source, shortest, longest int) string {
	text := row.clean(s)
	if s.index >= 0 && !utf8.ValidString(row.Record[s.index]) {
		row.fault(s, "not in UTF-8: save the file as CSV UTF-8")
	}
	switch n := utf8.RuneCountInString(text); {
	case n < shortest:
		row.fault(s, "missing: fill it in")
	case n > longest:
		row.fault(s, "has %d characters, at most %d are allowed: shorten it", n, longest)
	case strings.ContainsFunc(text, unicode.IsControl):
		row.fault(s, "holds a control character: remove it")
	}
	return text
}

// plain refuses what no name of the directory may hold: marks that turn text around.
func (row *Row) plain(s source, name string) {
	if strings.ContainsFunc(name, func(r rune) bool { return unicode.Is(unicode.Bidi_Control, r) }) {
		row.fault(s, "holds an invisible mark that turns text around: type the name anew")
	}
}

func (row *Row) country(s source) string {
	code := row.clean(s)
	if fault := roster.CountryFault(code); fault != "" {
		row.fault(s, "%s", fault)
	}
	return code
}

func (row *Row) domain(s source) string {
	domain := strings.ToLower(row.clean(s))
	if domain != "" && !roster.IsDomain(domain) {
		row.fault(s, "not a web domain: write it without https:// and path, such as contoso.example (international ones as xn--)")
	}
	return domain
}

// currency is empty when the cell holds none.
func (row *Row) currency(s source) money.Currency {
	c, err := money.ParseCurrency(row.clean(s))
	if err != nil {
		row.fault(s, "%s", err)
	}
	return c
}

// minor reads minor units of the row's currency. Where that is unknown, only the form of the number is checked.
func (row *Row) minor(s source, text string) (minor int64, sound bool) {
	text, is := s.form.number(text, row.Value.Currency)
	if !is {
		row.fault(s, "not a number: write it as %s", s.form.sample())
		return 0, false
	}
	if row.Value.Currency == "" {
		return 0, true
	}
	amount, err := money.Parse(text, row.Value.Currency)
	if err != nil {
		row.fault(s, "%s", err)
	}
	return amount.Minor, err == nil
}

func isDecimal(text string) bool {
	whole, decimals, point := strings.Cut(text, ".")
	return isDigits(whole) && (!point || isDigits(decimals))
}

func isDigits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

func (row *Row) status(s source) deal.Status {
	status := deal.Status(strings.ToLower(row.clean(s)))
	switch status {
	case "closed won", "gewonnen": // as common programs say it
		return deal.Won
	case deal.New, deal.Pending, deal.Closing, deal.Won:
	default:
		row.fault(s, "not a status that can be imported: write won, closing or pending")
	}
	return status
}

// day is nil for an empty cell.
func (row *Row) day(s source) *calendar.Date {
	text := row.clean(s)
	if text == "" {
		return nil
	}
	d, err := s.form.day(text)
	if err != nil {
		row.fault(s, "not a day from %s to %s: write it as %s", calendar.First, calendar.Last, s.form.sampleDay())
		return nil
	}
	return &d
}
