package disclosure

import (
	"cmp"
	"maps"
	"slices"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

// trial is one way to make the release.
type trial struct {
	wanted  []Dimension
	held    []bool       // by deal of the year
	now     []int32      // positions of the states that it includes
	waiting int64        // value of the deals that are held
	hidden  map[row]bool // cells, in book 0 and release 0
	cells   map[row]*cell
}

// cell is what a published figure would sum.
type cell struct {
	deals []int // of the year
	list  []contribution
	total int64
}

func (c *cell) add(i int, amount int64, groups []int32) {
	c.deals, c.list = append(c.deals, i), append(c.list, contribution{amount, groups})
	c.total = min(c.total+amount, enough)
}

var totalCell = makeRow(0, 0, ofTotal, 0)

// try looks for a release with the wanted dimensions: it holds deals back and hides cells until the rule is kept and
// nobody can work out a deal. It is false when too much would have to wait or be hidden for it; without any dimension it
// always finds a release.
func (d *draft) try(wanted []Dimension, closing bool) (*trial, bool) {
	t := &trial{wanted: wanted, held: make([]bool, len(d.latest)), now: slices.Clone(d.latest), hidden: map[row]bool{}}
	patience := enough
	if len(wanted) > 0 {
		patience = d.value(d.all()) / 100 * percentHeld
	}
	if len(wanted) > 0 && closing {
		patience = 0
	}
	for {
		if !d.hideWeak(t) {
			return nil, false
		}
		problem := d.problem(t)
		if problem == nil {
			return t, true
		}
		if pending := d.pending(t, problem); len(pending) > 0 && t.waiting+d.value(pending) <= patience {
			d.hold(t, pending)
			continue
		}
		if smallest, found := d.smallest(t, problem); found {
			t.hidden[smallest] = true
			continue
		}
		if len(wanted) > 0 {
			return nil, false
		}
		all := d.pending(t, d.all())
		changes := slices.DeleteFunc(slices.Clone(all), func(i int) bool { return d.before[i] == nothing && len(d.deals[d.own[i]]) == 1 })
		if len(changes) == 0 {
			d.hold(t, all)
			return t, true // the release before once more: it tells nothing new
		}
		d.hold(t, changes)
	}
}

// problem gives the deals for which the trial does not do, by their index in the year: those of the smallest figure that
// fails the rule, or those that could be worked out. It is nil when the trial does, and empty when only deals of other
// associations could be.
func (d *draft) problem(t *trial) []int {
	if weak := weak(t.cells[totalCell].list); weak != nil {
		return d.behind(t, t.cells[totalCell], weak)
	}
	if failing := d.failingChange(t); failing != nil {
		return failing
	}
	exposed := newSystem(d.withTrial(t), d.deals, d.names).exposed()
	if len(exposed) == 0 {
		return nil
	}
	problem := []int{}
	for i, at := range d.own {
		if _, found := slices.BinarySearch(exposed, at); found {
			problem = append(problem, i)
		}
	}
	return problem
}

// behind gives the deals that stand out in a cell, or when none of them is new all that are.
func (d *draft) behind(t *trial, c *cell, weak []int) []int {
	deals := make([]int, len(weak))
	for i, at := range weak {
		deals[i] = c.deals[at]
	}
	if pending := d.pending(t, deals); len(pending) > 0 {
		return pending
	}
	return c.deals
}

// failingChange gives the deals behind the smallest change, since the release before, that fails the rule: of the total
// or of a cell that was shown and still is. It is nil when there is none.
func (d *draft) failingChange(t *trial) []int {
	if len(d.own) == 0 || len(d.books[0].layouts) == 0 {
		return nil
	}
	shown := d.books[0].layouts[len(d.books[0].layouts)-1]
	changes := map[row]*cell{}
	for i, own := range d.books[0].year.Deals {
		if t.now[i] == d.before[i] {
			continue
		}
		change := map[row]int64{}
		groups := []int32{}
		d.each(own, t.now[i], func(key row, amount int64, knowing []int32) { change[key] += amount; groups = union(groups, knowing) })
		d.each(own, d.before[i], func(key row, amount int64, knowing []int32) { change[key] -= amount; groups = union(groups, knowing) })
		for key, amount := range change {
			if (key == totalCell || d.shows(shown, key)) && t.shows(key) {
				if changes[key] == nil {
					changes[key] = &cell{}
				}
				changes[key].add(i, max(amount, -amount), groups)
			}
		}
	}
	keys := slices.SortedFunc(maps.Keys(changes), func(a, b row) int {
		return cmp.Or(cmp.Compare(changes[a].total, changes[b].total), cmp.Compare(a, b))
	})
	for _, key := range keys {
		if weak := weak(changes[key].list); weak != nil {
			return d.behind(t, changes[key], weak)
		}
	}
	return nil
}

// each names the cells that a state of the deal is in.
func (d *draft) each(own Deal, position int32, in func(key row, amount int64, groups []int32)) {
	if position == nothing || !own.States[position].Counts() {
		return
	}
	s := own.States[position]
	groups := d.names.groups(s.Groups)
	amount := s.AmountMinor()
	in(totalCell, amount, groups)
	in(makeRow(0, 0, ofMonth, int32(s.Month)), amount, groups)
	in(makeRow(0, 0, ofCoverage, coverageOf(s.ByParties)), amount, groups)
	for _, c := range s.Chapters {
		in(makeRow(0, 0, ofChapter, d.names.chapter(c.Chapter)), c.AmountMinor, groups)
	}
}

// cells sums the cells of the wanted dimensions, hidden or not.
func (d *draft) cells(t *trial, positions []int32) map[row]*cell {
	cells := map[row]*cell{totalCell: {}}
	for i, own := range d.books[0].year.Deals {
		d.each(own, positions[i], func(key row, amount int64, groups []int32) {
			if key != totalCell && !t.wants(dimensionOf(key)) {
				return
			}
			if cells[key] == nil {
				cells[key] = &cell{}
			}
			cells[key].add(i, amount, groups)
		})
	}
	return cells
}

// shows tells whether the trial would show the cell.
func (t *trial) shows(key row) bool {
	return key == totalCell || t.wants(dimensionOf(key)) && !t.hidden[key]
}

func (t *trial) wants(x Dimension) bool { return slices.Contains(t.wanted, x) }

func dimensionOf(key row) Dimension {
	switch key.dimension() {
	case ofCoverage:
		return Coverage
	case ofMonth:
		return Months
	case ofChapter:
		return Chapters
	}
	return ""
}

// shows tells whether the layout shows a cell.
func (d *draft) shows(l layout, key row) bool {
	switch key.dimension() {
	case ofCoverage:
		return l.coverage
	case ofMonth:
		return l.months[calendar.Date(key.cell())]
	case ofChapter:
		return l.chapters[d.names.chapters[key.cell()]]
	}
	return true
}

// layout is what the trial shows.
func (d *draft) layout(t *trial) layout {
	l := layout{coverage: t.wants(Coverage), months: map[calendar.Date]bool{}, chapters: map[deal.ID]bool{}}
	for key := range t.cells {
		switch {
		case !t.shows(key):
		case key.dimension() == ofMonth:
			l.months[calendar.Date(key.cell())] = true
		case key.dimension() == ofChapter:
			l.chapters[d.names.chapters[key.cell()]] = true
		}
	}
	if t.wants(Pairs) {
		l.pairs = d.waived
	}
	return l
}

// withTrial gives the books with the trial as the year's next release.
func (d *draft) withTrial(t *trial) []*book {
	books := slices.Clone(d.books)
	b := *books[0]
	b.layouts = append(slices.Clip(b.layouts), d.layout(t))
	b.included = append(slices.Clip(b.included), b.counting(t.now))
	books[0] = &b
	return books
}

// all gives every deal of the year, by its index.
func (d *draft) all() []int {
	all := make([]int, len(d.latest))
	for i := range all {
		all[i] = i
	}
	return all
}

// pending gives those of the deals that could be held.
func (d *draft) pending(t *trial, of []int) []int {
	var pending []int
	for _, i := range of {
		if t.now[i] != d.before[i] {
			pending = append(pending, i)
		}
	}
	return pending
}

func (d *draft) hold(t *trial, deals []int) {
	for _, i := range deals {
		t.held[i], t.now[i] = true, d.before[i]
	}
	t.waiting = min(t.waiting+d.value(deals), enough)
}

// value is how much the deals count for, before or after what is new, whichever is more.
func (d *draft) value(deals []int) (sum int64) {
	for _, i := range deals {
		var largest int64
		for _, position := range []int32{d.before[i], d.latest[i]} {
			if position != nothing {
				largest = max(largest, d.books[0].year.Deals[i].States[position].AmountMinor())
			}
		}
		sum = min(sum+largest, enough)
	}
	return sum
}

// smallest finds the smallest cell shown that has one of the deals, now or before, beside the total. One that the
// release before did not show comes first: it is what tells more than was known.
func (d *draft) smallest(t *trial, deals []int) (row, bool) {
	var shown layout
	if n := len(d.books[0].layouts); n > 0 {
		shown = d.books[0].layouts[n-1]
	}
	old := func(key row) int64 {
		if d.shows(shown, key) {
			return 1
		}
		return 0
	}
	smaller := func(a, b row) int {
		return cmp.Or(cmp.Compare(old(a), old(b)), cmp.Compare(t.cells[a].total, t.cells[b].total), cmp.Compare(a, b))
	}
	smallest := totalCell
	for _, i := range deals {
		for _, position := range []int32{t.now[i], d.before[i]} {
			d.each(d.books[0].year.Deals[i], position, func(key row, _ int64, _ []int32) {
				if key != totalCell && t.cells[key] != nil && t.shows(key) && (smallest == totalCell || smaller(key, smallest) < 0) {
					smallest = key
				}
			})
		}
	}
	return smallest, smallest != totalCell
}

// hideWeak hides the cells that fail the rule. It is false when a dimension hides more of the total than it may; of the
// coverage nothing can be hidden, as the total tells the other half.
func (d *draft) hideWeak(t *trial) bool {
	t.cells = d.cells(t, t.now)
	var hidden [ofChapter + 1]int64
	for key, c := range t.cells {
		if key != totalCell && (t.hidden[key] || weak(c.list) != nil) {
			t.hidden[key] = true
			hidden[key.dimension()] = min(hidden[key.dimension()]+c.total, enough)
		}
	}
	few := t.cells[totalCell].total / 100 * percentHidden
	return hidden[ofMonth] <= few && hidden[ofChapter] <= few && hidden[ofCoverage] == 0
}
