package registry

import (
	"fmt"
	"strconv"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
)

// PartyInput is one party of a request.
type PartyInput struct {
	CompanyID deal.ID        `json:"company_id"`
	Role      deal.PartyRole `json:"role,omitempty" enum:"lead,delivery,reseller,vendor,advisor,other" doc:"When no party is the lead, the registering company is; any other party without a role is other"`
	Share     httpapi.Amount `json:"share"`
}

// readTerms turns the figures of a request into terms: amounts parsed, companies and their groups looked up, roles
// filled in. lead is who leads when the request names none.
func readTerms(r *roster.Roster, value httpapi.Amount, parties []PartyInput, wonOn *calendar.Date, lead deal.ID) (deal.Terms, error) {
	var faults deal.Invalid
	amount, bad := value.Money("/value")
	faults = append(faults, bad...)
	terms := deal.Terms{Value: amount, WonOn: wonOn}
	named := false
	for _, p := range parties {
		named = named || p.Role == deal.Lead
	}
	for i, p := range parties {
		at := "/parties/" + strconv.Itoa(i)
		company, known := r.Company(p.CompanyID)
		if !known {
			faults.Add(at+"/company_id", "names no company: find it at /v1/companies?q=, or ask your registrar to add it")
		}
		share, bad := p.Share.Money(at + "/share")
		faults = append(faults, bad...)
		if len(bad) == 0 && amount.Currency != "" && share.Currency != amount.Currency {
			faults.Add(at+"/share/currency", fmt.Sprintf("differs from the currency of the value: write %s", amount.Currency))
		}
		role := p.Role
		switch {
		case role != "":
		case !named && p.CompanyID == lead:
			role = deal.Lead
		default:
			role = deal.Other
		}
		terms.Parties = append(terms.Parties, deal.Party{Company: p.CompanyID, Group: company.GroupID, Role: role, ShareMinor: share.Minor})
	}
	return terms, faults.Err()
}

// inputOf is the request that would give the terms, for a change of only some of them.
func inputOf(t deal.Terms) (httpapi.Amount, []PartyInput) {
	parties := make([]PartyInput, len(t.Parties))
	for i, p := range t.Parties {
		parties[i] = PartyInput{
			CompanyID: p.Company, Role: p.Role, Share: httpapi.AmountOf(money.Amount{Minor: p.ShareMinor, Currency: t.Value.Currency}),
		}
	}
	return httpapi.AmountOf(t.Value), parties
}
