package deal_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

// twin is another deal of the same companies for the same customer, won on the same day.
func twin(t testing.TB) deal.Deal {
	t.Helper()
	d := in(t, deal.Won)
	d.ID = deal.ID{2}
	return d
}

func TestMayRepeat_NeedsCustomerTwoCompaniesAndTime(t *testing.T) {
	t.Parallel()
	later := func(days int) func(*deal.Deal) {
		return func(d *deal.Deal) { d.WonOn = new(today.AddDays(days)) }
	}
	named := func(name string) func(*deal.Deal) {
		return func(d *deal.Deal) { d.Customer = deal.Customer{Name: name, Country: "DE"} }
	}
	for name, c := range map[string]struct {
		change func(*deal.Deal)
		want   bool
	}{
		"the same figures":           {func(*deal.Deal) {}, true},
		"the same deal":              {func(d *deal.Deal) { d.ID = deal.ID{1} }, false},
		"other case and punctuation": {named("  contoso A.G. "), true},
		"sharp s":                    {named("Contoso AGß"), false},
		"another legal form":         {named("Contoso GmbH"), false},
		"another country, no domain": {func(d *deal.Deal) { d.Customer = deal.Customer{Name: "Contoso AG", Country: "AT"} }, false},
		"another country, domain":    {func(d *deal.Deal) { d.Customer.Country = "AT" }, true},
		"another name, domain":       {func(d *deal.Deal) { d.Customer.Name = "Contoso Holding" }, true},
		"domain in capitals":         {func(d *deal.Deal) { d.Customer = deal.Customer{Name: "C", Country: "FR", Domain: "CONTOSO.example"} }, true},
		"another customer": {func(d *deal.Deal) {
			d.Customer = deal.Customer{Name: "Fabrikam", Country: "DE", Domain: "fabrikam.example"}
		}, false},
		"90 days later":            {later(90), true},
		"91 days later":            {later(91), false},
		"90 days before":           {later(-90), true},
		"91 days before":           {later(-91), false},
		"expected 91 days later":   {func(d *deal.Deal) { d.WonOn, d.ExpectedOn = nil, new(today.AddDays(91)) }, false},
		"expected 90 days later":   {func(d *deal.Deal) { d.WonOn, d.ExpectedOn = nil, new(today.AddDays(90)) }, true},
		"registered 91 days later": {func(d *deal.Deal) { d.WonOn, d.RegisteredAt = nil, noon.AddDate(0, 0, 91) }, false},
		"one company more":         {func(d *deal.Deal) { withDora(&d.Terms) }, true},
		"two companies in both":    {func(d *deal.Deal) { d.Parties = slices.Delete(slices.Clone(d.Parties), 0, 1) }, true},
		"one company in both":      {func(d *deal.Deal) { d.Parties = slices.Clone(d.Parties[:1]) }, false},
		"one imported":             {func(d *deal.Deal) { d.ImportedBy = registrar.Association }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := in(t, deal.Won), twin(t)
			c.change(&b)
			if got := deal.MayRepeat(a, b); got != c.want {
				t.Errorf("%t, want %t", got, c.want)
			}
		})
	}
}

func TestMayRepeat_RowsOfOneRegistrarAreDistinct(t *testing.T) {
	t.Parallel()
	a, b := in(t, deal.Won), twin(t)
	a.ImportedBy, b.ImportedBy = registrar.Association, registrar.Association
	if deal.MayRepeat(a, b) {
		t.Error("two rows of one association's import are flagged")
	}
	if b.ImportedBy = (deal.ID{0xA6}); !deal.MayRepeat(a, b) {
		t.Error("rows of two associations' imports are not flagged")
	}
}

func TestMayRepeat_OnlyWhatMayStillCount(t *testing.T) {
	t.Parallel()
	for _, s := range statuses {
		b := twin(t)
		b.Status = s
		if got, want := deal.MayRepeat(in(t, deal.Won), b), s != deal.New && !s.Final(); got != want {
			t.Errorf("a deal that is %q: %t", s, got)
		}
	}
}

func TestCustomerSame_ForgetsCaseSpaceAndPunctuationOnly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"Weiß & Söhne", "WEISS  & SÖHNE", true},
		{"ΟΔΟΣ", "οδος", true},
		{"İstanbul Su", "istanbul su", true},
		{"Coca-Cola", "coca cola", true},
		{"AT&T", "AT + T", false},
		{"株式会社ヤマト", "株式会社 ヤマト", true},
		{"株式会社ヤマト", "株式会社ミドリ", false},
		{"...", "???", false},
	} {
		a, b := deal.Customer{Name: c.a, Country: "DE"}, deal.Customer{Name: c.b, Country: "DE"}
		if got := a.Same(b); got != c.want {
			t.Errorf("%s and %s: %t", c.a, c.b, got)
		}
	}
}

func TestMayRepeat_OrderMeansNothing(t *testing.T) {
	t.Parallel()
	anyDeal := rapid.Custom(func(t *rapid.T) deal.Deal {
		day := rapid.Custom(func(t *rapid.T) *calendar.Date {
			if rapid.Bool().Draw(t, "none") {
				return nil
			}
			return new(today.AddDays(rapid.IntRange(-100, 100).Draw(t, "day")))
		})
		d := deal.Deal{
			ID: deal.ID{rapid.Byte().Draw(t, "id")}, Status: rapid.SampledFrom(statuses).Draw(t, "status"), RegisteredAt: noon,
			ImportedBy: deal.ID{rapid.ByteRange(0, 2).Draw(t, "import")},
			Details: deal.Details{ExpectedOn: day.Draw(t, "expected"), Customer: deal.Customer{
				Name: rapid.SampledFrom([]string{"Contoso", "CONTOSO ", "Fabrikam", "-"}).Draw(t, "name"), Country: rapid.SampledFrom([]string{"DE", "AT"}).Draw(t, "country"),
				Domain: rapid.SampledFrom([]string{"", "a.example", "b.example"}).Draw(t, "domain"),
			}},
			Terms: deal.Terms{WonOn: day.Draw(t, "won")},
		}
		for _, n := range rapid.SliceOfNDistinct(rapid.ByteRange(1, 5), 2, 5, rapid.ID[byte]).Draw(t, "parties") {
			d.Parties = append(d.Parties, party(n, deal.Other, 1))
		}
		return d
	})
	hits := 0
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyDeal.Draw(t, "a"), anyDeal.Draw(t, "b")
		if rapid.Bool().Draw(t, "alike") {
			b = a
			b.ID[0]++
			b.ImportedBy = deal.ID{}
		}
		want := deal.MayRepeat(a, b)
		if want {
			hits++
		}
		if deal.MayRepeat(b, a) != want {
			t.Fatal("the order of the deals matters")
		}
		a.Parties = rapid.Permutation(a.Parties).Draw(t, "order")
		if deal.MayRepeat(a, b) != want {
			t.Fatal("the order of the parties matters")
		}
		if deal.MayRepeat(a, a) {
			t.Fatal("a deal repeats itself")
		}
	})
	if hits == 0 {
		t.Error(fmt.Errorf("no two deals were drawn that match"))
	}
}
