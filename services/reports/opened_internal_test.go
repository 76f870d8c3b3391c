package reports

import (
	"testing"

	"github.com/dealreg/dealreg/pkg/bounded"
	"github.com/dealreg/dealreg/pkg/disclosure"
)

func TestRemember_KeepsLargeReleasesWithinItsBound(t *testing.T) {
	t.Parallel()
	s := &Service{opened: bounded.NewMap[string, *published](openedPairs)}
	of := func(name string, pairs int) *published {
		return &published{release: release{Content: objectRef{Name: name}}, pairs: make([]disclosure.PairCell, pairs)}
	}
	has := func(p *published) bool {
		got, there := s.opened.Get(p.Content.Name)
		return there && got == p
	}
	small, first, second, huge := of("small", largeRelease-1), of("first", openedPairs-largeRelease), of("second", largeRelease), of("huge", openedPairs+1)
	for _, p := range []*published{small, first, second, huge} {
		s.remember(p)
	}
	if !has(first) || !has(second) || has(small) || has(huge) {
		t.Error("remembers others")
	}
	third := of("third", largeRelease)
	s.remember(third)
	if has(first) || !has(third) {
		t.Error("remembers too much")
	}
}
