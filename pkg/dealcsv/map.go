package dealcsv

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Map says under which names a file has our columns. The zero Map expects our own names and no other column.
type Map struct {
	// CreateCompanies asks the import to create the companies that it does not find.
	CreateCompanies bool

	given bool
	names map[string]string // one of our columns or patterns -> a column, pattern or =constant
	form  form
}

// patterns stand for the numbered columns of the parties; a column's own entry in the map comes before them.
var patterns = []string{"party_*", "party_*_role", "party_*_share"}

// known lists what a map may name, for error messages.
var known = fmt.Sprintf("external_ref, title, customer, customer_country, customer_domain, currency, amount, status, expected_on, won_on, "+
	"party_1 to party_%d, each with _role and _share, chapter", deal.MaxParties)

// ParseMap reads a map such as {"external_ref":"line_ref","party_*":"partner_*","customer_country":"=PH",
// "create_companies":true}. A value is a column of the file or, behind =, the same cell for every row; the * of
// party_*, party_*_role and party_*_share stands for the number. "decimal":"," and "dates":"dmy" say that the file writes
// 1.250.000,00 and 22.11.2026. Columns that the map does not name keep our names, and
// columns of the file that nobody names are ignored. The error is Faults, every one of them.
func ParseMap(text []byte) (Map, error) {
	notObject := Faults{`the map is no JSON object: write {"title":"name of your column","customer_country":"=DE"}`}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return Map{}, notObject
	}
	m := Map{given: true, names: map[string]string{}}
	seen := map[string]bool{}
	var faults Faults
	for decoder.More() {
		token, err := decoder.Token()
		key, isKey := token.(string)
		var value any
		if err != nil || !isKey || decoder.Decode(&value) != nil {
			return Map{}, notObject
		}
		if seen[key] {
			faults.add("the map names %q twice: remove one", shorten(key))
			continue
		}
		seen[key] = true
		if fault := m.set(key, value); fault != "" {
			faults = append(faults, fault)
		}
	}
	if _, err := decoder.Token(); err != nil {
		return Map{}, notObject
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Map{}, notObject
	}
	if err := faults.err(); err != nil {
		return Map{}, err
	}
	return m, nil
}

// set takes one entry and says what is wrong with it.
func (m *Map) set(key string, value any) (fault string) {
	switch key {
	case "create_companies":
		var isBool bool
		if m.CreateCompanies, isBool = value.(bool); !isBool {
			return "create_companies of the map is neither true nor false: write one of them"
		}
		return ""
	case Decimal:
		if m.form.decimal, _ = value.(string); m.form.decimal != DecimalPoint && m.form.decimal != DecimalComma {
			return `decimal of the map is neither "." nor ",": write the sign that stands before the cents`
		}
		return ""
	case Dates:
		if m.form.dates, _ = value.(string); m.form.dates != DayFirst && m.form.dates != MonthFirst {
			return `dates of the map is neither "dmy" nor "mdy": write the order of day, month and year, or leave it out for 2026-11-22`
		}
		return ""
	}
	isPattern := slices.Contains(patterns, key)
	if !isPattern && !slices.Contains(columns, key) {
		return fmt.Sprintf("the map names %q, which is no column of ours: use %s, the patterns %s, decimal, dates or create_companies",
			shorten(key), known, strings.Join(patterns, ", "))
	}
	name, isText := value.(string)
	switch {
	case !isText || strings.TrimSpace(name) == "":
		return fmt.Sprintf(`%s of the map is no text: write the name of your column, or "=" and a constant`, key)
	case isPattern && (strings.HasPrefix(name, "=") || strings.Count(name, "*") != 1):
		return fmt.Sprintf("%s of the map is no pattern: write the name of your columns with one * for the number, such as partner_*", key)
	case key == "external_ref" && strings.HasPrefix(name, "="):
		return "external_ref of the map is a constant: name the column that holds another reference for each deal"
	}
	m.names[key] = name
	return ""
}

// fileColumn is where the map takes one of our columns from; it is false when the map leaves us our own name.
func (m Map) fileColumn(column string) (name string, mapped bool) {
	if name, mapped = m.names[column]; mapped {
		return name, true
	}
	for _, pattern := range patterns {
		name, mapped = m.names[pattern]
		if n := numberIn(pattern, column); mapped && n > 0 {
			return strings.Replace(name, "*", strconv.Itoa(n), 1), true
		}
	}
	return column, false
}

// partyPattern is how the file numbers the parties.
func (m Map) partyPattern() string {
	if pattern, mapped := m.names[patterns[0]]; mapped {
		return pattern
	}
	return patterns[0]
}
