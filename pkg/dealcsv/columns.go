package dealcsv

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
)

// columns are the names of every column, in the order of a file that needs no map.
var columns = func() []string {
	names := []string{
		"external_ref", "title", "customer", "customer_country", "customer_domain", "currency", "amount", "status",
		"expected_on", "won_on",
	}
	for n := 1; n <= deal.MaxParties; n++ {
		name := partyColumn(n)
		names = append(names, name, name+"_role", name+"_share")
	}
	return append(names, "chapter")
}()

// required are the columns without which no row could be a deal. won_on is another, unless a status may say pending.
var required = []string{"external_ref", "title", "customer", "customer_country", "currency", "amount", "party_1", "party_2"}

func partyColumn(n int) string { return "party_" + strconv.Itoa(n) }

// Columns gives the names of every column, in the order of a file that needs no map.
func Columns() []string { return slices.Clone(columns) }

// source is where the cells of one of our columns come from: a column of the file, a constant, or nowhere.
type source struct {
	label    string // how the reasons name it: as the file's header does
	index    int    // in a record; below 0 for a constant
	constant string
	form     form
}

// partySources are the sources of one party's cells.
type partySources struct{ name, role, share source }

// resolve finds each of our columns in the file's header. The error is Faults, every one of them.
func resolve(header []string, m Map) (map[string]source, error) {
	at, twice := places(header)
	var faults Faults
	found, used := map[string]source{}, map[string]bool{}
	for _, column := range columns {
		name, mapped := m.fileColumn(column)
		if constant, is := strings.CutPrefix(name, "="); is && mapped {
			found[column] = source{label: column + " (constant of the map)", index: -1, constant: constant, form: m.form}
			continue
		}
		key := roster.NameKey(name)
		i, there := at[key]
		switch {
		case there:
			found[column] = source{label: roster.CleanName(header[i]), index: i, form: m.form}
			used[key] = true
		case m.names[column] != "":
			faults.add("the map takes %s from column %q, which the file does not have: correct the map or add the column", column, shorten(name))
		}
		if twice[key] {
			faults.add(isTwice, shorten(name))
		}
	}
	faults = append(faults, missing(found)...)
	faults = append(faults, m.leftOver(header, used)...)
	return found, faults.err()
}

const isTwice = "column %q is there twice: remove or rename one"

// places tells where each name of the header stands, the first where one stands twice, by its key.
func places(header []string) (at map[string]int, twice map[string]bool) {
	at, twice = map[string]int{}, map[string]bool{}
	for i, name := range header {
		key := roster.NameKey(name)
		if _, again := at[key]; again {
			twice[key] = true
			continue
		}
		at[key] = i
	}
	return at, twice
}

// missing names the required columns that come from nowhere, each with the remedy.
func missing(found map[string]source) Faults {
	var faults Faults
	for _, column := range required {
		s, there := found[column]
		empty := there && s.index < 0 && s.constant == ""
		switch {
		case column == "external_ref" && !there:
			faults.add("column external_ref is missing: add it or map the column that holds a reference of your own for each deal; " +
				"it makes a second import of the same file change nothing")
		case column == "customer_country" && (!there || empty):
			faults.add(`column customer_country is missing: add it, map another column, or set one country for all rows with "customer_country":"=DE" in the map`)
		case !there || empty:
			faults.add("column %s is missing: add it or map the column that holds it", column)
		}
	}
	status, hasStatus := found["status"]
	mayBePending := hasStatus && (status.index >= 0 || status.constant == string(deal.Pending))
	if _, there := found["won_on"]; !there && !mayBePending {
		faults.add("column won_on is missing: add it or map the column that holds the day on which the deal was won")
	}
	return faults
}

// leftOver names what the map and the file do not have in common: patterns that fit no column, parties beyond the last
// and, without a map, columns that would be passed over in silence.
func (m Map) leftOver(header []string, used map[string]bool) Faults {
	var faults Faults
	for _, key := range patterns {
		pattern, mapped := m.names[key]
		if !mapped {
			continue
		}
		fits := func(name string) bool { return used[roster.NameKey(name)] && numberIn(pattern, name) > 0 }
		if !slices.ContainsFunc(header, fits) {
			faults.add("the map takes %s from columns like %q, and the file has none: correct the map", key, shorten(pattern))
		}
	}
	var unknown []string
	for _, name := range header {
		if n := numberIn(m.partyPattern(), name); n > deal.MaxParties {
			faults.add("column %q is one party too many, a deal has at most %d: remove it", shorten(name), deal.MaxParties)
		} else if !m.given && !used[roster.NameKey(name)] {
			unknown = append(unknown, fmt.Sprintf("%q", shorten(roster.CleanName(name))))
		}
	}
	if len(unknown) > 0 {
		faults.add("unknown columns %s: remove them, or send a map, with which columns that it does not name are ignored; our columns are %s",
			strings.Join(unknown, ", "), known)
	}
	return faults
}

// numberIn is the number that stands for the * of the pattern in the name of a column, 0 when the name does not fit.
func numberIn(pattern, name string) int {
	before, after, _ := strings.Cut(roster.NameKey(pattern), "*")
	digits, hasBefore := strings.CutPrefix(roster.NameKey(name), before)
	digits, hasAfter := strings.CutSuffix(digits, after)
	n, err := strconv.Atoi(digits)
	if !hasBefore || !hasAfter || err != nil || n < 1 || strconv.Itoa(n) != digits {
		return 0
	}
	return n
}

// shorten keeps what a user wrote short enough for an error message.
func shorten(text string) string {
	const longest = 60
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return text
}
