package deal_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/deal"
)

func ids() *rapid.Generator[deal.ID] {
	return rapid.Custom(func(t *rapid.T) deal.ID {
		return deal.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	})
}

func TestParseID_ReadsWhatStringWritesInEitherCase(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := ids().Draw(t, "id")
		for _, text := range []string{id.String(), strings.ToUpper(id.String())} {
			if got, err := deal.ParseID(text); err != nil || got != id {
				t.Fatalf("ParseID(%q) = %s, %v", text, got, err)
			}
		}
	})
}

func TestParseID_RefusesAllElseAndSaysWhatToWrite(t *testing.T) {
	t.Parallel()
	const good = "0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"
	for _, text := range []string{
		"", good[:35], good + "0", strings.ReplaceAll(good, "-", ""), strings.Replace(good, "-", "_", 1),
		"g" + good[1:], "{" + good[:34] + "}", " " + good[:35], strings.Replace(good, "c2f4-", "-c2f4", 1),
	} {
		id := deal.ID{1}
		if err := id.UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "write it as") {
			t.Errorf("%q is read: %v", text, err)
		}
		if (id != deal.ID{1}) {
			t.Errorf("%q changes the ID in spite of the error", text)
		}
	}
}

func TestCompare_OrdersAsTheTextDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(ids(), 2, 5).Draw(t, "ids")
		slices.SortFunc(list, deal.ID.Compare)
		if !slices.IsSortedFunc(list, func(a, b deal.ID) int { return strings.Compare(a.String(), b.String()) }) {
			t.Fatalf("%s", list)
		}
	})
}

func TestIsZero_HoldsForTheZeroIDAlone(t *testing.T) {
	t.Parallel()
	if !(deal.ID{}).IsZero() || (deal.ID{15: 1}).IsZero() {
		t.Error("the zero ID is not the one that is zero")
	}
}
