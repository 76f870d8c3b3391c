package roster_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
)

func TestSearchCompanies_FindsWhatPeopleMeanTheBestFirst(t *testing.T) {
	t.Parallel()
	store, r := rostertest.New(t)
	companies := []roster.Company{
		company("Müller Söhne GmbH", "mueller-soehne.example"), company("Mueller Bau AG", ""), company("Weißmüller KG", ""),
		company("Contoso Ltd.", "contoso.example"), company("Contoso Deutschland GmbH", "contoso.de"), company("North Contoso Inc.", "north.example"),
		company("Ødegård ApS", "odegaard.example"), company("Łódź Software Sp. z o.o.", ""), company("Officine S.p.A.", ""),
		company("Café São João Ltda", ""), company("İstanbul Yazılım", ""), company("株式会社東京", "tokyo.example"), company("O'Hara & Sons", "ohara.example"),
		company(strings.Repeat("𝔐", 200), ""), company("AG", ""),
	}
	companies[3].LEI, companies[3].DUNS = "529900T8BM49AURSDO55", "123456789"
	revisions, err := store.PutCompanies(t.Context(), companies)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.WaitFor(within(t), roster.Companies, slices.Max(revisions)); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string][]string{
		"muller":                          {"Müller Söhne GmbH", "Weißmüller KG"},
		"MÜLLER":                          {"Mueller Bau AG", "Müller Söhne GmbH", "Weißmüller KG"},
		"mueller":                         {"Mueller Bau AG", "Müller Söhne GmbH", "Weißmüller KG"},
		"sohne mul":                       {"Müller Söhne GmbH"},
		"weissm":                          {"Weißmüller KG"},
		"contoso":                         {"Contoso Ltd.", "Contoso Deutschland GmbH", "North Contoso Inc."},
		"contoso limited":                 {"Contoso Ltd.", "Contoso Deutschland GmbH", "North Contoso Inc."},
		"contoso gmbh":                    {"Contoso Ltd.", "Contoso Deutschland GmbH", "North Contoso Inc."},
		"contoso deu":                     {"Contoso Deutschland GmbH"},
		"contoso.de":                      {"Contoso Deutschland GmbH"},
		"contoso.example":                 {"Contoso Ltd."},
		"https://www.contoso.example/x?y": {"Contoso Ltd."},
		"sales@contoso.example":           {"Contoso Ltd."},
		"odegard":                         {"Ødegård ApS"},
		"oedegaard":                       {"Ødegård ApS"},
		"lodz sp z oo":                    {"Łódź Software Sp. z o.o."},
		"officine spa":                    {"Officine S.p.A."},
		"cafe sao joao":                   {"Café São João Ltda"},
		"istanbul yazilim":                {"İstanbul Yazılım"},
		"東京":                              {"株式会社東京"},
		"ohara":                           {"O'Hara & Sons"},
		"o’hara and":                      nil,
		"ag":                              {"AG", "Mueller Bau AG"},
		"529900T8BM49AURSDO55":            nil,
		"123456789":                       nil,
		"&":                               nil,
		"zebra":                           nil,
	} {
		found, next := r.SearchCompanies(query, 10, "")
		var names []string
		for _, c := range found {
			names = append(names, c.Name)
		}
		if !slices.Equal(names, want) || next != "" {
			t.Errorf("%q finds %q, want %q", query, names, want)
		}
	}
	all, _ := r.SearchCompanies(" ", 0, "")
	if len(all) != len(companies) {
		t.Errorf("nothing finds %d of %d", len(all), len(companies))
	}
	for _, query := range []string{"", "o", "contoso"} {
		whole, _ := r.SearchCompanies(query, 0, "")
		position, paged := "", []roster.Company{}
		for {
			page, next := r.SearchCompanies(query, 1, position)
			paged = append(paged, page...)
			if len(next) > 700 {
				t.Errorf("a position of %d bytes", len(next))
			}
			if position = next; next == "" {
				break
			}
		}
		if !slices.EqualFunc(whole, paged, func(a, b roster.Company) bool { return a.ID == b.ID }) {
			t.Errorf("%q gives other companies page by page", query)
		}
	}
}
