package disclosure

import (
	"cmp"
	"maps"
	"slices"
)

// exposed lists the deals, by their index and in order, that some group or an outsider could work out. A deal is safe
// when there is a witness for everyone who does not know it: other amounts, none below zero, under which everything
// published and everything that they know is the same, but the deal is larger by a tenth. Not finding a witness counts as exposed.
func (s *system) exposed() []int {
	found := map[int]bool{}
	for _, lost := range s.lost {
		found[lost] = true
	}
	for _, d := range s.demands {
		if !d.safe() {
			found[d.deal] = true
		}
	}
	var doubtful []doubt
	for _, c := range s.classes {
		doubtful = append(doubtful, c.thin()...)
	}
	if len(doubtful) > 0 {
		search := s.search(doubtful)
		for _, d := range doubtful {
			if !found[d.deal] && !search.safe(d) {
				found[d.deal] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// doubt is a unit that the rest of its own class does not protect, with those from whom it does not.
type doubt struct {
	*unit
	class *class
	from  []int32
}

// thin gives the doubtful units of the class. In a class of many deals there are none: what one deal has more, another
// has less.
func (c *class) thin() []doubt {
	order := make([]*unit, len(c.units))
	for i := range c.units {
		order[i] = &c.units[i]
	}
	slices.SortFunc(order, func(a, b *unit) int { return cmp.Compare(b.amount+b.need, a.amount+a.need) })
	doubtful := map[*unit][]int32{}
	check := func(group int32) {
		for _, u := range order {
			switch {
			case slices.Contains(u.owners, group):
			case !slices.Contains(u.insiders, group):
				if c.unknown(group) >= u.amount+u.need {
					return // and so for all that follow
				}
				doubtful[u] = append(doubtful[u], group)
			case c.unknown(group) < u.need: // the group's own knowledge of the unit is left out already
				doubtful[u] = append(doubtful[u], group)
			}
		}
	}
	check(outsider)
	for group := range c.known {
		check(group)
	}
	var thin []doubt
	for u, from := range doubtful {
		thin = append(thin, doubt{u, c, from})
	}
	return thin
}

// safe tells whether there is enough to make up for the deal, for everyone to whom it matters.
func (d demand) safe() bool {
	enough := func(c *class, by int64, group int32) bool { return c.unknown(group) >= max(slack(by), 1) }
	matters := func(group int32) bool {
		return !slices.Contains(d.known, group) && (d.only == nil || slices.Contains(d.only, group))
	}
	for c, by := range d.of {
		if by == 0 {
			continue
		}
		if matters(outsider) && !enough(c, by, outsider) {
			return false
		}
		for group := range c.known {
			if matters(group) && !enough(c, by, group) {
				return false
			}
		}
		for _, group := range d.only {
			if !enough(c, by, group) {
				return false
			}
		}
	}
	return true
}

// search looks for witnesses beyond a unit's own class. Any way to part the rows in two makes a graph: its nodes are the
// sets of rows on either side, its edges the classes. What keeps the sum of each node keeps every row, so a unit may be
// raised by as much as flows from its one node to the other when units of the other classes are lowered and raised in turn.
type search struct {
	system *system
	graphs []*graph
	owned  map[int]map[int]int64 // by deal and class: what a doubtful deal has in it
}

func (s *system) search(doubtful []doubt) *search {
	search := &search{system: s, graphs: s.graphs(), owned: map[int]map[int]int64{}}
	for _, d := range doubtful {
		search.owned[d.deal] = map[int]int64{}
	}
	for i, c := range s.classes {
		for _, u := range c.units {
			if owned := search.owned[u.deal]; owned != nil {
				owned[i] += u.amount
			}
		}
	}
	return search
}

// graph is the system under one way to part its rows.
type graph struct {
	nodes int       // 0 and 1: no row on the left, on the right. What they sum to is not published
	edges []edge    // the classes, in their order
	at    [][]int32 // by node: its edges
	apart []int     // by class: the class of just those of its rows that the graph leaves out; noRows, or noClass
}

// Marks in graph.apart.
const (
	noRows  = -1 // the graph has all rows of the class
	noClass = -2 // nothing can make up for the rows that it leaves out
)

type edge struct{ left, right int32 }

// safe tells whether the unit is uncertain enough for everyone who does not know it. What its deal has elsewhere stays, so
// that a change of the deal is as uncertain.
func (s *search) safe(d doubt) bool {
	own := s.owned[d.deal]
	if s.witness(d, func(i int) int64 { return s.system.classes[i].safe - own[i] }) != nil {
		return true // for everyone at once
	}
	checked := map[int32]bool{}
	for groups := d.from; len(groups) > 0; {
		group := groups[0]
		groups = groups[1:]
		if checked[group] {
			continue
		}
		checked[group] = true
		witness := s.witness(d, func(i int) int64 { return s.system.classes[i].unknown(group) - own[i] })
		if witness == nil {
			return false
		}
		if group != outsider {
			continue
		}
		// The outsider's witness serves every group that knows little of the units that it moves.
		for i, moved := range witness {
			moving := s.system.classes[i]
			for knowing := range moving.known {
				if !slices.Contains(d.owners, knowing) && moving.unknown(knowing)-own[i] < max(-moved, 1) {
					groups = append(groups, knowing)
				}
			}
		}
	}
	return true
}

// witness gives by how much each class changes when the unit is raised by what it needs; nil when no way is found. Free
// is what may be lowered of a class.
func (s *search) witness(d doubt, free func(class int) int64) map[int]int64 {
	for _, g := range s.graphs {
		if changed := g.flows(d.class.index, d.need, free); changed != nil {
			return changed
		}
	}
	return nil
}

// flows raises one unit of the class by need, and gives by how much each class changes for it; nil when the graph has no
// way. A class of which nothing may be lowered has nothing to raise either.
func (g *graph) flows(home int, need int64, free func(class int) int64) map[int]int64 {
	if g.apart[home] == noClass {
		return nil
	}
	from, to, raised := g.edges[home].left, g.edges[home].right, need
	changed := map[int]int64{}
	for need > 0 {
		amount := need
		path := g.path(from, to, free, changed)
		if path == nil {
			return nil
		}
		for _, step := range path {
			if step.lower {
				amount = min(amount, free(step.class)+changed[step.class])
			}
		}
		for _, step := range path {
			if step.lower {
				changed[step.class] -= amount
			} else {
				changed[step.class] += amount
			}
		}
		need -= amount
	}
	return g.settle(home, raised, changed, free)
}

// settle makes up for what the changes do to the rows that the graph leaves out, by the classes of just these rows.
func (g *graph) settle(home int, raised int64, changed map[int]int64, free func(class int) int64) map[int]int64 {
	settled := maps.Clone(changed)
	settle := func(class int, by int64) {
		if apart := g.apart[class]; apart != noRows {
			settled[apart] -= by
		}
	}
	settle(home, raised)
	for class, by := range changed {
		settle(class, by)
	}
	for class, by := range settled {
		if by != 0 && free(class) < max(-by, 1) {
			return nil
		}
	}
	return settled
}

// step lowers or raises one class on the way.
type step struct {
	class int
	lower bool
	node  int32 // where it came from
	hop   bool  // no class: between the nodes of no row
}

// path finds the shortest way from one node to the other.
func (g *graph) path(from, to int32, free func(int) int64, changed map[int]int64) []step {
	came := make([]step, g.nodes)
	seen := make([]bool, g.nodes)
	seen[from] = true
	queue := []int32{from}
	visit := func(node int32, by step) {
		if !seen[node] {
			seen[node], came[node] = true, by
			queue = append(queue, node)
		}
	}
	for len(queue) > 0 && !seen[to] {
		node := queue[0]
		queue = queue[1:]
		if node <= 1 {
			visit(1-node, step{node: node, hop: true})
		}
		for _, i := range g.at[node] {
			e, capacity := g.edges[i], free(int(i))
			switch {
			case node == e.left && capacity+changed[int(i)] > 0:
				visit(e.right, step{class: int(i), lower: true, node: node})
			case node == e.right && capacity > 0:
				visit(e.left, step{class: int(i), node: node})
			}
		}
	}
	if !seen[to] {
		return nil
	}
	path := []step{}
	for node := to; node != from; node = came[node].node {
		if !came[node].hop {
			path = append(path, came[node])
		}
	}
	return path
}

// graphs parts the rows by each dimension, by each association, and by time; and those of one association alone by each
// dimension, if deals of the others can make up for what that does there.
func (s *system) graphs() []*graph {
	books, releases := 0, 0
	for _, c := range s.classes {
		for _, r := range c.rows {
			books, releases = max(books, r.book()), max(releases, r.release())
		}
	}
	all := func(row) bool { return true }
	var graphs []*graph
	for _, dimension := range []uint8{ofChapter, ofMonth, ofCoverage} {
		right := func(r row) bool { return r.dimension() == dimension }
		graphs = append(graphs, s.graph(all, right))
		for book := 0; book <= books && books > 0; book++ {
			graphs = append(graphs, s.graph(func(r row) bool { return r.book() == book }, right))
		}
	}
	for book := range books {
		graphs = append(graphs, s.graph(all, func(r row) bool { return r.book() > book }))
	}
	for release := range releases {
		graphs = append(graphs, s.graph(all, func(r row) bool { return r.release() > release }))
	}
	return graphs
}

// graph parts the rows that are within.
func (s *system) graph(within, right func(row) bool) *graph {
	g := &graph{nodes: 2, at: make([][]int32, 2)}
	nodes := [2]map[string]int32{{"": 0}, {"": 1}}
	node := func(side int, key []byte) int32 {
		n, found := nodes[side][string(key)]
		if !found {
			n = int32(g.nodes) // #nosec G115 -- at most two for each class
			nodes[side][string(key)] = n
			g.nodes++
			g.at = append(g.at, nil)
		}
		return n
	}
	for i, c := range s.classes {
		var sides [2][]byte
		var without []byte
		for _, r := range c.rows {
			switch {
			case !within(r):
				without = r.append(without)
			case right(r):
				sides[1] = r.append(sides[1])
			default:
				sides[0] = r.append(sides[0])
			}
		}
		apart := noRows
		if without != nil {
			apart = noClass
			if other := s.byRows[string(without)]; other != nil {
				apart = other.index
			}
		}
		e := edge{left: node(0, sides[0]), right: node(1, sides[1])}
		g.edges, g.apart = append(g.edges, e), append(g.apart, apart)
		if apart != noClass && len(sides[0])+len(sides[1]) > 0 {
			g.at[e.left] = append(g.at[e.left], int32(i))   // #nosec G115 -- classes are fewer than deals
			g.at[e.right] = append(g.at[e.right], int32(i)) // #nosec G115 -- as above
		}
	}
	return g
}
