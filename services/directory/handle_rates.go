package directory

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
)

const (
	ratesFileBytes = 16 << 20 // the ECB's whole history is 3 MB
	ratesWithin    = time.Minute
	mostFaults     = 100 // lines named in one answer
)

// RatesDay is what was published on one day.
type RatesDay struct {
	Date   calendar.Date             `json:"date"`
	Source string                    `json:"source"`
	Rates  map[money.Currency]string `json:"rates" doc:"Units of each currency per euro, as published"`
}

// RatesStored tells what an import of rates did.
type RatesStored struct {
	Days      int            `json:"days" doc:"Days in the file that have rates"`
	Stored    int            `json:"stored" doc:"Days that were new or changed"`
	FirstDate *calendar.Date `json:"first_date,omitempty"`
	LastDate  *calendar.Date `json:"last_date,omitempty"`
	Ignored   []string       `json:"ignored_columns,omitempty" doc:"Columns that are no active currency"`
}

func (s *Service) rateRoutes(api huma.API) {
	tags := []string{"Rates"}
	huma.Register(api, huma.Operation{
		OperationID: "put-rates", Method: http.MethodPut, Path: "/v1/rates", Tags: tags,
		Summary: "Import reference rates in the ECB's CSV layout; each day replaces what was known of it", Errors: []int{http.StatusForbidden},
		MaxBodyBytes: ratesFileBytes, BodyReadTimeout: ratesWithin,
	}, s.putRates)
	huma.Register(api, huma.Operation{
		OperationID: "list-rates", Method: http.MethodGet, Path: "/v1/rates", Tags: tags,
		Summary: "List the reference rates by day",
	}, s.listRates)
}

func (s *Service) putRates(ctx context.Context, in *struct {
	Source  string `query:"source" required:"true" minLength:"1" maxLength:"100" doc:"Who published the rates; it stays in every event that uses them" example:"ECB"`
	RawBody []byte `contentType:"text/csv"`
},
) (*struct{ Body RatesStored }, error) {
	if httpapi.Caller(ctx).Role != roster.RoleOperator {
		return nil, httpapi.Forbidden("only the operator imports rates, because every association converts with them")
	}
	sheet, err := money.ParseECB(bytes.NewReader(in.RawBody))
	if err != nil {
		return nil, httpapi.Internal(err)
	}
	if len(sheet.Errors) > 0 {
		return nil, linesOf(sheet.Errors)
	}
	source := roster.CleanName(in.Source)
	if source == "" {
		return nil, httpapi.InvalidParameter("source", "missing: write who published the rates, such as ECB")
	}
	known := s.cfg.Roster.Rates()
	stored := RatesStored{Days: len(sheet.Days), Ignored: sheet.Ignored}
	var changed []money.Day
	for _, day := range sheet.Days {
		day.Source = source
		before, ok := known.Day(day.Date)
		if !ok || before.Source != day.Source || !maps.Equal(before.Rates, day.Rates) {
			changed = append(changed, day)
		}
	}
	if n := len(sheet.Days); n > 0 {
		stored.FirstDate, stored.LastDate = &sheet.Days[0].Date, &sheet.Days[n-1].Date
	}
	ctx, cancel := context.WithTimeout(ctx, ratesWithin)
	defer cancel()
	revisions, err := s.store.PutRates(ctx, changed)
	if err != nil {
		return nil, answer(err)
	}
	stored.Stored = len(changed)
	if n := len(revisions); n > 0 {
		s.wrote(ctx, roster.Rates, revisions[n-1])
	}
	return &struct{ Body RatesStored }{stored}, nil
}

// linesOf answers 422 with the first faults of a file. Nothing of a file with faults is stored.
func linesOf(errs []money.RowError) *httpapi.Problem {
	p := httpapi.NewProblem(http.StatusUnprocessableEntity, fmt.Sprintf("the file has %d faults and nothing of it was stored: correct them and send it again", len(errs)))
	for _, e := range errs[:min(len(errs), mostFaults)] {
		place := fmt.Sprintf("line %d", e.Line)
		if e.Field != "" {
			place += ", column " + e.Field
		}
		p.Errors = append(p.Errors, httpapi.Fault{Detail: place + ": " + e.Message})
	}
	return p
}

func (s *Service) listRates(_ context.Context, in *struct {
	From string `query:"from" format:"date" doc:"The first day"`
	To   string `query:"to" format:"date" doc:"The last day"`
	httpapi.Paging
},
) (*httpapi.List[RatesDay], error) {
	var days []money.Day
	for _, day := range s.cfg.Roster.Rates().Days() {
		if on := day.Date.String(); on >= in.From && (in.To == "" || on <= in.To) {
			days = append(days, day)
		}
	}
	items, next, err := httpapi.SelectPage(days, in.Paging, func(d money.Day) string { return d.Date.String() })
	if err != nil {
		return nil, err
	}
	return httpapi.NewList(mapAll(items, func(d money.Day) RatesDay { return RatesDay(d) }), next), nil
}
