package disclosure_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/disclosuretest"
)

func TestNext_LeavesNobodyAbleToWorkOutADeal(t *testing.T) {
	t.Parallel()
	for associations := 1; associations <= 3; associations++ {
		attack(t, fmt.Sprint(associations), associations, func(*rand.Rand, *disclosuretest.World) {})
	}
	twists := append(slices.Clone(disclosuretest.Twists), disclosuretest.Twist{
		Name: "pairs that waive and take it back",
		Do:   func(rnd *rand.Rand, w *disclosuretest.World) { w.Waver(rnd) },
	})
	for _, twist := range twists {
		attack(t, twist.Name, 2, twist.Do)
	}
	attack(t, "all of that", 2, func(rnd *rand.Rand, w *disclosuretest.World) {
		for _, twist := range twists {
			if rnd.IntN(2) == 0 {
				twist.Do(rnd, w)
			}
		}
	})
}

// attack publishes worlds and works out what it can.
func attack(t *testing.T, name string, associations int, twist func(*rand.Rand, *disclosuretest.World)) {
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		worlds, detailed := 0, 0
		rapid.Check(t, func(t *rapid.T) {
			rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), rapid.Uint64().Draw(t, "and more")))
			w := disclosuretest.Draw(rnd, associations)
			twist(rnd, w)
			statements, _ := disclosuretest.Publish(rnd, w)
			if found := disclosuretest.NewAttacker(t, w, statements).Attack(); len(found) > 0 {
				t.Fatalf("worked out: %v", found)
			}
			worlds++
			for _, s := range statements {
				if len(s.Figures) > 2 && s.Figures[disclosuretest.Total] > 0 {
					detailed++
				}
			}
		})
		if detailed < worlds/5 {
			t.Errorf("%d worlds had %d releases with detail: too few for the attack to prove anything", worlds, detailed)
		}
	})
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
			w := disclosuretest.Draw(rnd, seed.associations)
			statements, _ := disclosuretest.Publish(rnd, w)
			if found := disclosuretest.NewAttacker(t, w, statements).Attack(); len(found) > 0 {
				t.Errorf("worked out: %v", found)
			}
		})
	}
}

// What a release of another association held cannot be taken back when the year becomes open after it.
func TestAttack_WorksOutDealsWhenAYearThatHadBegunBecomesOpen(t *testing.T) {
	t.Parallel()
	const worlds = 60
	leaking := 0
	for seed := range uint64(worlds) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		w := disclosuretest.Draw(rnd, 2)
		w.BecomeOpen(rnd)
		reopened := w.Reopened()
		statements, _ := disclosuretest.Publish(rnd, reopened)
		if found := disclosuretest.NewAttacker(t, reopened, statements).Attack(); len(found) > 0 {
			leaking++
		}
	}
	if leaking < worlds/12 {
		t.Errorf("of %d worlds the attack works out deals in %d: it is too weak", worlds, leaking)
	}
}

func TestAttack_WorksOutDealsThatThreeContributorsDoNotHide(t *testing.T) {
	t.Parallel()
	const worlds = 12
	exactly, nearly := 0, 0
	for seed := range uint64(worlds) {
		w := disclosuretest.Draw(rand.New(rand.NewPCG(seed, 0)), 1)
		found := disclosuretest.NewAttacker(t, w, disclosuretest.Naive(w)).Attack()
		if slices.ContainsFunc(found, func(f disclosuretest.Finding) bool { return f.Exactly }) {
			exactly++
		}
		if slices.ContainsFunc(found, func(f disclosuretest.Finding) bool { return !f.Exactly }) {
			nearly++
		}
	}
	if exactly < worlds/2 || nearly == 0 {
		t.Errorf("of %d worlds the attack works out deals in %d exactly and in %d nearly: it is too weak", worlds, exactly, nearly)
	}
}
