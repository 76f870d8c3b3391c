package directory_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
)

// invite makes a person and gives its address in the API.
func (s *system) invite(key string, person object) string {
	s.t.Helper()
	return s.must(201, key, "POST", "/v1/people", person).header.Get("Location")
}

// link makes a sign-in link of a person.
func (s *system) link(key, person string) string {
	s.t.Helper()
	return s.must(201, key, "POST", person+"/link", object{}).string("link")
}

// change patches what is there now.
func (s *system) change(status int, key, path string, patch object) reply {
	s.t.Helper()
	tag := s.must(200, s.operator, "GET", path, nil).header.Get("ETag")
	return s.must(status, key, "PATCH", path, patch, "If-Match", tag)
}

func TestPeople_SignInOnceWithALink(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	association := s.association("A")
	ada := s.invite(s.operator, object{"name": " Ada  Example", "language": "de", "role": "board", "association_id": association})
	link := s.link(s.operator, ada)
	if !strings.HasPrefix(link, "drl_") {
		t.Fatalf("link %q", link)
	}
	if shown := s.must(200, s.operator, "GET", ada, nil); shown.string("link_expires_at") != "2026-11-25T12:00:00Z" || strings.Contains(shown.text, link) {
		t.Errorf("the person with a link: %s", shown.text)
	}

	var (
		group sync.WaitGroup
		mu    sync.Mutex
		in    []reply
	)
	for range 8 {
		group.Go(func() {
			got := s.do("", "POST", "/v1/sessions", object{"link": link})
			mu.Lock()
			defer mu.Unlock()
			if got.status == 201 {
				in = append(in, got)
			} else if got.status != 401 {
				t.Errorf("%d %s", got.status, got.text)
			}
		})
	}
	group.Wait()
	if len(in) != 1 {
		t.Fatalf("one link signed in %d times", len(in))
	}
	session := in[0]
	if session.string("name") != "Ada Example" || session.string("language") != "de" || session.string("role") != "board" ||
		session.string("association_id") != association || !strings.HasSuffix(ada, "/"+session.string("person_id")) {
		t.Errorf("session %s", session.text)
	}
	secret := session.string("secret")
	s.must(200, secret, "GET", "/v1/associations/"+association, nil)
	if who := s.must(200, secret, "GET", "/v1/session", nil); who.string("person_id") != session.string("person_id") || who.fields["key_id"] != nil {
		t.Errorf("whose it is: %s", who.text)
	}
	if shown := s.must(200, secret, "GET", ada, nil); shown.string("last_used") != "2026-11-22T12:00:00Z" || shown.fields["link_expires_at"] != nil {
		t.Errorf("the person sees itself as %s", shown.text)
	}
}

func TestPeople_LinksEndByTimeAndByTheNextOne(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	ada := s.invite(s.operator, object{"name": "Ada", "role": "operator"})
	refused := func(link string) {
		t.Helper()
		s.must(401, "", "POST", "/v1/sessions", object{"link": link})
	}
	first := s.link(s.operator, ada)
	second := s.link(s.operator, ada)
	refused(first)
	s.later.Store(int64(72 * time.Hour))
	refused(second)
	s.later.Store(int64(72*time.Hour - 1))
	s.signIn(object{"link": second})

	short := s.must(201, s.operator, "POST", ada+"/link", object{"expires_in_hours": 1}).string("link")
	s.later.Add(int64(time.Hour))
	refused(short)
	s.must(422, s.operator, "POST", ada+"/link", object{"expires_in_hours": 169})

	third := s.link(s.operator, ada)
	s.change(200, s.operator, ada, object{"disabled": true})
	refused(third)
	s.must(409, s.operator, "POST", ada+"/link", object{})
}

func TestPeople_LoseTheirSessionsWhenTheyMayNoLonger(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	one, two := s.association("One"), s.association("Two")
	ada := s.invite(s.operator, object{"name": "Ada", "role": "registrar", "association_id": one})
	session, _ := s.signIn(object{"link": s.link(s.operator, ada)})
	sees := func(status int, association string) {
		t.Helper()
		s.must(status, session, "GET", "/v1/associations/"+association, nil)
	}
	sees(200, one)
	sees(404, two)
	s.change(200, s.operator, ada, object{"role": "board", "association_id": two})
	sees(404, one)
	sees(200, two)
	s.change(200, s.operator, ada, object{"disabled": true})
	sees(401, two)
	s.change(200, s.operator, ada, object{"disabled": false})
	sees(200, two)
	again, _ := s.signIn(object{"link": s.link(s.operator, ada)})
	s.must(204, session, "DELETE", "/v1/session?everywhere=true", nil)
	s.must(401, again, "GET", "/v1/session", nil)

	session, _ = s.signIn(object{"link": s.link(s.operator, ada)})
	s.must(204, s.operator, "DELETE", ada, nil)
	sees(401, two)
}

func TestPeople_AreForgottenWithoutATrace(t *testing.T) {
	t.Parallel()
	js := rostertest.NewServer(t).Connect()
	s := start(t, js)
	ada := s.invite(s.operator, object{"name": "Ada Lovelace", "email": "ada@contoso.example", "role": "operator"})
	s.change(200, s.operator, ada, object{"name": "Ada King", "email": "king@contoso.example"})
	link := s.link(s.operator, ada)
	if found := traces(t, js, "ada@contoso.example"); len(found) == 0 {
		t.Fatal("the search for traces finds nothing where something is")
	}
	s.must(204, s.operator, "DELETE", ada, nil)
	s.must(404, s.operator, "GET", ada, nil)
	s.must(404, s.operator, "DELETE", ada, nil)
	s.must(401, "", "POST", "/v1/sessions", object{"link": link})
	for _, name := range []string{"Ada", "Lovelace", "King", "contoso"} {
		if found := traces(t, js, name); len(found) > 0 {
			t.Errorf("%s is left in %v", name, found)
		}
	}
	s.invite(s.operator, object{"name": "Ada", "email": "king@contoso.example", "role": "operator"}) // the address is free again
}

// traces are the streams that hold a text in any message, old revisions included.
func traces(t *testing.T, js jetstream.JetStream, text string) []string {
	t.Helper()
	var found []string
	for _, b := range roster.Buckets {
		stream, err := js.Stream(t.Context(), "KV_"+string(b))
		if err != nil {
			t.Fatal(err)
		}
		for seq := stream.CachedInfo().State.FirstSeq; seq <= stream.CachedInfo().State.LastSeq; seq++ {
			if msg, err := stream.GetMsg(t.Context(), seq); err == nil && strings.Contains(msg.Subject+string(msg.Data), text) {
				found = append(found, msg.Subject)
			}
		}
	}
	return found
}

func TestPeople_AreInvitedByThoseWhoIssueKeysForTheSame(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	mine, other := s.association("Mine"), s.association("Other")
	company, both := s.company("C"), s.company("B")
	s.member(mine, company)
	s.member(mine, both)
	s.member(other, both)
	registrar, admin := s.key("registrar", "", mine), s.key("company_admin", company, "")
	member, board := s.key("member", company, ""), s.key("board", "", mine)
	for name, c := range map[string]struct {
		person object
		may    []string
	}{
		"a member":                   {object{"role": "member", "company_id": company}, []string{registrar, admin}},
		"a company's admin":          {object{"role": "company_admin", "company_id": company}, []string{registrar, admin}},
		"an admin of a member twice": {object{"role": "company_admin", "company_id": both}, nil},
		"a board":                    {object{"role": "board", "association_id": mine}, []string{registrar}},
		"an auditor of all":          {object{"role": "auditor"}, nil},
		"an operator":                {object{"role": "operator"}, nil},
	} {
		c.person["name"] = name
		for _, key := range c.may {
			path := s.invite(key, c.person)
			s.must(200, key, "GET", path, nil)
			s.must(204, key, "DELETE", path, nil)
		}
		path := s.invite(s.operator, c.person)
		for who, key := range map[string]string{"registrar": registrar, "admin": admin, "member": member, "board": board} {
			if strings.Contains(strings.Join(c.may, " "), key) {
				s.must(200, key, "GET", path, nil)
				continue
			}
			if got := s.do(key, "POST", "/v1/people", c.person); got.status != 403 {
				t.Errorf("%s invites %s: %d", who, name, got.status)
			}
			for method, address := range map[string]string{"GET": path, "DELETE": path, "PATCH": path, "POST": path + "/link"} {
				if got := s.do(key, method, address, object{}, "If-Match", `"1"`); got.status != 404 {
					t.Errorf("%s: %s of %s: %d", who, method, name, got.status)
				}
			}
			if strings.Contains(s.must(200, key, "GET", "/v1/people", nil).text, name+`"`) {
				t.Errorf("%s lists %s", who, name)
			}
		}
	}
}

func TestPeople_ChangeOfThemselvesNameAndLanguageOnly(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	company := s.company("C")
	ada := s.invite(s.operator, object{"name": "Ada", "role": "company_admin", "company_id": company})
	bob := s.invite(s.operator, object{"name": "Bob", "role": "member", "company_id": company})
	admin, _ := s.signIn(object{"link": s.link(s.operator, ada)})
	member, _ := s.signIn(object{"link": s.link(admin, bob)})
	s.change(200, member, bob, object{"name": "Robert", "language": "de"})
	for _, patch := range []object{{"email": "bob@contoso.example"}, {"role": "company_admin"}, {"disabled": true}, {"subjects": nil}} {
		s.change(403, member, bob, patch)
	}
	s.must(403, member, "DELETE", bob, nil)
	s.must(403, member, "POST", bob+"/link", object{})
	s.change(403, admin, ada, object{"role": "operator", "company_id": nil})
	s.change(403, admin, bob, object{"company_id": s.company("Another")})
	s.change(422, admin, bob, object{"subjects": []object{{"issuer": "https://x.example", "subject": "1"}}})
	s.must(428, admin, "PATCH", bob, object{"name": "B"})
	s.must(412, admin, "PATCH", bob, object{"name": "B"}, "If-Match", `"1"`)
	s.change(200, admin, bob, object{"role": "company_admin"})
}

func TestPeople_NameEachFaultWithItsPlace(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	for want, person := range map[string]object{
		"/name: missing":               {"name": " ", "role": "operator"},
		"/name: too long":              {"name": strings.Repeat("n", 121), "role": "operator"},
		"/email: not an e-mail":        {"name": "A", "role": "operator", "email": "A <a@contoso.example>"},
		"/language: not one":           {"name": "A", "role": "operator", "language": "fr"},
		"/role: not one":               {"name": "A", "role": "boss"},
		"/company_id: missing":         {"name": "A", "role": "member"},
		"/company_id: no such company": {"name": "A", "role": "member", "company_id": "0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"},
		"/association_id: no such":     {"name": "A", "role": "board", "association_id": "0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"},
	} {
		if got := s.must(422, s.operator, "POST", "/v1/people", person); !strings.Contains(got.faults(), want) {
			t.Errorf("%s: %s", want, got.text)
		}
	}
}

func TestPeople_ShareNoAddressWhileTheyMaySignIn(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	ada := s.invite(s.operator, object{"name": "Ada", "role": "operator", "email": "Ada@Contoso.example"})
	taken := object{"name": "Other", "role": "operator", "email": "ada@contoso.example"}
	if got := s.must(409, s.operator, "POST", "/v1/people", taken); !strings.Contains(got.faults(), "/email: ") || strings.Contains(got.text, "Ada") {
		t.Errorf("taken: %s", got.text)
	}
	s.change(200, s.operator, ada, object{"language": "de"}) // keeps its own
	s.change(200, s.operator, ada, object{"disabled": true})
	s.invite(s.operator, taken)
	s.change(409, s.operator, ada, object{"disabled": false})
	s.change(200, s.operator, ada, object{"disabled": false, "email": nil})
}
