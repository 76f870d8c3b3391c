package warehouse_test

import (
	"testing"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

func TestVolume_OfTheLargestAddsUpWithTheRest(t *testing.T) {
	t.Parallel()
	_, houses := rolling(t, []uint64{10, 50})
	w := houses[0]
	work, payloads := history(400)
	insert(t, w, 1, payloads...)
	ask := func(q warehouse.VolumeQuery) warehouse.Volume {
		t.Helper()
		v, err := w.Volume(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	limited, mixed := 0, 0
	check := func(q warehouse.VolumeQuery, all []warehouse.Item) {
		t.Helper()
		q.Limit = 0
		whole := ask(q)
		same(t, whole.Items, all)
		for q.Limit = 1; q.Limit <= len(all)+1; q.Limit += 1 + len(all)/4 {
			shown := min(q.Limit, len(all))
			rest := warehouse.Rest{Items: len(all) - shown, Sums: warehouse.NoSums()}
			for _, item := range all[shown:] {
				rest.Amount.Add(rest.Amount, item.Amount)
				rest.AttestedByParties.Add(rest.AttestedByParties, item.AttestedByParties)
				rest.Deals += item.Deals
				rest.Unconverted += item.Unconverted
			}
			want := whole
			want.Items, want.Rest = all[:shown], &rest
			same(t, ask(q), want)
			if rest.Items > 0 {
				limited++
			}
		}
	}
	for _, rolledUp := range []uint64{0, 333} {
		rollUp(t, w, rolledUp)
		for _, upTo := range []uint64{385, 357} {
			for _, by := range []warehouse.By{warehouse.ByPair, warehouse.ByChapter} {
				for _, a := range work.Associations {
					q := warehouse.VolumeQuery{Association: a.ID, Year: 2025, By: by, UpTo: upTo}
					v := ask(q)
					check(q, v.Items)
					companies := map[deal.ID][]warehouse.Item{}
					for _, item := range v.Items {
						companies[item.A], companies[item.B] = append(companies[item.A], item), append(companies[item.B], item)
					}
					if by == warehouse.ByChapter {
						continue
					}
					if len(v.Partners) != len(companies) {
						t.Errorf("got %d companies of %d", len(v.Partners), len(companies))
					}
					for company, own := range companies {
						if v.Partners[company] != len(own) {
							t.Errorf("got %d partners of %d", v.Partners[company], len(own))
						}
						q.Company = company
						check(q, own)
						mixed++
					}
				}
			}
		}
	}
	if limited < 40 || mixed < 20 {
		t.Errorf("nothing was tried: %d, %d", limited, mixed)
	}
}
