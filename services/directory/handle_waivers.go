package directory

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
)

// Waiver is what a company and one partner said about being shown as a pair.
type Waiver struct {
	AssociationID  deal.ID    `json:"association_id"`
	PartnerID      deal.ID    `json:"partner_id"`
	PartnerName    string     `json:"partner_name,omitempty"`
	GivenAt        *time.Time `json:"given_at,omitempty" doc:"When the company waived; absent while it did not"`
	PartnerGivenAt *time.Time `json:"partner_given_at,omitempty" doc:"When the partner waived; absent while it did not"`
	InForce        bool       `json:"in_force" doc:"Both waived: releases show the pair"`
}

func (s *Service) showWaiver(k roster.WaiverKey) Waiver {
	partner, _ := s.cfg.Roster.Company(k.Partner)
	shown := Waiver{AssociationID: k.Association, PartnerID: k.Partner, PartnerName: partner.Name}
	if w, given := s.cfg.Roster.Waiver(k); given {
		shown.GivenAt = &w.GivenAt
	}
	if w, given := s.cfg.Roster.Waiver(k.Back()); given {
		shown.PartnerGivenAt = &w.GivenAt
	}
	shown.InForce = shown.GivenAt != nil && shown.PartnerGivenAt != nil
	return shown
}

// WaiverPath is embedded in the input of operations on one waiver.
type WaiverPath struct {
	CompanyID     deal.ID `path:"id" doc:"The company that waives"`
	AssociationID deal.ID `path:"association_id" doc:"The association that may then show the pair"`
	PartnerID     deal.ID `path:"partner_id" doc:"The other company of the pair"`
}

func (p WaiverPath) key() roster.WaiverKey {
	return roster.WaiverKey{Association: p.AssociationID, Company: p.CompanyID, Partner: p.PartnerID}
}

func (s *Service) waiverRoutes(api huma.API) {
	tags := []string{"Waivers"}
	huma.Register(api, huma.Operation{
		OperationID: "give-waiver", Method: http.MethodPut, Path: "/v1/companies/{id}/waivers/{association_id}/{partner_id}", Tags: tags,
		Summary:     "Let an association show what the company wins together with a partner",
		Description: "The pair is shown in releases from when the partner waives too, until one of them withdraws.",
		Errors:      []int{http.StatusForbidden},
	}, s.giveWaiver)
	huma.Register(api, huma.Operation{
		OperationID: "withdraw-waiver", Method: http.MethodDelete, Path: "/v1/companies/{id}/waivers/{association_id}/{partner_id}", Tags: tags,
		Summary:     "Withdraw a waiver",
		Description: "Later releases do not show the pair. What was released before stays released.",
		Errors:      []int{http.StatusForbidden},
	}, s.withdrawWaiver)
	huma.Register(api, huma.Operation{
		OperationID: "list-waivers", Method: http.MethodGet, Path: "/v1/companies/{id}/waivers", Tags: tags,
		Summary: "List what a company and its partners waived",
	}, s.listWaivers)
}

// waiving lets the company's admin through, where company, association and partner are there; the error is a Problem.
func (s *Service) waiving(ctx context.Context, path WaiverPath) error {
	_, company := s.cfg.Roster.Company(path.CompanyID)
	_, partner := s.cfg.Roster.Company(path.PartnerID)
	if _, err := s.association(ctx, path.AssociationID); err != nil || !company || !partner {
		return httpapi.NotFound()
	}
	if !s.cfg.Roster.MayWaive(httpapi.Caller(ctx), path.CompanyID) {
		return httpapi.Forbidden("only a company's admin waives for it, and nobody else: ask its admin")
	}
	return nil
}

func (s *Service) giveWaiver(ctx context.Context, in *WaiverPath) (*struct{ Body Waiver }, error) {
	if err := s.waiving(ctx, *in); err != nil {
		return nil, err
	}
	association, _ := s.cfg.Roster.Association(in.AssociationID)
	today := association.Today(s.cfg.Now())
	if _, member := s.cfg.Roster.MembershipOn(in.CompanyID, in.AssociationID, today); !member {
		return nil, httpapi.InvalidParameter("association_id", "the company is no member of it today: name an association that it is a member of")
	}
	if _, member := s.cfg.Roster.MembershipOn(in.PartnerID, in.AssociationID, today); !member || in.PartnerID == in.CompanyID {
		return nil, httpapi.InvalidParameter("partner_id", "no other member of the association today: name a company that it counts pairs with")
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	w, err := s.store.GiveWaiver(ctx, roster.Waiver{
		AssociationID: in.AssociationID, CompanyID: in.CompanyID, PartnerID: in.PartnerID,
		GivenAt: s.cfg.Now().UTC(), GivenBy: httpapi.Caller(ctx).KeyID,
	})
	if err != nil {
		return nil, answer(err)
	}
	s.wrote(ctx, roster.Waivers, w.Revision)
	return &struct{ Body Waiver }{s.showWaiver(in.key())}, nil
}

func (s *Service) withdrawWaiver(ctx context.Context, in *WaiverPath) (*struct{}, error) {
	if err := s.waiving(ctx, *in); err != nil {
		return nil, err
	}
	if _, given := s.cfg.Roster.Waiver(in.key()); !given {
		return nil, httpapi.NotFound()
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	revision, err := s.store.WithdrawWaiver(ctx, in.key())
	if err != nil {
		return nil, answer(err)
	}
	s.wrote(ctx, roster.Waivers, revision)
	return nil, nil
}

func (s *Service) listWaivers(ctx context.Context, in *struct {
	ID deal.ID `path:"id" doc:"The company"`
	httpapi.Paging
},
) (*httpapi.List[Waiver], error) {
	caller := httpapi.Caller(ctx)
	if !s.mayListWaivers(caller, in.ID) {
		return nil, httpapi.NotFound()
	}
	var seen []roster.WaiverKey // each pair once, in the company's own direction
	for _, w := range s.cfg.Roster.Waivers(in.ID) {
		k := w.Key()
		if k.Partner == in.ID {
			if _, own := s.cfg.Roster.Waiver(k.Back()); own {
				continue
			}
			k = k.Back()
		}
		if s.cfg.Roster.MaySeeWaiver(caller, k) {
			seen = append(seen, k)
		}
	}
	position := func(k roster.WaiverKey) string { return k.Association.String() + k.Partner.String() }
	slices.SortFunc(seen, func(a, b roster.WaiverKey) int { return cmp.Compare(position(a), position(b)) })
	items, next, err := httpapi.SelectPage(seen, in.Paging, position)
	if err != nil {
		return nil, err
	}
	return httpapi.NewList(mapAll(items, s.showWaiver), next), nil
}

// mayListWaivers is for the company, and for registrars of associations that it is or was a member of.
func (s *Service) mayListWaivers(caller roster.Principal, company deal.ID) bool {
	if _, there := s.cfg.Roster.Company(company); !there {
		return false
	}
	_, member := s.cfg.Roster.Membership(company, caller.Association)
	return caller.ActsFor(company) || caller.Role == roster.RoleOperator || caller.Role == roster.RoleRegistrar && member
}
