package reports

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// scheduledWithin bounds the making of one release by the schedule.
const scheduledWithin = 10 * time.Minute

// When releases are made by themselves, in the association's time zone: at publishHour on the days of its schedule
// (roster.Association.ScheduledOn), and once more at that hour closeDays after the last day of the year, which closes it.
const (
	publishHour = 6
	closeDays   = 90
)

// closesAt is when the year closes.
func closesAt(a roster.Association, year int) time.Time {
	_, last := calendar.Bounds(year, time.Month(a.YearStartsIn))
	return atHour(a, last.AddDays(closeDays))
}

// lastScheduled is the latest moment of the association's schedule that is not after now.
func lastScheduled(a roster.Association, now time.Time) time.Time {
	day := a.ScheduledOn(a.Today(now))
	if at := atHour(a, day); !at.After(now) {
		return at
	}
	return atHour(a, a.ScheduledOn(day.AddDays(-1)))
}

func atHour(a roster.Association, day calendar.Date) time.Time {
	y, m, d := day.Time().Date()
	return time.Date(y, m, d, publishHour, 0, 0, 0, a.Location())
}

// due tells whether a release of the year is to be made by itself now, why, and for which moment. What was missed while
// nobody was there to make it is made up for once, however often it was missed. A moment before the association came here
// was not missed, and a year without a release is not closed: what is imported of history, the registrar asks for.
func due(a roster.Association, year int, last *release, now time.Time) (stream.Cause, time.Time, bool) {
	if last != nil && last.Closed {
		return "", time.Time{}, false
	}
	if closes := closesAt(a, year); !now.Before(closes) {
		return stream.Close, closes, last != nil
	}
	moment := lastScheduled(a, now)
	first, _ := calendar.Bounds(year, time.Month(a.YearStartsIn))
	began := a.Today(moment) > first // else the year had no day before it
	made := last != nil && !last.PublishedAt.Before(moment)
	return stream.Scheduled, moment, began && !made && !a.CreatedAt.After(moment)
}

// causeOf is why a release that the registrar asks for now is made.
func causeOf(a roster.Association, year int, last *release, now time.Time) stream.Cause {
	switch {
	case last != nil && last.Closed:
		return stream.Restated
	case !now.Before(closesAt(a, year)):
		return stream.Close
	}
	return stream.Requested
}

// scheduler makes the releases that are due. Any number of processes may: each release is made once.
type scheduler struct {
	s      *Service
	latest map[warehouse.AssociationYear]*release  // what is known of each year; nil until it was read
	empty  map[warehouse.AssociationYear]time.Time // the moment for which there was nothing to release
	away   bool
}

// run looks at once and then every Config.CheckEvery, until ctx ends.
func (c *scheduler) run(ctx context.Context) {
	tick := time.NewTicker(c.s.cfg.CheckEvery)
	defer tick.Stop()
	for {
		c.note(ctx, c.pass(ctx))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// note writes one line when releases cannot be made any more, and one when they can again.
func (c *scheduler) note(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil: // the end, not a failure
	case err != nil && !c.away:
		c.away = true
		c.s.cfg.Log.Warn("releases of statements wait", zap.Error(err))
	case err == nil && c.away:
		c.away = false
		c.s.cfg.Log.Info("releases of statements go on")
	}
}

// pass makes every release that is due now. One that cannot be made does not keep the others from being made.
func (c *scheduler) pass(ctx context.Context) error {
	if err := c.load(ctx); err != nil {
		return err
	}
	var failed []error
	now := c.s.cfg.Now()
	for _, a := range c.s.cfg.Roster.Associations() {
		for _, year := range c.years(a, now) {
			if err := c.release(ctx, a, year, now); err != nil {
				failed = append(failed, fmt.Errorf("association %s, year %d: %w", a.ID, year, err))
			}
		}
	}
	return errors.Join(failed...)
}

// load reads what was released so far, once.
func (c *scheduler) load(ctx context.Context) error {
	if c.latest != nil {
		return nil
	}
	all, err := c.s.shelf.on(ctx, stream.StatementSubjects)
	if err != nil {
		return err
	}
	c.latest = map[warehouse.AssociationYear]*release{}
	for i, r := range all {
		c.latest[warehouse.AssociationYear{Association: r.Association, Year: r.Year}] = &all[i]
	}
	return nil
}

// years are those of which a release may be due: the current one, the one before, and all that wait for their close.
func (c *scheduler) years(a roster.Association, now time.Time) []int {
	current := a.YearOf(a.Today(now))
	years := []int{current, current - 1}
	for of, last := range c.latest {
		if of.Association == a.ID && !last.Closed && !slices.Contains(years, of.Year) {
			years = append(years, of.Year)
		}
	}
	slices.Sort(years)
	return years
}

// release makes the release if it is due by all that is known, and again by what the records say.
func (c *scheduler) release(ctx context.Context, a roster.Association, year int, now time.Time) error {
	of := warehouse.AssociationYear{Association: a.ID, Year: year}
	_, moment, is := due(a, year, c.latest[of], now)
	if !is || c.empty[of].Equal(moment) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, scheduledWithin)
	defer cancel()
	stillDue := true
	made, err := c.s.publish(ctx, a, year, func(before []release) (wanted, error) {
		if last := lastOf(before); last != nil {
			c.latest[of] = last
		}
		var cause stream.Cause
		cause, _, stillDue = due(a, year, lastOf(before), now)
		return wanted{not: !stillDue, cause: cause, ifDeals: true}, nil
	})
	switch {
	case err != nil:
		return err
	case made != nil:
		c.latest[of] = made
	case stillDue:
		c.empty[of] = moment
	}
	return nil
}
