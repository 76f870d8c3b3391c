package bounded_test

import (
	"testing"

	"github.com/dealreg/dealreg/pkg/bounded"
)

func TestMap_HoldsAtMostItsSize(t *testing.T) {
	t.Parallel()
	m := bounded.NewMap[string, int](10)
	holds := func(want map[string]int) {
		t.Helper()
		for _, key := range []string{"a", "b", "c", "d"} {
			got, there := m.Get(key)
			if value, wanted := want[key]; there != wanted || got != value {
				t.Errorf("%s: got %d, %v", key, got, there)
			}
		}
	}
	holds(nil)
	m.Put("a", 1, 6)
	m.Put("b", 2, 4)
	holds(map[string]int{"a": 1, "b": 2})
	m.Put("a", 3, 5) // the one before makes room
	holds(map[string]int{"a": 3, "b": 2})
	m.Put("c", 4, 11)
	holds(map[string]int{"a": 3, "b": 2})
	m.Put("a", 5, 11) // what it was is not it any more
	holds(map[string]int{"b": 2})
	m.Put("c", 6, 6)
	holds(map[string]int{"b": 2, "c": 6})
	m.Put("d", 7, 1)
	holds(map[string]int{"d": 7})
}
