package directory_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
)

func TestGuests_SignInOnceAreNoPeopleAndAreForgotten(t *testing.T) {
	t.Parallel()
	js := rostertest.NewServer(t).Connect()
	s := start(t, js)
	on := deal.ID{0xD0, 15: 1}
	guest, link := roster.NewGuest(roster.Person{
		ID: deal.ID{0x60, 15: 1}, CompanyID: deal.ID{0xC0, 15: 1}, AssociationID: deal.ID{0xA5, 15: 1}, DealID: on,
		Name: " Ada  Example", Email: "ada@outside.example", CreatedAt: s.now(),
	}, s.now().Add(time.Hour), pepper)
	if _, err := roster.NewStore(js).PutPerson(t.Context(), guest); err != nil {
		t.Fatal(err)
	}
	in := s.until(201, func() reply { return s.do("", "POST", "/v1/sessions", object{"link": link}) })
	s.must(401, "", "POST", "/v1/sessions", object{"link": link})
	secret := in.string("secret")
	who := s.must(200, secret, "GET", "/v1/session", nil)
	if who.string("role") != "guest" || who.string("deal_id") != on.String() || who.string("company_id") != guest.CompanyID.String() ||
		who.string("person_id") != guest.ID.String() || who.string("name") != "Ada Example" {
		t.Errorf("the guest is %s", who.text)
	}
	for _, path := range []string{"/v1/companies", "/v1/people", "/v1/people/" + guest.ID.String(), "/v1/keys", "/v1/associations/" + guest.AssociationID.String()} {
		s.must(404, secret, "GET", path, nil)
	}

	path := "/v1/people/" + guest.ID.String()
	s.must(404, s.operator, "GET", path, nil)
	s.must(404, s.operator, "POST", path+"/link", object{})
	s.must(404, s.operator, "DELETE", path, nil)
	if list := s.must(200, s.operator, "GET", "/v1/people", nil).text; strings.Contains(list, guest.ID.String()) {
		t.Errorf("people: %s", list)
	}
	s.invite(s.operator, object{"name": "Ada", "role": "operator", "email": guest.Email}) // the guest does not have the address
	for _, where := range []string{"/v1/people", "/v1/keys"} {
		s.must(422, s.operator, "POST", where, object{"name": "Eve", "role": "guest", "company_id": s.company("C")})
	}

	s.later.Store(int64(time.Hour + roster.SessionLasts - 1))
	if _, err := roster.NewStore(js).Person(t.Context(), guest.ID); err != nil {
		t.Errorf("forgotten too early: %v", err)
	}
	s.later.Add(1)
	s.until(401, func() reply { return s.do(secret, "GET", "/v1/session", nil) })
	for gone := time.After(patience); ; {
		if _, err := roster.NewStore(js).Person(t.Context(), guest.ID); errors.Is(err, roster.ErrNotFound) {
			break
		}
		select {
		case <-gone:
			t.Fatal("the guest is never forgotten")
		case <-time.Tick(5 * time.Millisecond):
		}
	}
}
