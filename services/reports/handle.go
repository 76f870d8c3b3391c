package reports

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// AsOf says which events a report includes: those up to the sequence.
type AsOf struct {
	AsOfSequence      uint64    `json:"as_of_sequence" doc:"The last event of the log that is included; 0 when there is none"`
	AsOf              time.Time `json:"as_of,omitzero" doc:"When that event happened; absent when there is none"`
	QuarantinedEvents uint64    `json:"quarantined_events" doc:"Events of the whole log up to there that could not be read: the sums may lack them"`
}

// Sums are what deals add up to, as decimals of the report's currency.
type Sums struct {
	Amount            string `json:"amount" example:"1250000.00"`
	Deals             int64  `json:"deals" doc:"How many deals the amount is made of"`
	AttestedByParties string `json:"attested_by_parties" doc:"The part of the amount for which the parties stand; a registrar stands for the rest" example:"1250000.00"`
	UnconvertedDeals  int64  `json:"unconverted_deals" doc:"Deals that wait for an exchange rate and are not in the amount"`
}

// Named is an id with the name that it has today; an empty name means that the directory does not know it.
type Named struct {
	ID   deal.ID `json:"id"`
	Name string  `json:"name"`
}

// VolumeReport is an association's year.
type VolumeReport struct {
	AssociationID deal.ID        `json:"association_id"`
	Year          int            `json:"year" doc:"The association's year, by the calendar year in which it starts"`
	Currency      money.Currency `json:"currency" doc:"The association's reporting currency"`
	Figures
	Rest      *Rest `json:"rest,omitempty" doc:"What limit left out: items and rest add up to all of them. Absent without limit"`
	Companies int   `json:"companies,omitempty" doc:"How many companies are in a pair of the year; by pair only"`
}

// Rest is what the items add up to that a limit left out.
type Rest struct {
	Items int `json:"items" doc:"How many were left out, the smallest"`
	Sums
}

// TogetherReport is a calendar year of all associations together. It stands beside their reports, which are never added.
type TogetherReport struct {
	Scope    string         `json:"scope" example:"all associations, unduplicated"`
	Year     int            `json:"year" doc:"The calendar year of won_on"`
	Currency money.Currency `json:"currency" enum:"EUR"`
	Figures
	Events       *uint64 `json:"events,omitempty" doc:"With rows: how many events of the log up to there are stored, each counted anew. The last sequence, unless some were lost"`
	FirstMissing uint64  `json:"first_missing,omitempty" doc:"With rows: the sequence of the first event that was lost; absent when none was"`
}

// Figures are what a year adds up to.
type Figures struct {
	AsOf
	Total        Sums         `json:"total"`
	PreviousYear *Sums        `json:"previous_year,omitempty" doc:"The whole year before, with the same events; absent when the caller may not see that one live"`
	Items        []VolumeItem `json:"items" doc:"Add up to the total, with the rest if there is a limit; empty by total"`
}

// VolumeItem is one chapter, pair or month.
type VolumeItem struct {
	Chapter   *Named  `json:"chapter,omitempty"`
	Companies []Named `json:"companies,omitempty" doc:"The two of a pair"`
	Month     string  `json:"month,omitempty" example:"2026-03" doc:"Calendar month of won_on"`
	Sums
}

// CompanyReport is a company's year with its partners, by association.
type CompanyReport struct {
	CompanyID deal.ID `json:"company_id"`
	Year      int     `json:"year" doc:"Each association's own year, by the calendar year in which it starts"`
	AsOf
	Associations []CompanyAssociation `json:"associations" doc:"Each counts its own: they are never added"`
}

// CompanyAssociation is what one association counts for the company.
type CompanyAssociation struct {
	Association Named          `json:"association"`
	Currency    money.Currency `json:"currency"`
	Total       Sums           `json:"total" doc:"Of the company's own deals, each as a whole: a company is in several pairs of a deal with more than two members, so the items may add up to less or more"`
	Items       []PartnerItem  `json:"items" doc:"By falling amount"`
}

// PartnerItem is what the company and one partner count for together.
type PartnerItem struct {
	Partner Named `json:"partner"`
	Sums
}

func (s *Service) associationRoutes(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "get-association-volume", Method: http.MethodGet, Path: "/v1/associations/{id}/volume", Tags: []string{"Reports"},
		Summary:     "What an association's won deals of a year add up to",
		Description: "For its registrar, its auditor and the operator; for its board when the association's disclosure is open for the year. As JSON, CSV or XLSX.",
		Responses:   forms[VolumeReport](api, "The year up to a sequence of the log"),
	}, s.associationVolume)
	huma.Register(api, huma.Operation{
		OperationID: "get-association-participation", Method: http.MethodGet, Path: "/v1/associations/{id}/participation", Tags: []string{"Reports"},
		Summary:     "Which members won deals together in a year, and which did not",
		Description: "For those who see the association's volume.",
	}, s.participation)
	huma.Register(api, huma.Operation{
		OperationID: "get-volume", Method: http.MethodGet, Path: "/v1/volume", Tags: []string{"Reports"},
		Summary: "What won deals of a calendar year add up to in all associations, each share once",
		Description: "In EUR. A share counts once, however many associations its party belongs to, so this is not the sum of their " +
			"reports. For the operator and an auditor of all associations.",
		Errors: []int{http.StatusNotFound},
	}, s.togetherVolume)
}

func (s *Service) companyRoutes(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "get-company-volume", Method: http.MethodGet, Path: "/v1/companies/{id}/volume", Tags: []string{"Reports"},
		Summary:     "What a company's won deals of a year add up to with each partner",
		Description: "For the company itself and the operator.",
	}, s.companyVolume)
}

// Period is what every report is asked for.
type Period struct {
	ID           deal.ID `path:"id" doc:"The association or company"`
	Year         int     `query:"year" required:"true" minimum:"1899" maximum:"2300" doc:"By the calendar year in which the association's year starts"`
	AsOfSequence uint64  `query:"as_of_sequence" doc:"Include the events of the log up to this one; all that are there when left out"`
}

type volumeInput struct {
	Period
	Form
	By      warehouse.By `query:"by" enum:"total,chapter,pair,month" default:"total" doc:"What divides the total into items"`
	Limit   int          `query:"limit" minimum:"1" maximum:"1000" doc:"By chapter or pair: only so many, the largest, and the rest as one sum; all when left out"`
	Company deal.ID      `query:"company" doc:"By pair: only pairs of this company, which do not add up to the total"`
	Rows    bool         `query:"rows" doc:"Sum every event anew, whatever was added up before: slower, for an audit"`
}

func (s *Service) associationVolume(ctx context.Context, in *volumeInput) (*huma.StreamResponse, error) {
	association, known := s.cfg.Roster.Association(in.ID)
	if !known || !maySee(httpapi.Caller(ctx), association, in.Year) {
		return nil, httpapi.NotFound()
	}
	if in.Limit > 0 && in.By != warehouse.ByPair && in.By != warehouse.ByChapter {
		return nil, httpapi.InvalidParameter("limit", "goes with by=pair and by=chapter only")
	}
	if !in.Company.IsZero() && in.By != warehouse.ByPair {
		return nil, httpapi.InvalidParameter("company", "goes with by=pair only")
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	q := warehouse.VolumeQuery{Association: in.ID, Year: in.Year, By: in.By, Limit: in.Limit, Company: in.Company, Rows: in.Rows}
	prefix, v, err := s.volumeOf(ctx, in.AsOfSequence, q)
	if err != nil {
		return nil, err
	}
	currency := association.ReportingCurrency
	if v.Currency != "" {
		currency = money.Currency(v.Currency) // that of the vouchers
	}
	if !currency.Known() {
		return nil, httpapi.Internal(fmt.Errorf("association %s has no known currency", in.ID))
	}
	report := VolumeReport{
		AssociationID: in.ID, Year: in.Year, Currency: currency,
		Figures: s.figures(q, v, asOf(prefix), currency, time.Month(association.YearStartsIn)), Companies: len(v.Partners),
	}
	if !maySee(httpapi.Caller(ctx), association, in.Year-1) {
		report.PreviousYear = nil
	}
	if v.Rest != nil {
		report.Rest = &Rest{Items: v.Rest.Items, Sums: showSums(v.Rest.Sums, currency)}
	}
	return in.answer(report, volumeBook(report, Named{ID: in.ID, Name: association.Name}, in.By), askEachAt)
}

func (s *Service) figures(q warehouse.VolumeQuery, v warehouse.Volume, asOf AsOf, currency money.Currency, startsIn time.Month) Figures {
	f := Figures{
		AsOf: asOf, Total: showSums(v.Total, currency), PreviousYear: new(showSums(v.PreviousYear, currency)), Items: []VolumeItem{},
	}
	if q.By == warehouse.ByMonth {
		v.Items = wholeYear(v.Items, q.Year, startsIn)
	}
	for _, item := range v.Items {
		f.Items = append(f.Items, s.showItem(q.By, item, currency))
	}
	return f
}

type togetherInput struct {
	Year         int          `query:"year" required:"true" minimum:"1899" maximum:"2300" doc:"The calendar year"`
	By           warehouse.By `query:"by" enum:"total,month" default:"total" doc:"What divides the total into items"`
	AsOfSequence uint64       `query:"as_of_sequence" doc:"Include the events of the log up to this one; all that are there when left out"`
	Rows         bool         `query:"rows" doc:"Sum every event anew, whatever was added up before: slower, for an audit"`
}

// togetherVolume is the report of all associations together, which the warehouse holds as that of the zero id.
func (s *Service) togetherVolume(ctx context.Context, in *togetherInput) (*struct{ Body TogetherReport }, error) {
	if !httpapi.Caller(ctx).IsAuditorOf(deal.ID{}) {
		return nil, httpapi.NotFound()
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	q := warehouse.VolumeQuery{Year: in.Year, By: in.By, Rows: in.Rows}
	prefix, v, err := s.volumeOf(ctx, in.AsOfSequence, q)
	if err != nil {
		return nil, err
	}
	report := TogetherReport{
		Scope: "all associations, unduplicated", Year: in.Year, Currency: money.EUR,
		Figures: s.figures(q, v, asOf(prefix), money.EUR, time.January),
	}
	if in.Rows {
		stored, err := s.cfg.Warehouse.Recount(ctx, prefix.Last)
		if err != nil {
			return nil, unanswered(err)
		}
		report.Events = &stored.Sequences
		if stored.Sequences < prefix.Last {
			if report.FirstMissing, err = s.cfg.Warehouse.FirstMissing(ctx, prefix.Last); err != nil {
				return nil, unanswered(err)
			}
		}
	}
	return &struct{ Body TogetherReport }{report}, nil
}

// maySee lets in who works for the association, and its board where members agreed that it sees everything of the year.
func maySee(caller roster.Principal, a roster.Association, year int) bool {
	return caller.IsRegistrarOf(a.ID) || caller.IsAuditorOf(a.ID) ||
		caller.IsBoardOf(a.ID) && a.DisclosureOf(year) == roster.DisclosureOpen
}

func (s *Service) companyVolume(ctx context.Context, in *Period) (*struct{ Body CompanyReport }, error) {
	caller := httpapi.Caller(ctx)
	_, known := s.cfg.Roster.Company(in.ID)
	if !known || !caller.ActsFor(in.ID) && caller.Role != roster.RoleOperator {
		return nil, httpapi.NotFound()
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	prefix, err := s.prefix(ctx, in.AsOfSequence)
	if err != nil {
		return nil, err
	}
	totals, err := s.cfg.Warehouse.CompanyTotals(ctx, in.ID, in.Year, prefix.Last)
	if err != nil {
		return nil, unanswered(err)
	}
	pairs, err := s.cfg.Warehouse.CompanyVolume(ctx, in.ID, in.Year, prefix.Last)
	if err != nil {
		return nil, unanswered(err)
	}
	report := CompanyReport{CompanyID: in.ID, Year: in.Year, AsOf: asOf(prefix), Associations: []CompanyAssociation{}}
	for _, total := range totals {
		currency := money.Currency(total.Currency)
		if !currency.Known() {
			return nil, httpapi.Internal(fmt.Errorf("association %s has no known currency", total.Association))
		}
		association, _ := s.cfg.Roster.Association(total.Association)
		shown := CompanyAssociation{
			Association: Named{ID: total.Association, Name: association.Name}, Currency: currency, Total: showSums(total.Sums, currency), Items: []PartnerItem{},
		}
		for _, p := range pairs {
			if p.Association == total.Association {
				shown.Items = append(shown.Items, PartnerItem{Partner: s.company(p.Partner), Sums: showSums(p.Sums, currency)})
			}
		}
		report.Associations = append(report.Associations, shown)
	}
	return &struct{ Body CompanyReport }{report}, nil
}

// volumeOf answers the question for the prefix that a report includes, and gives that one. The error is a Problem.
func (s *Service) volumeOf(ctx context.Context, sequence uint64, q warehouse.VolumeQuery) (warehouse.Prefix, warehouse.Volume, error) {
	prefix, err := s.prefix(ctx, sequence)
	if err != nil {
		return prefix, warehouse.Volume{}, err
	}
	v, err := s.cfg.Warehouse.VolumeOf(ctx, prefix, q)
	if err != nil {
		return prefix, v, unanswered(err)
	}
	return prefix, v, nil
}

// prefix fixes the prefix of the log that a report includes, the longest when none is asked for, and makes sure that the
// warehouse holds all of it. The error is a Problem.
func (s *Service) prefix(ctx context.Context, sequence uint64) (warehouse.Prefix, error) {
	prefix, err := s.cfg.Warehouse.Latest(ctx)
	if err != nil {
		return warehouse.Prefix{}, unanswered(err)
	}
	if sequence > prefix.Last {
		return warehouse.Prefix{}, httpapi.Unavailable(fmt.Sprintf("the reports hold the log up to sequence %d so far", prefix.Last), nil)
	}
	if sequence == 0 {
		sequence = prefix.Last
	}
	if sequence < prefix.Last {
		if prefix, err = s.cfg.Warehouse.Prefix(ctx, sequence); err != nil {
			return warehouse.Prefix{}, unanswered(err)
		}
	}
	if !prefix.Whole() || prefix.Last != sequence {
		return warehouse.Prefix{}, httpapi.Unavailable("the reports lack events of the log and an operator has to rebuild them",
			fmt.Errorf("%d sequences from %d to %d are stored of the first %d", prefix.Sequences, prefix.First, prefix.Last, sequence))
	}
	return prefix, nil
}

func asOf(prefix warehouse.Prefix) AsOf {
	result := AsOf{AsOfSequence: prefix.Last, QuarantinedEvents: prefix.Quarantined}
	if prefix.Last > 0 {
		result.AsOf = prefix.At
	}
	return result
}

// unanswered makes a Problem of an error of the warehouse or the records.
func unanswered(err error) error {
	if _, mixed := errors.AsType[*warehouse.CurrencyError](err); mixed {
		return httpapi.Internal(err)
	}
	return httpapi.Unavailable("the warehouse or the records do not answer", err)
}

// wholeYear adds the months in which nothing was won.
func wholeYear(items []warehouse.Item, year int, startsIn time.Month) []warehouse.Item {
	var all []warehouse.Item
	for i := range 12 {
		month := calendar.New(year, startsIn+time.Month(i), 1)
		for len(items) > 0 && items[0].Month < month {
			all, items = append(all, items[0]), items[1:]
		}
		if len(items) > 0 && items[0].Month == month {
			all, items = append(all, items[0]), items[1:]
			continue
		}
		all = append(all, warehouse.Item{Month: month, Sums: warehouse.NoSums()})
	}
	return append(all, items...)
}

func (s *Service) showItem(by warehouse.By, item warehouse.Item, currency money.Currency) VolumeItem {
	shown := VolumeItem{Sums: showSums(item.Sums, currency)}
	switch by {
	case warehouse.ByChapter:
		shown.Chapter = new(s.chapter(item.Chapter))
	case warehouse.ByPair:
		shown.Companies = []Named{s.company(item.A), s.company(item.B)}
	case warehouse.ByMonth:
		shown.Month = monthName(item.Month)
	case warehouse.ByTotal:
	}
	return shown
}

func (s *Service) company(id deal.ID) Named {
	company, _ := s.cfg.Roster.Company(id)
	return Named{ID: id, Name: company.Name}
}

func showSums(sums warehouse.Sums, currency money.Currency) Sums {
	return Sums{
		Amount: money.Decimal(sums.Amount, currency), Deals: sums.Deals,
		AttestedByParties: money.Decimal(sums.AttestedByParties, currency), UnconvertedDeals: sums.Unconverted,
	}
}
