package registry

import (
	"context"
	"sync"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// A sweep looks at no more than sweepPages pages of sweepPage deals; the next one goes on behind them.
const (
	sweepPage  = 500
	sweepPages = 20
)

// findWithin bounds one question to the warehouse.
const findWithin = 30 * time.Second

// timers moves the deals on that have waited long enough (deal.Due). The clock is Config.Now, what is due stands in the
// log, and the deal's own sequence decides who writes: there is nothing to lose at a restart, and any number of registries
// may sweep at once.
type timers struct {
	s    *Service
	away outage

	mu    sync.Mutex
	after deal.ID // where the next sweep begins
}

func newTimers(s *Service) *timers {
	return &timers{s: s, away: outage{log: s.cfg.Log, what: "expiry of deals"}}
}

// run sweeps at once and then every Config.TimerEvery, until ctx ends.
func (t *timers) run(ctx context.Context) {
	tick := time.NewTicker(t.s.cfg.TimerEvery)
	defer tick.Stop()
	for {
		_, _ = t.sweep(ctx) // it has told the log
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sweep moves on what is due now and gives how many deals that were. After an error the next sweep does the rest.
func (t *timers) sweep(ctx context.Context) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	moved, err := t.pages(ctx)
	t.away.note(ctx, err)
	return moved, err
}

func (t *timers) pages(ctx context.Context) (int, error) {
	now := t.s.cfg.Now().UTC()
	since := warehouse.Waiting{
		Pending: now.AddDate(0, 0, -deal.AnswerDays),
		Closing: now.AddDate(0, 0, -deal.AttestDays),
		Active:  now.AddDate(0, -deal.IdleMonths, 0),
	}
	total := 0
	for range sweepPages {
		ids, err := t.find(ctx, since)
		if err != nil {
			return total, err
		}
		moved, err := t.s.bySystemOnEach(ctx, ids, deal.Expire, always)
		total += moved
		if err != nil {
			return total, err
		}
		if len(ids) < sweepPage {
			t.after = deal.ID{}
			return total, nil
		}
		t.after = ids[len(ids)-1]
	}
	return total, nil
}

func (t *timers) find(ctx context.Context, since warehouse.Waiting) ([]deal.ID, error) {
	ctx, cancel := context.WithTimeout(ctx, findWithin)
	defer cancel()
	return t.s.cfg.Finder.FindWaiting(ctx, since, warehouse.Page{After: t.after, Limit: sweepPage})
}

// always wants every event that the deal allows.
func always(stream.Stored, stream.Event) bool { return true }

// dueAt is when the system will move the deal on if nobody does, nil for never. It counts in UTC, as a deal read from
// the log does.
func dueAt(d deal.Deal) *time.Time {
	d.StatusSince, d.UpdatedAt = d.StatusSince.UTC(), d.UpdatedAt.UTC()
	due, waits := deal.Due(d)
	if !waits {
		return nil
	}
	return &due
}
