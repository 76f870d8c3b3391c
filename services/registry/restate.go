package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/volume"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

const (
	restateConsumer = "registry-restate" // one durable consumer for each bucket, which all registries share
	changesAtOnce   = 10_000             // a file of rates has one entry for each day of 25 years
	concernedPage   = 500

	// settleWithin bounds the wait for the directory and the warehouse to have what a change is judged by.
	settleWithin = 30 * time.Second
	// ackWait is after what silence of a registry another one takes its changes over. It is longer than settleWithin and
	// one page of deals.
	ackWait = 90 * time.Second
	// lookAgainAfter is when a change is looked at a second time: longer than a request that had read the directory
	// before the change may take to write its event behind the first look.
	lookAgainAfter = 20 * time.Second
)

// restater keeps what won deals count for a function of the deal, the directory and the rates: after a change of either
// it works out anew the deals concerned, and writes an event for those that now count for something else. Changes wait in
// the buckets' own streams until they are done, so none is lost while no registry runs.
type restater struct {
	s     *Service
	again time.Duration // lookAgainAfter

	mu    sync.Mutex
	done  map[roster.Bucket]uint64 // the highest revision that was looked at
	moved chan struct{}            // closed when done moves
}

func newRestater(s *Service) *restater {
	return &restater{s: s, again: lookAgainAfter, done: map[roster.Bucket]uint64{}, moved: make(chan struct{})}
}

// run follows the rates and the memberships until ctx ends.
func (r *restater) run(ctx context.Context) {
	var wait sync.WaitGroup
	for _, b := range []roster.Bucket{roster.Rates, roster.Members} {
		wait.Go(func() { r.follow(ctx, b) })
	}
	wait.Wait()
}

func (r *restater) follow(ctx context.Context, b roster.Bucket) {
	away := outage{log: r.s.cfg.Log.With(zap.String("bucket", string(b))), what: "restatement of deals"}
	// Only the end of ctx ends the tries.
	_, _ = backoff.Retry(ctx, func() (struct{}, error) {
		consumer, err := r.consumer(ctx, b)
		for err == nil {
			err = r.next(ctx, b, consumer, &away)
		}
		away.note(ctx, err)
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(0))
}

// consumer finds or makes the durable consumer of the bucket's changes, from the first one on. It asks for no values:
// the directory has them.
func (r *restater) consumer(ctx context.Context, b roster.Bucket) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	consumer, err := r.s.js.CreateOrUpdateConsumer(ctx, "KV_"+string(b), jetstream.ConsumerConfig{
		Durable: restateConsumer, Description: "Changes for which won deals are restated.", HeadersOnly: true,
		AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: 2 * changesAtOnce,
	})
	if err != nil {
		return nil, fmt.Errorf("follow the changes of %s: %w", b, err)
	}
	return consumer, nil
}

// next waits for changes, takes all that there are, and works through them at once. The error is one of the broker: what
// else fails stays in the stream and comes again.
func (r *restater) next(ctx context.Context, b roster.Bucket, consumer jetstream.Consumer, away *outage) error {
	changes, err := take(ctx, consumer)
	if err != nil || len(changes) == 0 {
		return err
	}
	err = r.work(ctx, b, changes)
	away.note(ctx, err)
	for _, m := range changes {
		// Every change is looked at twice, some time apart: a request that had read the directory before the change may
		// write its event after the first look.
		meta, metaErr := m.Metadata()
		if err == nil && metaErr == nil && meta.NumDelivered > 1 {
			_ = m.Ack() // lost, it comes again and finds nothing to do
		} else {
			_ = m.NakWithDelay(r.again)
		}
	}
	return nil
}

// take blocks until there is a change, and gives it with those behind it. None is no error.
func take(ctx context.Context, consumer jetstream.Consumer) ([]jetstream.Msg, error) {
	first, err := consumer.Next(jetstream.FetchContext(ctx))
	if errors.Is(err, nats.ErrTimeout) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("wait for changes: %w", err)
	}
	changes := []jetstream.Msg{first}
	rest, err := consumer.FetchNoWait(changesAtOnce - 1)
	if err != nil {
		return changes, nil //nolint:nilerr // the next round meets the error again, without a change in its hands
	}
	for m := range rest.Messages() {
		changes = append(changes, m)
	}
	return changes, nil
}

// work restates the deals that the changes concern.
func (r *restater) work(ctx context.Context, b roster.Bucket, changes []jetstream.Msg) error {
	var revision uint64
	slots := make([]string, len(changes))
	for i, m := range changes {
		slots[i] = strings.TrimPrefix(m.Subject(), "$KV."+string(b)+".")
		if meta, err := m.Metadata(); err == nil {
			revision = max(revision, meta.Sequence.Stream)
		}
	}
	if err := r.settle(ctx, b, revision); err != nil {
		return err
	}
	find := r.concerned(b, slots)
	page, total, found := warehouse.Page{Limit: concernedPage}, 0, 0
	for {
		ids, err := r.find(ctx, find, page)
		if err != nil {
			return err
		}
		restated, err := r.s.bySystemOnEach(ctx, ids, deal.Restate, countsForOther)
		total, found = total+restated, found+len(ids)
		if err != nil {
			return err
		}
		if len(ids) < page.Limit {
			break
		}
		page.After = ids[len(ids)-1]
		for _, m := range changes {
			_ = m.InProgress()
		}
	}
	if total > 0 {
		r.s.cfg.Log.Info("deals restated", zap.String("bucket", string(b)), zap.Int("changes", len(changes)),
			zap.Int("looked_at", found), zap.Int("restated", total))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done[b] = max(r.done[b], revision)
	close(r.moved)
	r.moved = make(chan struct{})
	return nil
}

// waitFor returns when the change was looked at, or with the error of ctx.
func (r *restater) waitFor(ctx context.Context, b roster.Bucket, revision uint64) error {
	for {
		r.mu.Lock()
		done, moved := r.done[b], r.moved
		r.mu.Unlock()
		if done >= revision {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("wait for restatements after revision %d of %s: %w", revision, b, ctx.Err())
		}
	}
}

// settle waits until the directory in memory has the change, and the warehouse every event that was written before.
func (r *restater) settle(ctx context.Context, b roster.Bucket, revision uint64) error {
	ctx, cancel := context.WithTimeout(ctx, settleWithin)
	defer cancel()
	select {
	case <-r.s.cfg.Roster.Loaded(): // with half a directory everything would be restated
	case <-ctx.Done():
		return roster.ErrNotLoaded
	}
	if err := r.s.cfg.Roster.WaitFor(ctx, b, revision); err != nil {
		return err
	}
	last, err := r.s.log.LastSequence(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		checkpoint, err := r.s.cfg.Finder.Checkpoint(ctx)
		if err != nil {
			return err
		}
		if checkpoint.Sequence >= last {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the warehouse is at %d of %d events: %w", checkpoint.Sequence, last, ctx.Err())
		}
	}
}

// finder asks the warehouse for one page of deals.
type finder func(context.Context, warehouse.Page) ([]deal.ID, error)

func (r *restater) find(ctx context.Context, f finder, page warehouse.Page) ([]deal.ID, error) {
	ctx, cancel := context.WithTimeout(ctx, findWithin)
	defer cancel()
	return f(ctx, page)
}

// concerned is how to find the deals that changes of the slots concern: a rate those won up to a week later that must be
// converted, a membership those of its company.
func (r *restater) concerned(b roster.Bucket, slots []string) finder {
	if b == roster.Rates {
		days := reach(slots)
		reporting := map[deal.ID]money.Currency{}
		for _, a := range r.s.cfg.Roster.Associations() {
			reporting[a.ID] = a.ReportingCurrency
		}
		return func(ctx context.Context, page warehouse.Page) ([]deal.ID, error) {
			return r.s.cfg.Finder.FindWonOn(ctx, days, reporting, page)
		}
	}
	companies := map[deal.ID]bool{}
	for _, slot := range slots {
		_, company, _ := strings.Cut(slot, ".")
		if id, err := deal.ParseID(company); err == nil {
			companies[id] = true
		}
	}
	ids := make([]deal.ID, 0, len(companies))
	for id := range companies {
		ids = append(ids, id)
	}
	return func(ctx context.Context, page warehouse.Page) ([]deal.ID, error) {
		return r.s.cfg.Finder.FindWonBy(ctx, ids, page)
	}
}

// reach gives the days on which a deal may be converted at a rate of one of the days, as few stretches as there are.
func reach(slots []string) []warehouse.Days {
	var published []calendar.Date
	for _, slot := range slots {
		if day, err := calendar.ParseDate(slot); err == nil {
			published = append(published, day)
		}
	}
	slices.Sort(published)
	var stretches []warehouse.Days
	for _, day := range published {
		until := day.AddDays(money.MaxRateAgeDays)
		if n := len(stretches); n > 0 && day <= stretches[n-1].Last.AddDays(1) {
			stretches[n-1].Last = until
			continue
		}
		stretches = append(stretches, warehouse.Days{First: day, Last: until})
	}
	return stretches
}

// countsForOther tells whether the deal would count for something else than it does.
func countsForOther(before stream.Stored, after stream.Event) bool {
	return !sameFigures(before.Attributions, after.Attributions) || !reflect.DeepEqual(before.Unduplicated, after.Unduplicated)
}

// sameFigures compares attributions; their order, and that of chapters and pairs in them, means nothing.
func sameFigures(a, b []volume.Attribution) bool {
	return len(a) == len(b) && reflect.DeepEqual(inOrder(a), inOrder(b))
}

func inOrder(list []volume.Attribution) []volume.Attribution {
	result := make([]volume.Attribution, len(list))
	for i, a := range list {
		a.Chapters = append([]volume.Chapter(nil), a.Chapters...)
		slices.SortFunc(a.Chapters, func(x, y volume.Chapter) int { return x.Chapter.Compare(y.Chapter) })
		a.Pairs = append([]volume.Pair(nil), a.Pairs...)
		slices.SortFunc(a.Pairs, func(x, y volume.Pair) int { return cmp.Or(x.A.Compare(y.A), x.B.Compare(y.B)) })
		result[i] = a
	}
	slices.SortFunc(result, func(x, y volume.Attribution) int { return x.Association.Compare(y.Association) })
	return result
}
