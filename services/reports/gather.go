package reports

import (
	"context"
	"slices"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/disclosure"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// gathering reads the years that one release is made from, as events up to one sequence left them and with the corporate
// groups of one moment.
type gathering struct {
	*Service
	upTo   uint64
	groups map[deal.ID]deal.ID // of each company that was met
}

func (s *Service) gather(upTo uint64) *gathering {
	return &gathering{Service: s, upTo: upTo, groups: map[deal.ID]deal.ID{}}
}

// shown gives what the board was shown of a year, without its deals.
func (g *gathering) shown(ctx context.Context, a roster.Association, year int, releases []release) (disclosure.Year, error) {
	y := disclosure.Year{Association: a.ID, Year: year, Policy: disclosure.Policy(a.DisclosureOf(year)), OpenUntil: a.OpenUntil(year)}
	for _, pair := range g.cfg.Roster.WaivedPairs(a.ID) {
		y.Waived = append(y.Waived, disclosure.NewPair(pair[0], pair[1]))
	}
	for _, r := range releases {
		c, err := g.shelf.content(ctx, r)
		if err != nil {
			return disclosure.Year{}, err
		}
		y.Released = append(y.Released, c.Release)
	}
	return y, nil
}

// deals gives all that ever counted in a year.
func (g *gathering) deals(ctx context.Context, a roster.Association, year int) ([]disclosure.Deal, error) {
	found, err := g.cfg.Warehouse.DealYears(ctx, warehouse.AssociationYear{Association: a.ID, Year: year}, g.upTo)
	if err != nil {
		return nil, err
	}
	deals := make([]disclosure.Deal, len(found))
	for i, d := range found {
		deals[i] = disclosure.Deal{ID: d.Deal, Insiders: g.insiders(d.Told)}
		for _, v := range d.Versions {
			if v.Counts != nil && money.Currency(v.Counts.Currency) != a.ReportingCurrency {
				return nil, &warehouse.CurrencyError{Association: a.ID, Year: year}
			}
			deals[i].States = append(deals[i].States, g.state(v))
		}
	}
	return deals, nil
}

func (g *gathering) state(v warehouse.DealVersion) disclosure.State {
	state := disclosure.State{Sequence: v.Sequence}
	for _, p := range v.Parties {
		state.Groups = append(state.Groups, g.group(p))
	}
	state.Groups = eachOnce(state.Groups)
	c := v.Counts
	if c == nil {
		return state
	}
	state.Month, state.ByParties, state.Unconverted = c.Month, c.ByParties, c.Unconverted
	for _, p := range c.Chapters {
		state.Chapters = append(state.Chapters, disclosure.Chapter{Chapter: p.A, AmountMinor: p.AmountMinor})
	}
	for _, p := range c.Pairs {
		state.Pairs = append(state.Pairs, disclosure.PairAmount{Pair: disclosure.NewPair(p.A, p.B), AmountMinor: p.AmountMinor})
	}
	return state
}

// group is the one that the company is in today. The directory decides, whatever the deal's event says, since companies
// become one group and leave it; of a company that it does not know, the event does.
func (g *gathering) group(p warehouse.Party) deal.ID {
	group, met := g.groups[p.Company]
	if !met {
		group = p.Group
		if company, known := g.cfg.Roster.Company(p.Company); known {
			group = company.Clean().GroupID
		}
		g.groups[p.Company] = group
	}
	return group
}

// insiders are the groups of today in which somebody may know something of a deal: those of the companies that were told
// of it, and of the companies that headed their groups then.
func (g *gathering) insiders(told []warehouse.Party) []deal.ID {
	var groups []deal.ID
	for _, p := range told {
		groups = append(groups, g.group(p), g.group(warehouse.Party{Company: p.Group, Group: p.Group}))
	}
	return eachOnce(groups)
}

func eachOnce(ids []deal.ID) []deal.ID {
	slices.SortFunc(ids, deal.ID.Compare)
	return slices.Compact(ids)
}

// others gathers the years, of whatever association, of which anything was shown and that share deals with this one, or
// with one that does.
func (g *gathering) others(ctx context.Context, of warehouse.AssociationYear) ([]disclosure.Year, error) {
	found := []warehouse.AssociationYear{of}
	for i := 0; i < len(found); i++ {
		sharing, err := g.cfg.Warehouse.YearsSharingDeals(ctx, found[i], g.upTo)
		if err != nil {
			return nil, err
		}
		for _, y := range sharing {
			if !slices.Contains(found, y) {
				found = append(found, y)
			}
		}
	}
	var others []disclosure.Year
	for _, y := range found[1:] {
		association, known := g.cfg.Roster.Association(y.Association)
		if !known {
			continue
		}
		releases, err := g.shelf.on(ctx, stream.StatementSubject(y.Association, y.Year))
		if err != nil {
			return nil, err
		}
		other, err := g.shown(ctx, association, y.Year, releases)
		if err != nil {
			return nil, err
		}
		if other.Silent() {
			continue
		}
		if other.Deals, err = g.deals(ctx, association, y.Year); err != nil {
			return nil, err
		}
		others = append(others, other)
	}
	return others, nil
}

// MadeWith is what a release was made with and the log does not hold.
type MadeWith struct {
	YearShown
	Waived [][]deal.ID    `json:"waived_pairs" doc:"The pairs of companies that had both waived"`
	Groups []CompanyGroup `json:"groups" doc:"The corporate groups of that day, of companies that did not head their own"`
	Others []YearShown    `json:"others" doc:"The years that share deals with this one and of which boards had seen anything"`
}

// YearShown is what boards had seen of a year.
type YearShown struct {
	AssociationID deal.ID `json:"association_id"`
	Year          int     `json:"year"`
	Policy        string  `json:"policy" enum:"open,guarded,strict"`
	OpenUntil     uint64  `json:"open_until_sequence,omitempty" doc:"Up to this event its board had seen everything live; absent when it never did, or does still"`
	Releases      int     `json:"releases" doc:"How many there were of it"`
}

// CompanyGroup tells in which corporate group a company was.
type CompanyGroup struct {
	CompanyID deal.ID `json:"company_id"`
	GroupID   deal.ID `json:"group_id"`
}

func (g *gathering) madeWith(own disclosure.Year, others []disclosure.Year) MadeWith {
	of := func(y disclosure.Year) YearShown {
		return YearShown{AssociationID: y.Association, Year: y.Year, Policy: string(y.Policy), OpenUntil: y.OpenUntil, Releases: len(y.Released)}
	}
	m := MadeWith{YearShown: of(own), Waived: [][]deal.ID{}, Groups: []CompanyGroup{}, Others: []YearShown{}}
	for _, p := range own.Waived {
		m.Waived = append(m.Waived, []deal.ID{p.A, p.B})
	}
	for company, group := range g.groups {
		if company != group {
			m.Groups = append(m.Groups, CompanyGroup{CompanyID: company, GroupID: group})
		}
	}
	slices.SortFunc(m.Groups, func(a, b CompanyGroup) int { return a.CompanyID.Compare(b.CompanyID) })
	for _, y := range others {
		m.Others = append(m.Others, of(y))
	}
	return m
}
