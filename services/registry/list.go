package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

type listInput struct {
	httpapi.Paging
	Status       []deal.Status  `query:"status" enum:"pending,active,closing,won,declined,expired,withdrawn,lost,void,disputed" doc:"Any of these, with commas between them"`
	Waiting      bool           `query:"waiting" doc:"What waits for you: for a company deals that it has not answered or attested, for a registrar disputed deals"`
	Year         int            `query:"year" minimum:"1900" maximum:"2299" doc:"In which the deal was won: the association's year when association is given, else the calendar year"`
	Company      deal.ID        `query:"company" doc:"A party of the deal"`
	Role         deal.PartyRole `query:"role" enum:"lead,delivery,reseller,vendor,advisor,other" doc:"Of the company in the deal; a company's own when it asks"`
	Association  deal.ID        `query:"association" doc:"One whose registrars may hear of the deal"`
	Customer     string         `query:"customer" maxLength:"253" doc:"Part of the customer's name, in any case, or its domain"`
	Query        string         `query:"q" maxLength:"200" doc:"Words that all stand in the title, the customer's name or the external reference, in any case"`
	UpdatedSince time.Time      `query:"updated_since" doc:"RFC 3339. Clocks differ: to keep a copy in step send after_sequence"`
	Unconverted  bool           `query:"unconverted" doc:"Only won deals that count for nothing yet because a rate is missing"`
	Flagged      bool           `query:"flagged" doc:"For a registrar: only deals that may be one with another and are not decided"`
	After        uint64         `query:"after_sequence" doc:"Changed behind this sequence of the log: as_of_sequence of the list that you read last"`
}

const aboutList = `The pages of one list look at the same prefix of the log, so that no deal comes twice or is missed while others change.

**To keep a copy in step**, read all pages and keep ` + "`as_of_sequence`" + `, which is the same on each; the next time send it as ` + "`after_sequence`" + `.
Each deal that changed in between is in exactly that list, whatever clocks say. A deal that your company left by declining is no longer listed.`

// DealPage is one page of deals.
type DealPage struct {
	httpapi.Page[Deal]
	AsOfSequence uint64 `json:"as_of_sequence" doc:"The last sequence of the log in which the list looks: the next after_sequence"`
}

type dealList struct{ Body DealPage }

// list answers GET /v1/deals: ClickHouse finds, the log says what the deals are. The newest change comes first.
func (s *Service) list(ctx context.Context, in *listInput) (*dealList, error) {
	if err := s.checkOpen(); err != nil {
		return nil, err
	}
	caller := httpapi.Caller(ctx)
	f, some, err := s.filter(caller, in)
	if err != nil {
		return nil, err
	}
	position, err := in.Position()
	if err != nil {
		return nil, err
	}
	cursor, err := warehouse.ParseCursor(position)
	if err != nil {
		return nil, httpapi.InvalidCursor()
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if cursor.IsZero() {
		if cursor, err = s.cfg.Finder.FirstPage(ctx); err != nil {
			return nil, noFinder(err)
		}
	}
	result := &dealList{Body: DealPage{Page: httpapi.NewList[Deal](nil, "").Body, AsOfSequence: cursor.AsOf()}}
	if !some {
		return result, nil
	}
	ids, next, err := s.cfg.Finder.FindDeals(ctx, f, in.Limit, cursor)
	if err != nil {
		return nil, noFinder(err)
	}
	found, err := s.log.Latest(ctx, ids)
	if err != nil {
		return nil, httpapi.Unavailable("the log did not answer", fmt.Errorf("list deals: %w", err))
	}
	var deals []Deal
	var shown []stream.Stored
	for _, id := range ids {
		last, there := found[id]
		actor, sees := actorOn(last, caller)
		if there && sees && stillMeant(f, last.Deal) {
			deals, shown = append(deals, s.viewFor(last.Deal, actor)), append(shown, last)
		}
	}
	if err := s.looked(ctx, "/v1/deals", shown...); err != nil {
		return nil, err
	}
	result.Body.Page = httpapi.NewList(deals, next.String()).Body
	return result, nil
}

func noFinder(err error) error {
	return httpapi.Unavailable("the warehouse that finds deals does not answer", fmt.Errorf("list deals: %w", err))
}

// filter makes the question to the warehouse: what was asked for, within what the caller sees. It is false when nothing
// can be found. The error is a Problem.
func (s *Service) filter(caller roster.Principal, in *listInput) (f warehouse.Filter, some bool, err error) {
	f = warehouse.Filter{
		Company: in.Company, Role: string(in.Role), Association: in.Association, Year: in.Year, UpdatedSince: in.UpdatedSince,
		Customer: strings.TrimSpace(in.Customer), Words: strings.Fields(in.Query), After: in.After, Unconverted: in.Unconverted,
	}
	for _, status := range in.Status {
		f.Statuses = append(f.Statuses, string(status))
	}
	switch caller.Role {
	case roster.RoleMember, roster.RoleCompanyAdmin:
		if !f.Company.IsZero() && f.Company != caller.Company {
			return f, false, httpapi.InvalidParameter("company", "lists only your own company's deals: leave it out")
		}
		if !f.Association.IsZero() && !s.cfg.Roster.MaySeeAssociation(caller, f.Association) {
			return f, false, nil // which of its partners are members there is not for it to know
		}
		f.Company = caller.Company
		if in.Waiting {
			f.WaitsFor = caller.Company
		}
	case roster.RoleRegistrar:
		if !f.Association.IsZero() && f.Association != caller.Association {
			return f, false, nil
		}
		f.Association = caller.Association
	case roster.RoleOperator:
	case roster.RoleBoard, roster.RoleAuditor, roster.RoleGuest:
		return f, false, httpapi.NotFound()
	}
	if f.Role != "" && f.Company.IsZero() {
		return f, false, httpapi.InvalidParameter("role", "is the part of one company: name it as company")
	}
	if in.Waiting && f.WaitsFor.IsZero() {
		if len(in.Status) > 0 && !slices.Contains(in.Status, deal.Disputed) {
			return f, false, nil
		}
		f.Statuses = []string{string(deal.Disputed)}
	}
	if in.Flagged {
		if caller.ActsFor(caller.Company) {
			return f, false, httpapi.InvalidParameter("flagged", "is a registrar's question: read the conflicts of a deal")
		}
		for _, flag := range s.conflicts.index.undecided(f.Association) {
			f.Deals = append(f.Deals, flag.Deals[:]...)
		}
		if len(f.Deals) == 0 {
			return f, false, nil
		}
	}
	if association, known := s.cfg.Roster.Association(f.Association); known {
		f.YearStartsIn = time.Month(association.YearStartsIn)
	}
	return f, true, nil
}

// stillMeant drops what changed since the warehouse saw it, so that nobody is told to act on what is done.
func stillMeant(f warehouse.Filter, d deal.Deal) bool {
	if len(f.Statuses) > 0 && !slices.Contains(f.Statuses, string(d.Status)) {
		return false
	}
	if p, _ := d.Party(f.Company); f.Role != "" && string(p.Role) != f.Role {
		return false
	}
	return f.WaitsFor.IsZero() || waitsFor(d, f.WaitsFor)
}

// waitsFor tells whether the deal does not move on without the company's word: its answer, its attestation of the
// proposed figures or of an open correction, or to agree that the deal be void once another party has.
func waitsFor(d deal.Deal, company deal.ID) bool {
	said, has := d.Standing(company)
	if !has {
		return false
	}
	switch d.Status {
	case deal.Pending:
		return said.AcceptedAt == nil
	case deal.Closing:
		return said.AttestedTerms != d.TermsVersion
	case deal.Won:
		_, party := d.Party(company)
		voids := slices.ContainsFunc(d.Standings, func(s deal.Standing) bool { return s.Voids })
		return d.Correction != nil && said.AttestedTerms != d.Correction.TermsVersion || party && voids && !said.Voids
	case deal.New, deal.Active, deal.Declined, deal.Expired, deal.Withdrawn, deal.Lost, deal.Void, deal.Disputed:
	}
	return false
}
