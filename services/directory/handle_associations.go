package directory

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// Association is an association as the API shows it.
type Association struct {
	ID                deal.ID                `json:"id"`
	Name              string                 `json:"name"`
	TimeZone          string                 `json:"time_zone" example:"Europe/Berlin"`
	YearStartsIn      int                    `json:"year_starts_in" doc:"First month of its year, 1-12"`
	ReportingCurrency money.Currency         `json:"reporting_currency" example:"EUR"`
	Disclosure        roster.Disclosure      `json:"disclosure" enum:"open,guarded,strict" doc:"What its board sees: everything, releases, or releases of the total"`
	ReleaseSchedule   roster.ReleaseSchedule `json:"release_schedule" enum:"monthly,quarterly,yearly" doc:"How often a release of its year is made by itself; the registrar may ask for more"`
	OpenFromYear      int                    `json:"open_from_year,omitempty" doc:"Under open: the first of its years that is; of those before it the board sees what members were promised then. Absent when all are" example:"2027"`
	CreatedAt         time.Time              `json:"created_at"`
}

func showAssociation(a roster.Association) Association {
	return Association{
		a.ID, a.Name, a.TimeZone, a.YearStartsIn, a.ReportingCurrency, a.Disclosure, a.Schedule(), a.OpenFrom, a.CreatedAt,
	}
}

type newAssociation struct {
	Name              string                 `json:"name" doc:"1-200 characters"`
	TimeZone          string                 `json:"time_zone" doc:"IANA name; decides what today is" example:"Europe/Berlin"`
	YearStartsIn      int                    `json:"year_starts_in" doc:"First month of its year, 1-12" example:"1"`
	ReportingCurrency money.Currency         `json:"reporting_currency" doc:"ISO 4217 code" example:"EUR"`
	Disclosure        roster.Disclosure      `json:"disclosure,omitempty" doc:"open, guarded (when left out) or strict"`
	ReleaseSchedule   roster.ReleaseSchedule `json:"release_schedule,omitempty" doc:"monthly (when left out), quarterly or yearly, on the first of a month counted from the first of its year. With few deals a year, fewer releases hide less"`
}

type associationPatch struct {
	Name              httpapi.Optional[string]                 `json:"name,omitempty"`
	TimeZone          httpapi.Optional[string]                 `json:"time_zone,omitempty" doc:"Fixed after the first won deal"`
	YearStartsIn      httpapi.Optional[int]                    `json:"year_starts_in,omitempty" doc:"Fixed after the first won deal"`
	ReportingCurrency httpapi.Optional[money.Currency]         `json:"reporting_currency,omitempty" doc:"Fixed after the first won deal"`
	Disclosure        httpapi.Optional[roster.Disclosure]      `json:"disclosure,omitempty" doc:"null is guarded. The registrar may only let the board see less; the operator lets it see more. open holds for the association's years that begin later: those that have begun, or begin within two days, stay as they are, unless it never had a member"`
	ReleaseSchedule   httpapi.Optional[roster.ReleaseSchedule] `json:"release_schedule,omitempty" doc:"null is monthly"`
}

func (s *Service) associationRoutes(api huma.API) {
	tags := []string{"Associations"}
	huma.Register(api, huma.Operation{
		OperationID: "create-association", Method: http.MethodPost, Path: "/v1/associations", Tags: tags,
		Summary: "Create an association", DefaultStatus: http.StatusCreated, Errors: []int{http.StatusForbidden},
	}, s.createAssociation)
	huma.Register(api, huma.Operation{
		OperationID: "list-associations", Method: http.MethodGet, Path: "/v1/associations", Tags: tags,
		Summary: "List the associations that the key may see",
	}, s.listAssociations)
	huma.Register(api, huma.Operation{
		OperationID: "get-association", Method: http.MethodGet, Path: "/v1/associations/{id}", Tags: tags,
		Summary: "Get an association",
	}, s.getAssociation)
	huma.Register(api, huma.Operation{
		OperationID: "patch-association", Method: http.MethodPatch, Path: "/v1/associations/{id}", Tags: tags,
		Summary: "Change an association", Errors: []int{http.StatusForbidden, http.StatusConflict},
	}, s.patchAssociation)
}

func (s *Service) createAssociation(ctx context.Context, in *struct{ Body newAssociation }) (*httpapi.Created[Association], error) {
	if httpapi.Caller(ctx).Role != roster.RoleOperator {
		return nil, httpapi.Forbidden("only the operator creates associations")
	}
	a := roster.Association{
		ID: newID(), Name: in.Body.Name, TimeZone: in.Body.TimeZone, YearStartsIn: in.Body.YearStartsIn,
		ReportingCurrency: in.Body.ReportingCurrency, Disclosure: in.Body.Disclosure, Releases: in.Body.ReleaseSchedule, CreatedAt: s.cfg.Now().UTC(),
	}.Clean()
	if err := a.Validate().Err(); err != nil {
		return nil, answer(err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	revision, err := s.store.PutAssociation(ctx, a)
	if err != nil {
		return nil, answer(err)
	}
	s.wrote(ctx, roster.Associations, revision)
	return httpapi.NewCreated("/v1/associations/"+a.ID.String(), revision, showAssociation(a)), nil
}

func (s *Service) listAssociations(ctx context.Context, in *struct{ httpapi.Paging }) (*httpapi.List[Association], error) {
	caller := httpapi.Caller(ctx)
	var seen []roster.Association
	for _, a := range s.cfg.Roster.Associations() {
		if s.cfg.Roster.MaySeeAssociation(caller, a.ID) {
			seen = append(seen, a)
		}
	}
	items, next, err := httpapi.SelectPage(seen, in.Paging, func(a roster.Association) string { return a.ID.String() })
	if err != nil {
		return nil, err
	}
	return httpapi.NewList(mapAll(items, showAssociation), next), nil
}

func (s *Service) getAssociation(ctx context.Context, in *struct {
	ID deal.ID `path:"id" doc:"The association"`
},
) (*httpapi.Tagged[Association], error) {
	a, err := s.association(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return httpapi.WithTag(a.Revision, showAssociation(a)), nil
}

// association finds an association that the caller may see; the error is a Problem.
func (s *Service) association(ctx context.Context, id deal.ID) (roster.Association, error) {
	a, ok := s.cfg.Roster.Association(id)
	if !ok || !s.cfg.Roster.MaySeeAssociation(httpapi.Caller(ctx), id) {
		return roster.Association{}, httpapi.NotFound()
	}
	return a, nil
}

// ownAssociation finds an association whose registrar's work the caller may do; the error is a Problem.
func (s *Service) ownAssociation(ctx context.Context, id deal.ID) (roster.Association, error) {
	a, err := s.association(ctx, id)
	if err == nil && !httpapi.Caller(ctx).IsRegistrarOf(id) {
		err = httpapi.Forbidden("only the association's registrar and the operator may change it")
	}
	return a, err
}

func (s *Service) patchAssociation(ctx context.Context, in *struct {
	ID deal.ID `path:"id" doc:"The association"`
	httpapi.IfMatch
	Body associationPatch
},
) (*httpapi.Tagged[Association], error) {
	if _, err := s.ownAssociation(ctx, in.ID); err != nil {
		return nil, err
	}
	revision, err := in.Revision()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	before, err := s.store.Association(ctx, in.ID)
	switch {
	case err != nil:
		return nil, answer(err)
	case before.Revision != revision:
		return nil, httpapi.PreconditionFailed(before.Revision)
	}
	after := before
	in.Body.Name.Apply(&after.Name)
	in.Body.TimeZone.Apply(&after.TimeZone)
	in.Body.YearStartsIn.Apply(&after.YearStartsIn)
	in.Body.ReportingCurrency.Apply(&after.ReportingCurrency)
	in.Body.Disclosure.Apply(&after.Disclosure)
	in.Body.ReleaseSchedule.Apply(&after.Releases)
	after = after.Clean()
	if err := after.Validate().Err(); err != nil {
		return nil, answer(err)
	}
	after = after.Succeeding(before, after.Today(s.cfg.Now()), s.cfg.Roster.HadMembers(in.ID))
	if after.ShowsMoreThan(before) && httpapi.Caller(ctx).Role != roster.RoleOperator {
		return nil, httpapi.Forbidden("members agree on what their board sees: only the operator lets it see more, once they have; ask the operator")
	}
	if !after.SameYears(before) {
		if err := s.mayChangeYears(ctx, in.ID); err != nil {
			return nil, err
		}
	}
	ended := len(after.Openings) > len(before.Openings)
	if ended {
		if after.Openings[len(before.Openings)].Until, err = s.lastOfLog(ctx); err != nil {
			return nil, httpapi.Unavailable("it cannot be told now what the board has seen, which must be kept with the change", err)
		}
	}
	after.Revision, err = s.store.PutAssociation(ctx, after)
	if err != nil {
		return nil, answer(err)
	}
	if ended {
		after = s.endOpening(ctx, after)
	}
	s.wrote(ctx, roster.Associations, after.Revision)
	return httpapi.WithTag(after.Revision, showAssociation(after)), nil
}

// endOpening raises the end of the latest opening, which the association closed, to that of the log once the roster knows
// of it: until then the board could see what came. The change stands whatever happens here.
func (s *Service) endOpening(ctx context.Context, closed roster.Association) roster.Association {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
	defer cancel()
	latest := len(closed.Openings) - 1
	a, err := closed, s.cfg.Roster.WaitFor(ctx, roster.Associations, closed.Revision)
	var end uint64
	if err == nil {
		end, err = s.lastOfLog(ctx)
	}
	for err == nil && a.Openings[latest].Until < end {
		a.Openings[latest].Until = end
		if a.Revision, err = s.store.PutAssociation(ctx, a); err == nil {
			return a
		}
		if _, changed := errors.AsType[*roster.ConflictError](err); changed {
			a, err = s.store.Association(ctx, a.ID)
		}
	}
	if err != nil {
		s.cfg.Log.Error("what a board saw while it was closed to live figures counts as not seen",
			zap.Stringer("association", closed.ID), zap.Error(err))
		return closed
	}
	return a
}

// mayChangeYears refuses to move what was counted already.
func (s *Service) mayChangeYears(ctx context.Context, association deal.ID) error {
	won := true
	if s.cfg.HasWonDeals != nil {
		var err error
		if won, err = s.cfg.HasWonDeals(ctx, association); err != nil {
			return httpapi.Unavailable("it cannot be told now whether the association has a won deal", err)
		}
	}
	if won {
		return httpapi.Conflict("time_zone, year_starts_in and reporting_currency are fixed after the first won deal: leave them as they are")
	}
	return nil
}

// lastOfLog is the last sequence of the log, 0 while there is none. Up to it, a board that sees everything has.
func (s *Service) lastOfLog(ctx context.Context) (uint64, error) {
	log, err := s.cfg.JetStream.Stream(ctx, stream.DealsStream)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("read the end of the log: %w", err)
	}
	return log.CachedInfo().State.LastSeq, nil
}
