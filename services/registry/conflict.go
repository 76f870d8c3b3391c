package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// conflict is the flag that two deals may be one, as the records keep it beside the deals.
type conflict struct {
	stream.ConflictRecord
	// Associations are those that both deals belong to: their registrars may know of the flag and decide.
	Associations []deal.ID `json:"associations,omitempty"`

	DecidedBy  deal.ID    `json:"decided_by,omitzero"` // the association whose registrar decided
	DecidedAt  *time.Time `json:"decided_at,omitempty"`
	Reason     string     `json:"reason,omitempty"`
	MergedInto deal.ID    `json:"merged_into,omitzero"`
	Key        deal.ID    `json:"key,omitzero"`          // that signed the decision
	Command    string     `json:"command,omitempty"`     // its Idempotency-Key
	Hash       []byte     `json:"request_hash,omitzero"` // SHA-256 of its meaning
}

// flag is a conflict as it stands in the records.
type flag struct {
	conflict
	sequence uint64 // of its latest record
}

// newConflict flags the two deals as they are now.
func newConflict(a, b stream.Stored, at time.Time) conflict {
	if a.Deal.ID.Compare(b.Deal.ID) > 0 {
		a, b = b, a
	}
	c := conflict{ConflictRecord: stream.ConflictRecord{
		Deals: [2]deal.ID{a.Deal.ID, b.Deal.ID}, Companies: a.Deal.SharedCompanies(b.Deal.Terms),
		State: stream.ConflictUndecided, FlaggedAt: at.UTC(),
	}}
	slices.SortFunc(c.Companies, deal.ID.Compare)
	for _, id := range a.Audience.Associations {
		if slices.Contains(b.Audience.Associations, id) {
			c.Associations = append(c.Associations, id)
		}
	}
	return c
}

// other is the deal that the flag ties to this one.
func (c conflict) other(id deal.ID) deal.ID {
	if c.Deals[0] == id {
		return c.Deals[1]
	}
	return c.Deals[0]
}

// isSeenBy tells whether the caller may know of the flag: a company in both deals, a registrar whom both concern, the
// operator.
func (c conflict) isSeenBy(p roster.Principal) bool {
	return p.Role == roster.RoleOperator || slices.ContainsFunc(c.Companies, p.ActsFor) ||
		slices.ContainsFunc(c.Associations, p.IsRegistrarOf)
}

// decider is the registrar who decided.
func (c conflict) decider() deal.Actor { return deal.Actor{Key: c.Key, Association: c.DecidedBy} }

// conflicts finds deals that may be one, keeps the flags and what was decided about them, and sees to it that such deals
// count once until then.
type conflicts struct {
	s       *Service
	records *stream.Records
	index   *conflictIndex
}

func newConflicts(s *Service) (*conflicts, error) {
	records, err := stream.NewRecords(s.cfg.NATS)
	if err != nil {
		return nil, err
	}
	return &conflicts{s: s, records: records, index: newConflictIndex()}, nil
}

// follow keeps the flags in memory until ctx ends.
func (c *conflicts) follow(ctx context.Context) { c.forever(ctx, "following flags", c.read) }

// load waits until every flag that there is now is in memory.
func (c *conflicts) load(ctx context.Context) {
	// Only the end of ctx ends the tries.
	_, _ = backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, c.catchUp(ctx) }, backoff.WithMaxElapsedTime(0))
}

// run looks for deals that may be one, and carries out what was decided, until ctx ends.
func (c *conflicts) run(ctx context.Context) {
	var work sync.WaitGroup
	work.Go(func() { c.forever(ctx, "looking for duplicates", c.followDeals) })
	work.Go(func() { c.forever(ctx, "carrying out decisions on duplicates", c.followDecisions) })
	work.Wait()
}

// forever does the work again and again until ctx ends, with a pause after an error.
func (c *conflicts) forever(ctx context.Context, what string, work func(context.Context) error) {
	away := outage{log: c.s.cfg.Log, what: what}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 50*time.Millisecond, 5*time.Second
	_, _ = backoff.Retry(ctx, func() (struct{}, error) {
		for {
			err := work(ctx)
			away.note(ctx, err)
			if err != nil {
				return struct{}{}, err
			}
			pause.Reset()
		}
	}, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0))
}

// get reads the flag of the two deals from the leader. stream.ErrNoRecord when there is none.
func (c *conflicts) get(ctx context.Context, a, b deal.ID) (flag, error) {
	sequence, text, err := c.records.Last(ctx, stream.ConflictSubject(a, b))
	if err != nil {
		return flag{}, err
	}
	f := flag{sequence: sequence}
	if err := json.Unmarshal(text, &f.conflict); err != nil {
		return flag{}, fmt.Errorf("read the flag of %s and %s: %w", a, b, err)
	}
	return f, nil
}

// put writes the flag behind the record at its sequence and waits until it is in memory here. stream.ErrConflict when
// another record came first.
func (c *conflicts) put(ctx context.Context, f flag) error {
	text, err := json.Marshal(f.conflict)
	if err != nil {
		return fmt.Errorf("write the flag of %s and %s: %w", f.Deals[0], f.Deals[1], err)
	}
	sequence, err := c.records.Put(ctx, stream.ConflictSubject(f.Deals[0], f.Deals[1]), f.sequence, text)
	if err != nil {
		return err
	}
	return c.index.waitFor(ctx, sequence)
}
