package portal

import (
	"html/template"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/services/portal/api"
)

// dealForm is what was typed into a form about a deal, as it was typed, with what is wrong with it.
type dealForm struct {
	Title, Customer, Country string
	Value, Currency          string
	Expected, Won            string // days, as 2026-11-22
	Reason                   string
	Rows                     []shareRow // of a new deal the partners, else all parties
	Key                      string     // Idempotency-Key
	Revision                 uint64     // that the form was made for
	Faults                   map[string]reason
	Notices                  []reason
	Left                     string // what the shares leave of the value; empty when that cannot be told
	OwnGetsRest, Resumed     bool
	speech                   *speech
}

// shareRow is a company with its share.
type shareRow struct {
	Index     int
	Query     string // the words that it is looked for with
	CompanyID string // empty until one is chosen
	Name      string
	Role      string
	Share     string
	Found     []api.Card
	Looked    bool // Found is the answer to Query
}

// mostPartners is how many can be beside the own company.
const mostPartners = deal.MaxParties - 1

// readDealForm takes what was posted.
func readDealForm(s *speech, posted url.Values) *dealForm {
	f := newDealForm(s)
	for name, into := range map[string]*string{
		"title": &f.Title, "customer": &f.Customer, "country": &f.Country, "value": &f.Value, "currency": &f.Currency,
		"expected": &f.Expected, "won": &f.Won, "reason": &f.Reason, "key": &f.Key,
	} {
		*into = strings.TrimSpace(posted.Get(name))
	}
	f.Revision, _ = strconv.ParseUint(posted.Get("revision"), 10, 64) // none is refused by the API
	for i := range deal.MaxParties {
		n := strconv.Itoa(i)
		if !posted.Has("share." + n) {
			break
		}
		f.Rows = append(f.Rows, shareRow{
			Index: i, Query: strings.TrimSpace(posted.Get("partner." + n)), CompanyID: posted.Get("company." + n),
			Role: posted.Get("role." + n), Share: strings.TrimSpace(posted.Get("share." + n)),
		})
	}
	return f
}

func newDealForm(s *speech) *dealForm { return &dealForm{Faults: map[string]reason{}, speech: s} }

// faultAt is what is wrong with a field; no text for nothing.
type faultAt struct {
	ID string
	reason
}

// At finds the fault of a field, of a numbered one with its number.
func (f *dealForm) At(field string, number ...int) faultAt {
	for _, n := range number {
		field += "." + strconv.Itoa(n)
	}
	return faultAt{field, f.Faults[field]}
}

// State are the attributes that tie a field to what is wrong with it.
func (a faultAt) State() template.HTMLAttr {
	if a.Text == "" {
		return ""
	}
	return template.HTMLAttr(` aria-invalid="true" aria-describedby="` + a.ID + `-fault"`) // #nosec G203 -- a name of ours
}

func (f *dealForm) bad(field, key string, pairs ...any) {
	if _, there := f.Faults[field]; !there {
		f.Faults[field] = reason{Text: f.speech.text(key, pairs...)}
	}
}

// notice says something of the whole form.
func (f *dealForm) notice(key string) {
	f.Notices = append(f.Notices, reason{Text: f.speech.text(key)})
}

// sound tells whether nothing is known to be wrong.
func (f *dealForm) sound() bool { return len(f.Faults) == 0 }

func (f *dealForm) words(field, text string, most int) {
	switch n := utf8.RuneCountInString(text); {
	case n == 0:
		f.bad(field, "deals.fault.empty")
	case n > most:
		f.bad(field, "deals.fault.long", "most", most, "n", n)
	}
}

// day reads a day; nil for none.
func (f *dealForm) day(field, text string, needed bool) *calendar.Date {
	if text == "" {
		if needed {
			f.bad(field, "deals.fault.day")
		}
		return nil
	}
	d, err := calendar.ParseDate(text)
	if err != nil {
		f.bad(field, "deals.fault.day")
		return nil
	}
	return &d
}

// amount reads one; false when it is none of the currency.
func (f *dealForm) amount(field, text string) (money.Amount, bool) {
	if text == "" {
		f.bad(field, "deals.fault.empty")
		return money.Amount{}, false
	}
	a, err := money.Parse(readAmount(text, f.speech.decimal), money.Currency(f.Currency))
	if err != nil {
		f.bad(field, "deals.fault.amount", "example", f.speech.money("1250000.5", f.Currency))
		return a, false
	}
	return a, true
}

// figures reads the value and the share of each row. One share may be left empty and gets what remains: the own company's
// of a new deal, which has no row and comes first in the answer, else that of any row.
func (f *dealForm) figures() (api.Amount, []api.Amount) {
	if !money.Currency(f.Currency).Known() {
		f.bad("currency", "deals.fault.choose")
		return api.Amount{}, nil
	}
	value, ok := f.amount("value", f.Value)
	if ok && value.Minor == 0 {
		f.bad("value", "deals.fault.zero")
	}
	var shares []api.Amount
	rest, empty := value.Minor, -1
	if f.OwnGetsRest {
		shares, empty = append(shares, api.Amount{}), 0
	}
	for i, row := range f.Rows {
		if row.Share == "" && empty < 0 {
			empty = len(shares)
			shares = append(shares, api.Amount{})
			continue
		}
		share, good := f.amount("share."+strconv.Itoa(i), row.Share)
		ok = ok && good
		rest -= share.Minor
		shares = append(shares, amountOf(share))
	}
	if !ok {
		return amountOf(value), shares
	}
	left := money.Amount{Minor: max(rest, -rest), Currency: value.Currency}
	f.Left = f.speech.money(left.Decimal(), f.Currency)
	switch {
	case rest < 0:
		f.bad("shares", "deals.fault.over", "amount", f.Left)
		f.Left = "\u2212" + f.Left
	case empty >= 0:
		shares[empty] = amountOf(left)
	case rest > 0:
		f.bad("shares", "deals.fault.left", "amount", f.Left)
	}
	return amountOf(value), shares
}

// count says what the shares leave, as far as they can be read, without finding fault.
func (f *dealForm) count() {
	trial := *f
	trial.Faults = map[string]reason{}
	trial.figures()
	f.Left = trial.Left
}

func amountOf(a money.Amount) api.Amount {
	if !a.Currency.Known() {
		return api.Amount{}
	}
	return api.Amount{Amount: a.Decimal(), Currency: string(a.Currency)}
}

var partyPointer = regexp.MustCompile(`^/parties/(\d)/(share|company_id)`)

// blame puts the faults that the API found at their fields, told as people read them. The first party of a new deal is the own company, which has
// no row.
func (f *dealForm) blame(faults []api.Fault, tell func(text string) reason) {
	fields := map[string]string{
		"/title": "title", "/customer/name": "customer", "/customer/country": "country", "/value/amount": "value",
		"/value/currency": "currency", "/expected_on": "expected", "/won_on": "won", "/reason": "reason", "/parties": "shares",
	}
	for _, fault := range faults {
		field := fields[fault.Pointer]
		if m := partyPointer.FindStringSubmatch(fault.Pointer); m != nil {
			i, _ := strconv.Atoi(m[1])
			if f.OwnGetsRest {
				i--
			}
			if i >= 0 {
				field = map[string]string{"share": "share.", "company_id": "company."}[m[2]] + strconv.Itoa(i)
			}
		}
		if field == "" {
			f.Notices = append(f.Notices, tell(fault.Detail))
		} else if _, there := f.Faults[field]; !there {
			f.Faults[field] = tell(fault.Detail)
		}
	}
}
