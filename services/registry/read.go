package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/stream"
)

type dealInput struct {
	ID deal.ID `path:"id" doc:"The deal"`
}

// dealListInput asks for a list of what belongs to one deal.
type dealListInput struct {
	ID deal.ID `path:"id" doc:"The deal"`
	httpapi.Paging
}

// get answers GET /v1/deals/{id}.
func (s *Service) get(ctx context.Context, in *dealInput) (*httpapi.Tagged[Deal], error) {
	if err := s.checkOpen(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	last, err := s.log.Last(ctx, in.ID)
	if err != nil {
		return nil, s.problem(in.ID, err)
	}
	actor, sees := actorOn(last, httpapi.Caller(ctx))
	if !sees {
		return nil, httpapi.NotFound()
	}
	if err := s.looked(ctx, dealRoute, last); err != nil {
		return nil, err
	}
	return httpapi.WithTag(last.Deal.Revision, s.viewFor(last.Deal, actor)), nil
}

// HistoryEvent is one event of a deal as the API shows it.
type HistoryEvent struct {
	ID       string          `json:"id" doc:"<deal id>:<revision>, as in webhooks"`
	Type     string          `json:"type" example:"dealreg.deal.won"`
	Includes []string        `json:"includes,omitempty"`
	Time     time.Time       `json:"time"`
	Revision uint64          `json:"revision"`
	Status   deal.Status     `json:"status"`
	Summary  string          `json:"summary" doc:"What happened, in a sentence, with the actor's name of today" example:"Birch GmbH attested the final figures; the deal is won."`
	Actor    HistoryActor    `json:"actor"`
	Reason   string          `json:"reason,omitempty" doc:"That the actor gave"`
	Changed  []HistoryChange `json:"changed" doc:"The fields of the deal that differ from the event before"`
}

// HistoryActor is who acted.
type HistoryActor struct {
	Role          string   `json:"role" enum:"party,registrar,system"`
	CompanyID     *deal.ID `json:"company_id,omitempty"`
	AssociationID *deal.ID `json:"association_id,omitempty"`
	LinkOf        *deal.ID `json:"link_of_association_id,omitempty" doc:"The association whose registrar issued the link with which the company's word was given; absent when its own key or person gave it"`
}

// HistoryChange is one field before and after; absent where the deal had no such field.
type HistoryChange struct {
	Field string `json:"field"`
	From  any    `json:"from,omitempty"`
	To    any    `json:"to,omitempty"`
}

// events answers GET /v1/deals/{id}/events: those of the deal's events that the caller may hear of.
func (s *Service) events(ctx context.Context, in *dealListInput) (*httpapi.List[HistoryEvent], error) {
	if err := s.checkOpen(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	all, err := s.log.History(ctx, in.ID)
	if err != nil {
		return nil, s.problem(in.ID, err)
	}
	caller := httpapi.Caller(ctx)
	if _, sees := actorOn(all[len(all)-1], caller); !sees {
		return nil, httpapi.NotFound()
	}
	if err := s.looked(ctx, dealRoute+"/events", all[len(all)-1]); err != nil {
		return nil, err
	}
	var told []HistoryEvent
	before, earlier := map[string]any{}, deal.Deal{}
	for _, e := range all {
		after, err := fields(e.Deal)
		if err != nil {
			return nil, err
		}
		_, sees := actorOn(e, caller)
		if sees {
			h := historyEvent(e, changes(before, after))
			h.Summary = summary(e.Event.Event, earlier, who(s.cfg.Roster, e.By))
			told = append(told, h)
		}
		if before, earlier = after, e.Deal; !sees {
			before = map[string]any{} // nor of what it was before it came to the caller
		}
	}
	page, next, err := httpapi.SelectPage(told, in.Paging, func(e HistoryEvent) string { return fmt.Sprintf("%020d", e.Revision) })
	if err != nil {
		return nil, err
	}
	return httpapi.NewList(page, next), nil
}

func historyEvent(e stream.Stored, changed []HistoryChange) HistoryEvent {
	h := HistoryEvent{
		ID: e.ID(), Type: typeName(e.Type), Time: e.At, Revision: e.Deal.Revision, Status: e.Deal.Status, Reason: reasonOf(e.Event.Event), Changed: changed,
	}
	for _, t := range e.Includes {
		h.Includes = append(h.Includes, typeName(t))
	}
	switch {
	case e.By.IsSystem:
		h.Actor.Role = "system"
	case e.By.Company.IsZero():
		h.Actor = HistoryActor{Role: "registrar", AssociationID: &e.By.Association}
	default:
		h.Actor = HistoryActor{Role: "party", CompanyID: &e.By.Company}
		if !e.By.LinkOf.IsZero() {
			h.Actor.LinkOf = &e.By.LinkOf
		}
	}
	return h
}

func typeName(t deal.EventType) string { return "dealreg.deal." + string(t) }

// fields are the deal's fields as the API names them.
func fields(d deal.Deal) (map[string]any, error) {
	text, err := json.Marshal(viewOf(d))
	if err != nil {
		return nil, err
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	for _, evident := range []string{"id", "revision", "updated_at", "status_since", "due_at"} {
		delete(all, evident)
	}
	return all, nil
}

// changes lists the fields that differ, in the order of their names.
func changes(before, after map[string]any) []HistoryChange {
	names := map[string]bool{}
	for _, all := range []map[string]any{before, after} {
		for name := range all {
			names[name] = true
		}
	}
	result := []HistoryChange{}
	for name := range names {
		if !reflect.DeepEqual(before[name], after[name]) {
			result = append(result, HistoryChange{Field: name, From: before[name], To: after[name]})
		}
	}
	slices.SortFunc(result, func(a, b HistoryChange) int { return cmp.Compare(a.Field, b.Field) })
	return result
}
