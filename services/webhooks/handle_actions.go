package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/webhook"
)

func (s *Service) actionRoutes(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "test-webhook-endpoint", Method: http.MethodPost, Path: endpointsPath + "/{id}/test", Tags: tags,
		Summary: "Send a test event now and tell what came of it", DefaultStatus: http.StatusOK,
		Description: "It is sent once, also to an endpoint that is disabled, and changes nothing.",
	}, s.testEndpoint)
	huma.Register(api, huma.Operation{
		OperationID: "rotate-webhook-secret", Method: http.MethodPost, Path: endpointsPath + "/{id}/rotate-secret", Tags: tags,
		Summary: "Make a new secret, shown once; the one before signs too for 24 hours", DefaultStatus: http.StatusOK,
		Errors: []int{http.StatusConflict},
	}, s.rotateSecret)
	huma.Register(api, huma.Operation{
		OperationID: "enable-webhook-endpoint", Method: http.MethodPost, Path: endpointsPath + "/{id}/enable", Tags: tags,
		Summary: "Enable an endpoint again, or try one that fails at once", DefaultStatus: http.StatusOK,
		Description: "What waited when it was disabled is sent then. What came since is not sent by itself, and a retry that fell due meanwhile has " +
			"failed: replay since disabled_at, and failed_since it.",
	}, s.enableEndpoint)
}

// TestResult is what came of a test event.
type TestResult struct {
	EventID string  `json:"event_id" doc:"The webhook-id that was sent"`
	Outcome string  `json:"outcome" doc:"delivered, or what went wrong"`
	Words   string  `json:"words,omitempty" doc:"What happened and what you can do"`
	Status  int     `json:"status,omitempty" doc:"Of the receiver's answer"`
	TookMs  float64 `json:"took_ms"`
	Excerpt string  `json:"excerpt,omitempty" doc:"How the receiver's answer begins"`
}

func (s *Service) testEndpoint(ctx context.Context, in *EndpointPath) (*struct{ Body TestResult }, error) {
	e, _, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	event := webhook.Test(e.ID, s.cfg.Now())
	body, err := event.Body()
	if err != nil {
		return nil, httpapi.Internal(err)
	}
	l := &letter{notice: notice{event: event}, body: body}
	r := s.exchange(ctx, e, l)
	s.recorder.add(attemptOf(e, l, 1, r, verdictOf(r.Result)))
	return &struct{ Body TestResult }{TestResult{
		EventID: event.ID, Outcome: string(r.Outcome), Words: r.Words, Status: r.Status, TookMs: milliseconds(r.took), Excerpt: r.Excerpt,
	}}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (s *Service) rotateSecret(ctx context.Context, in *EndpointPath) (*httpapi.Tagged[SecretShown], error) {
	var secret webhook.Secret
	e, revision, err := s.act(ctx, in.ID, func(e endpoint) (endpoint, error) {
		secret = e.Signing.secret()
		e, err := e.withSecret(s.cfg.Key, secret, s.cfg.Now())
		switch {
		case errors.Is(err, errSecrets):
			return e, httpapi.Conflict(fmt.Sprintf("%d secrets sign already, each until its 24 hours are over: rotate again when one has ended", maxSecrets))
		case err != nil:
			return e, httpapi.Internal(err)
		}
		return e, nil
	})
	if err != nil {
		return nil, err
	}
	return httpapi.WithTag(revision, s.showSecret(e, secret)), nil
}

func (s *Service) enableEndpoint(ctx context.Context, in *EndpointPath) (*httpapi.Tagged[Endpoint], error) {
	e, revision, err := s.act(ctx, in.ID, func(e endpoint) (endpoint, error) { return e.enable(), nil })
	if err != nil {
		return nil, err
	}
	s.startCursors(in.ID)
	return httpapi.WithTag(revision, s.show(e)), nil
}

// act stores what change makes of the caller's endpoint and gives it with its revision. When another writer was first,
// such as the dispatcher that notes a failure, it begins again: a request without If-Match means the endpoint as it is.
// The error is a Problem, also that of change.
func (s *Service) act(ctx context.Context, id deal.ID, change func(endpoint) (endpoint, error)) (endpoint, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for {
		was, revision, err := s.find(ctx, id)
		if err != nil {
			return endpoint{}, 0, err
		}
		e, err := change(was)
		if err != nil {
			return endpoint{}, 0, err
		}
		revision, err = s.store(ctx, was, e, revision)
		switch {
		case err == nil:
			return e, revision, nil
		case !errors.Is(err, errChanged):
			return endpoint{}, 0, away(err)
		}
	}
}

// startCursors takes the endpoint's gaps and replays up at once.
func (s *Service) startCursors(id deal.ID) {
	for key, c := range s.cursors.all() {
		if c.Endpoint == id {
			s.startCursor(s.running, key)
		}
	}
}

// AttemptShown is one attempt as the API shows it.
type AttemptShown struct {
	EventID   string    `json:"event_id"`
	EventType string    `json:"event_type"`
	Attempt   int       `json:"attempt" doc:"Which one it was of this event, from 1"`
	At        time.Time `json:"at"`
	TookMs    float64   `json:"took_ms"`
	Outcome   string    `json:"outcome" doc:"delivered, or what went wrong, such as timed_out or server_error"`
	Verdict   Verdict   `json:"verdict" enum:"delivered,retrying,failed" doc:"What it means: it arrived, it is tried again, or it is not"`
	Words     string    `json:"words,omitempty" doc:"What happened and what you can do"`
	Status    int       `json:"status,omitempty" doc:"Of the receiver's answer"`
	Excerpt   string    `json:"excerpt,omitempty" doc:"How the receiver's answer begins, at most 512 bytes"`
}

func (s *Service) attemptRoutes(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "list-webhook-attempts", Method: http.MethodGet, Path: endpointsPath + "/{id}/attempts", Tags: tags,
		Summary:     "List the attempts of the last 30 days, the newest first",
		Description: "An attempt is listed some seconds after it was made.",
	}, s.listAttempts)
}

func (s *Service) listAttempts(ctx context.Context, in *struct {
	EndpointPath
	httpapi.Paging
	EventID string    `query:"event_id" maxLength:"200" doc:"Of this event only"`
	Outcome string    `query:"outcome" maxLength:"40" doc:"With this outcome or verdict only, such as timed_out or failed"`
	Since   time.Time `query:"since" doc:"RFC 3339: from this time on"`
},
) (*httpapi.List[AttemptShown], error) {
	if _, _, err := s.find(ctx, in.ID); err != nil {
		return nil, err
	}
	position, err := in.Position()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*answerWithin)
	defer cancel()
	found, next, err := s.cfg.Warehouse.FindAttempts(ctx, warehouse.AttemptFilter{
		Endpoint: in.ID, EventID: in.EventID, Outcome: in.Outcome, Since: in.Since,
	}, in.Limit, position)
	switch {
	case errors.Is(err, warehouse.ErrPosition):
		return nil, httpapi.InvalidCursor()
	case err != nil:
		return nil, httpapi.Unavailable("the warehouse does not answer", err)
	}
	shown := make([]AttemptShown, len(found))
	for i, a := range found {
		shown[i] = AttemptShown{
			EventID: a.EventID, EventType: a.EventType, Attempt: int(a.Attempt), At: a.At, TookMs: milliseconds(a.Took), Outcome: a.Outcome,
			Verdict: Verdict(a.Verdict), Words: a.Words, Status: int(a.Status), Excerpt: a.Excerpt,
		}
	}
	return httpapi.NewList(shown, next), nil
}
