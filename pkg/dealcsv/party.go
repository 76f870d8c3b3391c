package dealcsv

import (
	"strings"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
)

// parties reads the companies of the row. A company that is named again, without a role or share of its own, counts once.
func (row *Row) parties(sources []partySources) {
	var named []partySources // the sources of row.Parties
	var copies []string      // reasons, should too few companies be left
	places := map[string]int{}
	for _, s := range sources {
		name, role, share := row.text(s.name, 0, longestName), row.clean(s.role), row.clean(s.share)
		row.plain(s.name, name)
		if name == "" {
			if role != "" || share != "" {
				row.fault(s.name, "missing, but it has a role or a share: name the company or clear them")
			}
			continue
		}
		key := roster.NameKey(name)
		if i, again := places[key]; again {
			fault := "same company as " + named[i].name.label
			if role != "" || share != "" {
				row.fault(s.name, "%s: name it once, with its whole share", fault)
			} else {
				copies = append(copies, s.name.label+": "+fault)
			}
			continue
		}
		places[key] = len(named)
		named = append(named, s)
		row.Parties = append(row.Parties, Party{Column: s.name.label, Name: name, Role: row.role(s.role, role)})
	}
	if len(named) < deal.MinParties {
		row.Reasons = append(row.Reasons, copies...)
		row.Reasons = append(row.Reasons, "fewer than two different parties: name at least two")
	}
	row.roles(named)
	row.shares(named)
}

// role is empty where the cell is.
func (row *Row) role(s source, text string) deal.PartyRole {
	role := deal.PartyRole(strings.ToLower(text))
	switch role {
	case "", deal.Lead, deal.Delivery, deal.Reseller, deal.Vendor, deal.Advisor, deal.Other:
	default:
		row.fault(s, "not a role: write lead, delivery, reseller, vendor, advisor or other")
	}
	return role
}

// roles fills in what the file leaves out: the first party leads where none does, the others are other.
func (row *Row) roles(named []partySources) {
	leads := 0
	for _, p := range row.Parties {
		if p.Role == deal.Lead {
			leads++
		}
	}
	switch {
	case leads == 0 && len(named) > 0 && row.Parties[0].Role != "":
		row.fault(named[0].role, "no party is the lead: give exactly one the role lead")
	case leads == 0 && len(named) > 0:
		row.Parties[0].Role = deal.Lead
	case leads > 1:
		row.fault(named[0].role, "%d parties are the lead: give exactly one the role lead", leads)
	}
	for i := range row.Parties {
		if row.Parties[i].Role == "" {
			row.Parties[i].Role = deal.Other
		}
	}
}

// shares reads the share of every party, or of none.
func (row *Row) shares(named []partySources) {
	given, sum, sound := 0, int64(0), row.Value.Minor > 0
	for i, s := range named {
		text := row.clean(s.share)
		if text == "" {
			continue
		}
		given++
		minor, ok := row.minor(s.share, text)
		row.Parties[i].ShareMinor, row.Parties[i].HasShare = minor, true
		sum, sound = sum+minor, sound && ok
	}
	switch {
	case given == 0:
	case given < len(named):
		for i, s := range named {
			if !row.Parties[i].HasShare {
				row.fault(s.share, "missing: give every party its share, or none for equal ones")
			}
		}
	case sound && sum != row.Value.Minor:
		row.fault(named[0].share, "the shares sum to %s and the amount is %s: make them equal",
			money.Amount{Minor: sum, Currency: row.Value.Currency}.Decimal(), row.Value.Decimal())
	}
}
