package disclosure

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

// row is one published figure: an equation that says what some deals sum to. The bits hold the book (8), the release
// (16), the dimension (8) and the cell (32).
type row uint64

const (
	ofTotal uint8 = iota
	ofCoverage
	ofMonth
	ofChapter
)

func makeRow(book, release int, dimension uint8, cell int32) row {
	return row(book)<<56 | row(release)<<40 | row(dimension)<<32 | row(uint32(cell)) // #nosec G115 -- 256 books of 65536 releases are beyond all years
}

func (r row) append(key []byte) []byte { return binary.BigEndian.AppendUint64(key, uint64(r)) }

func (r row) book() int        { return int(r >> 56) }
func (r row) release() int     { return int(r >> 40 & 0xffff) }
func (r row) cell() int32      { return int32(uint32(r)) }      // #nosec G115 -- the lower half
func (r row) dimension() uint8 { return uint8(r >> 32 & 0xff) } // #nosec G115 -- masked

// coverageOf is the cell of those who stand for a deal.
func coverageOf(byParties bool) int32 {
	if byParties {
		return 1
	}
	return 0
}

// unit is an amount that nobody but the groups of the deal knows: a chapter's part of one deal, or several that appear in
// the same rows. Raising it by one raises each row of its class by one.
type unit struct {
	deal   int // index of the deal in the system
	amount int64
	need   int64 // by how much it must be uncertain
	groups []int32
}

// class is the units that appear in exactly the same rows: published is only their sum.
type class struct {
	index int   // in the system
	rows  []row // ascending
	units []unit
	total int64
	known map[int32]int64 // of the total, by each group that takes part
	safe  int64           // of the total, what even the group that knows most does not know
}

// unknown is what the group does not know of the class.
func (c *class) unknown(group int32) int64 { return c.total - c.known[group] }

// scaled is a deal whose parts in several associations hang together in a way that the figures do not tell: it can only
// be thought larger or smaller as a whole.
type scaled struct {
	deal   int
	groups []int32
	needs  map[*class]int64
}

// system is all that was published about deals that are connected, as linear equations over units.
type system struct {
	names    *names
	deals    []dealAt
	classes  []*class
	scaled   []scaled
	lost     []int // deals that cannot be protected
	byRows   map[string]*class
	profiles map[profile][]row
}

// dealAt is where one deal is found: its index in each book that has it.
type dealAt []place

type place struct{ book, index int }

// profile is what decides in which rows a chapter's part of a deal appears while its state lasts.
type profile struct {
	book, from, to int // releases from ... to
	month          calendar.Date
	byParties      bool
	chapter        int32
}

// part is one amount of a deal in one book: the same chapter and amount in later states is the same part, since an
// attacker may know that it stayed.
type part struct {
	chapter int32
	amount  int64
	rows    []row
	states  []int32 // in which it is
	groups  []int32
	known   bool // to everybody
}

// newSystem writes down the equations. Deals gives each deal's place in the books.
func newSystem(books []*book, deals []dealAt, names *names) *system {
	s := &system{names: names, deals: deals, byRows: map[string]*class{}, profiles: map[profile][]row{}}
	for i, d := range deals {
		s.add(i, d, books)
	}
	for _, c := range s.classes {
		c.total, c.known = knowledge(c.units, func(u unit) (int64, []int32) { return u.amount, u.groups })
		c.safe = c.total
		for _, known := range c.known {
			c.safe = min(c.safe, c.total-known)
		}
	}
	return s
}

// add writes down one deal. Of a deal that is in several books, what was shown to everybody in one is no secret in the
// others; when a later state of it is one still, nothing can be said for its safety.
func (s *system) add(index int, d dealAt, books []*book) {
	var elsewhere []span
	if len(d) > 1 {
		elsewhere = shownSpans(books, d)
	}
	var shared [][]placed
	for _, at := range d {
		if parts := s.parts(books, at, elsewhere); len(parts) > 0 {
			shared = append(shared, units(parts, books[at.book].year.Deals[at.index].States))
		}
	}
	if len(elsewhere) > 0 && len(shared) > 0 {
		s.lost = append(s.lost, index)
		return
	}
	if linked, ok := link(shared); ok {
		for _, u := range linked {
			c := s.class(u.rows)
			u.deal = index
			c.units = append(c.units, u.unit)
		}
		return
	}
	whole := scaled{deal: index, needs: map[*class]int64{}}
	for _, units := range shared {
		for _, u := range units {
			whole.needs[s.class(u.rows)] += u.need
			whole.groups = union(whole.groups, u.groups)
		}
	}
	s.scaled = append(s.scaled, whole)
}

// placed is a unit with its rows and what is needed to tell whether it is another association's unit too.
type placed struct {
	unit
	rows      []row
	single    bool   // its deal has had one state in the book
	companies []Pair // the pairs of that state, in order
}

// parts gives what the deal counted for in one book's releases, but for what was shown to everybody, here or elsewhere.
func (s *system) parts(books []*book, at place, elsewhere []span) []part {
	b := books[at.book]
	if b.year.Policy == Open {
		return nil
	}
	states := b.year.Deals[at.index].States
	var parts []part
	for release := 0; release < len(b.layouts); {
		position, last := b.included[release][at.index], release
		known := b.shows(release, at.index)
		for last+1 < len(b.layouts) && b.included[last+1][at.index] == position {
			last++
			known = known || b.shows(last, at.index)
		}
		if position != nothing {
			state := states[position]
			known = known || slices.ContainsFunc(elsewhere, spanOf(states, position).overlaps)
			groups := s.names.groups(state.Groups)
			for _, c := range state.Chapters {
				if c.AmountMinor == 0 {
					continue
				}
				chapter := s.names.chapter(c.Chapter)
				rows := s.rows(books, profile{at.book, release, last, state.Month, state.ByParties, chapter})
				i := slices.IndexFunc(parts, func(p part) bool { return p.chapter == chapter && p.amount == c.AmountMinor })
				if i < 0 {
					i, parts = len(parts), append(parts, part{chapter: chapter, amount: c.AmountMinor})
				}
				p := &parts[i]
				p.rows, p.states = append(p.rows, rows...), append(p.states, position)
				p.groups, p.known = union(p.groups, groups), p.known || known
			}
		}
		release = last + 1
	}
	return slices.DeleteFunc(parts, func(p part) bool { return p.known })
}

// span is the part of the log during which a deal had a state: from one sequence to before another.
type span struct{ from, to uint64 }

func (a span) overlaps(b span) bool { return a.from < b.to && b.from < a.to }

func spanOf(states []State, position int32) span {
	if int(position)+1 < len(states) {
		return span{states[position].Sequence, states[position+1].Sequence}
	}
	return span{states[position].Sequence, math.MaxUint64}
}

// shownSpans gives when the deal was what everybody was shown in some book.
func shownSpans(books []*book, d dealAt) []span {
	var spans []span
	for _, at := range d {
		b := books[at.book]
		states := b.year.Deals[at.index].States
		for position := range int32(len(states)) { // #nosec G115 -- a deal has fewer events
			if b.year.Policy == Open && states[position].Counts() {
				spans = append(spans, spanOf(states, position))
			}
		}
		for release := range b.layouts {
			if b.shows(release, at.index) {
				spans = append(spans, spanOf(states, b.included[release][at.index]))
			}
		}
	}
	return spans
}

// units joins the parts that appear in the same rows. The largest unit of each state has to leave the whole deal
// uncertain, the others themselves.
func units(parts []part, states []State) []placed {
	var units []placed
	var in [][]int32
	for _, p := range parts {
		i := slices.IndexFunc(units, func(u placed) bool { return slices.Equal(u.rows, p.rows) })
		if i < 0 {
			i = len(units)
			units, in = append(units, placed{rows: p.rows}), append(in, p.states)
		}
		units[i].amount += p.amount
		units[i].groups = union(units[i].groups, p.groups)
	}
	var seen []int32
	for i := range units {
		units[i].need = slack(units[i].amount)
		for _, at := range in[i] {
			if slices.Contains(seen, at) {
				continue
			}
			seen = append(seen, at)
			largest := i
			for j := range units {
				if slices.Contains(in[j], at) && units[j].amount > units[largest].amount {
					largest = j
				}
			}
			units[largest].need = max(units[largest].need, slack(states[at].AmountMinor()))
		}
	}
	for i := range units {
		units[i].single = len(seen) == 1
		for _, p := range states[seen[0]].Pairs {
			units[i].companies = append(units[i].companies, p.Pair)
		}
		slices.SortFunc(units[i].companies, Pair.Compare)
	}
	return units
}

// link recognises the units of one association as those of another: the same companies take part for the same amount,
// and it is clear which part is which. The units of a deal that is in one association only need no link. A deal that has
// had several states is never linked.
func link(shared [][]placed) ([]placed, bool) {
	if len(shared) <= 1 {
		return slices.Concat(shared...), true
	}
	var whole, split [][]placed // of associations in which the deal has one part, and several
	for _, units := range shared {
		if first := shared[0]; !units[0].single || !slices.Equal(units[0].companies, first[0].companies) || sum(units) != sum(first) {
			return nil, false
		}
		if len(units) == 1 {
			whole = append(whole, units)
		} else {
			split = append(split, units)
		}
	}
	if len(split) == 0 {
		split, whole = whole[:1], whole[1:]
	}
	linked := slices.Clone(split[0])
	join := func(i int, u placed) {
		linked[i].rows = slices.Concat(linked[i].rows, u.rows)
		linked[i].need = max(linked[i].need, u.need)
	}
	for _, units := range split[1:] {
		if len(units[0].companies) != 1 || units[0].amount == units[1].amount {
			return nil, false
		}
		for i := range linked {
			same := slices.IndexFunc(units, func(u placed) bool { return u.amount == linked[i].amount })
			if same < 0 {
				return nil, false
			}
			join(i, units[same])
		}
	}
	for _, units := range whole {
		for i := range linked {
			linked[i].rows = slices.Concat(linked[i].rows, units[0].rows)
		}
	}
	return linked, true
}

func sum(units []placed) (amount int64) {
	for _, u := range units {
		amount += u.amount
	}
	return amount
}

// rows lists where a profile appears.
func (s *system) rows(books []*book, p profile) []row {
	if rows, found := s.profiles[p]; found {
		return rows
	}
	var rows []row
	for release := p.from; release <= p.to; release++ {
		layout := books[p.book].layouts[release]
		rows = append(rows, makeRow(p.book, release, ofTotal, 0))
		if layout.coverage {
			rows = append(rows, makeRow(p.book, release, ofCoverage, coverageOf(p.byParties)))
		}
		if layout.months[p.month] {
			rows = append(rows, makeRow(p.book, release, ofMonth, int32(p.month)))
		}
		if layout.chapters[s.names.chapters[p.chapter]] {
			rows = append(rows, makeRow(p.book, release, ofChapter, p.chapter))
		}
	}
	s.profiles[p] = rows
	return rows
}

// class finds the class of the rows.
func (s *system) class(rows []row) *class {
	rows = slices.Clone(rows)
	slices.Sort(rows)
	key := make([]byte, 0, 8*len(rows))
	for _, r := range rows {
		key = r.append(key)
	}
	c, found := s.byRows[string(key)]
	if !found {
		c = &class{index: len(s.classes), rows: rows}
		s.byRows[string(key)] = c
		s.classes = append(s.classes, c)
	}
	return c
}

// names numbers groups and chapters.
type names struct {
	groupOf   map[deal.ID]int32
	chapterOf map[deal.ID]int32
	chapters  []deal.ID
}

func newNames() *names { return &names{groupOf: map[deal.ID]int32{}, chapterOf: map[deal.ID]int32{}} }

func (n *names) groups(ids []deal.ID) []int32 {
	groups := make([]int32, 0, len(ids))
	for _, id := range ids {
		g, found := n.groupOf[id]
		if !found {
			g = int32(len(n.groupOf)) // #nosec G115 -- groups are fewer than deals
			n.groupOf[id] = g
		}
		if !slices.Contains(groups, g) {
			groups = append(groups, g)
		}
	}
	return groups
}

func (n *names) chapter(id deal.ID) int32 {
	c, found := n.chapterOf[id]
	if !found {
		c = int32(len(n.chapters)) // #nosec G115 -- chapters are few
		n.chapterOf[id], n.chapters = c, append(n.chapters, id)
	}
	return c
}

func union(a, b []int32) []int32 {
	result := slices.Clip(a)
	for _, x := range b {
		if !slices.Contains(result, x) {
			result = append(result, x)
		}
	}
	return result
}
