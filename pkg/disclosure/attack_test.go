package disclosure_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/optimize/convex/lp"
	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/disclosure"
)

// statement is what one release told the world.
type statement struct {
	association int
	included    []int // by deal: the version, or -1
	figures     map[figure]int64
}

// unknown is a share: of one company in one deal, as long as it stays the same.
type unknown struct {
	deal, company int
	share         int64
}

// attacker solves everything that was published. He knows the parties of every deal and what they are members of, and
// all shares of the deals that he, or everybody, may see.
type attacker struct {
	w          *world
	statements []statement
	index      map[unknown]int
	truth      []*big.Rat
	rows       [][]*big.Rat // coefficients, and the sum in the last column
	everybody  map[int]bool // unknowns that everybody may see
}

func newAttacker(t interface{ Fatalf(string, ...any) }, w *world, statements []statement) *attacker {
	a := &attacker{w: w, statements: statements, index: map[unknown]int{}, everybody: map[int]bool{}}
	for _, s := range statements {
		for d, v := range s.included {
			if v >= 0 {
				for company, share := range w.deals[d].versions[v].shares {
					a.at(d, v, w.deals[d].versions[v].companies[company], share)
				}
			}
		}
	}
	for _, s := range statements {
		sums := map[figure][]*big.Rat{}
		for d, v := range s.included {
			if v < 0 {
				continue
			}
			figures := w.figures(w.associations[s.association], w.deals[d], w.deals[d].versions[v])
			if a.byPairs(s, figures) {
				for _, each := range w.deals[d].versions[v].companies {
					a.everybody[a.of(d, v, each)] = true
				}
			}
			for f, terms := range figures {
				if _, shown := s.figures[f]; !shown || isPair(f) {
					continue // pairs are sums over deals that everybody may see
				}
				if sums[f] == nil {
					sums[f] = zeros(len(a.truth) + 1)
				}
				for _, each := range terms {
					i := a.of(d, v, each.company)
					sums[f][i].Add(sums[f][i], each.factor)
				}
			}
		}
		for f, row := range sums {
			for i, x := range a.truth {
				row[len(a.truth)].Add(row[len(a.truth)], new(big.Rat).Mul(x, row[i]))
			}
			if row[len(a.truth)].Cmp(big.NewRat(s.figures[f], 1)) != 0 {
				t.Fatalf("%s is %d, but its deals sum to %s", f, s.figures[f], row[len(a.truth)])
			}
			a.rows = append(a.rows, row)
		}
	}
	a.rows = reduce(a.rows)
	return a
}

func (a *attacker) at(d, v, company int, share int64) {
	key := unknown{d, company, share}
	if _, found := a.index[key]; !found {
		a.index[key] = len(a.truth)
		a.truth = append(a.truth, big.NewRat(share, 1))
	}
}

func (a *attacker) of(d, v, company int) int {
	return a.index[unknown{d, company, a.w.deals[d].versions[v].share(company)}]
}

func isPair(f figure) bool { return len(f) > 5 && f[:5] == "pair " }

// byPairs tells whether the statement shows all pairs of a deal.
func (a *attacker) byPairs(s statement, figures map[figure][]term) bool {
	all := figures != nil
	for f := range figures {
		if _, shown := s.figures[f]; isPair(f) && !shown {
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

// finding is one deal that an attacker worked out.
type finding struct {
	what    string
	exactly bool
}

// target is what an attacker would like to know: a sum over unknowns.
type target struct {
	what string
	of   map[int]*big.Rat
	both bool // a change: uncertain when it may be a tenth less, too
}

// attack gives what some group or an outsider works out of the deals that it does not know.
func (a *attacker) attack() []finding {
	var found []finding
	for group := -1; group < a.w.companies; group++ {
		knows := map[int]bool{}
		for i := range a.everybody {
			knows[i] = true
		}
		for u, i := range a.index {
			for _, v := range a.w.deals[u.deal].versions {
				if at := slices.Index(v.companies, u.company); at >= 0 && v.shares[at] == u.share && slices.Contains(a.w.groups(v), group) {
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
		for _, x := range a.targets(group, knows) {
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
				found = append(found, finding{fmt.Sprintf("group %d: %s", group, x.what), true})
				continue
			}
			if !uncertain(rows, objective, truth, x.both) {
				found = append(found, finding{fmt.Sprintf("group %d: %s", group, x.what), false})
			}
		}
	}
	return found
}

// targets lists, for each deal that the group has never known, what it counts for in each association, as a whole and by
// chapter, and by how much it changed from one release to the next.
func (a *attacker) targets(group int, knows map[int]bool) []target {
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
			} else if knows[i] {
				return
			}
		}
		if !seen[what] && len(of) > 0 {
			seen[what] = true
			targets = append(targets, target{what, of, both})
		}
	}
	before := map[int][]int{}
	for _, s := range a.statements {
		for d, v := range s.included {
			of := func(version int) map[figure]map[int]*big.Rat {
				sums := map[figure]map[int]*big.Rat{}
				if version < 0 {
					return sums
				}
				for f, terms := range a.w.figures(a.w.associations[s.association], a.w.deals[d], a.w.deals[d].versions[version]) {
					sums[f] = map[int]*big.Rat{}
					for _, each := range terms {
						sums[f][a.of(d, version, each.company)] = each.factor
					}
				}
				return sums
			}
			now := of(v)
			for f, sum := range now {
				if f == "total" || f[0] == 'c' {
					add(fmt.Sprintf("association %d, deal %d, version %d, %s", s.association, d, v, f), false, sum)
				}
			}
			if last := before[s.association]; last != nil && last[d] != v {
				add(fmt.Sprintf("association %d, deal %d, change from %d to %d", s.association, d, last[d], v), true, now["total"], of(last[d])["total"])
			}
		}
		before[s.association] = s.included
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

// publish makes the releases of a world, in turns, and gives what they tell.
func publish(rnd *rand.Rand, w *world) ([]statement, []disclosure.Year) {
	years := make([]disclosure.Year, len(w.associations))
	for i, a := range w.associations {
		years[i] = w.year(rnd, a, nil)
	}
	var statements []statement
	for at := uint64(between(rnd, int(w.last)/3, int(w.last))); ; at += uint64(between(rnd, 3, 12)) {
		at = min(at, w.last)
		for i := range years {
			if at < w.last && between(rnd, 0, 3) == 0 {
				continue
			}
			var others []disclosure.Year
			for j := range years {
				if j != i {
					others = append(others, years[j])
				}
			}
			closing := at == w.last && rnd.IntN(2) == 0
			r := disclosure.Next(years[i], at, closing, others)
			years[i].Released = append(slices.Clip(years[i].Released), r)
			statements = append(statements, w.read(i, years[i], r))
		}
		if at == w.last {
			return statements, years
		}
	}
}

// read takes the figures out of a release.
func (w *world) read(i int, y disclosure.Year, r disclosure.Release) statement {
	s := statement{association: i, figures: map[figure]int64{}}
	for _, d := range w.deals {
		at := -1
		if k := slices.IndexFunc(y.Deals, func(x disclosure.Deal) bool { return x.ID == d.id }); k >= 0 {
			state := r.Included(y.Deals[k])
			at = slices.IndexFunc(d.versions, func(v version) bool { return v.sequence == state.Sequence })
		}
		s.included = append(s.included, at)
	}
	take := func(f figure, c disclosure.Cell) {
		if !c.Hidden() {
			s.figures[f] = c.Amount().Int64()
		}
	}
	p := r.Published
	take("total", p.Total())
	take("by parties true", p.ByParties())
	take("by parties false", p.ByRegistrar())
	for _, c := range p.Months() {
		take(figure(c.Month.String()), c.Cell)
	}
	for _, c := range p.Chapters() {
		take(figure(fmt.Sprint("chapter ", c.Chapter)), c.Cell)
	}
	for _, c := range p.Pairs() {
		take(pairFigure(c.Pair), c.Cell)
	}
	return s
}

func TestNext_LeavesNobodyAbleToWorkOutADeal(t *testing.T) {
	t.Parallel()
	for associations := 1; associations <= 3; associations++ {
		t.Run(fmt.Sprint(associations), func(t *testing.T) {
			t.Parallel()
			worlds, detailed := 0, 0
			rapid.Check(t, func(t *rapid.T) {
				rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), rapid.Uint64().Draw(t, "and more")))
				w := draw(rnd, associations)
				statements, _ := publish(rnd, w)
				if found := newAttacker(t, w, statements).attack(); len(found) > 0 {
					t.Fatalf("worked out: %v", found)
				}
				worlds++
				for _, s := range statements {
					if len(s.figures) > 2 && s.figures["total"] > 0 {
						detailed++
					}
				}
			})
			if detailed < worlds/5 {
				t.Errorf("%d worlds had %d releases with detail: too few for the attack to prove anything", worlds, detailed)
			}
		})
	}
}

func TestNext_LeavesNobodyAbleToWorkOutWhatOnceCouldBe(t *testing.T) {
	t.Parallel()
	for name, seed := range map[string]struct {
		associations int
		seed, more   uint64
	}{
		"a group that knew an earlier state, in two associations": {3, 0x9, 0},
		"a share that stayed when pairs were no longer shown":     {1, 0x1698517495337e3, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed.seed, seed.more))
			w := draw(rnd, seed.associations)
			statements, _ := publish(rnd, w)
			if found := newAttacker(t, w, statements).attack(); len(found) > 0 {
				t.Errorf("worked out: %v", found)
			}
		})
	}
}

// naive publishes all that it knows but for cells with fewer than three contributors, as many statistics do.
func naive(w *world) []statement {
	var statements []statement
	for at := w.last / 2; at <= w.last; at += max(w.last/6, 1) {
		for i, a := range w.associations {
			s := statement{association: i, figures: map[figure]int64{}}
			contributors := map[figure][]int{}
			for _, d := range w.deals {
				included := len(d.versions) - 1
				for included >= 0 && d.versions[included].sequence > at {
					included--
				}
				s.included = append(s.included, included)
				if included < 0 {
					continue
				}
				for f, terms := range w.figures(a, d, d.versions[included]) {
					s.figures[f] += d.versions[included].sum(terms)
					contributors[f] = append(contributors[f], w.groups(d.versions[included])...)
				}
			}
			for f := range s.figures {
				slices.Sort(contributors[f])
				if isPair(f) || len(slices.Compact(contributors[f])) < 3 {
					delete(s.figures, f)
				}
			}
			statements = append(statements, s)
		}
	}
	return statements
}

func TestAttack_WorksOutDealsThatThreeContributorsDoNotHide(t *testing.T) {
	t.Parallel()
	const worlds = 12
	exactly, nearly := 0, 0
	for seed := range uint64(worlds) {
		w := draw(rand.New(rand.NewPCG(seed, 0)), 1)
		found := newAttacker(t, w, naive(w)).attack()
		if slices.ContainsFunc(found, func(f finding) bool { return f.exactly }) {
			exactly++
		}
		if slices.ContainsFunc(found, func(f finding) bool { return !f.exactly }) {
			nearly++
		}
	}
	if exactly < worlds/2 || nearly == 0 {
		t.Errorf("of %d worlds the attack works out deals in %d exactly and in %d nearly: it is too weak", worlds, exactly, nearly)
	}
}
