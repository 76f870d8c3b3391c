package stream

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// askTimeout bounds one question to the broker.
const askTimeout = 5 * time.Second

// FetchAheadBytes bounds what Follow buffers.
const FetchAheadBytes = 16 << 20

// silence is how long nothing comes before a reader asks whether the next event cannot be read.
const silence = 2 * time.Second

// errSkipped ends Follow when the client missed a message.
var errSkipped = errors.New("a message got lost between the log and here: read again")

// Follow gives the events behind the sequence, each one the successor of the one before, with their bodies or without, and
// goes on with those that come. It ends with the first error of each, with a GapError when the log itself skips, and with
// others after which it may begin again. began hears that the log answers; nil for nobody.
//
// It reads as an ordered consumer does, from memory and without acks, but ends at any interruption where that one would
// quietly begin again: where the log stands has to be checked first.
func (l *Log) Follow(
	ctx context.Context, behind uint64, headersOnly bool, began func(), each func(jetstream.Msg, *jetstream.MsgMetadata) error,
) error {
	create, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	consumer, err := l.js.CreateConsumer(create, DealsStream, jetstream.ConsumerConfig{
		Description:       "follows the log",
		AckPolicy:         jetstream.AckNonePolicy,
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       behind + 1,
		HeadersOnly:       headersOnly,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("open a reader of the log: %w", err)
	}
	failed := make(chan error, 1)
	fail := func(err error) {
		select {
		case failed <- fmt.Errorf("read the log: %w", err):
		default: // the first reason counts
		}
	}
	var given atomic.Uint64 // the last event that each got
	given.Store(behind)
	last, delivered := behind, uint64(0) // after a failure they stay, and nothing follows them any more
	reading, err := consumer.Consume(func(m jetstream.Msg) {
		meta, err := m.Metadata()
		if err != nil {
			fail(err)
			return
		}
		seq := meta.Sequence.Stream
		switch {
		case meta.Sequence.Consumer != delivered+1 || seq <= last:
			fail(errSkipped)
			return
		case seq != last+1:
			fail(&GapError{Want: last + 1, Got: seq})
			return
		}
		if err := each(m, meta); err != nil {
			fail(err)
			return
		}
		last, delivered = seq, meta.Sequence.Consumer
		given.Store(last)
	}, jetstream.PullMaxBytes(FetchAheadBytes), jetstream.PullExpiry(10*time.Second), jetstream.PullHeartbeat(2*time.Second),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { fail(err) }))
	if err != nil {
		return fmt.Errorf("open a reader of the log: %w", err)
	}
	defer reading.Stop()
	if began != nil {
		began()
	}
	look := time.NewTicker(silence)
	defer look.Stop()
	for looked := behind; ; looked = given.Load() {
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
		if given.Load() != looked {
			continue
		}
		_, end, err := l.bounds(ctx)
		if err == nil && looked < end {
			_, err = l.hashWithin(ctx, looked+1, end)
		}
		if _, missing := errors.AsType[*GapError](err); missing { // what else is wrong shows in the reading itself
			return fmt.Errorf("read the log: %w", err)
		}
	}
}
