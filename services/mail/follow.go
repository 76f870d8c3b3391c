package mail

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// boardReaches is how far back the log is read at a start to know what waits. All but an old correction has been
// answered or has expired by then.
const boardReaches = time.Duration(deal.AttestDays+1) * 24 * time.Hour

// follow gives the messages of the stream, from the configuration's first one on, in order, and those that come, until one
// of them fails or ctx ends. began hears first how many are there.
func (s *Service) follow(
	ctx context.Context, name string, from jetstream.OrderedConsumerConfig, began func(pending uint64),
	each func(payload []byte, at *jetstream.MsgMetadata) error,
) error {
	from.InactiveThreshold = time.Minute
	consumer, err := s.js.OrderedConsumer(ctx, name, from)
	if err != nil {
		return fmt.Errorf("follow %s: %w", name, err)
	}
	began(consumer.CachedInfo().NumPending)
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("follow %s: %w", name, err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("follow %s: %w", name, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("follow %s: %w", name, err)
		}
		if err := each(m.Data(), meta); err != nil {
			return err
		}
	}
}

// followDeals reads the log in order: what came before the position shows what waits, what comes after it is mailed.
func (t *turn) followDeals(ctx context.Context) error {
	last, err := t.s.dealLog.LastSequence(ctx)
	if err != nil {
		return err
	}
	from := t.s.cfg.Now().Add(-boardReaches)
	config := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from}
	began := func(pending uint64) {
		if pending == 0 {
			t.showsAll()
		}
	}
	return t.s.follow(ctx, stream.DealsStream, config, began, func(payload []byte, at *jetstream.MsgMetadata) error {
		if err := t.take(ctx, at.Sequence.Stream, payload); err != nil {
			return err
		}
		if at.NumPending == 0 || at.Sequence.Stream >= last {
			t.showsAll()
		}
		return nil
	})
}

func (t *turn) showsAll() { t.wholeOne.Do(func() { close(t.whole) }) }

// take notes one event, and puts mails into the outbox when it asks anew and was not mailed before.
func (t *turn) take(ctx context.Context, sequence uint64, payload []byte) error {
	e, err := stream.Decode(payload)
	if newer, is := errors.AsType[*stream.NewerSchemaError](err); is {
		return newer // to go on would lose it
	}
	if err != nil {
		t.s.cfg.Log.Error("event not readable, nobody is mailed", zap.Uint64("sequence", sequence), zap.Error(err))
	} else if q, anew := t.board.note(e.Deal); anew && sequence > t.done.Load() && t.s.cfg.Now().Before(q.Since.Add(days(askedFor))) {
		if err := t.ask(ctx, e.Deal.ID, q, 0); err != nil {
			return err
		}
	}
	if sequence > t.done.Load() {
		t.done.Store(sequence)
	}
	return nil
}

// ask puts a mail into the outbox for everybody who may answer the question; after so many days it is a reminder.
func (t *turn) ask(ctx context.Context, id deal.ID, q question, day int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*askWithin)
	defer cancel()
	for _, company := range q.Companies {
		for _, p := range t.s.cfg.Roster.People() {
			if !mayAnswer(p, company) {
				continue
			}
			c := cause{Kind: q.Kind, Person: p.ID, Company: company, Deal: id, Version: q.Version, Since: q.Since, Day: day}
			if err := t.box.add(ctx, c, t.s.cfg.Now()); err != nil {
				return err
			}
		}
	}
	return nil
}

// mayAnswer tells whether the person acts for the company and can be reached.
func mayAnswer(p roster.Person, company deal.ID) bool {
	acts := p.Role == roster.RoleMember || p.Role == roster.RoleCompanyAdmin
	return acts && p.CompanyID == company && p.DisabledAt == nil && p.Email != ""
}
