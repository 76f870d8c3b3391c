package portal

import (
	"cmp"
	"math/big"
	"net/url"
	"slices"
	"strconv"

	"github.com/dealreg/dealreg/services/portal/api"
)

// mostInChord is how many members the chord diagram and the matrix show; the others are summed up.
const mostInChord = 16

// pairsView is what the page of pairs shows beside the year.
type pairsView struct {
	View     string // chord, matrix or table
	Views    []link
	Company  *api.Named // only pairs of this member
	All      string     // the address without that choice
	Chord    *chord
	Matrix   *matrix
	Rows     []Pair
	First    int // number of the first row
	Of       int
	Previous string // addresses of the pages of the table
	Next     string
	Rest     *api.Cell // pairs that are neither drawn nor in the table
}

func (v *visit) pairsPage(b *body) error {
	query := v.r.URL.Query()
	p := &pairsView{View: query.Get("view"), All: b.Address + "/pairs?view=table", Rest: b.Rest}
	pairs := b.Pairs
	if id := query.Get("company"); id != "" {
		pairs = slices.DeleteFunc(slices.Clone(pairs), func(p Pair) bool { return p.A.ID.String() != id && p.B.ID.String() != id })
		if len(pairs) == 0 {
			return errNotFound
		}
		p.Company, p.View = &pairs[0].A, "table"
		if !b.Live {
			p.Rest = nil // that of all members
		}
		if pairs[0].B.ID.String() == id {
			p.Company = &pairs[0].B
		}
		p.All = b.Address + "/pairs"
	}
	shown := newTop(pairs, mostInChord)
	shown.all = b.Rest == nil
	switch p.View {
	case "matrix":
		p.Matrix = v.matrix(shown, b)
	case "table":
		if err := p.page(pairs, b, query); err != nil {
			return err
		}
	case "", "chord":
		p.View = "chord"
		p.Chord = v.chord(shown, b)
	default:
		return errNotFound
	}
	for _, view := range []string{"chord", "matrix", "table"} {
		p.Views = append(p.Views, link{
			Text: v.speech.text("pairs.view." + view), Address: b.Address + "/pairs?view=" + view, Here: view == p.View && p.Company == nil,
		})
	}
	b.Page = p
	return v.show("pairs", v.speech.text("pairs.title", "year", b.Name()), b)
}

// page cuts the table.
func (p *pairsView) page(pairs []Pair, b *body, query url.Values) error {
	number := 1
	if asked := query.Get("page"); asked != "" {
		var err error
		if number, err = strconv.Atoi(asked); err != nil || number < 1 {
			return errNotFound
		}
	}
	from := (number - 1) * mostInTable
	if from > 0 && from >= len(pairs) {
		return errNotFound
	}
	to := min(len(pairs), from+mostInTable)
	p.Rows, p.First, p.Of = pairs[from:to], from+1, len(pairs)+b.RestPairs
	address := func(page int) string {
		q := url.Values{"view": {"table"}, "page": {strconv.Itoa(page)}}
		if p.Company != nil {
			q.Set("company", p.Company.ID.String())
		}
		return b.Address + "/pairs?" + q.Encode()
	}
	if number > 1 {
		p.Previous = address(number - 1)
	}
	if to < len(pairs) {
		p.Next = address(number + 1)
		p.Rest = nil // it stands on the last page
	}
	return nil
}

// top are the members with the largest pairs. What they won together stands in cells; the index behind the last of them
// stands for the others in these pairs.
type top struct {
	members []api.Named
	others  int
	pairs   int                 // how many it is made of
	all     bool                // there are no other pairs
	cells   map[[2]int]api.Cell // by rising index
}

func newTop(pairs []Pair, most int) top {
	rows := membersOf(pairs)
	t := top{others: max(0, len(rows)-most), cells: map[[2]int]api.Cell{}}
	index := map[string]int{}
	for i, row := range rows[:len(rows)-t.others] {
		t.members = append(t.members, row.Named)
		index[row.ID.String()] = i
	}
	place := func(n api.Named) int {
		if i, among := index[n.ID.String()]; among {
			return i
		}
		return len(t.members)
	}
	for _, p := range pairs {
		if p.Cell.Hidden {
			continue
		}
		t.pairs++
		at := [2]int{place(p.A), place(p.B)}
		if at[0] > at[1] {
			at[0], at[1] = at[1], at[0]
		}
		c := t.cells[at]
		if c.Amount == "" {
			c.Amount = "0"
		}
		t.cells[at] = api.Cell{Amount: add(c.Amount, p.Cell.Amount), Deals: c.Deals + p.Cell.Deals}
	}
	return t
}

// between is the cell of two members, in either order.
func (t top) between(i, j int) (api.Cell, bool) {
	c, won := t.cells[[2]int{min(i, j), max(i, j)}]
	return c, won
}

// size counts the rows: the members, and the others if there are any.
func (t top) size() int { return len(t.members) + min(1, t.others) }

// names gives each row its name, no two the same: the diagram tells nodes apart by them.
func (t top) names(v *visit) []string {
	names := make([]string, 0, t.size())
	for _, m := range t.members {
		name := m.Name
		for slices.Contains(names, name) {
			name += "\u00a0*"
		}
		names = append(names, name)
	}
	switch {
	case t.others > 0 && t.all:
		names = append(names, v.speech.count("pairs.others", int64(t.others)))
	case t.others > 0:
		names = append(names, v.speech.count("pairs.others.of", int64(t.others), "pairs", v.speech.number(int64(t.pairs))))
	}
	return names
}

type chord struct {
	Description string  `json:"description"`
	Nodes       []node  `json:"nodes"`
	Links       []chain `json:"links"`
	Among       *api.Cell
}

type node struct {
	Name string `json:"name"`
	Text string `json:"text"`
	Href string `json:"href,omitempty"`
	Rest bool   `json:"rest,omitempty"`
}

type chain struct {
	Source string `json:"source"`
	Target string `json:"target"`
	Value  string `json:"value"`
	Text   string `json:"text"`
}

// chord is the data of the diagram; nil when there is nothing to draw. What the others won among themselves has no band.
func (v *visit) chord(t top, b *body) *chord {
	if len(t.cells) == 0 {
		return nil
	}
	c := &chord{Description: v.speech.count("pairs.description", int64(t.pairs), "year", b.Name(), "association", b.Association.Name)}
	names := t.names(v)
	partners := make([]int64, t.size())
	for at, cell := range t.cells {
		if at[0] == at[1] {
			c.Among = &cell
			continue
		}
		partners[at[0]]++
		partners[at[1]]++
		c.Links = append(c.Links, chain{
			Source: names[at[0]], Target: names[at[1]], Value: cell.Amount,
			Text: v.speech.money(cell.Amount, b.Currency) + ", " + v.speech.count("deals", cell.Deals),
		})
	}
	slices.SortFunc(c.Links, func(x, y chain) int {
		return cmp.Or(compare(y.Value, x.Value), cmp.Compare(x.Source, y.Source), cmp.Compare(x.Target, y.Target))
	})
	for i, name := range names {
		n := node{Name: name, Text: v.speech.count("partners", partners[i]), Rest: i == len(t.members)}
		if !n.Rest {
			n.Href = b.Address + "/pairs?company=" + t.members[i].ID.String()
		}
		c.Nodes = append(c.Nodes, n)
	}
	return c
}

// matrix is the same as a table with shades.
type matrix struct {
	Names []matrixName
	Rows  [][]shade
	Unit  string // the message that names it
}

type matrixName struct{ Text, Address string }

type shade struct {
	None  bool   // no deals together
	Self  bool   // a member with itself
	Level int    // 1-9 of the largest
	Text  string // in the unit
	Full  string
}

func (v *visit) matrix(t top, b *body) *matrix {
	if len(t.cells) == 0 {
		return nil
	}
	m := &matrix{}
	for i, name := range t.names(v) {
		n := matrixName{Text: name}
		if i < len(t.members) {
			n.Address = b.Address + "/pairs?company=" + t.members[i].ID.String()
		}
		m.Names = append(m.Names, n)
	}
	largest := "0"
	for _, cell := range t.cells {
		if compare(cell.Amount, largest) > 0 {
			largest = cell.Amount
		}
	}
	divisor := int64(1)
	m.Unit = "unit.one"
	switch whole := ratOf(largest); {
	case whole.Cmp(big.NewRat(100_000_000, 1)) >= 0:
		divisor, m.Unit = 1_000_000, "unit.million"
	case whole.Cmp(big.NewRat(100_000, 1)) >= 0:
		divisor, m.Unit = 1000, "unit.thousand"
	}
	for i := range t.size() {
		row := make([]shade, t.size())
		for j := range row {
			cell, won := t.between(i, j)
			switch {
			case !won:
				row[j] = shade{None: true, Self: i == j}
			default:
				row[j] = shade{
					Level: level(cell.Amount, largest), Text: v.speech.rounded(cell.Amount, divisor),
					Full: m.Names[i].Text + " \u2013 " + m.Names[j].Text + ": " + v.speech.money(cell.Amount, b.Currency) + ", " + v.speech.count("deals", cell.Deals),
				}
			}
		}
		m.Rows = append(m.Rows, row)
	}
	return m
}

// level is 1-9 for an amount up to the largest.
func level(amount, largest string) int {
	r := ratio(amount, largest)
	if r == nil {
		return 1
	}
	scaled, _ := r.Mul(r, big.NewRat(9, 1)).Float64()
	return min(9, max(1, int(scaled+0.999)))
}
