package portal

import (
	"cmp"
	"net/http"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

// waiversView is what a company lets each association show of it and a partner.
type waiversView struct {
	head
	Associations []waiverGroup
	May          bool // the person may give and withdraw
}

type waiverGroup struct {
	Association api.Association
	Lines       []waiverLine
}

type waiverLine struct {
	api.Waiver
	Act act
}

// waivers lists them for each association and partner with whom there were won deals, and changes one.
func (s *Service) waivers(v *visit) error {
	id, err := deal.ParseID(v.r.PathValue("company"))
	if err != nil || v.person.CompanyID != id {
		return errNotFound
	}
	view := &waiversView{May: v.person.Role == roleCompanyAdmin}
	if v.r.Method == http.MethodPost {
		return v.waive(id)
	}
	company, err := v.api.Company(v.ctx, id)
	if err != nil {
		return err
	}
	view.head = head{Kicker: company.Name, Heading: v.speech.text("waivers.title"), Views: v.companyViews(id, pageWaivers)}
	pairs, err := v.pairsOf(id)
	if err != nil {
		return err
	}
	for association, lines := range pairs {
		a, err := v.api.Association(v.ctx, association)
		if api.StatusOf(err) == http.StatusNotFound {
			continue // the company left it
		}
		if err != nil {
			return err
		}
		group := waiverGroup{Association: a}
		for _, w := range lines {
			does := "give"
			if w.GivenAt != nil {
				does = "withdraw"
			}
			group.Lines = append(group.Lines, waiverLine{w, actOf("waivers."+does, does, "association", association, "partner", w.PartnerID)})
		}
		slices.SortFunc(group.Lines, func(a, b waiverLine) int { return cmp.Compare(a.PartnerName, b.PartnerName) })
		view.Associations = append(view.Associations, group)
	}
	slices.SortFunc(view.Associations, func(a, b waiverGroup) int { return cmp.Compare(a.Association.Name, b.Association.Name) })
	v.render(http.StatusOK, "waivers", view.Heading, v.ownNav(), view)
	return nil
}

// pairsOf gives the waivers of a company by association and partner: those that somebody gave, and an empty one for each
// partner with whom a deal was won in one of the years that the pages offer.
func (v *visit) pairsOf(company deal.ID) (map[deal.ID]map[deal.ID]api.Waiver, error) {
	pairs := map[deal.ID]map[deal.ID]api.Waiver{}
	put := func(w api.Waiver) {
		if pairs[w.AssociationID] == nil {
			pairs[w.AssociationID] = map[deal.ID]api.Waiver{}
		}
		pairs[w.AssociationID][w.PartnerID] = w
	}
	var given []api.Waiver
	years := make([]api.CompanyVolume, yearsBack)
	together, ctx := errgroup.WithContext(v.ctx)
	together.SetLimit(namesAtOnce)
	together.Go(func() (err error) {
		given, err = v.api.Waivers(ctx, company)
		return err
	})
	for i := range years {
		together.Go(func() (err error) {
			years[i], err = v.api.CompanyVolume(ctx, company, v.s.cfg.Now().UTC().Year()-i)
			return err
		})
	}
	if err := together.Wait(); err != nil {
		return nil, err
	}
	for _, year := range years {
		for _, a := range year.Associations {
			for _, item := range a.Items {
				put(api.Waiver{AssociationID: a.Association.ID, PartnerID: item.Partner.ID, PartnerName: item.Partner.Name})
			}
		}
	}
	for _, w := range given {
		put(w)
	}
	return pairs, nil
}

// waive gives or withdraws one waiver.
func (v *visit) waive(company deal.ID) error {
	association, err := deal.ParseID(v.posted("association"))
	if err != nil {
		return errNotFound
	}
	partner, err := deal.ParseID(v.posted("partner"))
	if err != nil {
		return errNotFound
	}
	page := "/c/" + company.String() + "/waivers"
	switch v.posted("act") {
	case "give":
		if err := v.api.GiveWaiver(v.ctx, company, association, partner); err != nil {
			return v.refused(err, page)
		}
		return v.done("waivers.done.given", page)
	case "withdraw":
		if err := v.api.WithdrawWaiver(v.ctx, company, association, partner); err != nil {
			return v.refused(err, page)
		}
		return v.done("waivers.done.withdrawn", page)
	}
	return errNotFound
}
