package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

type listInput struct {
	httpapi.Paging
	Status       deal.Status `query:"status" enum:"pending,active,closing,won,declined,expired,withdrawn,lost,void,disputed" doc:"Where the deal stands"`
	Year         int         `query:"year" minimum:"1900" maximum:"2299" doc:"In which the deal was won: the association's year when association is given, else the calendar year"`
	Company      deal.ID     `query:"company" doc:"A party of the deal"`
	Association  deal.ID     `query:"association" doc:"One whose registrars may hear of the deal"`
	UpdatedSince time.Time   `query:"updated_since" doc:"RFC 3339"`
	Unconverted  bool        `query:"unconverted" doc:"Only won deals that count for nothing yet because a rate is missing"`
}

// list answers GET /v1/deals: ClickHouse finds, the log says what the deals are. The newest change comes first.
func (s *Service) list(ctx context.Context, in *listInput) (*httpapi.List[Deal], error) {
	caller := httpapi.Caller(ctx)
	f := warehouse.Filter{
		Company: in.Company, Association: in.Association, Status: string(in.Status), Year: in.Year, UpdatedSince: in.UpdatedSince,
		Unconverted: in.Unconverted,
	}
	switch caller.Role {
	case roster.RoleMember, roster.RoleCompanyAdmin:
		if !f.Company.IsZero() && f.Company != caller.Company {
			return nil, httpapi.InvalidParameter("company", "lists only your own company's deals: leave it out")
		}
		f.Company = caller.Company
	case roster.RoleRegistrar:
		if !f.Association.IsZero() && f.Association != caller.Association {
			return httpapi.NewList[Deal](nil, ""), nil
		}
		f.Association = caller.Association
	case roster.RoleOperator:
	case roster.RoleBoard, roster.RoleAuditor:
		return nil, httpapi.NotFound()
	}
	if association, known := s.cfg.Roster.Association(f.Association); known {
		f.YearStartsIn = time.Month(association.YearStartsIn)
	}
	position, err := in.Position()
	if err != nil {
		return nil, err
	}
	cursor, err := warehouse.ParseCursor(position)
	if err != nil {
		return nil, httpapi.InvalidParameter("cursor", "is none of ours: write the next_cursor of the page before, or leave it out")
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	ids, next, err := s.cfg.Finder.FindDeals(ctx, f, in.Limit, cursor)
	if err != nil {
		return nil, httpapi.Unavailable("the warehouse that finds deals does not answer", fmt.Errorf("list deals: %w", err))
	}
	found, err := s.log.Latest(ctx, ids)
	if err != nil {
		return nil, httpapi.Unavailable("the log did not answer", fmt.Errorf("list deals: %w", err))
	}
	var deals []Deal
	var shown []stream.Stored
	for _, id := range ids {
		last, there := found[id]
		if _, sees := actorOn(last, caller); there && sees {
			deals, shown = append(deals, viewOf(last.Deal)), append(shown, last)
		}
	}
	if err := s.looked(ctx, "/v1/deals", shown...); err != nil {
		return nil, err
	}
	return httpapi.NewList(deals, next.String()), nil
}
