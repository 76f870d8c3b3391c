package reports

import (
	"testing"

	"github.com/dealreg/dealreg/pkg/disclosure"
)

func TestOpened_RemembersLargeReleasesWithinItsBound(t *testing.T) {
	t.Parallel()
	var o opened
	of := func(name string, pairs int) *published {
		return &published{release: release{Content: objectRef{Name: name}}, pairs: make([]disclosure.PairCell, pairs)}
	}
	small, first, second, huge := of("small", largeRelease-1), of("first", openedPairs-largeRelease), of("second", largeRelease), of("huge", openedPairs+1)
	for _, p := range []*published{small, first, second, huge} {
		o.keep(p)
	}
	if o.of(first.release) != first || o.of(second.release) != second || o.of(small.release) != nil || o.of(huge.release) != nil {
		t.Error("remembers others")
	}
	third := of("third", largeRelease)
	o.keep(third)
	if o.of(first.release) != nil || o.of(third.release) != third || o.pairs != largeRelease {
		t.Errorf("remembers %d pairs", o.pairs)
	}
}
