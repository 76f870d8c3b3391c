package volume_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/volume"
)

func TestWithholdDuplicates_EmptiesOnlyWhereAnotherDealCounts(t *testing.T) {
	t.Parallel()
	here := reporting("EUR", north, south)
	there := here
	there.ID = other
	inBoth := func() []volume.Attribution {
		a, _ := volume.Attribute(won("EUR", 60, 40), here, nil)
		b, _ := volume.Attribute(won("EUR", 60, 40), there, nil)
		return []volume.Attribution{a, b}
	}
	given := inBoth()
	got := volume.WithholdDuplicates(given, map[deal.ID]bool{assoc: true})
	empty := volume.Attribution{
		Association: assoc, Year: 2026, Month: month, Currency: "EUR", Evidence: deal.ByParties, Withheld: volume.Duplicate,
	}
	if diff := cmp.Diff([]volume.Attribution{empty, given[1]}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(inBoth(), given); diff != "" {
		t.Errorf("the attributions given have changed: %s", diff)
	}
}
