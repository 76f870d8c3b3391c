package registry

import (
	"context"
	"fmt"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

type countsInput struct {
	Company     deal.ID `query:"company" doc:"Your own company; the operator names any"`
	Association deal.ID `query:"association" doc:"The registrar's own association; the operator names any"`
}

// DealCounts are how many deals stand where, for the first page that somebody looks at.
type DealCounts struct {
	Year         int    `json:"year" doc:"The current one: the association's, for a company the calendar year"`
	Waiting      uint64 `json:"waiting" doc:"For a company: deals that wait for its word. For an association: deals that wait for the word of some party"`
	Pending      uint64 `json:"pending"`
	Active       uint64 `json:"active"`
	Closing      uint64 `json:"closing"`
	Disputed     uint64 `json:"disputed"`
	WonThisYear  uint64 `json:"won_this_year"`
	AsOfSequence uint64 `json:"as_of_sequence" doc:"The last sequence of the log that is counted"`

	Flagged           *uint64 `json:"flagged,omitempty" doc:"Of an association: pairs of deals that may be one and are not decided"`
	UnconvertedDeals  *uint64 `json:"unconverted_deals,omitempty" doc:"Of an association: won deals that count for nothing yet because a rate is missing"`
	QuarantinedEvents *uint64 `json:"quarantined_events,omitempty" doc:"For an association: events of the whole log that could not be read; no figure has them"`
}

// counts answers GET /v1/deals/counts. Numbers show no deal, so they are no look at one.
func (s *Service) counts(ctx context.Context, in *countsInput) (*struct{ Body DealCounts }, error) {
	if err := s.checkOpen(); err != nil {
		return nil, err
	}
	of, err := s.countedFor(httpapi.Caller(ctx), in)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	unable := func(err error) error {
		return httpapi.Unavailable("the warehouse that counts deals does not answer", fmt.Errorf("count deals: %w", err))
	}
	page, err := s.cfg.Finder.FirstPage(ctx)
	if err != nil {
		return nil, unable(err)
	}
	found, err := s.cfg.Finder.CountDeals(ctx, of, page.AsOf())
	if err != nil {
		return nil, unable(err)
	}
	c := DealCounts{
		Year: of.Year, Waiting: natural(found.Waiting), Pending: natural(found.Pending), Active: natural(found.Active),
		Closing: natural(found.Closing), Disputed: natural(found.Disputed), WonThisYear: natural(found.Won), AsOfSequence: page.AsOf(),
	}
	if !of.Association.IsZero() {
		prefix, err := s.cfg.Finder.Prefix(ctx, page.AsOf())
		if err != nil {
			return nil, unable(err)
		}
		c.Flagged = new(uint64(len(s.conflicts.index.undecided(of.Association))))
		c.UnconvertedDeals = new(natural(found.Unconverted))
		c.QuarantinedEvents = &prefix.Quarantined
	}
	return &struct{ Body DealCounts }{c}, nil
}

// natural is a number of deals as the API has it.
func natural(n int64) uint64 { return uint64(max(n, 0)) }

// countedFor tells whose deals the caller means: without a word its own. The error is a Problem.
func (s *Service) countedFor(caller roster.Principal, in *countsInput) (warehouse.Whose, error) {
	of := warehouse.Whose{Company: in.Company, Association: in.Association}
	if of.Company.IsZero() && of.Association.IsZero() {
		of.Company, of.Association = caller.Company, caller.Association
	}
	_, isCompany := s.cfg.Roster.Company(of.Company)
	association, isAssociation := s.cfg.Roster.Association(of.Association)
	now := s.cfg.Now()
	switch {
	case !of.Company.IsZero() && !of.Association.IsZero():
		return of, httpapi.InvalidParameter("association", "stands beside company: name one of the two")
	case caller.Role == roster.RoleOperator && of.Company.IsZero() && of.Association.IsZero():
		return of, httpapi.InvalidParameter("association", "is missing: name an association, or a company")
	case isCompany && (caller.ActsFor(of.Company) || caller.Role == roster.RoleOperator):
		of.Year, of.YearStartsIn = now.UTC().Year(), time.January
	case isAssociation && caller.IsRegistrarOf(of.Association):
		of.YearStartsIn = time.Month(association.YearStartsIn)
		of.Year = calendar.YearOf(association.Today(now), of.YearStartsIn)
	default:
		return of, httpapi.NotFound()
	}
	return of, nil
}
