package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// Look is the record of one answer that showed deals to somebody who is no party: a registrar, the operator, or who
// reads the whole log.
type Look struct {
	Sequence      uint64      `json:"sequence,omitempty" required:"true" doc:"Its position among the records"`
	At            time.Time   `json:"at"`
	KeyID         deal.ID     `json:"key_id"`
	Role          roster.Role `json:"role" enum:"registrar,operator,auditor"`
	AssociationID *deal.ID    `json:"association_id,omitempty" doc:"To which the deals belong. The operator's look at deals of several associations is one record in each"`
	DealIDs       []deal.ID   `json:"deal_ids,omitempty" doc:"The deals that were shown; absent when it was the whole log"`
	LinkID        *deal.ID    `json:"link_id,omitempty" doc:"The link to the deal that was issued, or revoked"`
	Route         string      `json:"route" example:"/v1/deals/{id}"`
	FromSequence  uint64      `json:"from_sequence,omitempty" doc:"From which on the log was read"`
}

// looked records that the caller is about to see the deals, and gives the Problem that answers instead when that cannot
// be done. A company that looks at its own deals leaves no record.
func (s *Service) looked(ctx context.Context, route string, deals ...stream.Stored) error {
	caller := httpapi.Caller(ctx)
	shown := map[string]*Look{}
	for _, d := range deals {
		actor, sees := actorOn(d, caller)
		if !sees || !actor.Company.IsZero() {
			continue
		}
		for _, at := range lookedAt(caller, d) {
			if shown[at] == nil {
				shown[at] = s.newLook(caller, route)
				if id, err := deal.ParseID(at); err == nil {
					shown[at].AssociationID = &id
				}
			}
			shown[at].DealIDs = append(shown[at].DealIDs, d.Deal.ID)
		}
	}
	for _, at := range slices.Sorted(maps.Keys(shown)) {
		if err := s.record(ctx, at, *shown[at]); err != nil {
			return err
		}
	}
	return nil
}

// lookedAt names the associations whose deal the caller sees, as subjects do: a registrar its own, the operator all.
func lookedAt(p roster.Principal, d stream.Stored) []string {
	if p.Role == roster.RoleRegistrar {
		return []string{p.Association.String()}
	}
	if len(d.Audience.Associations) == 0 {
		return []string{stream.LookAtNone}
	}
	names := make([]string, len(d.Audience.Associations))
	for i, id := range d.Audience.Associations {
		names[i] = id.String()
	}
	return names
}

// lookedAtLog records that the caller is about to read the log.
func (s *Service) lookedAtLog(ctx context.Context, from uint64) error {
	look := s.newLook(httpapi.Caller(ctx), "/v1/log")
	look.FromSequence = from
	return s.record(ctx, stream.LookAtAll, *look)
}

func (s *Service) newLook(p roster.Principal, route string) *Look {
	return &Look{At: s.cfg.Now().UTC(), KeyID: p.KeyID, Role: p.Role, Route: route}
}

// record waits until the look is on the disk.
func (s *Service) record(ctx context.Context, at string, l Look) error {
	unable := func(err error) error {
		return httpapi.Unavailable("each look at a deal is recorded, and the records do not answer", fmt.Errorf("record a look: %w", err))
	}
	text, err := json.Marshal(l)
	if err != nil {
		return unable(err)
	}
	if !s.cfg.NATS.IsConnected() {
		return unable(nats.ErrDisconnected) // the client would keep it and send it when nobody looks any more
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if _, err := s.js.Publish(ctx, stream.LookSubject(at, l.KeyID.String()), text, jetstream.WithExpectStream(stream.RecordsStream)); err != nil {
		return unable(err)
	}
	return nil
}

func (s *Service) lookRoutes(api huma.API) {
	o := operation(http.MethodGet, "/v1/looks", "list-looks", "List who looked at deals without being a party, the first look first", 0, http.StatusNotFound)
	o.Tags = []string{"Audit"}
	o.Description = "For auditors and the operator. An auditor of one association sees the looks at its deals, those of the operator too, " +
		"and at the whole log. Records are never deleted. To follow them, keep the sequence of the last one as `after`."
	huma.Register(api, o, s.listLooks)
}

type looksInput struct {
	httpapi.Paging
	Since time.Time `query:"since" doc:"RFC 3339: recorded from this time on"`
	After uint64    `query:"after" doc:"Behind this sequence"`
	Key   deal.ID   `query:"key" doc:"Of this key only"`
}

// listLooks answers GET /v1/looks.
func (s *Service) listLooks(ctx context.Context, in *looksInput) (*httpapi.List[Look], error) {
	caller := httpapi.Caller(ctx)
	if !caller.IsAuditorOf(caller.Association) {
		return nil, httpapi.NotFound()
	}
	key := "*"
	if !in.Key.IsZero() {
		key = in.Key.String()
	}
	subjects := []string{stream.LookSubject("*", key)}
	if !caller.Association.IsZero() {
		subjects = []string{stream.LookSubject(caller.Association.String(), key), stream.LookSubject(stream.LookAtAll, key)}
	}
	after, err := in.after()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	looks, err := s.readLooks(ctx, subjects, after, in.Since, in.Limit+1)
	if err != nil {
		return nil, httpapi.Unavailable("the records do not answer", fmt.Errorf("list looks: %w", err))
	}
	return httpapi.NewList(httpapi.CutPage(looks, in.Limit, func(l Look) string { return strconv.FormatUint(l.Sequence, 10) })), nil
}

func (in *looksInput) after() (uint64, error) {
	position, err := in.Number()
	switch {
	case err != nil || position > 0:
		return position, err
	case in.After > 0 && !in.Since.IsZero():
		return 0, httpapi.InvalidParameter("since", "says the same as after: send one of the two")
	}
	return in.After, nil
}

// readLooks gives up to most looks on the subjects, those behind the sequence and not before the time.
func (s *Service) readLooks(ctx context.Context, subjects []string, after uint64, since time.Time, most int) ([]Look, error) {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: subjects, InactiveThreshold: 2 * answerWithin}
	switch {
	case after > 0: // a page begins where the one before it ended, which was not before the time
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, after+1
	case !since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	records, err := s.js.OrderedConsumer(ctx, stream.RecordsStream, cfg)
	if err != nil {
		return nil, err
	}
	most = min(most, int(min(records.CachedInfo().NumPending, 1<<30))) //nolint:gosec // bounded just now
	if most == 0 {
		return nil, nil
	}
	messages, err := records.Messages(jetstream.PullMaxMessages(most))
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	looks := make([]Look, most)
	for i := range looks {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		meta, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		if cfg.OptStartTime != nil && meta.Timestamp.Before(since) {
			return nil, nil // the server begins at the first record when the time is in the future
		}
		if err := json.Unmarshal(m.Data(), &looks[i]); err != nil {
			return nil, fmt.Errorf("record %d: %w", meta.Sequence.Stream, err)
		}
		looks[i].Sequence = meta.Sequence.Stream
	}
	return looks, nil
}
