package disclosuretest

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize/convex/lp"
)

// Statement is what one release told the world.
type Statement struct {
	Year     int   // index in the world
	Included []int // by deal: the version, or -1
	Figures  map[Figure]int64
}

// unknown is a share: of one company in one deal, as long as it stays the same.
type unknown struct {
	deal, company int
	share         int64
}

// Attacker solves everything that was published. He knows the parties of every deal and what they are members of, and
// all shares of the deals that he, or everybody, may see.
type Attacker struct {
	w          *World
	statements []Statement
	index      map[unknown]int
	truth      []*big.Rat
	rows       [][]*big.Rat // coefficients, and the sum in the last column
	everybody  map[int]bool // unknowns that everybody may see
}

// NewAttacker reads what was published. A figure that its deals do not sum to fails the test.
func NewAttacker(t interface{ Fatalf(string, ...any) }, w *World, statements []Statement) *Attacker {
	a := &Attacker{w: w, statements: statements, index: map[unknown]int{}, everybody: map[int]bool{}}
	for _, s := range statements {
		for d, v := range s.Included {
			if v >= 0 {
				for company, share := range w.Deals[d].Versions[v].Shares {
					a.at(d, w.Deals[d].Versions[v].Companies[company], share)
				}
			}
		}
	}
	for _, s := range statements {
		sums := map[Figure][]*big.Rat{}
		for d, v := range s.Included {
			if v < 0 {
				continue
			}
			figures := w.Figures(w.Years[s.Year], w.Deals[d], w.Deals[d].Versions[v])
			if a.byPairs(s, figures) {
				for _, each := range w.Deals[d].Versions[v].Companies {
					a.everybody[a.of(d, v, each)] = true
				}
			}
			for f, terms := range figures {
				if _, shown := s.Figures[f]; !shown || f.IsPair() {
					continue // pairs are sums over deals that everybody may see
				}
				if sums[f] == nil {
					sums[f] = zeros(len(a.truth) + 1)
				}
				for _, each := range terms {
					i := a.of(d, v, each.Company)
					sums[f][i].Add(sums[f][i], each.factor)
				}
			}
		}
		for f, row := range sums {
			for i, x := range a.truth {
				row[len(a.truth)].Add(row[len(a.truth)], new(big.Rat).Mul(x, row[i]))
			}
			if row[len(a.truth)].Cmp(big.NewRat(s.Figures[f], 1)) != 0 {
				t.Fatalf("%s is %d, but its deals sum to %s", f, s.Figures[f], row[len(a.truth)])
			}
			a.rows = append(a.rows, row)
		}
	}
	a.rows = reduce(a.rows)
	a.seeLive()
	return a
}

// seeLive shows everybody the deals of associations whose board sees, or saw, everything.
func (a *Attacker) seeLive() {
	for _, y := range a.w.Years {
		for n, d := range a.w.Deals {
			for _, v := range d.Versions {
				if !y.live(v) || a.w.Figures(y, d, v) == nil {
					continue
				}
				for i, share := range v.Shares {
					if at, found := a.index[unknown{n, v.Companies[i], share}]; found {
						a.everybody[at] = true
					}
				}
			}
		}
	}
}

func (a *Attacker) at(d, company int, share int64) {
	key := unknown{d, company, share}
	if _, found := a.index[key]; !found {
		a.index[key] = len(a.truth)
		a.truth = append(a.truth, big.NewRat(share, 1))
	}
}

func (a *Attacker) of(d, v, company int) int {
	return a.index[unknown{d, company, a.w.Deals[d].Versions[v].share(company)}]
}

// byPairs tells whether the statement shows all pairs of a deal.
func (a *Attacker) byPairs(s Statement, figures map[Figure][]Term) bool {
	all := figures != nil
	for f := range figures {
		if _, shown := s.Figures[f]; f.IsPair() && !shown {
			all = false
		}
	}
	return all
}

func zeros(n int) []*big.Rat {
	row := make([]*big.Rat, n)
	for i := range row {
		row[i] = new(big.Rat)
	}
	return row
}

// reduce brings rows to reduced echelon form, exactly.
func reduce(rows [][]*big.Rat) [][]*big.Rat {
	var echelon [][]*big.Rat
	var leads []int
	for _, given := range rows {
		row := make([]*big.Rat, len(given))
		for i := range given {
			row[i] = new(big.Rat).Set(given[i])
		}
		for i, lead := range leads {
			eliminate(row, echelon[i], lead)
		}
		lead := slices.IndexFunc(row, func(x *big.Rat) bool { return x.Sign() != 0 })
		if lead < 0 || lead == len(row)-1 {
			continue
		}
		factor := new(big.Rat).Inv(row[lead])
		for _, x := range row {
			x.Mul(x, factor)
		}
		for i := range echelon {
			eliminate(echelon[i], row, lead)
		}
		echelon, leads = append(echelon, row), append(leads, lead)
	}
	return echelon
}

func eliminate(row, by []*big.Rat, lead int) {
	if row[lead].Sign() == 0 {
		return
	}
	factor := new(big.Rat).Set(row[lead])
	for i, x := range by {
		if x.Sign() != 0 {
			row[i].Sub(row[i], new(big.Rat).Mul(factor, x))
		}
	}
}

// Finding is one deal that an attacker worked out.
type Finding struct {
	What    string
	Exactly bool
}

// target is what an attacker would like to know: a sum over unknowns.
type target struct {
	what string
	of   map[int]*big.Rat
	both bool // a change: uncertain when it may be a tenth less, too
}

// Attack gives what some group or an outsider works out of the deals that it does not know.
func (a *Attacker) Attack() []Finding {
	var found []Finding
	for group := -1; group < a.w.Companies; group++ {
		knows := map[int]bool{}
		for i := range a.everybody {
			knows[i] = true
		}
		for u, i := range a.index {
			for _, v := range a.w.Deals[u.deal].Versions {
				if at := slices.Index(v.Companies, u.company); at >= 0 && v.Shares[at] == u.share && slices.Contains(a.w.told(v), group) {
					knows[i] = true
				}
			}
		}
		var secret []int // columns
		for i := range a.truth {
			if !knows[i] {
				secret = append(secret, i)
			}
		}
		var rows [][]*big.Rat
		for _, row := range a.rows {
			rest := new(big.Rat).Set(row[len(a.truth)])
			for i := range knows {
				rest.Sub(rest, new(big.Rat).Mul(row[i], a.truth[i]))
			}
			var left []*big.Rat
			for _, i := range secret {
				left = append(left, row[i])
			}
			rows = append(rows, append(left, rest))
		}
		rows = reduce(rows)
		for _, x := range a.targets(knows) {
			objective := zeros(len(secret) + 1)
			truth := new(big.Rat)
			for i, factor := range x.of {
				objective[slices.Index(secret, i)].Set(factor)
				truth.Add(truth, new(big.Rat).Mul(factor, a.truth[i]))
			}
			if truth.Sign() == 0 {
				continue
			}
			if determined(rows, objective) {
				found = append(found, Finding{fmt.Sprintf("group %d: %s", group, x.what), true})
				continue
			}
			if !uncertain(rows, objective, truth, x.both) {
				found = append(found, Finding{fmt.Sprintf("group %d: %s", group, x.what), false})
			}
		}
	}
	return found
}

// targets lists what the group does not know of each deal: what it counts for in each association, as a whole and by chapter,
// without the shares that the group knows, and by how much it changed from one release to the next.
func (a *Attacker) targets(knows map[int]bool) []target {
	seen := map[string]bool{}
	var targets []target
	add := func(what string, both bool, parts ...map[int]*big.Rat) {
		of := map[int]*big.Rat{}
		for n, part := range parts {
			for i, factor := range part {
				if of[i] == nil {
					of[i] = new(big.Rat)
				}
				if n == 0 {
					of[i].Add(of[i], factor)
				} else {
					of[i].Sub(of[i], factor)
				}
			}
		}
		for i, factor := range of {
			if factor.Sign() == 0 {
				delete(of, i)
			} else if knows[i] && both {
				return
			} else if knows[i] {
				delete(of, i)
			}
		}
		if !seen[what] && len(of) > 0 {
			seen[what] = true
			targets = append(targets, target{what, of, both})
		}
	}
	before := map[int][]int{}
	for _, s := range a.statements {
		for d, v := range s.Included {
			of := func(version int) map[Figure]map[int]*big.Rat {
				sums := map[Figure]map[int]*big.Rat{}
				if version < 0 {
					return sums
				}
				for f, terms := range a.w.Figures(a.w.Years[s.Year], a.w.Deals[d], a.w.Deals[d].Versions[version]) {
					sums[f] = map[int]*big.Rat{}
					for _, each := range terms {
						sums[f][a.of(d, version, each.Company)] = each.factor
					}
				}
				return sums
			}
			now := of(v)
			for f, sum := range now {
				if f == Total || f.isChapter() {
					add(fmt.Sprintf("year %d, deal %d, version %d, %s", s.Year, d, v, f), false, sum)
				}
			}
			if last := before[s.Year]; last != nil && last[d] != v {
				add(fmt.Sprintf("year %d, deal %d, change from %d to %d", s.Year, d, last[d], v), true, now[Total], of(last[d])[Total])
			}
		}
		before[s.Year] = s.Included
	}
	return targets
}

// determined tells whether the objective follows from the rows, which are reduced.
func determined(rows [][]*big.Rat, objective []*big.Rat) bool {
	rest := make([]*big.Rat, len(objective))
	for i := range objective {
		rest[i] = new(big.Rat).Set(objective[i])
	}
	for _, row := range rows {
		eliminate(rest, row, slices.IndexFunc(row, func(x *big.Rat) bool { return x.Sign() != 0 }))
	}
	return !slices.ContainsFunc(rest[:len(rest)-1], func(x *big.Rat) bool { return x.Sign() != 0 })
}

// uncertain tells whether the objective may be a tenth larger than the truth, or a tenth less if that will do, when no
// share is negative.
func uncertain(rows [][]*big.Rat, objective []*big.Rat, truth *big.Rat, both bool) bool {
	value, _ := truth.Float64()
	slack := max(value, -value)/10 - 1e-6
	if extreme(rows, objective, 1)-value >= slack {
		return true
	}
	return both && value+extreme(rows, objective, -1) >= slack
}

// extreme is the largest value of the objective times the sign.
func extreme(rows [][]*big.Rat, objective []*big.Rat, sign float64) float64 {
	var c []float64
	var columns []int // of unknowns that are in some row
	for i := range len(objective) - 1 {
		x, _ := objective[i].Float64()
		if slices.ContainsFunc(rows, func(row []*big.Rat) bool { return row[i].Sign() != 0 }) {
			c, columns = append(c, -sign*x), append(columns, i)
		} else if sign*x > 0 {
			return math.Inf(1)
		}
	}
	m, b := mat.NewDense(len(rows), len(columns), nil), make([]float64, len(rows))
	for r, row := range rows {
		for n, i := range columns {
			x, _ := row[i].Float64()
			m.Set(r, n, x)
		}
		b[r], _ = row[len(row)-1].Float64()
	}
	best, _, err := lp.Simplex(c, m, b, 1e-9, nil)
	if errors.Is(err, lp.ErrUnbounded) {
		return math.Inf(1)
	}
	if err != nil {
		panic(err)
	}
	return -best
}
