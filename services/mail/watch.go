package mail

import (
	"context"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// watch puts reminders and digests into the outbox when they fall due. It begins once the board shows the log.
func (t *turn) watch(ctx context.Context) error {
	select {
	case <-t.whole:
	case <-ctx.Done():
		return ctx.Err()
	}
	tick := time.NewTicker(t.s.cfg.Every)
	defer tick.Stop()
	for {
		if err := t.remind(ctx); err != nil {
			return err
		}
		if err := t.digest(ctx); err != nil {
			return err
		}
		t.s.rounds.Add(1)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *turn) remind(ctx context.Context) error {
	now := t.s.cfg.Now()
	for id, w := range t.board.all() {
		day := reminderDue(w.Since, t.lease.Began, now)
		if day <= w.reminded {
			continue
		}
		if err := t.ask(ctx, id, w.question, day); err != nil {
			return err
		}
		t.board.reminded(id, w.question, day)
	}
	return nil
}

func (t *turn) digest(ctx context.Context) error {
	now := t.s.cfg.Now()
	for _, p := range t.s.cfg.Roster.People() {
		hour := digestHour(now, t.s.zone(p.CompanyID))
		if !mayAnswer(p, p.CompanyID) || p.NoDigest || now.Sub(hour) >= digestFor || hour.Before(t.lease.Began) ||
			t.digested[p.ID].Equal(hour) || t.board.waitingFor(p.CompanyID) == 0 {
			continue
		}
		if err := t.box.add(ctx, cause{Kind: kindDigest, Person: p.ID, Company: p.CompanyID, Since: hour}, now); err != nil {
			return err
		}
		t.digested[p.ID] = hour
	}
	return nil
}

// zone is that of the association which the company belongs to, the one that was made first; UTC when there is none.
func (s *Service) zone(company deal.ID) *time.Location {
	zone, first := time.UTC, deal.ID{}
	for _, m := range s.cfg.Roster.Memberships(company) {
		a, known := s.cfg.Roster.Association(m.AssociationID)
		if known && (first.IsZero() || a.ID.Compare(first) < 0) {
			zone, first = a.Location(), a.ID
		}
	}
	return zone
}
