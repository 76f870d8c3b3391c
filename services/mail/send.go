package mail

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/stream"
)

// sender is how the SMTP server is: while it is in trouble nothing is tried.
type sender struct {
	first, most time.Duration

	mu    sync.Mutex
	again *backoff.ExponentialBackOff // nil while the server is well
	until time.Time
}

// trouble notes that the server takes nothing, and tells whether that is new.
func (s *sender) trouble(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := s.again == nil
	if began {
		s.again = backoff.NewExponentialBackOff()
		s.again.InitialInterval, s.again.MaxInterval = s.first, s.most
	}
	if !s.until.After(now) { // others that were under way fail for the same reason
		s.until = now.Add(s.again.NextBackOff())
	}
	return began
}

// well notes that the server works, and tells whether that is new.
func (s *sender) well() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := s.again != nil
	s.again, s.until = nil, time.Time{}
	return ended
}

func (s *sender) gauge() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.again == nil {
		return 0
	}
	return 1
}

func (s *sender) quietUntil() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.until
}

// later is when a mail is tried again after so many tries.
func (s *sender) later(now time.Time, tries int) time.Time {
	wait := s.first
	for range tries {
		wait = min(2*wait, s.most)
	}
	return now.Add(wait)
}

// send hands over what is due, one mail after the other, until ctx ends. A mail under way goes on until sending ends.
func (t *turn) send(ctx, sending context.Context) error {
	for {
		now := t.s.cfg.Now()
		t.s.waiting.Store(int64(t.box.len()))
		next := t.s.sender.quietUntil()
		var it *item
		if !next.After(now) {
			it, next = t.box.take(now)
		}
		if it != nil {
			err := t.hand(sending, it)
			t.box.giveBack(it)
			if err != nil {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			continue
		}
		wait := t.s.cfg.Every
		if !next.IsZero() {
			wait = min(wait, next.Sub(now))
		}
		timer := time.NewTimer(wait)
		select {
		case <-t.box.wake:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}

// hand sends one mail and records how that ended. It is recorded before that it is being sent, so that a process that
// ends in between leaves a doubt behind, and no mail that nobody knows of. Errors are those of the broker only.
func (t *turn) hand(ctx context.Context, it *item) error {
	l, why, err := t.letter(ctx, it.cause)
	if err != nil {
		return err
	}
	if why != "" {
		return t.end(ctx, it, stateDropped, why)
	}
	m, err := t.s.cfg.Postman.write(l)
	if err != nil {
		return t.end(ctx, it, stateRefused, "the address is none")
	}
	c, err := t.s.cfg.Postman.call(ctx)
	if err != nil {
		t.trouble(err)
		return nil
	}
	defer c.hangUp()
	it.State, it.Why = stateSending, ""
	it.Tries++
	if err := t.put(ctx, it); err != nil {
		return err
	}
	err = c.send(m)
	if err == nil || m.IsDelivered() {
		t.well()
		return t.end(ctx, it, stateSent, "")
	}
	o := outcomeOf(err)
	if o.result == noSender {
		t.trouble(o)
	} else {
		t.well()
	}
	if o.result == refused {
		return t.end(ctx, it, stateRefused, o.why)
	}
	it.State = stateDue
	if o.result == inDoubt {
		it.doubt()
	}
	it.NextAt = t.s.sender.later(t.s.cfg.Now(), it.Tries-1).UTC()
	return t.end(ctx, it, it.State, o.why)
}

// letter writes what the cause asks for, or says why nobody needs it any more. What a deal asks, its latest event in the
// log decides.
func (t *turn) letter(ctx context.Context, c cause) (l letter, gone string, err error) {
	p, known := t.s.cfg.Roster.Person(c.Person)
	if known && c.Kind == kindDisabled && mayEnable(p, c.Company, c.Association) {
		return letter{kind: c.Kind, to: p, path: "/webhooks/" + c.Endpoint.String(), id: c.key()}, "", nil
	}
	if !known || !mayAnswer(p, c.Company) {
		return l, "the person does not act for the company any more", nil
	}
	l = letter{kind: c.Kind, to: p, path: "/deals/" + c.Deal.String(), reminder: c.Day > 0, id: c.key()}
	now := t.s.cfg.Now()
	if c.Kind == kindDigest {
		select {
		case <-t.whole:
		case <-ctx.Done():
			return l, "", ctx.Err()
		}
		l.path, l.count = "/", t.board.waitingFor(c.Company)
		if l.count == 0 || p.NoDigest || now.Sub(c.Since) >= digestFor {
			return l, "the digest is not wanted any more", nil
		}
		return l, "", nil
	}
	asking, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	latest, err := t.s.dealLog.Last(asking, c.Deal)
	switch {
	case errors.Is(err, stream.ErrNoDeal), err == nil && !c.standsIn(latest.Deal):
		return l, "the deal does not ask this any more", nil
	case !now.Before(c.Since.Add(days(askedFor))), reminderDue(c.Since, t.lease.Began, now) > c.Day:
		return l, "it is too late for this mail", nil
	}
	return l, "", err
}

// end records where the mail stands now.
func (t *turn) end(ctx context.Context, it *item, to state, why string) error {
	it.State, it.Why = to, why
	if err := t.put(ctx, it); err != nil {
		return err
	}
	outcome := string(to)
	if to == stateDue {
		outcome = "postponed"
	}
	t.s.mails.WithLabelValues(outcome).Inc()
	switch to {
	case stateRefused, stateUnclear:
		t.s.cfg.Log.Warn("mail not delivered", zap.Stringer("deal_id", it.Deal), zap.Stringer("person_id", it.Person), zap.String("state", string(to)), zap.String("why", why))
	case stateDue, stateSending, stateSent, stateDropped:
	}
	return nil
}

func (t *turn) put(ctx context.Context, it *item) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	return t.box.put(ctx, it)
}

func (t *turn) trouble(err error) {
	if t.s.sender.trouble(t.s.cfg.Now()) {
		t.s.cfg.Log.Warn("the SMTP server takes no mails, they wait", zap.Error(err))
	}
}

func (t *turn) well() {
	if t.s.sender.well() {
		t.s.cfg.Log.Info("the SMTP server takes mails again")
	}
}
