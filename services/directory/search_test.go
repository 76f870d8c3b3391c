package directory_test

import (
	"strings"
	"testing"
)

func TestCompanies_AreFoundByMembersWithoutTheirIdentifiers(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	own := s.company("Own")
	member := s.key("member", own, "")
	s.must(201, s.operator, "POST", "/v1/companies", object{"name": "Neumüller Bau AG", "country": "AT", "domain": "other.example"})
	s.must(201, s.operator, "POST", "/v1/companies", object{
		"name": "Müller GmbH", "country": "DE", "domain": "mueller.example", "lei": "529900T8BM49AURSDO55", "duns": "123456789",
	})
	for query, want := range map[string]string{
		"muller": "Müller GmbH", "mueller.example": "Müller GmbH", "other.ex": "Neumüller Bau AG", "529900T8BM49AURSDO55": "", "123456789": "",
	} {
		got := s.must(200, member, "GET", "/v1/companies?q="+query, nil)
		items := got.items()
		if want == "" && len(items) != 0 || want != "" && (len(items) == 0 || items[0]["name"] != want) {
			t.Errorf("%s finds %s", query, got.text)
		}
		for _, hidden := range []string{"lei", "duns", "group_id", "created_at", "529900"} {
			if strings.Contains(got.text, hidden) {
				t.Errorf("%s shows a member %s: %s", query, hidden, got.text)
			}
		}
	}
}
