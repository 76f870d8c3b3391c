package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/stream"
)

// replay is what a cursor keeps of a replay beside its range.
type replay struct {
	ID          deal.ID    `json:"id"`
	RequestedAt time.Time  `json:"requested_at"`
	RequestedBy deal.ID    `json:"requested_by"`          // the key
	Rate        float64    `json:"rate_per_second"`       // 0: the endpoint's alone
	FailedSince time.Time  `json:"failed_since,omitzero"` // only what failed since then
	Attempts    uint64     `json:"attempts,omitempty"`    // of which those up to this sequence tell what failed
	Delivered   uint64     `json:"delivered"`             // at the first attempt of the replay
	Failed      uint64     `json:"failed"`                // at that one: they are tried again as any other
	DoneAt      *time.Time `json:"done_at,omitempty"`
}

// Replay is a replay as the API shows it.
type Replay struct {
	ID          deal.ID    `json:"id"`
	State       string     `json:"state" enum:"running,done"`
	Progress    float64    `json:"progress" minimum:"0" maximum:"1" doc:"How much of the range is done"`
	Delivered   uint64     `json:"delivered" doc:"Events that arrived at once"`
	Failed      uint64     `json:"failed" doc:"Events that did not; they are tried again on the usual schedule"`
	RequestedAt time.Time  `json:"requested_at"`
	DoneAt      *time.Time `json:"done_at,omitempty"`
}

type newReplay struct {
	Since         *time.Time `json:"since,omitempty" doc:"From this time on"`
	Until         *time.Time `json:"until,omitempty" doc:"Up to this time; now when left out"`
	FromEvent     string     `json:"from_event,omitempty" maxLength:"200" doc:"From this event on: its webhook-id"`
	Event         string     `json:"event,omitempty" maxLength:"200" doc:"This event alone: its webhook-id"`
	FailedSince   *time.Time `json:"failed_since,omitempty" doc:"Only what failed for good since this time, at most 30 days back"`
	RatePerSecond float64    `json:"rate_per_second,omitempty" minimum:"0.01" maximum:"1000" doc:"At most so many a second, beside the endpoint's own rate"`
}

func (s *Service) replayRoutes(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "replay-webhooks", Method: http.MethodPost, Path: endpointsPath + "/{id}/replay", Tags: tags,
		Summary: "Send events again, by time, one event or all from it on, or those that failed", DefaultStatus: http.StatusAccepted,
		Errors: []int{http.StatusConflict},
		Description: "Exactly one of since, from_event, event and failed_since. The events are those that the endpoint hears of now, in their order, " +
			"each with the webhook-id that it had before.",
	}, s.replayEvents)
	huma.Register(api, huma.Operation{
		OperationID: "get-webhook-replay", Method: http.MethodGet, Path: endpointsPath + "/{id}/replays/{replay}", Tags: tags,
		Summary: "Tell how far a replay is",
	}, s.getReplay)
}

const maxReplays = 5 // of one endpoint at a time

func (s *Service) replayEvents(ctx context.Context, in *struct {
	EndpointPath
	Body newReplay
},
) (*struct {
	Location string `header:"Location" doc:"Where its progress is"`
	Body     Replay
}, error,
) {
	e, _, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if !e.Enabled {
		return nil, httpapi.Conflict("the endpoint is disabled: enable it first")
	}
	if running := s.runningReplays(e.ID); running >= maxReplays {
		return nil, httpapi.Conflict(fmt.Sprintf("%d replays to this endpoint are running: wait until one of them is done", running))
	}
	ctx, cancel := context.WithTimeout(ctx, 2*answerWithin)
	defer cancel()
	ranges, err := s.rangesOf(ctx, e, in.Body)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now().UTC()
	r := replay{ID: deal.ID(uuid.Must(uuid.NewV7())), RequestedAt: now, RequestedBy: httpapi.Caller(ctx).KeyID, Rate: in.Body.RatePerSecond}
	if in.Body.FailedSince != nil {
		r.FailedSince = in.Body.FailedSince.UTC()
		if r.Attempts, err = lastOf(ctx, s.js, stream.AttemptsStream); err != nil {
			return nil, httpapi.Unavailable("the attempts do not answer", err)
		}
	}
	for source, g := range ranges {
		own := r
		c := cursor{gap: g, Endpoint: e.ID, Source: source, Replay: &own}
		if !g.open() {
			own.DoneAt = &now
		}
		if _, err := s.cursors.put(ctx, c.key(), c, 0); err != nil {
			return nil, away(err)
		}
		s.startCursor(s.running, c.key())
	}
	shown, _ := s.showReplay(e.ID, r.ID)
	return &struct {
		Location string `header:"Location" doc:"Where its progress is"`
		Body     Replay
	}{endpointsPath + "/" + e.ID.String() + "/replays/" + r.ID.String(), shown}, nil
}

func (s *Service) runningReplays(id deal.ID) int {
	running := map[deal.ID]bool{}
	for _, c := range s.cursors.all() {
		if c.Endpoint == id && c.Replay != nil && c.open() {
			running[c.Replay.ID] = true
		}
	}
	return len(running)
}

// rangesOf gives the range of each source that the request asks for. Errors are Problems.
func (s *Service) rangesOf(ctx context.Context, e endpoint, body newReplay) (map[string]gap, error) {
	named := 0
	for _, sent := range []bool{body.Since != nil, body.FromEvent != "", body.Event != "", body.FailedSince != nil} {
		if sent {
			named++
		}
	}
	if named != 1 {
		return nil, httpapi.NewProblem(http.StatusUnprocessableEntity, "write exactly one of since, from_event, event and failed_since")
	}
	if body.Until != nil && body.Since == nil {
		return nil, httpapi.Invalid(deal.Invalid{{Pointer: "/until", Message: "goes with since only: leave it out"}})
	}
	var from time.Time
	var place eventPlace
	switch {
	case body.Since != nil:
		from = *body.Since
	case body.FailedSince != nil:
		from = time.UnixMilli(1) // the attempt was later than the event, by whatever time
	case body.Event != "":
		place, err := s.findEvent(ctx, e, body.Event, "/event")
		if err != nil {
			return nil, err
		}
		return map[string]gap{place.source: {From: place.sequence - 1, At: place.sequence - 1, Through: place.sequence}}, nil
	default:
		var err error
		if place, err = s.findEvent(ctx, e, body.FromEvent, "/from_event"); err != nil {
			return nil, err
		}
		from = place.at
	}
	ranges := map[string]gap{}
	for _, src := range sources {
		first, last, err := sequenceAt(ctx, s.js, src.stream, from)
		if err != nil {
			return nil, httpapi.Unavailable("the log does not answer", err)
		}
		if place.source == src.stream {
			first = place.sequence
		}
		if body.Until != nil {
			behind, _, err := sequenceAt(ctx, s.js, src.stream, *body.Until)
			if err != nil {
				return nil, httpapi.Unavailable("the log does not answer", err)
			}
			last = behind - 1
		}
		g := gap{From: first - 1, At: first - 1, Through: max(last, first-1)}
		ranges[src.stream] = g
	}
	return ranges, nil
}

// eventPlace is where an event is that somebody named.
type eventPlace struct {
	source   string
	sequence uint64
	at       time.Time // at which it came into its stream
}

var errFound = errors.New("found")

// findEvent looks for the event that a webhook-id names. One that the endpoint does not hear of is not there. The error
// is a Problem at the pointer.
func (s *Service) findEvent(ctx context.Context, e endpoint, id, pointer string) (eventPlace, error) {
	missing := httpapi.Invalid(deal.Invalid{{Pointer: pointer, Message: "no event that this endpoint hears of: write the webhook-id of one"}})
	head, rest, _ := strings.Cut(id, ":")
	about, err := deal.ParseID(head)
	if err != nil {
		return eventPlace{}, missing
	}
	if revision, err := strconv.ParseUint(rest, 10, 64); err == nil {
		history, err := s.dealLog.History(ctx, about)
		switch {
		case errors.Is(err, stream.ErrNoDeal):
			return eventPlace{}, missing
		case err != nil:
			return eventPlace{}, httpapi.Unavailable("the log does not answer", err)
		}
		for _, stored := range history {
			if stored.Deal.Revision == revision {
				return s.placeOf(ctx, e, stream.DealsStream, stored.Sequence, missing)
			}
		}
		return eventPlace{}, missing
	}
	var subject string
	switch {
	case strings.Contains(rest, ":r"):
		subject = stream.YearsSubject(about)
	case strings.HasPrefix(rest, "conflict:"):
		other, err := deal.ParseID(strings.TrimPrefix(rest, "conflict:"))
		if err != nil {
			return eventPlace{}, missing
		}
		subject = stream.ConflictSubject(about, other)
	case strings.HasPrefix(rest, "disabled:"):
		subject = stream.EndpointSubject(about)
	default:
		return eventPlace{}, missing
	}
	var sequence uint64
	err = s.records.Each(ctx, subject, func(at uint64, payload []byte) error {
		n, told, err := s.letters[stream.RecordsStream].notice(at, subject, payload)
		if err == nil && told && n.event.ID == id {
			sequence = at
			return errFound
		}
		return nil
	})
	switch {
	case errors.Is(err, errFound):
		return s.placeOf(ctx, e, stream.RecordsStream, sequence, missing)
	case err != nil:
		return eventPlace{}, httpapi.Unavailable("the records do not answer", err)
	}
	return eventPlace{}, missing
}

// placeOf gives the place of an event that the endpoint hears of.
func (s *Service) placeOf(ctx context.Context, e endpoint, source string, sequence uint64, missing error) (eventPlace, error) {
	messages, err := readRange(ctx, s.js, source, sequence, 1)
	if err != nil {
		return eventPlace{}, httpapi.Unavailable("the log does not answer", err)
	}
	for _, m := range messages {
		if n, told, err := s.letters[source].notice(m.Sequence, m.Subject, m.Data); err == nil && told && e.hears(n) {
			return eventPlace{source: source, sequence: sequence, at: m.Time}, nil
		}
	}
	return eventPlace{}, missing
}

func (s *Service) getReplay(ctx context.Context, in *struct {
	EndpointPath
	Replay deal.ID `path:"replay" doc:"The replay"`
},
) (*struct{ Body Replay }, error) {
	if _, _, err := s.find(ctx, in.ID); err != nil {
		return nil, err
	}
	shown, found := s.showReplay(in.ID, in.Replay)
	if !found {
		return nil, httpapi.NotFound()
	}
	return &struct{ Body Replay }{shown}, nil
}

// showReplay adds up what the cursors of a replay have done.
func (s *Service) showReplay(endpoint, id deal.ID) (shown Replay, found bool) {
	shown = Replay{ID: id, State: "done"}
	var done, all uint64
	for _, src := range sources {
		c, revision := s.cursors.get(gapKey(endpoint, src.stream) + "." + id.String())
		if revision == 0 || c.Replay == nil {
			continue
		}
		found = true
		shown.RequestedAt = c.Replay.RequestedAt
		shown.Delivered += c.Replay.Delivered
		shown.Failed += c.Replay.Failed
		done, all = done+c.At-c.From, all+c.Through-c.From
		if c.open() {
			shown.State = "running"
		}
		if at := c.Replay.DoneAt; at != nil && (shown.DoneAt == nil || at.After(*shown.DoneAt)) {
			shown.DoneAt = at
		}
	}
	shown.Progress = 1
	if all > 0 {
		shown.Progress = float64(done) / float64(all)
	}
	if shown.State == "running" {
		shown.DoneAt = nil
	}
	return shown, found
}
