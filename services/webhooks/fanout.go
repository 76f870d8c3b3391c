package webhooks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
)

// The fan-out reads the streams of events in order and puts a delivery into the queue for each endpoint that may hear
// of an event. One process at a time does it for a stream, by a lease that lies beside the checkpoint.

// checkpointsBucket holds, by the name of a stream, how far it was fanned out.
const checkpointsBucket = "webhook_checkpoints"

const (
	// fanoutBatch bounds the messages that are read, and the deliveries that are written, at once.
	fanoutBatch = 1000
	// checkpointEvery bounds how much is fanned out a second time after a kill.
	checkpointEvery = 100 * time.Millisecond
	// askTimeout bounds one question to the broker.
	askTimeout = 5 * time.Second
)

// checkpoint is the last event of a stream whose deliveries are all in the queue, and who goes on from there.
type checkpoint struct {
	Sequence uint64    `json:"sequence"`
	Runner   string    `json:"runner,omitempty"`
	Until    time.Time `json:"until,omitzero"`
}

// fanout works on one stream. Only its run uses it.
type fanout struct {
	s        *Service
	source   source
	revision uint64 // of the checkpoint in the bucket
	stored   uint64 // its sequence
	done     uint64 // the last event whose deliveries are in the queue
	storedAt time.Time
}

// runFanout goes on until ctx ends or another process is seen to do the work.
func (s *Service) runFanout(ctx context.Context, src source) error {
	f := &fanout{s: s, source: src}
	mine, err := f.claim(ctx)
	if err != nil || !mine {
		return err
	}
	defer f.release(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	messages := make(chan jetstream.Msg, fanoutBatch)
	ended := make(chan error, 1)
	go func() { ended <- f.read(ctx, messages) }()
	err = f.work(ctx, messages, ended)
	cancel()
	return err
}

// beginHere makes the first checkpoint of each stream: what comes from now on is fanned out. It ends with errDone, before
// anybody can make an endpoint.
func (s *Service) beginHere(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for _, src := range sources {
		if s.checkpoints.has(src.stream) {
			continue
		}
		last, err := lastOf(ctx, s.js, src.stream)
		if err != nil {
			return err
		}
		if _, err := s.checkpoints.put(ctx, src.stream, checkpoint{Sequence: last}, 0); err != nil && !errors.Is(err, errChanged) {
			return err
		}
	}
	return errDone
}

// claim takes the lease, waiting for one that another process holds to run out.
func (f *fanout) claim(ctx context.Context) (bool, error) {
	c, revision := f.s.checkpoints.get(f.source.stream)
	if now := f.s.cfg.Now(); c.Runner != "" && c.Runner != f.s.cfg.runner && now.Before(c.Until) {
		return false, f.s.pause(ctx, min(c.Until.Sub(now), f.s.cfg.Lease/2))
	}
	at, err := f.reached(ctx, c.Sequence)
	if err != nil {
		return false, err
	}
	f.done, f.stored, f.revision = at, at, revision
	err = f.store(ctx)
	if errors.Is(err, errChanged) {
		return false, nil
	}
	if err == nil && f.source.stream == stream.DealsStream {
		err = f.s.dealLog.Remember(ctx) // that it lost its end, until somebody takes it as it is
	}
	return err == nil, err
}

// reached gives the last sequence that was fanned out, of those that there are. A stream that lost its end hands out the
// same sequences again: no checkpoint and no gap may cover what they will be.
func (f *fanout) reached(ctx context.Context, sequence uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	last, err := lastOf(ctx, f.s.js, f.source.stream)
	if err != nil || sequence <= last {
		return sequence, err
	}
	f.s.cfg.Log.Error("the stream ends before what was sent of it: webhooks go on at its end",
		zap.String("stream", f.source.stream), zap.Uint64("sent", sequence), zap.Uint64("last", last))
	for key, c := range f.s.cursors.all() {
		if c.Source != f.source.stream {
			continue
		}
		if _, err := f.s.changeCursor(ctx, key, func(c cursor) (cursor, bool) {
			longer := c.Through > last
			c.gap = c.cut(last)
			return c, longer
		}); err != nil {
			return 0, err
		}
	}
	return last, nil
}

// store writes the checkpoint and renews the lease.
func (f *fanout) store(ctx context.Context) error {
	now := f.s.cfg.Now()
	revision, err := f.s.checkpoints.put(ctx, f.source.stream,
		checkpoint{Sequence: f.done, Runner: f.s.cfg.runner, Until: now.Add(f.s.cfg.Lease).UTC()}, f.revision)
	if err != nil {
		return fmt.Errorf("checkpoint of %s: %w", f.source.stream, err)
	}
	f.revision, f.stored, f.storedAt = revision, f.done, now
	return nil
}

// release gives the lease up, so that another process goes on at once.
func (f *fanout) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_, _ = f.s.checkpoints.put(ctx, f.source.stream, checkpoint{Sequence: f.done}, f.revision) // else it runs out
}

// read gives the stream's messages behind the checkpoint, in order and without acks: where the work stands is what the
// checkpoint says.
func (f *fanout) read(ctx context.Context, to chan<- jetstream.Msg) error {
	create, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	consumer, err := f.s.js.CreateConsumer(create, f.source.stream, jetstream.ConsumerConfig{
		Description: "webhooks", AckPolicy: jetstream.AckNonePolicy, FilterSubjects: f.source.subjects,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: f.done + 1,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("open a reader of %s: %w", f.source.stream, err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(2*fanoutBatch), jetstream.PullExpiry(10*time.Second),
		jetstream.PullHeartbeat(2*time.Second), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return fmt.Errorf("open a reader of %s: %w", f.source.stream, err)
	}
	defer messages.Stop()
	f.s.part("webhooks " + f.source.stream)(nil)
	last := f.done
	for delivered := uint64(1); ; delivered++ {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("read %s: %w", f.source.stream, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read %s: %w", f.source.stream, err)
		}
		if meta.Sequence.Consumer != delivered {
			return fmt.Errorf("read %s: a message got lost on the way here", f.source.stream)
		}
		for at := meta.Sequence.Stream; f.source.whole && last+1 < at; {
			missing, err := f.s.letters[f.source.stream].missing(ctx, last+1, partAtMost)
			if err != nil || len(missing) == 0 {
				return errors.Join(fmt.Errorf("read %s: sequence %d was passed over on the way to %d", f.source.stream, last+1, at), err)
			}
			last += uint64(len(missing))
		}
		last = meta.Sequence.Stream
		select {
		case to <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// work puts deliveries into the queue as messages come, and stores the checkpoint behind them.
func (f *fanout) work(ctx context.Context, messages <-chan jetstream.Msg, ended <-chan error) error {
	renew := time.NewTicker(f.s.cfg.Lease / 3)
	defer renew.Stop()
	due := time.NewTimer(checkpointEvery)
	defer due.Stop()
	for {
		select {
		case m := <-messages:
			if err := f.spread(ctx, m, messages); err != nil {
				return err
			}
			if f.s.cfg.Now().Sub(f.storedAt) < checkpointEvery {
				due.Reset(checkpointEvery)
				continue
			}
		case <-due.C:
			if f.done == f.stored {
				continue
			}
		case <-renew.C:
		case err := <-ended:
			return err
		}
		if err := f.store(ctx); err != nil {
			return err
		}
	}
}

// spread fans out the message and those that wait behind it, to all endpoints that were made before the last of them.
func (f *fanout) spread(ctx context.Context, m jetstream.Msg, more <-chan jetstream.Msg) error {
	messages := []jetstream.Msg{m}
	for len(more) > 0 && len(messages) < fanoutBatch {
		messages = append(messages, <-more)
	}
	within, cancel := context.WithTimeout(ctx, 2*askTimeout)
	defer cancel()
	if err := f.s.endpoints.catchUp(within); err != nil {
		return err
	}
	for len(messages) > 0 {
		b := bundle{at: map[deal.ID]int{}}
		n := 0
		for ; n < len(messages) && !b.full; n++ {
			if err := f.add(&b, messages[n]); err != nil {
				return err
			}
		}
		within, cancel := context.WithTimeout(ctx, 2*askTimeout)
		err := f.s.queue.Put(within, b.deliveries...)
		cancel()
		if err != nil {
			return fmt.Errorf("queue %d deliveries: %w", len(b.deliveries), err)
		}
		f.s.metrics.queued.Add(float64(b.events))
		f.done, messages = b.last, messages[n:]
	}
	return nil
}

// add takes one message into the bundle. Events that a cursor is known to deliver are left to it.
func (f *fanout) add(b *bundle, m jetstream.Msg) error {
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("read %s: %w", f.source.stream, err)
	}
	b.last = meta.Sequence.Stream
	if f.s.listeners.none() {
		return nil
	}
	l, err := f.s.letters[f.source.stream].take(b.last, m.Subject(), m.Data())
	if err != nil || !l.told {
		return err
	}
	for _, e := range f.s.listeners.of(l.notice, meta.Timestamp) {
		if c, _ := f.s.cursors.get(gapKey(e.ID, f.source.stream)); !c.covers(b.last) {
			b.add(e.ID, f.source.stream, meta)
		}
	}
	return nil
}

// bundle is what is written into the queue together: one delivery for each endpoint. With one event it has one; when many
// wait it has as many as a delivery holds.
type bundle struct {
	deliveries []stream.Delivery
	at         map[deal.ID]int // in deliveries, by endpoint
	last       uint64          // the sequence of the last message
	events     int
	full       bool
}

func (b *bundle) add(endpoint deal.ID, source string, meta *jetstream.MsgMetadata) {
	i, known := b.at[endpoint]
	if !known {
		i = len(b.deliveries)
		b.at[endpoint] = i
		b.deliveries = append(b.deliveries, stream.Delivery{Endpoint: endpoint, Source: source, Attempt: 1})
	}
	d := &b.deliveries[i]
	sequence := meta.Sequence.Stream
	d.Sequences, d.Head, d.At = append(d.Sequences, sequence), sequence+meta.NumPending, meta.Timestamp
	b.events++
	b.full = b.full || len(d.Sequences) == stream.MostEvents || len(b.deliveries) >= fanoutBatch
}
