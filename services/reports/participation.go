package reports

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// ParticipationReport tells who took part in an association's year.
type ParticipationReport struct {
	AssociationID deal.ID `json:"association_id"`
	Year          int     `json:"year" doc:"The association's year, by the calendar year in which it starts"`
	AsOf
	TakingPart      []Participant `json:"taking_part" doc:"Who is in a pair of the year, by falling number of partners, then by name"`
	Others          []Named       `json:"others" doc:"Who was a member on a day of the year and is in no pair, by name"`
	TakingPartCount int           `json:"taking_part_count" doc:"How many took part, whatever the limit"`
	OthersCount     int           `json:"others_count" doc:"How many others there are, whatever the limit"`
}

// Participant is a company that won deals with others.
type Participant struct {
	Company  Named `json:"company"`
	Partners int   `json:"partners" doc:"With how many others" example:"4"`
}

type participationInput struct {
	Period
	Limit int `query:"limit" minimum:"1" maximum:"1000" doc:"Only the first so many of each list; all when left out"`
}

func (s *Service) participation(ctx context.Context, in *participationInput) (*struct{ Body ParticipationReport }, error) {
	association, known := s.cfg.Roster.Association(in.ID)
	if !known || !maySee(httpapi.Caller(ctx), association, in.Year) {
		return nil, httpapi.NotFound()
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	q := warehouse.VolumeQuery{Association: in.ID, Year: in.Year, By: warehouse.ByPair, Limit: 1}
	prefix, v, err := s.volumeOf(ctx, in.AsOfSequence, q)
	if err != nil {
		return nil, err
	}
	report := ParticipationReport{AssociationID: in.ID, Year: in.Year, AsOf: asOf(prefix), TakingPart: []Participant{}, Others: []Named{}}
	for company, partners := range v.Partners {
		report.TakingPart = append(report.TakingPart, Participant{Company: s.company(company), Partners: partners})
	}
	for _, company := range s.membersOf(association, in.Year) {
		if v.Partners[company] == 0 {
			report.Others = append(report.Others, s.company(company))
		}
	}
	slices.SortFunc(report.TakingPart, func(a, b Participant) int { return cmp.Or(b.Partners-a.Partners, byName(a.Company, b.Company)) })
	slices.SortFunc(report.Others, byName)
	report.TakingPartCount, report.OthersCount = len(report.TakingPart), len(report.Others)
	if in.Limit > 0 {
		report.TakingPart = report.TakingPart[:min(in.Limit, len(report.TakingPart))]
		report.Others = report.Others[:min(in.Limit, len(report.Others))]
	}
	return &struct{ Body ParticipationReport }{report}, nil
}

// membersOf lists who was a member on any day of the association's year.
func (s *Service) membersOf(a roster.Association, year int) (companies []deal.ID) {
	first, last := calendar.Bounds(year, time.Month(a.YearStartsIn))
	for _, m := range s.cfg.Roster.Members(a.ID) {
		if slices.ContainsFunc(m.Periods, func(p roster.Period) bool { return p.From <= last && (p.To == nil || *p.To >= first) }) {
			companies = append(companies, m.CompanyID)
		}
	}
	return companies
}

func byName(a, b Named) int {
	return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), a.ID.Compare(b.ID))
}
