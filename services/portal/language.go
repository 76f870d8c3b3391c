package portal

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/bojanz/currency"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/services/portal/api"
)

//go:embed messages/*.json
var messageFiles embed.FS

// languages are those that the pages speak, the default first.
var languages = []string{"en", "de"}

var matcher = language.NewMatcher([]language.Tag{language.English, language.German})

// speech writes texts, amounts, numbers and dates as readers of one language expect them.
type speech struct {
	Code     string // such as en
	messages map[string]string
	numbers  *message.Printer
	locale   currency.Locale
	decimal  string // the sign between whole and fraction
	once     sync.Once
	all      []country // by name, once they are asked for
}

func newSpeech(code string) (*speech, error) {
	text, err := messageFiles.ReadFile("messages/" + code + ".json")
	if err != nil {
		return nil, err
	}
	tag := language.Make(code)
	s := &speech{Code: code, numbers: message.NewPrinter(tag), locale: currency.NewLocale(code)}
	if err := json.Unmarshal(text, &s.messages); err != nil {
		return nil, fmt.Errorf("messages/%s.json: %w", code, err)
	}
	s.decimal = strings.Trim(s.numbers.Sprint(0.5), "05")
	return s, nil
}

// choose picks the first of the wishes that is a language of the pages, else what the browser asks for.
func choose(r *http.Request, wishes ...string) string {
	for _, wish := range wishes {
		for _, code := range languages {
			if wish == code {
				return code
			}
		}
	}
	accepted, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return languages[0]
	}
	_, index, _ := matcher.Match(accepted...)
	return languages[index]
}

func (s *speech) funcs() template.FuncMap {
	return template.FuncMap{
		"t": s.text, "n": s.count, "number": s.number, "decimal": s.decimalOf, "money": s.money, "whole": s.wholeMoney, "percent": s.percent,
		"signed": s.signed, "date": s.date, "instant": s.instant, "month": s.month, "monthname": s.monthName, "day": s.dayOf,
		"country": s.countryName, "at": s.day, "openfrom": s.openFrom,
		"int": func(n int) string { return s.number(int64(n)) },
	}
}

// text is a message with its {places} filled from name and value in turn. A key that is missing shows as itself, which a
// test looks for.
func (s *speech) text(key string, pairs ...any) string {
	text, ok := s.messages[key]
	if !ok {
		return key
	}
	return fill(text, pairs)
}

// openFrom says from which year on an association is open to its board; it is empty when all its years are, or none.
func (s *speech) openFrom(a api.Association) string {
	if a.OpenFromYear == 0 {
		return ""
	}
	return s.text("policy.from", "year", yearName(a.OpenFromYear, a.YearStartsIn))
}

// fill puts values at the {places} of a text: name and value in turn.
func fill(text string, pairs []any) string {
	for i := 0; i+1 < len(pairs); i += 2 {
		text = strings.ReplaceAll(text, "{"+fmt.Sprint(pairs[i])+"}", fmt.Sprint(pairs[i+1]))
	}
	return text
}

// count is the message for a number of things: key.one or key.other, with {n} filled.
func (s *speech) count(key string, n int64, pairs ...any) string {
	form := ".other"
	if n == 1 {
		form = ".one"
	}
	return s.text(key+form, append(pairs, "n", s.number(n))...)
}

func (s *speech) number(n int64) string { return s.numbers.Sprint(n) }

// decimalOf writes a number that may have a fraction, of which it shows three digits.
func (s *speech) decimalOf(f float64) string { return s.numbers.Sprint(f) }

// money writes a decimal in full.
func (s *speech) money(amount, code string) string { return s.format(amount, code, 6) }

// wholeMoney writes a decimal to the whole unit, for large type.
func (s *speech) wholeMoney(amount, code string) string { return s.format(amount, code, 0) }

func (s *speech) format(amount, code string, digits uint8) string {
	parsed, err := currency.NewAmount(amount, code)
	if err != nil {
		return amount + "\u00a0" + code // a currency of the past
	}
	f := currency.NewFormatter(s.locale)
	f.MaxDigits = digits
	if digits == 0 {
		f.MinDigits = 0
	}
	return f.Format(parsed)
}

// percent writes a ratio with one decimal.
func (s *speech) percent(ratio *big.Rat) string {
	return s.fixed(new(big.Rat).Mul(ratio, big.NewRat(100, 1))) + s.text("percent.sign")
}

// signed writes a change with its sign; the sign is a true minus.
func (s *speech) signed(change *big.Rat) string {
	sign := "+"
	if change.Sign() < 0 {
		sign = "\u2212"
	}
	return sign + s.percent(new(big.Rat).Abs(change))
}

func (s *speech) fixed(r *big.Rat) string {
	whole, fraction, _ := strings.Cut(r.FloatString(1), ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return r.FloatString(1)
	}
	return s.number(n) + s.decimal + fraction
}

func (s *speech) date(d calendar.Date) string { return s.day(d.Time()) }

func (s *speech) day(t time.Time) string {
	return s.text("date.day", "day", t.Day(), "month", s.text("month."+strconv.Itoa(int(t.Month()))), "year", t.Year())
}

// instant writes a time to the minute in a time zone.
func (s *speech) instant(t time.Time, zone *time.Location) string {
	t = t.In(zone)
	return s.text("date.instant", "date", s.day(t), "time", t.Format("15:04"), "zone", t.Format("MST"))
}

// month names a month that is written as 2026-03, with its year.
func (s *speech) month(text string) string {
	t, err := time.Parse("2006-01", text)
	if err != nil {
		return text
	}
	return s.monthName(text) + " " + strconv.Itoa(t.Year())
}

// monthName names it without its year.
func (s *speech) monthName(text string) string { return s.nameMonth("month.", text) }

// shortMonth is for charts.
func (s *speech) shortMonth(text string) string { return s.nameMonth("month.short.", text) }

func (s *speech) nameMonth(key, text string) string {
	t, err := time.Parse("2006-01", text)
	if err != nil {
		return text
	}
	return s.text(key + strconv.Itoa(int(t.Month())))
}

// rounded writes a decimal in units of a divisor, half up.
func (s *speech) rounded(amount string, divisor int64) string {
	r := ratOf(amount)
	whole := r.Quo(r, big.NewRat(divisor, 1)).FloatString(0)
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return whole
	}
	return s.number(n)
}
