package directory_test

import (
	"testing"
)

func TestWaivers_AreInForceWhileBothCompaniesWantIt(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	association, elsewhere := s.association("A"), s.association("B")
	one, two, stranger := s.company("One"), s.company("Two"), s.company("Stranger")
	for _, company := range []string{one, two} {
		s.member(association, company)
	}
	s.member(elsewhere, one)
	admins := map[string]string{one: s.key("company_admin", one, ""), two: s.key("company_admin", two, "")}
	registrar, foreign := s.key("registrar", "", association), s.key("registrar", "", elsewhere)
	path := func(company, partner string) string {
		return "/v1/companies/" + company + "/waivers/" + association + "/" + partner
	}
	list := func(key, company string) []map[string]any {
		t.Helper()
		return s.must(200, key, "GET", "/v1/companies/"+company+"/waivers", nil).items()
	}

	if given := s.must(200, admins[one], "PUT", path(one, two), nil); given.fields["in_force"] != false || given.string("given_at") != "2026-11-22T12:00:00Z" {
		t.Errorf("one waived: %s", given.text)
	}
	if seen := list(admins[two], two); len(seen) != 1 || seen[0]["partner_id"] != one || seen[0]["partner_given_at"] == nil || seen[0]["given_at"] != nil {
		t.Errorf("the partner sees %v", seen)
	}
	s.later.Store(1e9)
	if again := s.must(200, admins[one], "PUT", path(one, two), nil); again.string("given_at") != "2026-11-22T12:00:00Z" {
		t.Errorf("given twice: %s", again.text)
	}
	if both := s.must(200, admins[two], "PUT", path(two, one), nil); both.fields["in_force"] != true {
		t.Errorf("both waived: %s", both.text)
	}
	for _, key := range []string{admins[one], registrar, s.operator} {
		if seen := list(key, one); len(seen) != 1 || seen[0]["in_force"] != true || seen[0]["partner_name"] != "Two" {
			t.Errorf("both waived: %v", seen)
		}
	}
	if seen := list(foreign, one); len(seen) != 0 {
		t.Errorf("the registrar of another association sees %v", seen)
	}
	s.must(204, admins[two], "DELETE", path(two, one), nil)
	s.must(404, admins[two], "DELETE", path(two, one), nil)
	if seen := list(admins[one], one); len(seen) != 1 || seen[0]["in_force"] != false {
		t.Errorf("one withdrew: %v", seen)
	}
	if back := s.must(200, admins[two], "PUT", path(two, one), nil); back.fields["in_force"] != true {
		t.Errorf("given again: %s", back.text)
	}

	for _, key := range []string{s.operator, registrar, admins[two], s.key("member", one, "")} {
		s.must(403, key, "PUT", path(one, two), nil)
		s.must(403, key, "DELETE", path(one, two), nil)
	}
	for _, key := range []string{admins[two], s.key("board", "", association)} {
		s.must(404, key, "GET", "/v1/companies/"+one+"/waivers", nil)
	}
	s.must(404, foreign, "GET", "/v1/companies/"+two+"/waivers", nil)
	s.must(404, foreign, "PUT", path(one, two), nil)
	s.must(422, admins[one], "PUT", path(one, stranger), nil)
	s.must(422, admins[one], "PUT", path(one, one), nil)
	s.must(404, admins[one], "PUT", path(one, "0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"), nil)
}
