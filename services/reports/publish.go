package reports

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/disclosure"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// tries is how often a release is made anew because another one, of whatever association, came first.
const tries = 10

// want decides, from the releases of the year so far, whether a release is to be made and why. The request is that of a
// person, nil when there is none.
type want func(before []release) (wanted, error)

type wanted struct {
	not     bool // nothing is to be made
	cause   stream.Cause
	reason  string
	request *request
	ifDeals bool // only when a deal ever counted in the year, or there is a release of it
}

// publish makes the next release of an association's year, or finds that none is wanted. Whoever makes releases at the
// same time, in this process or in another, each of them is made behind all that were made before: a release is put
// behind the latest one that was there when it began, else it begins again.
func (s *Service) publish(ctx context.Context, a roster.Association, year int, want want) (made *release, err error) {
	for range tries {
		made, err = s.tryPublish(ctx, a, year, want)
		if !errors.Is(err, stream.ErrConflict) {
			return made, err
		}
	}
	return nil, err
}

func (s *Service) tryPublish(ctx context.Context, a roster.Association, year int, want want) (*release, error) {
	if now, known := s.cfg.Roster.Association(a.ID); known {
		a = now // what its board may see may have changed
	}
	behind, err := s.shelf.lastOfAll(ctx)
	if err != nil {
		return nil, err
	}
	before, err := s.shelf.on(ctx, stream.StatementSubject(a.ID, year))
	if err != nil {
		return nil, err
	}
	w, err := want(before)
	if err != nil || w.not {
		return nil, err
	}
	prefix, err := s.prefix(ctx, 0)
	if err != nil {
		return nil, err
	}
	if n := len(before); n > 0 && before[n-1].AsOfSequence > prefix.Last {
		return nil, fmt.Errorf("the reports hold the log up to sequence %d and release %s up to %d", prefix.Last, before[n-1].ID(), before[n-1].AsOfSequence)
	}
	all := s.gather(prefix.Last)
	own, err := all.shown(ctx, a, year, before)
	if err != nil {
		return nil, err
	}
	if own.Deals, err = all.deals(ctx, a, year); err != nil {
		return nil, err
	}
	if w.ifDeals && len(own.Deals) == 0 && len(before) == 0 {
		return nil, nil
	}
	others, err := all.others(ctx, warehouse.AssociationYear{Association: a.ID, Year: year})
	if err != nil {
		return nil, err
	}
	closing := w.cause == stream.Close || w.cause == stream.Restated
	next := disclosure.Next(own, prefix.Last, closing, others)

	now := s.cfg.Now()
	r := release{
		Statement: stream.Statement{
			Association: a.ID, Year: year, Release: len(before) + 1, PublishedAt: now.UTC(), AsOfSequence: prefix.Last, Cause: w.cause,
		},
		Closed: closing, Reason: w.reason, Currency: a.ReportingCurrency, AsOf: asOf(prefix).AsOf, Quarantined: prefix.Quarantined,
		Members: s.members(a, own, next, now), Total: showCell(next.Published.Total(), a.ReportingCurrency), Request: w.request,
	}
	if r.LogHash, err = s.logHash.of(ctx, prefix.Last); err != nil {
		return nil, err
	}
	previous, err := s.shelf.on(ctx, stream.StatementSubject(a.ID, year-1))
	if err != nil {
		return nil, err
	}
	r.Previous = len(previous)
	if r.Content, err = s.shelf.keep(ctx, content{Release: next, HeldBack: heldBack(own.Deals, next), MadeWith: all.madeWith(own, others)}); err != nil {
		return nil, err
	}
	if err := s.shelf.put(ctx, r, behind); err != nil {
		if errors.Is(err, stream.ErrConflict) { // else it may have been put
			if err := s.shelf.drop(ctx, r.Content); err != nil {
				s.cfg.Log.Warn("object stays although no release needs it", zap.String("object", r.Content.Name), zap.Error(err))
			}
		}
		return nil, err
	}
	s.cfg.Log.Info("statement published", zap.String("release", r.ID()), zap.String("cause", string(r.Cause)),
		zap.Uint64("as_of_sequence", r.AsOfSequence))
	return &r, nil
}

// heldBack lists the events that the release holds back, by their sequences.
func heldBack(deals []disclosure.Deal, r disclosure.Release) []HeldBackEvent {
	from := map[deal.ID]uint64{}
	for _, h := range r.Held {
		from[h.Deal] = h.From
	}
	events := []HeldBackEvent{}
	for _, d := range deals {
		first, held := from[d.ID]
		for _, state := range d.States {
			if held && state.Sequence >= first && state.Sequence <= r.AsOf {
				events = append(events, HeldBackEvent{Sequence: state.Sequence, DealID: d.ID})
			}
		}
	}
	slices.SortFunc(events, func(x, y HeldBackEvent) int { return cmp.Compare(x.Sequence, y.Sequence) })
	return events
}

// members counts the companies that won the included deals, and the association's members. Under strict disclosure nobody
// is told.
func (s *Service) members(a roster.Association, year disclosure.Year, r disclosure.Release, at time.Time) *Members {
	if year.Policy == disclosure.Strict {
		return nil
	}
	companies := map[deal.ID]bool{}
	for _, d := range year.Deals {
		for _, p := range r.Included(d).Pairs {
			companies[p.A], companies[p.B] = true, true
		}
	}
	counted, day := Members{TakingPart: len(companies)}, a.Today(at)
	for _, m := range s.cfg.Roster.Members(a.ID) {
		if _, is := m.On(day); is {
			counted.Of++
		}
	}
	return &counted
}
