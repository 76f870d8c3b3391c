package directory_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
	"github.com/dealreg/dealreg/services/directory"
)

// postbox takes links, or refuses them.
type postbox struct {
	refuses bool
	links   map[string]string // by address
}

func (b *postbox) SendLink(_ context.Context, to roster.Person, token string, _ time.Time) error {
	if b.refuses {
		return errors.New("no answer")
	}
	b.links[to.Email] = token
	return nil
}

func TestPeople_GetTheirLinkByMailWhenThatIsAskedFor(t *testing.T) {
	t.Parallel()
	box := &postbox{links: map[string]string{}}
	s := startAs(t, rostertest.NewServer(t).Connect(), func(c *directory.Config) { c.Mailer = box })
	ada := s.invite(s.operator, object{"name": "Ada", "email": "ada@contoso.example", "role": "operator"})
	if made := s.must(201, s.operator, "POST", ada+"/link", object{}); made.fields["mailed"] != nil || len(box.links) > 0 {
		t.Errorf("mailed without being asked: %s", made.text)
	}
	if made := s.must(201, s.operator, "POST", ada+"/link", object{"mail": true}); made.fields["mailed"] != true {
		t.Errorf("the link is %s", made.text)
	}
	s.signIn(object{"link": box.links["ada@contoso.example"]})

	box.refuses = true
	made := s.must(201, s.operator, "POST", ada+"/link", object{"mail": true})
	if made.fields["mailed"] != false {
		t.Errorf("a mail that was refused: %s", made.text)
	}
	s.signIn(object{"link": made.string("link")})
}

func TestPeople_SayThatTheirLinkWasNotMailedWithoutAServer(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	ada := s.invite(s.operator, object{"name": "Ada", "email": "ada@contoso.example", "role": "operator"})
	made := s.must(201, s.operator, "POST", ada+"/link", object{"mail": true})
	if made.fields["mailed"] != false {
		t.Errorf("the link is %s", made.text)
	}
	s.signIn(object{"link": made.string("link")})
}

func TestPeople_SwitchTheirWeeklyMailOffThemselves(t *testing.T) {
	t.Parallel()
	s := fresh(t)
	ada := s.invite(s.operator, object{"name": "Ada", "role": "member", "company_id": s.company("C")})
	session, _ := s.signIn(object{"link": s.link(s.operator, ada)})
	for _, step := range []struct{ send, want any }{{false, false}, {true, true}, {false, false}, {nil, true}} {
		s.change(200, session, ada, object{"digest": step.send})
		if got := s.must(200, session, "GET", ada, nil).fields["digest"]; got != step.want {
			t.Errorf("after %v the digest is %v", step.send, got)
		}
	}
}
