package registry

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/volume"
)

// vouch makes the event that the log will hold, as voucher does, and withholds what another deal counts for already that
// may be the same one.
func (s *Service) vouch(ctx context.Context, e deal.Event, before *stream.Stored, c stream.Command) (stream.Event, error) {
	v := voucher(s.cfg.Roster, e, before, c)
	switch {
	case e.Deal.Status != deal.Won:
		return v, nil
	case e.Type != deal.EventWon && e.Type != deal.EventCorrected && e.Type != deal.EventRestated:
		return v, nil // what it counts for stays
	}
	claimed, err := s.conflicts.claimed(ctx, e.Deal.ID)
	if err != nil {
		return stream.Event{}, err
	}
	if len(claimed) > 0 {
		v.Attributions = volume.WithholdDuplicates(v.Attributions, claimed)
		v.Unduplicated = unduplicated(s.cfg.Roster, v)
	}
	return v, nil
}

// claimed gives the associations in which deals count that were won before this one and are flagged against it without a
// decision. In an association where the earlier deal counts for nothing, because it was imported for another one or
// excluded, nothing is claimed: no association's figures depend on what another one's registrar did.
func (c *conflicts) claimed(ctx context.Context, id deal.ID) (map[deal.ID]bool, error) {
	flags := slices.DeleteFunc(c.index.of(id), func(f flag) bool { return f.State != stream.ConflictUndecided })
	if len(flags) == 0 {
		return nil, nil
	}
	own, err := c.place(ctx, id)
	if err != nil {
		return nil, err
	}
	claimed := map[deal.ID]bool{}
	for _, f := range flags {
		other, err := c.place(ctx, f.other(id))
		if err != nil {
			return nil, err
		}
		if other.won >= own.won {
			continue
		}
		for _, a := range other.last.Attributions {
			if a.Withheld != volume.Duplicate {
				claimed[a.Association] = true
			}
		}
	}
	return claimed, nil
}

// place is where a deal stands in the order of the log.
type place struct {
	first uint64 // the sequence of its registration
	won   uint64 // that of the event that won it; beyond all others while the deal is not won
	last  stream.Stored
}

// comesBefore tells which of two deals stays when they are one: the one that was won first, else registered first.
func (p place) comesBefore(other place) bool {
	if p.won != other.won {
		return p.won < other.won
	}
	return p.first < other.first
}

func (c *conflicts) place(ctx context.Context, id deal.ID) (place, error) {
	history, err := c.s.log.History(ctx, id)
	if err != nil {
		return place{}, err
	}
	p := place{first: history[0].Sequence, won: math.MaxUint64, last: history[len(history)-1]}
	if p.last.Deal.Status == deal.Won {
		won := slices.IndexFunc(history, func(e stream.Stored) bool { return e.Deal.Status == deal.Won })
		p.won = history[won].Sequence
	}
	return p, nil
}

// settle brings the deal to what its flags ask for: void when it was merged into another one, counting for nothing where
// an earlier one counts, counting where none does. It may come again and from several registries at once.
func (c *conflicts) settle(ctx context.Context, id deal.ID) error {
	for _, f := range c.index.of(id) {
		if f.State == stream.ConflictMerged && f.MergedInto != id {
			return c.merge(ctx, id, f)
		}
	}
	_, err := c.s.bySystem(ctx, id, deal.Restate, withheldOtherwise)
	return err
}

// settleBoth settles the deals of a flag; first the one that was merged, because the other may count then.
func (c *conflicts) settleBoth(ctx context.Context, f conflict) error {
	first, second := f.Deals[0], f.Deals[1]
	if f.MergedInto == first {
		first, second = second, first
	}
	if err := c.settle(ctx, first); err != nil {
		return err
	}
	return c.settle(ctx, second)
}

// withheldOtherwise tells whether an association's figures would be withheld as a duplicate that are not, or the other
// way round. What else may have changed is the business of other restatements.
func withheldOtherwise(before stream.Stored, after stream.Event) bool {
	return slices.ContainsFunc(after.Attributions, func(a volume.Attribution) bool {
		return slices.ContainsFunc(before.Attributions, func(b volume.Attribution) bool {
			return a.Association == b.Association && (a.Withheld == volume.Duplicate) != (b.Withheld == volume.Duplicate)
		})
	})
}

// merge voids the deal in the name of the registrar who decided that another one stands for it. A deal that has ended
// already stays as it is; one that is disputed becomes void when it is settled.
func (c *conflicts) merge(ctx context.Context, id deal.ID, f flag) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for {
		last, err := c.s.log.Last(ctx, id)
		if err != nil {
			return err
		}
		if !slices.Contains(deal.Moves(last.Deal, f.decider()), deal.Merge) {
			return nil
		}
		_, err = c.s.decide(ctx, last.Deal, f.command(), &last, request{key: f.Command, hash: f.Hash})
		if !errors.Is(err, stream.ErrConflict) {
			return err
		}
	}
}

// command is the move that a merge asks of the later deal.
func (c conflict) command() deal.Command {
	return deal.Command{Move: deal.Merge, By: c.decider(), Reason: c.Reason}
}
