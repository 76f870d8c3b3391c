package dealtest_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/volume"
)

func TestWorkload_IsAFunctionOfItsSeed(t *testing.T) {
	t.Parallel()
	one, two := dealtest.NewWorkload(0, dealtest.Seeded(7)), dealtest.NewWorkload(0, dealtest.Seeded(7))
	for range 500 {
		if diff := cmp.Diff(one.Next().Payload, two.Next().Payload); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestWorkload_MeetsEveryStatusEventAndWithheldDeal(t *testing.T) {
	t.Parallel()
	seen := map[any]bool{}
	w := dealtest.NewWorkload(0, dealtest.Seeded(1))
	for range 20_000 {
		e := w.Next()
		seen[e.Deal.Status], seen[e.Type] = true, true
		for _, a := range e.Attributions {
			seen[a.Withheld] = true
		}
	}
	for _, want := range []any{
		deal.Pending, deal.Active, deal.Closing, deal.Won, deal.Declined, deal.Expired, deal.Withdrawn, deal.Lost, deal.Void, deal.Disputed,
		deal.EventCorrected, deal.EventRestated, deal.EventExcluded, deal.EventVoided, deal.EventRefused, deal.EventSettled,
		volume.Nothing, volume.Unconverted, volume.Duplicate,
	} {
		if !seen[want] {
			t.Errorf("never %v", want)
		}
	}
}

func TestFold_ChaptersPairsAndMonthsAddUpToTheTotal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := dealtest.NewWorkload(0, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") })
		var events []stream.Stored
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			events = append(events, w.Next())
		}
		left := map[dealtest.Key]int64{}
		for key, sums := range dealtest.Fold(events) {
			cut := dealtest.Key{Association: key.Association, Year: key.Year, By: key.By}
			left[cut] += sums.Amount.Int64()
		}
		for cut, sum := range left {
			cut.By = dealtest.ByTotal
			if total := left[cut]; total != sum {
				t.Errorf("%v: %d of %d", cut, sum, total)
			}
		}
	})
}
