package warehouse_test

import (
	"crypto/sha256"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/stream"
	attributed "github.com/dealreg/dealreg/pkg/volume"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

func TestDealYears_GivesEachDealAsEachEventLeftIt(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	first, second := id(31), id(32)
	waiting := attribution(0)
	waiting.Withheld, waiting.Chapters, waiting.Pairs = dealregv1.Withheld_WITHHELD_UNCONVERTED, nil, nil
	elsewhere, nextYear := attribution(9), attribution(500)
	elsewhere.AssociationId, nextYear.Year = bytesOf(id(2)), 2027
	grouped := won(first, 2, list{attribution(100)}, list{attribution(300)})
	grouped.Deal.Terms.Parties[1].GroupId = bytesOf(gamma)
	insert(t, w, 1,
		marshal(t, won(first, 1, nil, list{attribution(100)})),
		marshal(t, won(second, 1, nil, list{waiting})),
		marshal(t, grouped),
		marshal(t, won(first, 3, list{attribution(300)}, list{attribution(300), elsewhere})), // changes another association only
		marshal(t, won(second, 2, list{waiting}, list{attribution(50)})),
		[]byte("\xff"),
		marshal(t, won(first, 4, list{attribution(300), elsewhere}, list{nextYear})),
	)
	read := func(year int, upTo uint64) []warehouse.DealYear {
		t.Helper()
		deals, err := w.DealYears(t.Context(), warehouse.AssociationYear{Association: association, Year: year}, upTo)
		if err != nil {
			t.Fatal(err)
		}
		return deals
	}
	counts := func(minor int64) *warehouse.Counts {
		return &warehouse.Counts{
			Month: calendar.New(2026, 3, 1), Currency: "EUR", AmountMinor: minor, ByParties: true,
			Chapters: []warehouse.Part{{A: chapterX, AmountMinor: minor - 1}, {A: chapterY, AmountMinor: 1}},
			Pairs:    []warehouse.Part{{A: alpha, B: beta, AmountMinor: minor}},
		}
	}
	own := []warehouse.Party{{Company: alpha, Group: alpha}, {Company: beta, Group: beta}}
	now := []warehouse.Party{{Company: alpha, Group: alpha}, {Company: beta, Group: gamma}}
	ever := []warehouse.Party{own[0], own[1], now[1]}
	unconverted := &warehouse.Counts{Month: calendar.New(2026, 3, 1), Currency: "EUR", ByParties: true, Unconverted: true}
	same(t, read(2026, 7), []warehouse.DealYear{
		{Deal: first, Told: ever, Versions: []warehouse.DealVersion{
			{Sequence: 1, Parties: own, Counts: counts(100)},
			{Sequence: 3, Parties: now, Counts: counts(300)},
			{Sequence: 7, Parties: own},
		}},
		{Deal: second, Told: own, Versions: []warehouse.DealVersion{
			{Sequence: 2, Parties: own, Counts: unconverted}, {Sequence: 5, Parties: own, Counts: counts(50)},
		}},
	})
	same(t, read(2026, 2), []warehouse.DealYear{
		{Deal: first, Told: own, Versions: []warehouse.DealVersion{{Sequence: 1, Parties: own, Counts: counts(100)}}},
		{Deal: second, Told: own, Versions: []warehouse.DealVersion{{Sequence: 2, Parties: own, Counts: unconverted}}},
	})
	if got := read(2027, 7); len(got) != 1 || got[0].Versions[0].Sequence != 7 || got[0].Versions[0].Counts.AmountMinor != 500 {
		t.Errorf("%+v", got)
	}
	if got := read(2025, 7); got != nil {
		t.Errorf("%+v", got)
	}
	sharing := func(year int, upTo uint64) []warehouse.AssociationYear {
		t.Helper()
		years, err := w.YearsSharingDeals(t.Context(), warehouse.AssociationYear{Association: association, Year: year}, upTo)
		if err != nil {
			t.Fatal(err)
		}
		return years
	}
	here, next, there := warehouse.AssociationYear{Association: association, Year: 2026},
		warehouse.AssociationYear{Association: association, Year: 2027}, warehouse.AssociationYear{Association: id(2), Year: 2026}
	same(t, sharing(2026, 3), []warehouse.AssociationYear{here})
	same(t, sharing(2026, 7), []warehouse.AssociationYear{here, next, there})
	same(t, sharing(2027, 7), []warehouse.AssociationYear{here, next, there})
	same(t, sharing(2025, 7), []warehouse.AssociationYear(nil))
}

// A company that declined, one that a correction took in or would have, and what a company's group was: whoever saw an
// event of the deal is told of it, whatever it counts for.
func TestDealYears_NamesAllWhoWereEverToldOfADeal(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	declined, joins, group, of := id(24), id(25), id(26), id(31)
	pending := event(of, 1, dealregv1.Status_STATUS_PENDING)
	pending.Deal.Terms.Parties = append(pending.Deal.Terms.Parties, &dealregv1.Party{CompanyId: bytesOf(declined), GroupId: bytesOf(group)})
	corrected := won(of, 3, list{attribution(100)}, list{attribution(100)})
	corrected.Deal.Correction = &dealregv1.Correction{Terms: corrected.Deal.Terms, TermsVersion: 2}
	corrected.Deal.Standings = []*dealregv1.Standing{{CompanyId: bytesOf(alpha)}, {CompanyId: bytesOf(beta)}, {CompanyId: bytesOf(joins)}}
	swapped := won(of, 4, list{attribution(100)}, list{attribution(100)})
	swapped.Deal.Terms.Parties = append(swapped.Deal.Terms.Parties, &dealregv1.Party{CompanyId: bytesOf(gamma)})
	insert(t, w, 1, marshal(t, pending), marshal(t, won(of, 2, nil, list{attribution(100)})), marshal(t, corrected), marshal(t, swapped),
		marshal(t, event(id(32), 1, dealregv1.Status_STATUS_PENDING)))
	party := func(company, group deal.ID) warehouse.Party { return warehouse.Party{Company: company, Group: group} }
	told := []warehouse.Party{party(alpha, alpha), party(beta, beta), party(gamma, gamma), party(declined, group), party(joins, joins)}
	for upTo, want := range map[uint64][]warehouse.Party{
		2: {told[0], told[1], told[3]},
		3: {told[0], told[1], told[3], told[4]},
		5: told,
	} {
		deals, err := w.DealYears(t.Context(), warehouse.AssociationYear{Association: association, Year: 2026}, upTo)
		if err != nil {
			t.Fatal(err)
		}
		if len(deals) != 1 || len(deals[0].Versions) != 1 {
			t.Fatalf("%+v", deals)
		}
		same(t, deals[0].Told, want)
	}
}

func TestPayloadHashes_GivesEverySequenceOnceOrFails(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	payloads := [][]byte{marshal(t, won(id(31), 1, nil, nil)), []byte("\xff"), marshal(t, won(id(32), 1, nil, nil))}
	insert(t, w, 1, payloads...)
	insert(t, w, 1, payloads...)
	hash := func(after, upTo uint64) (string, error) {
		var all strings.Builder
		err := w.PayloadHashes(t.Context(), after, upTo, func(h []byte) error { all.Write(h); return nil })
		return all.String(), err
	}
	of := func(payloads ...[]byte) string {
		var all strings.Builder
		for _, p := range payloads {
			h := sha256.Sum256(p)
			all.Write(h[:])
		}
		return all.String()
	}
	for _, c := range []struct {
		after, upTo uint64
		want        string
	}{{0, 3, of(payloads...)}, {1, 2, of(payloads[1])}, {3, 3, ""}, {0, 0, ""}} {
		if got, err := hash(c.after, c.upTo); err != nil || got != c.want {
			t.Errorf("(%d, %d]: %d bytes, %v", c.after, c.upTo, len(got), err)
		}
	}
	if _, err := hash(0, 4); err == nil || !strings.Contains(err.Error(), "sequence 4 is missing") {
		t.Error(err)
	}
	stop := errors.New("enough")
	if err := w.PayloadHashes(t.Context(), 0, 3, func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// A company's total is the sum of its deals as they are now, whatever became of them on the way.
func TestCompanyTotals_CountEachOfItsDealsOnceAndWhole(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	work := dealtest.NewWorkload(0, dealtest.Seeded(1871))
	latest := map[deal.ID]stream.Stored{}
	var payloads [][]byte
	for range 500 {
		e := work.Next()
		latest[e.Deal.ID] = e
		payloads = append(payloads, e.Payload)
	}
	insert(t, w, 1, payloads...)
	type key struct {
		company, association deal.ID
		year                 int
	}
	want := map[key]warehouse.CompanyTotal{}
	add := func(k key, a attributed.Attribution) {
		total, there := want[k]
		if !there {
			total = warehouse.CompanyTotal{Association: k.association, Currency: string(a.Currency), Sums: warehouse.NoSums()}
		}
		if a.Withheld == attributed.Unconverted {
			total.Unconverted++
		} else {
			total.Deals++
			total.Amount.Add(total.Amount, big.NewInt(a.AmountMinor))
			if a.Evidence == deal.ByParties {
				total.AttestedByParties.Add(total.AttestedByParties, big.NewInt(a.AmountMinor))
			}
		}
		want[k] = total
	}
	for _, e := range latest {
		for _, a := range e.Attributions {
			for _, p := range e.Deal.Parties {
				in := slices.ContainsFunc(a.Pairs, func(x attributed.Pair) bool { return x.A == p.Company || x.B == p.Company })
				if a.Withheld == attributed.Unconverted || in {
					add(key{p.Company, a.Association, a.Year}, a)
				}
			}
		}
	}
	for _, company := range work.Companies {
		for year := 2023; year <= 2029; year++ {
			got, err := w.CompanyTotals(t.Context(), company, year, uint64(len(payloads)))
			if err != nil {
				t.Fatal(err)
			}
			for _, total := range got {
				k := key{company, total.Association, year}
				same(t, total, want[k])
				delete(want, k)
			}
		}
	}
	for k, total := range want {
		t.Errorf("%+v is missing: %+v", k, total)
	}
}
