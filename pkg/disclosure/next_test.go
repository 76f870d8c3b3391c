package disclosure_test

import (
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/disclosure"
	"github.com/dealreg/dealreg/pkg/disclosuretest"
)

// sameRelease compares releases by their stored form.
func sameRelease(t *rapid.T, want, got disclosure.Release) {
	if diff := cmp.Diff(stored(t, want), stored(t, got)); diff != "" {
		t.Fatal(diff)
	}
}

func stored(t interface{ Fatal(...any) }, r disclosure.Release) string {
	text, err := r.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func drawWorld(t *rapid.T, associations int) (*rand.Rand, *disclosuretest.World) {
	rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), rapid.Uint64().Draw(t, "and more")))
	return rnd, disclosuretest.Draw(rnd, associations)
}

func TestNext_FiguresAddUpOverTheSameDeals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rnd, w := drawWorld(t, 2)
		_, years := disclosuretest.Publish(rnd, w)
		for _, y := range years {
			before := new(big.Int)
			for _, r := range y.Released {
				p := r.Published
				included, deals := new(big.Int), 0
				for _, d := range y.Deals {
					if s := r.Included(d); s.Counts() {
						included.Add(included, big.NewInt(s.AmountMinor()))
						deals++
					}
				}
				total := p.Total()
				if total.Amount().Cmp(included) != 0 || total.Deals() != deals {
					t.Fatalf("the total is %s of %d deals, included are %s of %d", total.Amount(), total.Deals(), included, deals)
				}
				var months, chapters, pairs []disclosure.Cell
				for _, c := range p.Months() {
					months = append(months, c.Cell)
				}
				for _, c := range p.Chapters() {
					chapters = append(chapters, c.Cell)
				}
				for _, c := range p.Pairs() {
					pairs = append(pairs, c.Cell)
				}
				for name, cells := range map[disclosure.Dimension][]disclosure.Cell{
					disclosure.Months: months, disclosure.Chapters: chapters, disclosure.Pairs: append(pairs, p.OtherPairs()),
					disclosure.Coverage: {p.ByParties(), p.ByRegistrar()},
				} {
					if y.Policy == disclosure.Strict || slices.Contains(p.LeftOut(), name) || slices.ContainsFunc(cells, disclosure.Cell.Hidden) {
						continue
					}
					sum := new(big.Int)
					for _, c := range cells {
						sum.Add(sum, c.Amount())
					}
					if sum.Cmp(total.Amount()) != 0 {
						t.Fatalf("%s add up to %s of %s", name, sum, total.Amount())
					}
				}
				if change, ok := p.Change(); ok && new(big.Int).Add(before, change.Amount()).Cmp(total.Amount()) != 0 {
					t.Fatalf("from %s by %s to %s", before, change.Amount(), total.Amount())
				}
				before = total.Amount()
			}
		}
	})
}

func TestNext_HoldsEventsOnlyUntilTheyMayBeShown(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rnd, w := drawWorld(t, 1)
		_, years := disclosuretest.Publish(rnd, w)
		y := years[0]
		for n, r := range y.Released {
			for _, d := range y.Deals {
				latest := disclosure.Release{AsOf: r.AsOf}.Included(d)
				got := r.Included(d)
				held := slices.ContainsFunc(r.Held, func(h disclosure.Held) bool { return h.Deal == d.ID })
				if held == reflect.DeepEqual(latest, got) {
					t.Fatalf("held %t, includes %+v of %+v", held, got, latest)
				}
				if n > 0 && got.Sequence < y.Released[n-1].Included(d).Sequence {
					t.Fatalf("release %d takes back an event", r.Number)
				}
			}
		}
	})
}

func TestNext_IsTheSameInWhateverOrderThingsCome(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rnd, w := drawWorld(t, 3)
		_, years := disclosuretest.Publish(rnd, w)
		again := make([]disclosure.Year, len(years))
		for i, a := range w.Years {
			again[i] = w.Year(rnd, a, years[i].Released)
		}
		want := disclosure.Next(years[0], w.Last, false, years[1:])
		got := disclosure.Next(again[0], w.Last, false, []disclosure.Year{again[2], again[1]})
		sameRelease(t, want, got)
	})
}

func TestNext_ChangesNothingWhenNothingHappened(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rnd, w := drawWorld(t, 1)
		_, years := disclosuretest.Publish(rnd, w)
		y := years[0]
		last := y.Released[len(y.Released)-1]
		change, ok := disclosure.Next(y, last.AsOf, false, nil).Published.Change()
		if !ok || len(last.Held) == 0 && (change.Amount().Sign() != 0 || change.Deals() != 0) {
			t.Fatalf("%d deals change the total by %s", change.Deals(), change.Amount())
		}
	})
}

func TestNext_ShowsEverythingUnderOpenAndTheTotalUnderStrict(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rnd, w := drawWorld(t, 1)
		y := w.Year(rnd, w.Years[0], nil)
		y.Policy = disclosure.Open
		r := disclosure.Next(y, w.Last, false, nil)
		p := r.Published
		if len(r.Held) > 0 || p.LeftOut() != nil || p.ByParties().Hidden() || p.OtherPairs().Amount().Sign() != 0 {
			t.Fatalf("under open: %s", stored(t, r))
		}
		for _, d := range y.Deals {
			state := r.Included(d)
			for _, want := range state.Pairs {
				if !slices.ContainsFunc(p.Pairs(), func(c disclosure.PairCell) bool { return c.Pair == want.Pair && !c.Hidden() }) {
					t.Fatalf("under open a pair is missing: %s", stored(t, r))
				}
			}
		}
		y.Policy = disclosure.Strict
		p = disclosure.Next(y, w.Last, true, nil).Published
		if _, known := p.Unconverted(); known || len(p.Months())+len(p.Chapters())+len(p.Pairs())+len(p.LeftOut()) > 0 ||
			!p.ByParties().Hidden() || !p.ByRegistrar().Hidden() || !p.OtherPairs().Hidden() || p.Total().Hidden() {
			t.Fatalf("under strict: %+v", p)
		}
	})
}

func TestRelease_SurvivesBeingStored(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rnd, w := drawWorld(t, 2)
		_, years := disclosuretest.Publish(rnd, w)
		for _, y := range years {
			for _, r := range y.Released {
				var back disclosure.Release
				if err := back.UnmarshalJSON([]byte(stored(t, r))); err != nil {
					t.Fatal(err)
				}
				sameRelease(t, r, back)
			}
		}
	})
}

func TestNext_ShowsNeitherCellsNorChangesOfFewerThanThreeDealsAndGroups(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rnd, w := drawWorld(t, 2)
		statements, _ := disclosuretest.Publish(rnd, w)
		before := map[int]disclosuretest.Statement{}
		for _, s := range statements {
			a := w.Years[s.Year]
			in, changed := map[disclosuretest.Figure][]int{}, map[disclosuretest.Figure][]int{} // the deals behind each figure
			groups, changing := map[disclosuretest.Figure]map[int]bool{}, map[disclosuretest.Figure]map[int]bool{}
			count := func(f disclosuretest.Figure, d int, v disclosuretest.Version, deals map[disclosuretest.Figure][]int, of map[disclosuretest.Figure]map[int]bool) {
				if !slices.Contains(deals[f], d) {
					deals[f] = append(deals[f], d)
				}
				if of[f] == nil {
					of[f] = map[int]bool{}
				}
				for _, g := range w.Groups(v) {
					of[f][g] = true
				}
			}
			last, again := before[s.Year]
			for d, v := range s.Included {
				if v >= 0 {
					for f := range w.Figures(a, w.Deals[d], w.Deals[d].Versions[v]) {
						count(f, d, w.Deals[d].Versions[v], in, groups)
					}
				}
				if !again || last.Included[d] == v {
					continue
				}
				for _, position := range []int{v, last.Included[d]} {
					if position >= 0 {
						for f := range w.Figures(a, w.Deals[d], w.Deals[d].Versions[position]) {
							count(f, d, w.Deals[d].Versions[position], changed, changing)
						}
					}
				}
			}
			for f := range s.Figures {
				if n := len(in[f]); !f.IsPair() && n > 0 && (n < 3 || len(groups[f]) < 3) {
					t.Fatalf("%s shows %d deals of %d groups", f, n, len(groups[f]))
				}
				if _, shown := last.Figures[f]; shown && !f.IsPair() && len(changed[f]) > 0 && (len(changed[f]) < 3 || len(changing[f]) < 3) {
					t.Fatalf("%s changes by %d deals of %d groups", f, len(changed[f]), len(changing[f]))
				}
			}
			before[s.Year] = s
		}
	})
}
