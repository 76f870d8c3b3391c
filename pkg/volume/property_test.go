package volume_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/volume"
)

var currencies = []money.Currency{"EUR", "USD", "JPY", "BHD"}

// drawCase draws a won deal and an association of which some parties are members.
func drawCase(t *rapid.T) (deal.Deal, volume.Association, *money.Table) {
	shares := make([]int64, rapid.IntRange(2, 10).Draw(t, "parties"))
	for i := range shares {
		shares[i] = rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, 1000), rapid.Int64Range(0, money.MaxMinor/10)).Draw(t, "share")
	}
	shares[0]++ // a value is at least 1
	d := won(rapid.SampledFrom(currencies).Draw(t, "currency"), shares...)
	chapters := make([]deal.ID, len(shares))
	for i := range chapters {
		d.Parties[i].Group = deal.ID{0x60, 15: rapid.Byte().Draw(t, "group") % 4}
		if n := rapid.Byte().Draw(t, "chapter") % 4; n > 0 {
			chapters[i] = chapter(n)
		}
	}
	a := reporting(rapid.SampledFrom(currencies).Draw(t, "reporting"), chapters...)
	rates := map[money.Currency]string{}
	for _, c := range currencies[1:] {
		if rapid.IntRange(0, 9).Draw(t, "no rate") > 0 {
			rates[c] = fmt.Sprintf("%d.%06d", rapid.IntRange(0, 200).Draw(t, "units"), rapid.IntRange(1, 999999).Draw(t, "millionths"))
		}
	}
	if len(rates) == 0 {
		return d, a, nil
	}
	return d, a, table(t, wonOn, rates)
}

func TestAttribute_ChaptersAndPairsSumToTheAmount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, a, rates := drawCase(t)
		got, counts := volume.Attribute(d, a, rates)
		if !counts || got.Withheld != volume.Nothing {
			if got.AmountMinor != 0 || got.Chapters != nil || got.Pairs != nil || got.Quote != nil {
				t.Fatalf("%+v counts in spite of all", got)
			}
			return
		}
		var chapters, pairs int64
		for _, c := range got.Chapters {
			if c.AmountMinor < 0 {
				t.Fatalf("chapter %+v", c)
			}
			chapters += c.AmountMinor
		}
		for _, p := range got.Pairs {
			if p.AmountMinor < 0 || p.A.Compare(p.B) >= 0 {
				t.Fatalf("pair %+v", p)
			}
			pairs += p.AmountMinor
		}
		m := len(a.Chapters)
		if got.AmountMinor < 0 || chapters != got.AmountMinor || pairs != got.AmountMinor || len(got.Pairs) != m*(m-1)/2 {
			t.Fatalf("amount %d, chapters %d, %d pairs %d", got.AmountMinor, chapters, len(got.Pairs), pairs)
		}
		if !slices.IsSortedFunc(got.Chapters, func(x, y volume.Chapter) int { return x.Chapter.Compare(y.Chapter) }) {
			t.Fatalf("chapters %+v are in no order", got.Chapters)
		}
	})
}

func TestAttribute_TakesNoNoticeOfTheOrderOfParties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, a, rates := drawCase(t)
		want, counts := volume.Attribute(d, a, rates)
		given := rapid.Permutation(d.Parties).Draw(t, "order")
		d.Parties = slices.Clone(given)
		got, countsToo := volume.Attribute(d, a, rates)
		if diff := cmp.Diff(want, got); counts != countsToo || diff != "" {
			t.Fatalf("%s", diff)
		}
		if !slices.Equal(d.Parties, given) {
			t.Fatal("the deal was changed")
		}
	})
}

func TestAttribute_CountsEveryShareOnceWhenAllAreMembers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, a, rates := drawCase(t)
		for i, p := range d.Parties {
			a.Chapters[p.Company] = chapter(byte(i % 3)) // #nosec G115 -- below 3
			d.Parties[i].Group = deal.ID{0x60, 15: byte(i)}
		}
		got, counts := volume.Attribute(d, a, rates)
		if !counts {
			t.Fatal("does not count")
		}
		if got.Withheld != volume.Nothing {
			return
		}
		want := d.Value.Minor
		if got.Quote != nil {
			var err error
			if want, err = got.Quote.Convert(want); err != nil {
				t.Fatal(err)
			}
		}
		if got.AmountMinor != want {
			t.Fatalf("counts %d of %d", got.AmountMinor, want)
		}
	})
}

func TestAttribute_KeepsSharesThatNeedNoConversion(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, a, rates := drawCase(t)
		a.Currency = d.Value.Currency
		for i, p := range d.Parties {
			if _, member := a.Chapters[p.Company]; member {
				a.Chapters[p.Company] = chapter(byte(i)) // #nosec G115 -- below 10; a chapter of its own
			}
		}
		got, counts := volume.Attribute(d, a, rates)
		if !counts {
			return
		}
		if got.Quote != nil || got.Withheld != volume.Nothing {
			t.Fatalf("%+v", got)
		}
		for _, p := range d.Parties {
			home, member := a.Chapters[p.Company]
			if i := slices.IndexFunc(got.Chapters, func(c volume.Chapter) bool { return c.Chapter == home }); member && got.Chapters[i].AmountMinor != p.ShareMinor {
				t.Fatalf("a share of %d counts as %d", p.ShareMinor, got.Chapters[i].AmountMinor)
			}
		}
	})
}

func TestUnduplicated_IsTheSharesOfThePartiesThatCountSomewhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, _, rates := drawCase(t)
		counting := make([]volume.Association, rapid.IntRange(0, 4).Draw(t, "associations"))
		for i := range counting {
			counting[i] = reporting(rapid.SampledFrom(currencies).Draw(t, "reporting"))
			for _, p := range d.Parties {
				if rapid.Bool().Draw(t, "member") {
					counting[i].Chapters[p.Company] = north
				}
			}
		}
		got, counts := volume.Unduplicated(d, counting, rates)
		if counts != (len(counting) > 0) {
			t.Fatalf("counts in %d associations: %t", len(counting), counts)
		}
		// One association that has every party which is in any of them counts the same, and takes no more than the value.
		everyone := reporting("EUR")
		for _, a := range counting {
			for company := range a.Chapters {
				everyone.Chapters[company] = north
			}
		}
		for i := range d.Parties {
			d.Parties[i].Group = deal.ID{0x60, 15: byte(i)} // #nosec G115 -- at most ten
		}
		if len(everyone.Chapters) >= 2 {
			want, _ := volume.Attribute(d, everyone, rates)
			if got.AmountMinor != want.AmountMinor || got.Withheld != want.Withheld || !cmp.Equal(got.Quote, want.Quote) {
				t.Fatalf("%+v; want as much as %+v", got, want)
			}
		}
		value := d.Value.Minor
		if got.Quote != nil {
			var err error
			if value, err = got.Quote.Convert(value); err != nil {
				t.Fatal(err)
			}
		}
		if got.AmountMinor < 0 || got.AmountMinor > value && got.Withheld == volume.Nothing {
			t.Fatalf("counts %d of %d", got.AmountMinor, value)
		}
		d.Parties = rapid.Permutation(d.Parties).Draw(t, "order of parties")
		if again, _ := volume.Unduplicated(d, rapid.Permutation(counting).Draw(t, "order"), rates); !cmp.Equal(got, again) {
			t.Fatalf("in another order: %s", cmp.Diff(got, again))
		}
	})
}
