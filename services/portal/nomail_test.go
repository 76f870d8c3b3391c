package portal

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

// TestFrame_SaysThatNoMailsComeToWhomThatMatters is about those who act for a company: nothing is asked of others.
func TestFrame_SaysThatNoMailsComeToWhomThatMatters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		mailOn bool
		person *api.Session
		want   bool
	}{
		{"a company's person", false, &api.Session{Role: "member", CompanyID: deal.ID{1}}, true},
		{"a company's person where mails are sent", true, &api.Session{Role: "member", CompanyID: deal.ID{1}}, false},
		{"a board", false, &api.Session{Role: "board", AssociationID: deal.ID{1}}, false},
		{"nobody", false, nil, false},
	} {
		if got := saysNoMail(Config{MailOn: c.mailOn}, c.person); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
	all := speeches(t)
	for _, code := range languages {
		pages, err := parsePages(all[code])
		if err != nil {
			t.Fatal(err)
		}
		for _, says := range []bool{true, false} {
			page := httptest.NewRecorder()
			f := frame{Language: code, NoMail: says, Body: errorPage{Status: 404}}
			if err := pages["error"].ExecuteTemplate(page, "layout", f); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(page.Body.String(), all[code].text("footer.nomail")); got != says {
				t.Errorf("%s: the page says so: %t, want %t", code, got, says)
			}
		}
	}
}
