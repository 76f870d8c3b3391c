package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// request is one command as it came in, before anything was looked up.
type request struct {
	caller roster.Principal
	route  string
	key    string // its Idempotency-Key; empty for PATCH, which If-Match makes safe to repeat
	hash   []byte
	// act is the registrar's act that concerns one association only; nil for every other request.
	act ofOneAssociation
}

// ofOneAssociation is the body of such an act: the association that it names, nil for none.
type ofOneAssociation interface{ association() *deal.ID }

// answer is the event that a request caused, now or when it came first.
type answer struct {
	stream.Stored
	replayed bool
}

// change makes one move on a deal that exists. The build function gives the command for the deal as it stands.
func (s *Service) change(
	ctx context.Context, id deal.ID, revision uint64, r request, build func(deal.Deal) (deal.Command, error),
) (answer, error) {
	if err := s.checkOpen(); err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	history, err := s.log.History(ctx, id)
	if err != nil {
		return answer{}, s.problem(id, err)
	}
	last := history[len(history)-1]
	actor, sees := actorOn(last, r.caller)
	if !sees {
		return onceMore(history, r)
	}
	done, err := s.act(ctx, history, actor, revision, r, build)
	if err != nil { // it may tell how the deal stands; a move that is made is an event in the log
		if unrecorded := s.looked(ctx, r.route, last); unrecorded != nil {
			return answer{}, unrecorded
		}
	}
	return done, err
}

// act makes the move of one who sees the deal, which has this history.
func (s *Service) act(
	ctx context.Context, history []stream.Stored, actor deal.Actor, revision uint64, r request, build func(deal.Deal) (deal.Command, error),
) (answer, error) {
	last := history[len(history)-1]
	id := last.Deal.ID
	actor, err := r.speaker(actor, last)
	if err != nil {
		return answer{}, err
	}
	if done, found, err := replay(history, actor, r); found || err != nil {
		return done, err
	}
	if last.Deal.Revision != revision {
		return answer{}, httpapi.PreconditionFailed(last.Deal.Revision)
	}
	command, err := build(last.Deal)
	if err != nil {
		return answer{}, httpapi.FromError(err)
	}
	command.By, command.Today = actor, s.today(actor)
	stored, err := s.decide(ctx, last.Deal, command, &last, r)
	if errors.Is(err, stream.ErrConflict) {
		return s.lost(ctx, id, actor, r)
	}
	if err != nil {
		return answer{}, s.problem(id, err)
	}
	return answer{Stored: stored}, nil
}

// onceMore answers a company or its guest that no longer sees the deal: with what it did itself before it left, when it is that request
// again, else as if there were no deal.
func onceMore(history []stream.Stored, r request) (answer, error) {
	if r.caller.SpeaksFor(r.caller.Company, history[0].Deal.ID) {
		if done, found, err := replay(history, deal.Actor{Company: r.caller.Company}, r); found && err == nil {
			return done, nil
		}
	}
	return answer{}, httpapi.NotFound()
}

// speaker is the actor in the name of the association that the request names. The operator must name one where the deal
// belongs to several. The error is a Problem.
func (r request) speaker(actor deal.Actor, last stream.Stored) (deal.Actor, error) {
	if r.act == nil || actor.Association.IsZero() {
		return actor, nil
	}
	own := slices.DeleteFunc(slices.Clone(last.Audience.Associations), func(id deal.ID) bool { return !r.caller.IsRegistrarOf(id) })
	named := r.act.association()
	switch {
	case named == nil && len(own) > 1:
		return actor, httpapi.Invalid(deal.Invalid{{Pointer: "/association_id", Message: "is missing: the deal belongs to several associations, name the one in whose name you act"}})
	case named == nil:
		return actor, nil
	case !slices.Contains(own, *named):
		return actor, httpapi.Invalid(deal.Invalid{{Pointer: "/association_id", Message: "is no association that the deal belongs to and this key acts for: correct it, or leave it out"}})
	}
	actor.Association = *named
	return actor, nil
}

// lost answers a request that another one overtook: with that one's event when it was the same request, else with 412.
func (s *Service) lost(ctx context.Context, id deal.ID, actor deal.Actor, r request) (answer, error) {
	history, err := s.log.History(ctx, id)
	if err != nil {
		return answer{}, s.problem(id, err)
	}
	if done, found, err := replay(history, actor, r); found || err != nil {
		return done, err
	}
	return answer{}, httpapi.PreconditionFailed(history[len(history)-1].Deal.Revision)
}

// decide asks the domain and appends its event behind the one before, which is nil for a new deal.
func (s *Service) decide(ctx context.Context, d deal.Deal, c deal.Command, before *stream.Stored, r request) (stream.Stored, error) {
	event, err := s.eventOf(d, c)
	if err != nil {
		return stream.Stored{}, err
	}
	vouched, err := s.vouch(ctx, event, before, stream.Command{ID: r.key, RequestHash: r.hash})
	if err != nil {
		return stream.Stored{}, err
	}
	return s.write(ctx, vouched, before)
}

// eventOf is what the domain makes of the command on the deal. To new terms it adds which parties are members on the day
// of the command.
func (s *Service) eventOf(d deal.Deal, c deal.Command) (deal.Event, error) {
	if c.Terms != nil {
		c.Members = members(s.cfg.Roster, *c.Terms, c.Today)
	}
	return deal.Decide(d, c, s.cfg.Now())
}

// write appends the event behind the one before, which is nil for a new deal, and leaves a line in the service's log.
func (s *Service) write(ctx context.Context, e stream.Event, before *stream.Stored) (stream.Stored, error) {
	draft, err := stream.NewDraft(e, before)
	if err != nil {
		return stream.Stored{}, err
	}
	sequence, err := s.log.Append(ctx, draft)
	if err != nil {
		return stream.Stored{}, err
	}
	s.cfg.Log.Info("deal changed", zap.Stringer("deal", e.Deal.ID), zap.String("type", string(e.Type)),
		zap.Uint64("revision", e.Deal.Revision), zap.Uint64("seq", sequence), zap.Bool("by_system", e.By.IsSystem))
	return stream.Stored{Sequence: sequence, Payload: draft.Payload, Event: draft.Event}, nil
}

// replay finds the event that the same actor's request with this key caused before. The same key with another request
// is a Problem.
func replay(history []stream.Stored, actor deal.Actor, r request) (done answer, found bool, err error) {
	if r.key == "" {
		return answer{}, false, nil
	}
	for _, e := range history {
		if e.Command.ID != r.key || e.By.Company != actor.Company || e.By.Association != actor.Association {
			continue
		}
		if !bytes.Equal(e.Command.RequestHash, r.hash) {
			return answer{}, false, httpapi.KeyUsed()
		}
		return answer{Stored: e, replayed: true}, true, nil
	}
	return answer{}, false, nil
}

// actorOn tells in what part the caller acts on the deal, and whether the caller may know of it at all. A company that the
// event took out may hear that it is out, but not what the others agreed on without it.
func actorOn(last stream.Stored, p roster.Principal) (deal.Actor, bool) {
	if _, party := last.Deal.Standing(p.Company); party && p.SpeaksFor(p.Company, last.Deal.ID) {
		return partyOn(last.Deal, p)
	}
	for _, association := range last.Audience.Associations {
		if p.IsRegistrarOf(association) {
			return deal.Actor{Key: p.KeyID, Association: association}, true
		}
	}
	return deal.Actor{}, p.Role == roster.RoleOperator
}

// partyOn is the caller as a party of the deal. For a guest there is no deal any more once it has ended.
func partyOn(d deal.Deal, p roster.Principal) (deal.Actor, bool) {
	a := deal.Actor{Key: p.KeyID, Company: p.Company}
	if p.Role == roster.RoleGuest {
		a.LinkOf = p.Association
		return a, !d.Status.Final()
	}
	return a, true
}

// today is the day at the actor's place: the latest among its associations' zones.
func (s *Service) today(a deal.Actor) calendar.Date {
	now := s.cfg.Now()
	if association, known := s.cfg.Roster.Association(a.Association); known {
		return association.Today(now)
	}
	var today calendar.Date
	utc := calendar.DateOf(now, time.UTC)
	for _, m := range s.cfg.Roster.MembershipsOn(a.Company, utc) {
		if association, known := s.cfg.Roster.Association(m.Association); known {
			today = max(today, association.Today(now))
		}
	}
	if today == 0 {
		return utc
	}
	return today
}

// problem turns what the log and the domain say into what a client is told. Errors that are problems already pass.
func (s *Service) problem(id deal.ID, err error) error {
	var illegal *deal.TransitionError
	var damaged *stream.DamagedError
	switch {
	case errors.Is(err, stream.ErrNoDeal):
		return httpapi.NotFound()
	case errors.As(err, &damaged):
		return httpapi.Unavailable("the log is damaged where this deal is, and its operator has to restore it", err)
	case errors.As(err, &illegal):
		return httpapi.Conflict(illegal.Error())
	case errors.Is(err, stream.ErrUnknown), errors.Is(err, context.DeadlineExceeded):
		return httpapi.Unavailable("the log did not answer; send the same request with the same Idempotency-Key",
			fmt.Errorf("deal %s: %w", id, err))
	}
	return httpapi.FromError(err)
}

// location is the address of a deal.
func location(id deal.ID) string { return "/v1/deals/" + id.String() }
