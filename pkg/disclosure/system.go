package disclosure

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

// row is one published figure: an equation that says what some deals sum to. The bits hold the book (14), the release
// (15), the dimension (3) and the cell (32).
type row uint64

const (
	ofTotal uint8 = iota
	ofCoverage
	ofMonth
	ofChapter
)

func makeRow(book, release int, dimension uint8, cell int32) row {
	return row(book)<<50 | row(release)<<35 | row(dimension)<<32 | row(uint32(cell)) // #nosec G115 -- 16384 books of 32768 releases are beyond all years
}

func (r row) append(key []byte) []byte { return binary.BigEndian.AppendUint64(key, uint64(r)) }

func (r row) book() int        { return int(r >> 50) }          // #nosec G115 -- 14 bits
func (r row) release() int     { return int(r >> 35 & 0x7fff) } // #nosec G115 -- masked
func (r row) dimension() uint8 { return uint8(r >> 32 & 7) }    // #nosec G115 -- masked
func (r row) cell() int32      { return int32(uint32(r)) }      // #nosec G115 -- the lower half

// coverageOf is the cell of those who stand for a deal.
func coverageOf(byParties bool) int32 {
	if byParties {
		return 1
	}
	return 0
}

// unit is an amount that its deal has had in all releases that include the deal: a chapter's part, or several that appear
// in the same rows. Raising it by one raises each row of its class by one.
type unit struct {
	deal     int // index of the deal in the system
	amount   int64
	need     int64   // by how much it must be uncertain
	owners   []int32 // the groups that know it
	insiders []int32 // the groups that may know something of it: those of every state that the deal ever had
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

// unknown is what the group surely does not know of the class.
func (c *class) unknown(group int32) int64 { return c.total - c.known[group] }

// demand is what the units of some classes must make up for when a deal that is no unit is thought larger: by so much of
// each amount is the class lowered, or raised when it is negative.
type demand struct {
	deal  int
	of    map[*class]int64
	known []int32 // the groups to whom it does not matter
	only  []int32 // the groups to whom alone it does; nil for all others and outsiders
}

// system is all that was published about deals that are connected, as linear equations over units.
type system struct {
	names    *names
	deals    []dealAt
	classes  []*class
	demands  []demand
	lost     []int // deals for which nothing can be said
	byRows   map[string]*class
	byList   map[*row]*class // by the first of the rows: the lists that profiles share come again and again
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

// newSystem writes down the equations. Deals gives each deal's place in the books.
func newSystem(books []*book, deals []dealAt, names *names) *system {
	s := &system{names: names, deals: deals, byRows: map[string]*class{}, byList: map[*row]*class{}, profiles: map[profile][]row{}}
	for i, d := range deals {
		s.add(i, d, books)
	}
	for _, c := range s.classes {
		c.total, c.known = knowledge(c.units, func(u unit) (int64, []int32) { return u.amount, u.insiders })
		c.safe = c.total
		for _, known := range c.known {
			c.safe = min(c.safe, c.total-known)
		}
	}
	return s
}

// run is a deal's state while releases of one book included it.
type run struct {
	book, from, to int // releases from ... to
	state          State
	owners         []int32
	shown          bool // to everybody
}

// add writes down one deal. It makes units when the deal was the same in all releases, and can be recognised as the same
// in all books. Otherwise one cannot tell which share is in which amount, and whatever makes up for it must be other deals.
func (s *system) add(index int, d dealAt, books []*book) {
	var runs []run
	var elsewhere []span
	if len(d) > 1 || books[d[0].book].year.OpenUntil > 0 {
		elsewhere = shownSpans(books, d)
	}
	anyShown := len(elsewhere) > 0
	for _, at := range d {
		year := books[at.book].year
		anyShown = anyShown || year.expects(year.Deals[at.index]) // perhaps it will be: so it covers no other deal, and is kept
		for _, r := range s.runs(books[at.book], at, elsewhere) {
			anyShown = anyShown || r.shown
			if !r.shown {
				runs = append(runs, r)
			}
		}
	}
	if len(runs) == 0 {
		return
	}
	insiders := runs[0].owners
	for _, at := range d {
		given := books[at.book].year.Deals[at.index]
		insiders = union(insiders, s.names.groups(given.Insiders))
		if len(given.States)+len(d) > 2 {
			for _, state := range given.States {
				insiders = union(insiders, s.names.groups(state.Groups))
			}
		}
	}
	if anyShown {
		s.demandUnlessKnown(index, books, runs, runs[0].owners, nil)
		return
	}
	var shared [][]placed
	for i, r := range runs {
		if i > 0 && runs[i-1].book == r.book {
			shared = nil
			break
		}
		if units := s.units(books, r); len(units) > 0 {
			shared = append(shared, units)
		}
	}
	if linked, ok := link(shared); ok && shared != nil {
		for _, u := range linked {
			c := s.class(u.rows)
			u.deal, u.insiders = index, insiders
			c.units = append(c.units, u.unit)
		}
		return
	}
	whole := demand{deal: index, of: map[*class]int64{}, known: insiders}
	for _, r := range runs {
		for _, u := range s.units(books, r) {
			s.makeUp(whole.of, books, r, u, u.amount)
		}
	}
	s.demands = append(s.demands, whole)
	for _, g := range insiders {
		unknown := slices.DeleteFunc(slices.Clone(runs), func(r run) bool { return slices.Contains(r.owners, g) })
		s.demandUnlessKnown(index, books, unknown, nil, []int32{g})
	}
}

// demandUnlessKnown asks for the safety of a deal of which something is known and something is not. It can be told for one
// state only: whatever share of it is unknown, it is in one of the parts.
func (s *system) demandUnlessKnown(index int, books []*book, unknown []run, known, only []int32) {
	if len(unknown) > 1 {
		s.lost = append(s.lost, index)
		return
	}
	for _, r := range unknown {
		for _, u := range s.units(books, r) {
			of := map[*class]int64{}
			s.makeUp(of, books, r, u, r.state.AmountMinor())
			s.demands = append(s.demands, demand{deal: index, of: of, known: known, only: only})
		}
	}
}

// makeUp adds what has to change when a part of the run is raised by a tenth of the amount: units that are in the same
// figures from the run's first release until now are lowered, and such from the release after its last one are raised.
func (s *system) makeUp(of map[*class]int64, books []*book, r run, u placed, amount int64) {
	last := len(books[r.book].layouts) - 1
	of[s.class(s.rows(books, u.profile.during(r.from, last)))] += amount
	if r.to < last {
		of[s.class(s.rows(books, u.profile.during(r.to+1, last)))] -= amount
	}
}

// placed is a unit with its rows and what is needed to tell whether it is another association's unit too.
type placed struct {
	unit
	rows    []row
	profile profile
	pairs   []PairAmount // of its state
}

// runs gives the states of a deal that the releases of a book include.
func (s *system) runs(b *book, at place, elsewhere []span) []run {
	if b.year.Policy == Open {
		return nil
	}
	states := b.year.Deals[at.index].States
	var runs []run
	for release := 0; release < len(b.layouts); {
		position, last := b.included[release][at.index], release
		shown := b.shows(release, at.index)
		for last+1 < len(b.layouts) && b.included[last+1][at.index] == position {
			last++
			shown = shown || b.shows(last, at.index)
		}
		if position != nothing {
			shown = shown || slices.ContainsFunc(elsewhere, spanOf(states, position).overlaps)
			runs = append(runs, run{at.book, release, last, states[position], s.names.groups(states[position].Groups), shown})
		}
		release = last + 1
	}
	return runs
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

// shownSpans gives when the deal was what everybody was shown in some book, live or by a release.
func shownSpans(books []*book, d dealAt) []span {
	var spans []span
	for _, at := range d {
		b := books[at.book]
		states := b.year.Deals[at.index].States
		for position := range int32(len(states)) { // #nosec G115 -- a deal has fewer events
			if states[position].Counts() && b.year.live(states[position].Sequence) {
				seen := spanOf(states, position)
				if b.year.Policy != Open {
					seen.to = min(seen.to, b.year.OpenUntil+1)
				}
				spans = append(spans, seen)
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

// units gives the parts of a run, joined when they appear in the same rows. The largest has to leave the whole deal
// uncertain, the others themselves.
func (s *system) units(books []*book, r run) []placed {
	var units []placed
	largest := 0
	for _, c := range r.state.Chapters {
		if c.AmountMinor == 0 {
			continue
		}
		q := profile{r.book, r.from, r.to, r.state.Month, r.state.ByParties, s.names.chapter(c.Chapter)}
		rows := s.rows(books, q)
		i := slices.IndexFunc(units, func(u placed) bool { return slices.Equal(u.rows, rows) })
		if i < 0 {
			i, units = len(units), append(units, placed{rows: rows, profile: q, pairs: r.state.Pairs, unit: unit{owners: r.owners}})
		}
		units[i].amount += c.AmountMinor
		units[i].need = slack(units[i].amount)
		if units[i].amount > units[largest].amount {
			largest = i
		}
	}
	if len(units) > 0 {
		units[largest].need = slack(r.state.AmountMinor())
	}
	return units
}

// link recognises the units of one association as those of another: the same companies take part for the same amount,
// and it is clear which part is which. The units of a deal that is in one association only need no link.
func link(shared [][]placed) ([]placed, bool) {
	if len(shared) <= 1 {
		return slices.Concat(shared...), true
	}
	var whole, split [][]placed // of associations in which the deal has one part, and several
	for _, units := range shared {
		if first := shared[0]; !slices.Equal(companies(units[0]), companies(first[0])) || sum(units) != sum(first) {
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
		if len(units[0].pairs) != 1 || units[0].amount == units[1].amount {
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

// companies names the pairs of member companies, in order.
func companies(u placed) []Pair {
	pairs := make([]Pair, len(u.pairs))
	for i, p := range u.pairs {
		pairs[i] = p.Pair
	}
	slices.SortFunc(pairs, Pair.Compare)
	return pairs
}

func sum(units []placed) (amount int64) {
	for _, u := range units {
		amount += u.amount
	}
	return amount
}

// during is the profile of the same part in other releases.
func (p profile) during(from, to int) profile {
	p.from, p.to = from, to
	return p
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
	given := &rows[0]
	if c, found := s.byList[given]; found {
		return c
	}
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
	s.byList[given] = c
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
