package portal

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

const mostCompanies = 20 // that a search for a company to enrol shows

// membersSetup is the page on which a registrar finds or makes a company, to enrol it.
type membersSetup struct {
	head
	Association deal.ID
	Members     []memberLine
	Former      int64
	Query       string
	Found       []api.Card
	New         *form // shown after a search
}

// memberLine is a member in the list.
type memberLine struct {
	api.Enrolment
	Chapter string
}

// membersSetupPage lists the members, finds companies and makes one.
func (s *Service) membersSetupPage(v *visit) error {
	a, err := v.managed()
	if err != nil {
		return err
	}
	view := &membersSetup{
		head:        head{Kicker: a.Name, Heading: v.speech.text("members.setup"), Views: v.setupViews(a.ID, pageMembers)},
		Association: a.ID, Query: strings.TrimSpace(v.r.URL.Query().Get("q")),
	}
	view.New = v.companyForm(view.Query)
	if v.r.Method == http.MethodPost {
		made, err := v.api.CreateCompany(v.ctx, api.CompanyInput{
			Name: v.posted("name"), Country: v.posted("country"), Domain: v.posted("domain"), LEI: v.posted("lei"), DUNS: v.posted("duns"),
		})
		if err == nil {
			return v.done("setup.done.company", v.r.URL.Path+"/"+made.ID.String())
		}
		if !view.New.typed(v.r.PostForm).blame(err) {
			return err
		}
	}
	if view.Query != "" {
		if view.Found, err = v.api.FindCompanies(v.ctx, view.Query, mostCompanies); err != nil {
			return err
		}
	}
	if view.Members, view.Former, err = v.memberLines(a); err != nil {
		return err
	}
	v.render(statusOf(view.New), "setup_members", view.Heading, v.nav(a.ID, "", viewSetup), view)
	return nil
}

func (v *visit) companyForm(name string) *form {
	return v.form(
		"newcompany", "create",
		field{Name: "name", Kind: "text", Value: name, Required: true, Max: 200},
		field{Name: "country", Kind: "select", Required: true, Options: v.countryOptions(true)},
		field{Name: "domain", Kind: "text", Max: 253},
		field{Name: "lei", Kind: "text", Max: 20},
		field{Name: "duns", Kind: "text", Max: 9},
	)
}

// memberLines are those that are members now or will be, by name, and how many were.
func (v *visit) memberLines(a api.Association) (lines []memberLine, former int64, err error) {
	chapters, err := v.api.Chapters(v.ctx, a.ID)
	if err != nil {
		return nil, 0, err
	}
	names := map[deal.ID]string{}
	for _, c := range chapters {
		names[c.ID] = c.Name
	}
	all, err := v.api.Enrolments(v.ctx, a.ID)
	if err != nil {
		return nil, 0, err
	}
	today := v.today(a)
	for _, m := range all {
		if m.To != nil && *m.To < today {
			former++
			continue
		}
		lines = append(lines, memberLine{m, names[m.ChapterID]})
	}
	slices.SortFunc(lines, func(a, b memberLine) int {
		return cmp.Or(cmp.Compare(a.CompanyName, b.CompanyName), a.CompanyID.Compare(b.CompanyID))
	})
	return lines, former, nil
}

// enrolView is the page of one company's membership.
type enrolView struct {
	head
	Company  api.Card
	Now      *memberLine // nil while it is no member
	Form     *form
	End      act
	CanEnd   bool
	Invite   string // address of the page of the company's people
	Register string // address of the page of all members
}

// enrol makes a company a member, moves it, or ends that.
func (s *Service) enrol(v *visit) error {
	a, err := v.managed()
	if err != nil {
		return err
	}
	id, err := deal.ParseID(v.r.PathValue("company"))
	if err != nil {
		return errNotFound
	}
	base := "/a/" + a.ID.String() + "/setup/members"
	view := &enrolView{Invite: "/c/" + id.String() + "/people", Register: base, End: actOf("enrol.end", "end")}
	if view.Company, err = v.api.Card(v.ctx, id); err != nil {
		return err
	}
	chapters, err := v.api.Chapters(v.ctx, a.ID)
	if err != nil {
		return err
	}
	lines, _, err := v.memberLines(a)
	if err != nil {
		return err
	}
	today := v.today(a)
	was := api.Enrolment{From: today, EthicsAcceptedOn: &today}
	if i := slices.IndexFunc(lines, func(l memberLine) bool { return l.CompanyID == id }); i >= 0 {
		view.Now, view.CanEnd = &lines[i], lines[i].To == nil
		was = lines[i].Enrolment
	}
	view.Form = v.enrolForm(chapters, was)
	if v.r.Method == http.MethodPost {
		page := base + "/" + id.String()
		switch v.posted("act") {
		case "enrol":
			err := v.api.Enrol(v.ctx, a.ID, id, api.EnrolmentInput{
				ChapterID: v.posted("chapter_id"), From: v.posted("from"), To: v.posted("to"), EthicsAcceptedOn: v.posted("ethics_accepted_on"),
			})
			if err == nil {
				return v.done("setup.done.member", page)
			}
			if !view.Form.typed(v.r.PostForm).blame(err) {
				return err
			}
		case "end":
			if err := v.api.EndMembership(v.ctx, a.ID, id); err != nil {
				return v.refused(err, page)
			}
			return v.done("setup.done.ended", page)
		default:
			return errNotFound
		}
	}
	view.head = head{Kicker: a.Name, Heading: view.Company.Name, Views: v.setupViews(a.ID, pageMembers)}
	v.render(statusOf(view.Form), "setup_member", view.Heading, v.nav(a.ID, "", viewSetup), view)
	return nil
}

func (v *visit) enrolForm(chapters []api.Chapter, was api.Enrolment) *form {
	fields := []field{
		{Name: "from", Kind: "date", Value: was.From.String(), Required: true},
		{Name: "ethics_accepted_on", Kind: "date", Value: dayText(was.EthicsAcceptedOn)},
		{Name: "to", Kind: "date", Value: dayText(was.To)},
	}
	if len(chapters) > 0 {
		chapter := field{Name: "chapter_id", Kind: "select", Required: true, Options: v.chapterOptions(tree(chapters), "form.choose")}
		if !was.ChapterID.IsZero() {
			chapter.Value = was.ChapterID.String()
		}
		fields = append([]field{chapter}, fields...)
	}
	return v.form("enrol", "enrol", fields...)
}

func dayText(d *calendar.Date) string {
	if d == nil {
		return ""
	}
	return d.String()
}
