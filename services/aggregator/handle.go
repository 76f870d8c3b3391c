package aggregator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
)

// RebuildReport is how far a rebuild of the projection is.
type RebuildReport struct {
	ID              deal.ID      `json:"id"`
	State           RebuildState `json:"state" enum:"running,done,failed" doc:"While it is running the totals of before are served; when it failed they stay"`
	From            uint64       `json:"from" doc:"What lies a million sequences or more before it was taken over as it was; 0 for a replay of the whole log"`
	StartedAt       time.Time    `json:"started_at"`
	Position        uint64       `json:"position" doc:"The last event of the log that is rebuilt"`
	LastSequence    uint64       `json:"last_sequence" doc:"The last event of the log; 0 when the log does not answer"`
	EventsPerSecond float64      `json:"events_per_second" doc:"Since it was begun or resumed; 0 while it is not known"`
	SecondsLeft     *float64     `json:"seconds_left,omitempty" doc:"At that rate; absent while it is not known"`
	Error           string       `json:"error,omitempty" doc:"Why it failed, and what to do"`
}

// PoisonEvent is an event of the log that could not be read. The totals lack it.
type PoisonEvent struct {
	Sequence uint64    `json:"sequence"`
	StoredAt time.Time `json:"stored_at" doc:"When the log took it"`
	Reason   string    `json:"reason" doc:"Which rule of the log's contract it breaks"`
	Payload  []byte    `json:"payload" doc:"Its raw bytes"`
}

// Routes registers the operations.
func (s *Service) Routes(api huma.API) {
	tags := []string{"Projection"}
	huma.Register(api, huma.Operation{
		OperationID: "start-rebuild", Method: http.MethodPost, Path: "/v1/rebuilds", Tags: tags, DefaultStatus: http.StatusAccepted,
		Summary: "Replay the log into a new projection, which then takes the place of the one that is served",
		Description: "For the operator. The totals of before are served until it is done. While one runs it is answered instead of another. " +
			"It survives restarts.",
		Errors: []int{http.StatusForbidden},
	}, s.startRebuild)
	huma.Register(api, huma.Operation{
		OperationID: "get-rebuild", Method: http.MethodGet, Path: "/v1/rebuilds/{id}", Tags: tags,
		Summary: "How far a rebuild is", Description: "For the operator. The last one is known.",
	}, s.getRebuild)
	huma.Register(api, huma.Operation{
		OperationID: "list-poison", Method: http.MethodGet, Path: "/v1/poison", Tags: tags,
		Summary: "List the events of the log that could not be read",
		Description: "For the operator. Each is set aside with its bytes, is missing in the totals, and is read again by every new version " +
			"of the program when it starts. A page of large ones holds fewer than its limit.",
		Errors: []int{http.StatusForbidden},
	}, s.listPoison)
}

type rebuildAccepted struct {
	Location string `header:"Location" doc:"The address of the rebuild" example:"/v1/rebuilds/0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"`
	Body     RebuildReport
}

func (s *Service) startRebuild(ctx context.Context, in *struct {
	Body struct {
		From uint64 `json:"from,omitempty" doc:"Replay from this sequence on; 0 or absent for the whole log"`
	}
},
) (*rebuildAccepted, error) {
	if httpapi.Caller(ctx).Role != roster.RoleOperator {
		return nil, httpapi.Forbidden("only the operator rebuilds the projection")
	}
	last, err := s.lastSequence(ctx)
	if err != nil {
		return nil, httpapi.Unavailable("the log does not answer", err)
	}
	if in.Body.From > last {
		return nil, httpapi.Invalid(deal.Invalid{{Pointer: "/from", Message: fmt.Sprintf("the log ends at %d: write a sequence up to that", last)}})
	}
	p, err := s.StartRebuild(ctx, in.Body.From)
	switch {
	case errors.Is(err, errStarting):
		return nil, httpapi.Unavailable(err.Error(), nil)
	case halts(err):
		return nil, httpapi.Unavailable(err.Error(), nil)
	case err != nil:
		return nil, httpapi.Unavailable("the log or the warehouse does not answer", err)
	}
	report := reportOf(p)
	return &rebuildAccepted{Location: "/v1/rebuilds/" + report.ID.String(), Body: report}, nil
}

func (s *Service) getRebuild(ctx context.Context, in *struct {
	ID deal.ID `path:"id" doc:"The rebuild"`
},
) (*struct{ Body RebuildReport }, error) {
	if httpapi.Caller(ctx).Role != roster.RoleOperator {
		return nil, httpapi.NotFound()
	}
	p, err := s.Rebuild(ctx)
	switch {
	case errors.Is(err, errStarting):
		return nil, httpapi.Unavailable(err.Error(), nil)
	case err != nil || p.ID != in.ID:
		return nil, httpapi.NotFound()
	}
	return &struct{ Body RebuildReport }{reportOf(p)}, nil
}

func reportOf(p Progress) RebuildReport {
	r := RebuildReport{
		ID: p.ID, State: p.State, From: p.From, StartedAt: p.StartedAt, Position: p.Position, LastSequence: p.Last, EventsPerSecond: p.Rate,
	}
	if p.State == RebuildRunning && p.Rate > 0 && p.Last >= p.Position {
		r.SecondsLeft = new(float64(p.Last-p.Position) / p.Rate)
	}
	if p.Err != nil {
		r.Error = p.Err.Error()
	}
	return r
}

func (s *Service) listPoison(ctx context.Context, in *struct{ httpapi.Paging }) (*httpapi.List[PoisonEvent], error) {
	if httpapi.Caller(ctx).Role != roster.RoleOperator {
		return nil, httpapi.Forbidden("only the operator sees what could not be read")
	}
	after, err := in.Number()
	if err != nil {
		return nil, err
	}
	page, more, err := s.cfg.Warehouse.Poison(ctx, after, in.Limit)
	if err != nil {
		return nil, httpapi.Unavailable("the warehouse does not answer", err)
	}
	next := ""
	if more {
		next = strconv.FormatUint(page[len(page)-1].Sequence, 10)
	}
	items := make([]PoisonEvent, len(page))
	for i, p := range page {
		items[i] = PoisonEvent{Sequence: p.Sequence, StoredAt: p.StoredAt, Reason: p.Reason, Payload: p.Payload}
	}
	return httpapi.NewList(items, next), nil
}
