package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// Conflict is a flag that two deals may be one, as the API shows it.
type Conflict struct {
	Deals      [2]deal.ID           `json:"deals"`
	Companies  []deal.ID            `json:"companies" doc:"Those that are parties of both deals"`
	State      stream.ConflictState `json:"state" enum:"undecided,merged,distinct"`
	FlaggedAt  time.Time            `json:"flagged_at"`
	DecidedBy  *deal.ID             `json:"decided_by,omitempty" doc:"The association whose registrar decided"`
	DecidedAt  *time.Time           `json:"decided_at,omitempty"`
	Reason     string               `json:"reason,omitempty"`
	MergedInto *deal.ID             `json:"merged_into,omitempty" doc:"The deal that stands for both; the other one is void"`
}

func viewOfConflict(c conflict) Conflict {
	v := Conflict{
		Deals: c.Deals, Companies: c.Companies, State: c.State, FlaggedAt: c.FlaggedAt, DecidedAt: c.DecidedAt, Reason: c.Reason,
	}
	if !c.DecidedBy.IsZero() {
		v.DecidedBy = &c.DecidedBy
	}
	if !c.MergedInto.IsZero() {
		v.MergedInto = &c.MergedInto
	}
	return v
}

// The decisions of a registrar.
const (
	decideMerged   = "merged_into"
	decideDistinct = "distinct"
)

// Decision is the body of POST /v1/deals/{id}/conflicts/{other}/decide.
type Decision struct {
	Decision string `json:"decision" enum:"merged_into,distinct" doc:"merged_into: they are one; the deal that was won later, else registered later, becomes void. distinct: both count"`
	Reason   string `json:"reason" minLength:"1" maxLength:"500" doc:"The companies in both deals read it, and after merged_into every party of the deal that becomes void: do not name the other deal"`
}

func (d Decision) state() stream.ConflictState {
	if d.Decision == decideMerged {
		return stream.ConflictMerged
	}
	return stream.ConflictDistinct
}

type decideInput struct {
	ID    deal.ID `path:"id" doc:"The deal"`
	Other deal.ID `path:"other" doc:"The deal that it is flagged against"`
	Key   string  `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"128" doc:"Any text of your choice, new for each decision: the same request with the same key is done once"`
	Body  Decision
}

type decided struct {
	Replayed string `header:"Idempotency-Replayed" doc:"true when it was decided so before"`
	Body     Conflict
}

const (
	conflictsRoute = dealRoute + "/conflicts"
	decideRoute    = conflictsRoute + "/{other}/decide"
)

func (c *conflicts) routes(api huma.API) {
	huma.Register(api, operation(http.MethodGet, conflictsRoute, "list-conflicts", "List the deals that may be the same one, as far as you are in both", 0), c.list)
	huma.Register(api, operation(http.MethodPost, decideRoute, "decide-conflict", "Decide whether two deals are one (registrar)", http.StatusOK,
		http.StatusForbidden, http.StatusConflict), c.decide)
}

// list answers GET /v1/deals/{id}/conflicts. What the caller may not see is left out before the log is asked, so that it
// takes no longer than if it were not there.
func (c *conflicts) list(ctx context.Context, in *dealListInput) (*httpapi.List[Conflict], error) {
	if err := c.s.checkOpen(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	caller := httpapi.Caller(ctx)
	last, err := c.s.log.Last(ctx, in.ID)
	if err != nil {
		return nil, c.s.problem(in.ID, err)
	}
	if _, sees := actorOn(last, caller); !sees {
		return nil, httpapi.NotFound()
	}
	flags := slices.DeleteFunc(c.index.of(in.ID), func(f flag) bool { return !f.isSeenBy(caller) })
	flags, next, err := httpapi.SelectPage(flags, in.Paging, func(f flag) string { return f.other(in.ID).String() })
	if err != nil {
		return nil, err
	}
	var seen []Conflict
	shown := []stream.Stored{last}
	for _, f := range flags {
		other, err := c.s.log.Last(ctx, f.other(in.ID))
		if err != nil {
			return nil, c.s.problem(in.ID, err)
		}
		now := newConflict(last, other, f.FlaggedAt) // a company may have left one of them
		if now.isSeenBy(caller) {
			f.Companies = now.Companies
			seen, shown = append(seen, viewOfConflict(f.conflict)), append(shown, other)
		}
	}
	if err := c.s.looked(ctx, conflictsRoute, shown...); err != nil {
		return nil, err
	}
	return httpapi.NewList(seen, next), nil
}

// decide answers POST /v1/deals/{id}/conflicts/{other}/decide.
func (c *conflicts) decide(ctx context.Context, in *decideInput) (*decided, error) {
	if err := c.s.checkOpen(); err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.Body.Reason) == "" {
		return nil, httpapi.Invalid(deal.Invalid{{Pointer: "/reason", Message: "is empty: fill it in"}})
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for {
		d, err := c.tryDecide(ctx, in)
		if errors.Is(err, stream.ErrConflict) {
			continue // another record came first: look again
		}
		if err != nil {
			return nil, c.s.problem(in.ID, err)
		}
		return d, nil
	}
}

func (c *conflicts) tryDecide(ctx context.Context, in *decideInput) (*decided, error) {
	caller := httpapi.Caller(ctx)
	by, f, deals, err := c.flagOf(ctx, caller, in.ID, in.Other)
	if err != nil {
		return nil, err
	}
	d, err := c.decideOn(ctx, f, by, in)
	if err != nil && !errors.Is(err, stream.ErrConflict) { // it may tell how the deals stand; a decision is a record itself
		if unrecorded := c.s.looked(ctx, decideRoute, deals[:]...); unrecorded != nil {
			return nil, unrecorded
		}
	}
	return d, err
}

// decideOn decides the flag in the name of the association.
func (c *conflicts) decideOn(ctx context.Context, f flag, by deal.ID, in *decideInput) (*decided, error) {
	caller := httpapi.Caller(ctx)
	hash, err := requestHash("decide", in.Body)
	if err != nil {
		return nil, err
	}
	if f.State != stream.ConflictUndecided {
		switch {
		case f.Command == in.Key && f.Key == caller.KeyID && !bytes.Equal(f.Hash, hash):
			return nil, httpapi.KeyUsed()
		case f.State != in.Body.state():
			return nil, httpapi.Conflict(fmt.Sprintf("the registrar has decided already: %s; a decision stays", f.State))
		}
		return c.carried(ctx, f, true), nil
	}
	f.State, f.Reason, f.DecidedBy, f.Key, f.Command, f.Hash = in.Body.state(), in.Body.Reason, by, caller.KeyID, in.Key, hash
	f.DecidedAt = new(c.s.cfg.Now().UTC())
	if f.State == stream.ConflictMerged {
		if f.MergedInto, err = c.stays(ctx, f); err != nil {
			return nil, err
		}
	}
	if err := c.put(ctx, f); err != nil {
		return nil, err
	}
	c.s.cfg.Log.Info("conflict decided", zap.Stringer("deal", in.ID), zap.Stringer("other", in.Other), zap.String("state", string(f.State)),
		zap.Stringer("key", caller.KeyID))
	return c.carried(ctx, f, false), nil
}

// flagOf finds the flag and its deals for a registrar who may decide it, and the association in whose name.
func (c *conflicts) flagOf(ctx context.Context, caller roster.Principal, id, other deal.ID) (by deal.ID, f flag, lasts [2]stream.Stored, err error) {
	for i, d := range []deal.ID{id, other} {
		if lasts[i], err = c.s.log.Last(ctx, d); err != nil {
			return deal.ID{}, flag{}, lasts, err
		}
		if _, sees := actorOn(lasts[i], caller); !sees {
			return deal.ID{}, flag{}, lasts, httpapi.NotFound()
		}
	}
	now := newConflict(lasts[0], lasts[1], c.s.cfg.Now())
	f, err = c.get(ctx, id, other)
	switch {
	case errors.Is(err, stream.ErrNoRecord), err == nil && !now.isSeenBy(caller):
		return deal.ID{}, flag{}, lasts, httpapi.NotFound()
	case err != nil:
		return deal.ID{}, flag{}, lasts, err
	}
	may := now.Associations
	if caller.Role == roster.RoleOperator { // also of deals that no association has in common
		may = slices.Concat(may, lasts[0].Audience.Associations, lasts[1].Audience.Associations)
	}
	i := slices.IndexFunc(may, caller.IsRegistrarOf)
	if i < 0 {
		return deal.ID{}, flag{}, lasts, httpapi.Forbidden("the registrar of an association that both deals belong to decides")
	}
	return may[i], f, lasts, nil
}

// stays tells which of the two deals stands for both, and refuses when the other one cannot become void.
func (c *conflicts) stays(ctx context.Context, f flag) (deal.ID, error) {
	stays, err := c.place(ctx, f.Deals[0])
	if err != nil {
		return deal.ID{}, err
	}
	ends, err := c.place(ctx, f.Deals[1])
	if err != nil {
		return deal.ID{}, err
	}
	if ends.comesBefore(stays) {
		stays, ends = ends, stays
	}
	if stays.last.Deal.Status.Final() {
		return deal.ID{}, httpapi.Conflict(fmt.Sprintf("the earlier deal is %s and cannot stand for both: decide distinct", stays.last.Deal.Status))
	}
	if _, err := deal.Decide(ends.last.Deal, f.command(), c.s.cfg.Now()); err != nil {
		return deal.ID{}, err
	}
	return stays.last.Deal.ID, nil
}

// carried answers with the decision after it was carried out. What fails of that is done by followDecisions.
func (c *conflicts) carried(ctx context.Context, f flag, replayed bool) *decided {
	if err := c.settleBoth(ctx, f.conflict); err != nil {
		c.s.cfg.Log.Warn("decision is carried out later", zap.Stringer("deal", f.Deals[0]), zap.Stringer("other", f.Deals[1]), zap.Error(err))
	}
	d := &decided{Body: viewOfConflict(f.conflict)}
	if replayed {
		d.Replayed = "true"
	}
	return d
}
