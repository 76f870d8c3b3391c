package directory

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
)

// Period is a time in one chapter as the API shows it.
type Period struct {
	ChapterID        *deal.ID       `json:"chapter_id,omitempty"`
	From             calendar.Date  `json:"from"`
	To               *calendar.Date `json:"to,omitempty" doc:"The last day; absent while the membership is open"`
	EthicsAcceptedOn *calendar.Date `json:"ethics_accepted_on,omitempty" doc:"Only a member that accepted the code of ethics may register deals"`
}

// Member is a membership as the API shows it: the latest period, and all of them.
type Member struct {
	AssociationID deal.ID `json:"association_id"`
	CompanyID     deal.ID `json:"company_id"`
	CompanyName   string  `json:"company_name,omitempty"`
	Period
	Periods []Period `json:"periods" doc:"Every period, the earliest first"`
}

func showPeriod(p roster.Period) Period {
	return Period{some(p.ChapterID), p.From, p.To, p.EthicsAcceptedOn}
}

func (s *Service) showMember(m roster.Membership) Member {
	company, _ := s.cfg.Roster.Company(m.CompanyID)
	shown := Member{AssociationID: m.AssociationID, CompanyID: m.CompanyID, CompanyName: company.Name, Periods: mapAll(m.Periods, showPeriod)}
	if n := len(shown.Periods); n > 0 {
		shown.Period = shown.Periods[n-1]
	}
	return shown
}

type newPeriod struct {
	ChapterID        deal.ID        `json:"chapter_id,omitempty" doc:"Left out in an association without chapters"`
	From             calendar.Date  `json:"from" doc:"A later day than before ends the open period on the day before it; the same day replaces the period"`
	To               *calendar.Date `json:"to,omitempty" doc:"The last day; left out while the membership is open"`
	EthicsAcceptedOn *calendar.Date `json:"ethics_accepted_on,omitempty"`
}

// MemberPath is embedded in the input of operations on one membership.
type MemberPath struct {
	AssociationID deal.ID `path:"id" doc:"The association"`
	CompanyID     deal.ID `path:"company_id" doc:"The company"`
}

func (s *Service) memberRoutes(api huma.API) {
	tags := []string{"Members"}
	huma.Register(api, huma.Operation{
		OperationID: "put-member", Method: http.MethodPut, Path: "/v1/associations/{id}/members/{company_id}", Tags: tags,
		Summary: "Make a company a member, move it to another chapter, or correct a period", Errors: []int{http.StatusForbidden},
	}, s.putMember)
	huma.Register(api, huma.Operation{
		OperationID: "end-member", Method: http.MethodDelete, Path: "/v1/associations/{id}/members/{company_id}", Tags: tags,
		Summary: "End a membership: yesterday is its last day, what was before stays", Errors: []int{http.StatusForbidden},
	}, s.endMember)
	huma.Register(api, huma.Operation{
		OperationID: "list-members", Method: http.MethodGet, Path: "/v1/associations/{id}/members", Tags: tags,
		Summary: "List the members of an association, former ones too",
	}, s.listMembers)
}

func (s *Service) putMember(ctx context.Context, in *struct {
	MemberPath
	Body newPeriod
},
) (*httpapi.Tagged[Member], error) {
	association, err := s.ownAssociation(ctx, in.AssociationID)
	if err != nil {
		return nil, err
	}
	if _, ok := s.cfg.Roster.Company(in.CompanyID); !ok {
		return nil, httpapi.NotFound()
	}
	if !s.mayEnrol(httpapi.Caller(ctx), association.ID, in.CompanyID) {
		return nil, httpapi.Forbidden("the company is a member of another association: ask the operator to add it to yours as well")
	}
	period := roster.Period{ChapterID: in.Body.ChapterID, From: in.Body.From, To: in.Body.To, EthicsAcceptedOn: in.Body.EthicsAcceptedOn}
	if err := s.checkPeriod(association, period).Err(); err != nil {
		return nil, answer(err)
	}
	return s.changeMember(ctx, in.MemberPath, func(m roster.Membership) (roster.Membership, error) {
		next, faults := m.With(period)
		return next, faults.Err()
	})
}

// mayEnrol keeps registrars from making another association's members their own, whose deals they would see then: the
// operator adds a company to its second association.
func (s *Service) mayEnrol(caller roster.Principal, association, company deal.ID) bool {
	if _, member := s.cfg.Roster.Membership(company, association); member || caller.Role == roster.RoleOperator {
		return true
	}
	return len(s.cfg.Roster.Memberships(company)) == 0
}

func (s *Service) checkPeriod(a roster.Association, p roster.Period) deal.Invalid {
	var faults deal.Invalid
	if chapter, ok := s.cfg.Roster.Chapter(p.ChapterID); !p.ChapterID.IsZero() && (!ok || chapter.AssociationID != a.ID) {
		faults.Add("/chapter_id", "no chapter of this association: name one that GET .../chapters lists, or leave it out")
	}
	return append(faults, p.Validate(a.Today(s.cfg.Now()))...)
}

func (s *Service) changeMember(ctx context.Context, path MemberPath, change func(roster.Membership) (roster.Membership, error)) (*httpapi.Tagged[Member], error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	m, err := s.store.UpdateMembership(ctx, path.AssociationID, path.CompanyID, change)
	if err != nil {
		return nil, answer(err)
	}
	s.wrote(ctx, roster.Members, m.Revision)
	return httpapi.WithTag(m.Revision, s.showMember(m)), nil
}

func (s *Service) endMember(ctx context.Context, in *MemberPath) (*struct{}, error) {
	association, err := s.ownAssociation(ctx, in.AssociationID)
	if err != nil {
		return nil, err
	}
	today := association.Today(s.cfg.Now())
	_, err = s.changeMember(ctx, *in, func(m roster.Membership) (roster.Membership, error) {
		if len(m.Periods) == 0 {
			return m, httpapi.NotFound()
		}
		return m.EndedBefore(today), nil
	})
	return nil, err
}

func (s *Service) listMembers(ctx context.Context, in *struct {
	AssociationID deal.ID `path:"id" doc:"The association"`
	httpapi.Paging
},
) (*httpapi.List[Member], error) {
	if _, err := s.association(ctx, in.AssociationID); err != nil {
		return nil, err
	}
	caller := httpapi.Caller(ctx)
	members := s.cfg.Roster.Members(in.AssociationID)
	if !s.cfg.Roster.MaySeeMembers(caller, in.AssociationID) {
		own, _ := s.cfg.Roster.Membership(caller.Company, in.AssociationID) // who sees the association is a member
		members = []roster.Membership{own}
	}
	items, next, err := httpapi.SelectPage(members, in.Paging, func(m roster.Membership) string { return m.CompanyID.String() })
	if err != nil {
		return nil, err
	}
	return httpapi.NewList(mapAll(items, s.showMember), next), nil
}
