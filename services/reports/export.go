package reports

import (
	"fmt"
	"strconv"
	"time"

	"github.com/dealreg/dealreg/pkg/warehouse"
)

// hidden stands in an export where the API says that a figure is hidden.
const hidden = "hidden"

// cell gives the amount and the number of deals of a statement's figure.
func cell(c Cell) []field {
	if c.Hidden {
		return []field{text(hidden), text(hidden)}
	}
	return []field{amount(c.Amount), number(*c.Deals)}
}

func number[N int | int64 | uint64](n N) field { return count(fmt.Sprint(n)) }

func named(n Named) []field { return []field{text(n.Name), text(n.ID.String())} }

func moment(t time.Time) field {
	if t.IsZero() {
		return text("")
	}
	return text(t.UTC().Format(time.RFC3339))
}

// summary gathers what stands on the first sheet: facts, then figures. Each row is as long as its header.
type summary struct{ table }

func newSummary(figures ...string) *summary {
	return &summary{table{name: "Summary", header: append([]string{"Figure", "Value"}, figures...)}}
}

func (s *summary) fact(name string, value field) { s.figure(name, value) }

func (s *summary) figure(name string, value field, figures ...field) {
	row := append([]field{text(name), value}, figures...)
	s.rows = append(s.rows, append(row, make([]field, len(s.header)-len(row))...))
}

func definitionTable() table {
	t := table{name: "Definitions", header: []string{"Term", "Meaning"}}
	for _, d := range definitions {
		t.rows = append(t.rows, []field{text(d.Term), text(d.Meaning)})
	}
	return t
}

// statementBook writes a statement as tables.
func statementBook(st Statement) book {
	top := newSummary("Amount", "Deals")
	top.fact("Association", text(st.Association.Name))
	top.fact("Association id", text(st.Association.ID.String()))
	top.fact("Year", text(strconv.Itoa(st.Year)))
	top.fact("Release", text("r"+strconv.Itoa(st.Release)))
	top.fact("Published at", moment(st.PublishedAt))
	top.fact("Cause", text(string(st.Cause)))
	top.fact("Reason", text(st.Reason))
	top.fact("Closed", text(strconv.FormatBool(st.Closed)))
	top.fact("Disclosure", text(st.Policy))
	top.fact("Currency", text(string(st.Currency)))
	top.fact("As of sequence", number(st.AsOfSequence))
	top.fact("As of", moment(st.AsOf))
	top.fact("Log hash", text(st.LogHash))
	top.figure("Total", text(""), cell(st.Total)...)
	top.figure("Attested by parties", text(""), cell(st.AttestedByParties)...)
	top.figure("Attested by registrar", text(""), cell(st.AttestedByRegistrar)...)
	if rest := st.RestOfPairs; rest != nil {
		top.figure("Rest of pairs", number(rest.Items), amount(rest.Amount), number(rest.Deals))
	}
	top.figure("Other pairs", text(""), cell(st.OtherPairs)...)
	if c := st.Changes; c != nil {
		top.figure("Changes", text("since r"+strconv.Itoa(c.SinceRelease)), cell(c.Cell)...)
	}
	if p := st.PreviousYear; p != nil {
		top.figure("Previous year", text(strconv.Itoa(p.Year)+" r"+strconv.Itoa(p.Release)), cell(p.Total)...)
	}
	if st.GrowthPercent != "" {
		top.fact("Growth percent", percent(st.GrowthPercent))
	}
	if m := st.Members; m != nil {
		top.fact("Members taking part", number(m.TakingPart))
		top.fact("Members", number(m.Of))
	}
	if n := st.Coverage.UnconvertedDeals; n != nil {
		top.fact("Unconverted deals", number(*n))
	} else {
		top.fact("Unconverted deals", text(hidden))
	}
	top.fact("Quarantined events", number(st.Coverage.QuarantinedEvents))
	for _, dimension := range st.LeftOut {
		top.fact("Left out", text(dimension))
	}

	months := table{name: "Months", header: []string{"Month", "Amount", "Deals", "Month before", "Amount before", "Deals before"}}
	for i, m := range st.Months {
		row := append([]field{text(m.Month)}, cell(m.Cell)...)
		if p := st.PreviousYear; p != nil && i < len(p.Months) {
			row = append(append(row, text(p.Months[i].Month)), cell(p.Months[i].Cell)...)
		}
		months.rows = append(months.rows, append(row, make([]field, len(months.header)-len(row))...))
	}
	chapters := table{name: "Chapters", header: []string{"Chapter", "Chapter id", "Amount", "Deals"}}
	for _, c := range st.Chapters {
		chapters.rows = append(chapters.rows, append(named(c.Chapter), cell(c.Cell)...))
	}
	pairs := table{name: "Pairs", header: pairHeader("Amount", "Deals")}
	for _, p := range st.Pairs {
		pairs.rows = append(pairs.rows, append(append(named(p.Companies[0]), named(p.Companies[1])...), cell(p.Cell)...))
	}
	return book{
		name:     fileName(st.Association.Name, strconv.Itoa(st.Year), "r"+strconv.Itoa(st.Release)),
		currency: st.Currency, tables: []table{top.table, months, chapters, pairs, definitionTable()},
	}
}

func pairHeader(figures ...string) []string {
	return append([]string{"Company", "Company id", "Partner", "Partner id"}, figures...)
}

var sumsHeader = []string{"Amount", "Deals", "Attested by parties", "Unconverted deals"}

func sums(s Sums) []field {
	return []field{amount(s.Amount), number(s.Deals), amount(s.AttestedByParties), number(s.UnconvertedDeals)}
}

// volumeBook writes a live report as tables: the summary, its items and the definitions.
func volumeBook(r VolumeReport, association Named, by warehouse.By) book {
	top := newSummary(sumsHeader...)
	top.fact("Association", text(association.Name))
	top.fact("Association id", text(association.ID.String()))
	top.fact("Year", text(strconv.Itoa(r.Year)))
	top.fact("Currency", text(string(r.Currency)))
	top.fact("As of sequence", number(r.AsOfSequence))
	top.fact("As of", moment(r.AsOf.AsOf))
	top.figure("Total", text(""), sums(r.Total)...)
	if r.PreviousYear != nil {
		top.figure("Previous year", text(strconv.Itoa(r.Year-1)), sums(*r.PreviousYear)...)
	}
	if r.Rest != nil {
		top.figure("Rest", number(r.Rest.Items), sums(r.Rest.Sums)...)
	}
	top.fact("Quarantined events", number(r.QuarantinedEvents))
	b := book{
		name:     fileName(association.Name, strconv.Itoa(r.Year), string(by), "as of", strconv.FormatUint(r.AsOfSequence, 10)),
		currency: r.Currency, tables: []table{top.table},
	}
	if by != warehouse.ByTotal {
		b.tables = append(b.tables, itemTable(r.Items, by))
	}
	b.tables = append(b.tables, definitionTable())
	return b
}

func itemTable(items []VolumeItem, by warehouse.By) table {
	var t table
	switch by {
	case warehouse.ByChapter:
		t = table{name: "Chapters", header: append([]string{"Chapter", "Chapter id"}, sumsHeader...)}
	case warehouse.ByPair:
		t = table{name: "Pairs", header: pairHeader(sumsHeader...)}
	case warehouse.ByMonth, warehouse.ByTotal:
		t = table{name: "Months", header: append([]string{"Month"}, sumsHeader...)}
	}
	for _, item := range items {
		var key []field
		switch {
		case item.Chapter != nil:
			key = named(*item.Chapter)
		case len(item.Companies) == 2:
			key = append(named(item.Companies[0]), named(item.Companies[1])...)
		default:
			key = []field{text(item.Month)}
		}
		t.rows = append(t.rows, append(key, sums(item.Sums)...))
	}
	return t
}
