package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// The durable consumers, each shared by all registries: one reads every event of the deals, the other every flag.
const (
	dealsConsumer     = "registry-conflicts"
	decisionsConsumer = "registry-decisions"
)

const (
	// matchBatch is how many events are looked at together: an import asks the warehouse once for each batch.
	matchBatch = 500
	// gatherFor is how long a batch waits for more events behind its first one.
	gatherFor = 5 * time.Millisecond
	// projectedWithin bounds the wait for the warehouse; then the events come again.
	projectedWithin = 10 * time.Second
	// matchAckWait is after what silence of a registry another one takes its events over.
	matchAckWait = time.Minute
	// matchAgainAfter is when events come again after an error.
	matchAgainAfter = time.Second
)

// followDeals looks at one batch of events after the other, in the order of the log.
func (c *conflicts) followDeals(ctx context.Context) error {
	return c.consume(ctx, stream.DealsStream, jetstream.ConsumerConfig{
		Durable: dealsConsumer, Description: "Events that may make a deal the duplicate of another one.",
	}, c.match)
}

// followDecisions settles the deals of each new flag and of each decision, again if a registry died over it.
func (c *conflicts) followDecisions(ctx context.Context) error {
	return c.consume(ctx, stream.RecordsStream, jetstream.ConsumerConfig{
		Durable: decisionsConsumer, Description: "Flags whose deals may have to count otherwise.", FilterSubject: stream.ConflictSubjects,
	}, c.carryOut)
}

// consume gives batches of messages to the handler, and acknowledges them when it is through. The handler may meet a
// message again.
func (c *conflicts) consume(
	ctx context.Context, from string, cfg jetstream.ConsumerConfig, handle func(context.Context, []jetstream.Msg) error,
) error {
	cfg.AckPolicy, cfg.AckWait, cfg.MaxAckPending = jetstream.AckExplicitPolicy, matchAckWait, 4*matchBatch
	within, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	consumer, err := c.s.js.CreateOrUpdateConsumer(within, from, cfg)
	if err != nil {
		return fmt.Errorf("follow %s: %w", from, err)
	}
	for {
		messages, err := gather(ctx, consumer)
		if err != nil {
			return err
		}
		if len(messages) == 0 {
			continue
		}
		if err := handle(ctx, messages); err != nil {
			for _, m := range messages {
				_ = m.NakWithDelay(matchAgainAfter) // lost, it comes again later
			}
			return err
		}
		for _, m := range messages {
			_ = m.Ack() // lost, it comes again and finds nothing to do
		}
	}
}

// gather blocks until there is a message, and gives it with those right behind it. None is no error.
func gather(ctx context.Context, consumer jetstream.Consumer) ([]jetstream.Msg, error) {
	first, err := consumer.Next(jetstream.FetchContext(ctx))
	if errors.Is(err, nats.ErrTimeout) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("wait for messages: %w", err)
	}
	messages := []jetstream.Msg{first}
	rest, err := consumer.Fetch(matchBatch-1, jetstream.FetchMaxWait(gatherFor))
	if err != nil {
		return messages, nil //nolint:nilerr // the next round meets the error again, without a message in its hands
	}
	for m := range rest.Messages() {
		messages = append(messages, m)
	}
	return messages, nil
}

// carryOut settles the deals of the flags.
func (c *conflicts) carryOut(ctx context.Context, messages []jetstream.Msg) error {
	if err := c.catchUp(ctx); err != nil {
		return err
	}
	for _, m := range messages {
		var f conflict
		if err := json.Unmarshal(m.Data(), &f); err != nil {
			continue // the reader of the flags has said so
		}
		if now, known := c.index.between(f.Deals[0], f.Deals[1]); known {
			if err := c.settleBoth(ctx, now.conflict); err != nil {
				return err
			}
		}
	}
	return nil
}

// match flags what the events make a duplicate, and settles the deals that are flagged against theirs.
func (c *conflicts) match(ctx context.Context, messages []jetstream.Msg) error {
	latest, err := c.latest(messages)
	if err != nil {
		return err
	}
	if err := c.catchUp(ctx); err != nil {
		return err
	}
	if err := c.look(ctx, latest); err != nil {
		return err
	}
	for _, id := range slices.SortedFunc(maps.Keys(latest), deal.ID.Compare) {
		for _, f := range c.index.of(id) {
			if err := c.settleBoth(ctx, f.conflict); err != nil {
				return err
			}
		}
	}
	return nil
}

// subjectOf is a deal as the last of some events left it, and whether any of them may make it a duplicate.
type subjectOf struct {
	stream.Stored
	changed bool
}

// latest reads the events and gives the last one of each deal. What cannot be read is passed over: the warehouse cannot
// read it either.
func (c *conflicts) latest(messages []jetstream.Msg) (map[deal.ID]subjectOf, error) {
	result := map[deal.ID]subjectOf{}
	for _, m := range messages {
		meta, err := m.Metadata()
		if err != nil {
			return nil, fmt.Errorf("read an event: %w", err)
		}
		event, err := stream.Decode(m.Data())
		if _, newer := errors.AsType[*stream.NewerSchemaError](err); newer {
			return nil, err
		}
		if err != nil {
			c.s.cfg.Log.Error("event passed over", zap.Uint64("seq", meta.Sequence.Stream), zap.Error(err))
			continue
		}
		s := result[event.Deal.ID]
		s.changed = s.changed || mayMatch(event.Type)
		if s.Sequence < meta.Sequence.Stream {
			s.Stored = stream.Stored{Sequence: meta.Sequence.Stream, Payload: m.Data(), Event: event}
		}
		result[event.Deal.ID] = s
	}
	return result, nil
}

// mayMatch tells whether an event of the type can make the deal a duplicate: it changes the customer, the parties or the
// day.
func mayMatch(t deal.EventType) bool {
	switch t {
	case deal.EventRegistered, deal.EventEdited, deal.EventTermsChanged, deal.EventClosing, deal.EventWon, deal.EventCorrected:
		return true
	default:
		return false
	}
}

// look asks the warehouse for deals that these may repeat, and flags those that the log confirms. The warehouse holds
// every event before theirs by then, so of two deals whichever event came later sees the other.
func (c *conflicts) look(ctx context.Context, latest map[deal.ID]subjectOf) error {
	var sequence uint64
	imports := map[deal.ID][]deal.Deal{} // the rows of one import are distinct: they do not look for each other
	for _, s := range latest {
		if s.changed && !s.Deal.Status.Final() {
			sequence = max(sequence, s.Sequence)
			imports[s.Deal.ImportedBy] = append(imports[s.Deal.ImportedBy], s.Deal)
		}
	}
	if sequence == 0 {
		return nil
	}
	if err := c.projected(ctx, sequence); err != nil {
		return err
	}
	now := map[deal.ID]stream.Stored{} // as the leader has it
	for by, deals := range imports {
		found, err := c.find(ctx, by, deals)
		if err != nil {
			return err
		}
		for _, d := range deals {
			for _, r := range found {
				if !mayRepeat(d, r) {
					continue
				}
				if err := c.confirm(ctx, now, d.ID, r.Deal); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// projected waits until the warehouse holds the sequence. No question to the warehouse is broken off, here or in find: the
// embedded engine may not survive a client that leaves while it is greeted.
func (c *conflicts) projected(ctx context.Context, sequence uint64) error {
	ctx, cancel := context.WithTimeout(ctx, projectedWithin)
	defer cancel()
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 10*time.Millisecond, 500*time.Millisecond
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		unbroken, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerWithin)
		defer cancel()
		checkpoint, err := c.s.cfg.Finder.Checkpoint(unbroken)
		if err == nil && checkpoint.Sequence < sequence {
			err = fmt.Errorf("the warehouse holds %d of %d events", checkpoint.Sequence, sequence)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0))
	if err != nil {
		return fmt.Errorf("wait for the warehouse to hold sequence %d: %w", sequence, err)
	}
	return nil
}

func (c *conflicts) find(ctx context.Context, by deal.ID, deals []deal.Deal) ([]warehouse.Repeat, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), findWithin)
	defer cancel()
	customers, domains, companies := map[string]bool{}, map[string]bool{}, map[deal.ID]bool{}
	for _, d := range deals {
		customers[d.Customer.Name] = true
		if d.Customer.Domain != "" {
			domains[d.Customer.Domain] = true
		}
		for _, p := range d.Parties {
			companies[p.Company] = true
		}
	}
	return c.s.cfg.Finder.FindRepeats(ctx, warehouse.RepeatsQuery{
		Customers: slices.Collect(maps.Keys(customers)), Domains: slices.Collect(maps.Keys(domains)),
		Companies: slices.Collect(maps.Keys(companies)), NotBy: by,
	})
}

// mayRepeat leaves out what the warehouse shows to be no repetition. The warehouse has not the customer's country.
func mayRepeat(d deal.Deal, r warehouse.Repeat) bool {
	if d.ID == r.Deal || d.WonOn != nil && r.WonOn != nil && !within(*d.WonOn, *r.WonOn) {
		return false
	}
	both := 0
	for _, id := range r.Companies {
		if _, party := d.Party(id); party {
			both++
		}
	}
	return both >= 2 && d.Customer.Same(deal.Customer{Name: r.Customer, Country: d.Customer.Country, Domain: r.Domain})
}

func within(a, b calendar.Date) bool {
	return a <= b.AddDays(deal.RepeatDays) && b <= a.AddDays(deal.RepeatDays)
}

// confirm flags the two deals if they may be one as the leader has them now. A flag that stands keeps its state; while it
// is undecided it learns who may know of it.
func (c *conflicts) confirm(ctx context.Context, now map[deal.ID]stream.Stored, a, b deal.ID) error {
	for _, id := range []deal.ID{a, b} {
		if _, read := now[id]; !read {
			last, err := c.s.log.Last(ctx, id)
			if err != nil {
				return err
			}
			now[id] = last
		}
	}
	if !deal.MayRepeat(now[a].Deal, now[b].Deal) {
		return nil
	}
	f := flag{conflict: newConflict(now[a], now[b], c.s.cfg.Now())}
	if before, flagged := c.index.between(a, b); flagged {
		if before.State != stream.ConflictUndecided ||
			slices.Equal(before.Companies, f.Companies) && slices.Equal(before.Associations, f.Associations) {
			return nil
		}
		f.FlaggedAt, f.sequence = before.FlaggedAt, before.sequence
	}
	err := c.put(ctx, f)
	if errors.Is(err, stream.ErrConflict) { // another registry flagged them, or the registrar decided just now
		return nil
	}
	if err == nil {
		c.s.cfg.Log.Info("deals flagged as one", zap.Stringer("deal", a), zap.Stringer("other", b))
	}
	return err
}
