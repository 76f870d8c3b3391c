package directory_test

import (
	"testing"

	"github.com/dealreg/dealreg/pkg/oidclogin"
	"github.com/dealreg/dealreg/pkg/oidclogin/oidclogintest"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
)

// withProvider is a system that trusts a real OpenID provider, and what signs somebody in there.
func withProvider(t *testing.T, accounts ...oidclogintest.Account) (s *system, credentials func(login string) object) {
	t.Helper()
	provider := oidclogintest.Start(t, accounts...)
	openID, err := oidclogin.New(provider.Config())
	if err != nil {
		t.Fatal(err)
	}
	s = startWith(t, rostertest.NewServer(t).Connect(), openID)
	return s, func(login string) object {
		attempt := oidclogin.NewAttempt()
		return object{"id_token": provider.Token(t, openID, attempt, login), "nonce": attempt.Nonce}
	}
}

func TestOpenID_SignsInWhomSomebodyInvited(t *testing.T) {
	t.Parallel()
	s, at := withProvider(t,
		oidclogintest.Account{Login: "ada", Email: "Ada@contoso.example", Verified: true},
		oidclogintest.Account{Login: "ada2", Email: "ada@contoso.example", Verified: true},
		oidclogintest.Account{Login: "bob", Email: "bob@contoso.example"},
		oidclogintest.Account{Login: "eve", Email: "eve@contoso.example", Verified: true},
	)
	ada := s.invite(s.operator, object{"name": "Ada", "role": "operator", "email": "ada@contoso.example"})
	s.invite(s.operator, object{"name": "Bob", "role": "operator", "email": "bob@contoso.example"})
	first, session := s.signIn(at("ada"))
	if session.string("name") != "Ada" || session.string("role") != "operator" {
		t.Errorf("session %s", session.text)
	}
	s.must(200, first, "GET", "/v1/keys", nil)
	linked, _ := s.must(200, s.operator, "GET", ada, nil).fields["subjects"].([]any)
	if len(linked) != 1 || linked[0].(object)["subject"] != "ada" {
		t.Errorf("linked to %v", linked)
	}

	unknown := s.must(404, "", "POST", "/v1/sessions", at("eve"))
	for what, login := range map[string]string{"an address that is not verified": "bob", "another account with the same address": "ada2"} {
		if got := s.must(404, "", "POST", "/v1/sessions", at(login)); got.text != unknown.text {
			t.Errorf("%s is answered in its own way: %s", what, got.text)
		}
	}
	wrong := at("ada")
	wrong["nonce"] = "another"
	if got := s.must(401, "", "POST", "/v1/sessions", wrong); got.text != s.must(401, "", "POST", "/v1/sessions", object{"key": "x"}).text {
		t.Errorf("another nonce is answered in its own way: %s", got.text)
	}

	s.change(200, s.operator, ada, object{"email": nil}) // from now on the subject alone decides
	s.signIn(at("ada"))
	s.change(200, s.operator, ada, object{"disabled": true})
	s.must(404, "", "POST", "/v1/sessions", at("ada"))
	s.change(200, s.operator, ada, object{"disabled": false, "email": "ada@contoso.example", "subjects": nil})
	s.signIn(at("ada2")) // whoever invites her let another account be linked
	s.must(404, "", "POST", "/v1/sessions", at("ada"))
}

func TestOpenID_AwayRefusesNobodyForGood(t *testing.T) {
	t.Parallel()
	openID, err := oidclogin.New(oidclogin.Config{Issuer: "http://127.0.0.1:1", ClientID: "dealreg"})
	if err != nil {
		t.Fatal(err)
	}
	s := startWith(t, rostertest.NewServer(t).Connect(), openID)
	if got := s.must(503, "", "POST", "/v1/sessions", object{"id_token": "x", "nonce": "y"}); got.header.Get("Retry-After") == "" {
		t.Errorf("answered %v", got.header)
	}
	s.signIn(object{"link": s.link(s.operator, s.invite(s.operator, object{"name": "Ada", "role": "operator"}))})
}
