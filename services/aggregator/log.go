package aggregator

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/stream"
)

// askTimeout bounds one question to the broker.
const askTimeout = 5 * time.Second

// FetchAheadBytes bounds what the client buffers of the log beyond the batches.
const FetchAheadBytes = 16 << 20

var (
	errReconnected = errors.New("the connection to the log was lost and is back: look again where the log stands")
	errSkipped     = errors.New("a message got lost between the log and here: read again")
)

// lastSequence asks where the log ends.
func (s *Service) lastSequence(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	log, err := s.js.Stream(ctx, stream.DealsStream)
	if err != nil {
		return 0, fmt.Errorf("find the log: %w", err)
	}
	return log.CachedInfo().State.LastSeq, nil
}

// hashAt reads the event at the sequence from the stream's leader and hashes it. A missing one is a ChangedError. The
// client's own method would use a direct get on this stream, which a replica may answer that lags behind.
func (s *Service) hashAt(ctx context.Context, seq uint64) ([32]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	request, err := json.Marshal(map[string]uint64{"seq": seq})
	if err != nil {
		return [32]byte{}, fmt.Errorf("encode request: %w", err)
	}
	answer, err := s.cfg.NATS.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream.DealsStream, request)
	if err != nil {
		return [32]byte{}, fmt.Errorf("read the event at the checkpoint: %w", err)
	}
	var response struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Data []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &response); err != nil {
		return [32]byte{}, fmt.Errorf("read the event at the checkpoint: %w", err)
	}
	if response.Error != nil {
		if response.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return [32]byte{}, &ChangedError{Sequence: seq}
		}
		return [32]byte{}, fmt.Errorf("read the event at the checkpoint: %w", response.Error)
	}
	return sha256.Sum256(response.Message.Data), nil
}

// read gives every event behind the sequence to the buffer, each one the successor of the one before. It ends with an
// error, as follow does.
func (s *Service) read(ctx context.Context, behind uint64, to *buffer) error {
	s.cfg.Health.Report("aggregator", nil)
	return s.follow(ctx, behind, false, func(m jetstream.Msg, at *jetstream.MsgMetadata) error {
		return to.add(ctx, at.Sequence.Stream, at.Timestamp, m.Data(), at.NumPending > 0)
	})
}

var errInspected = errors.New("the log was read to its end")

// inspect reads the log through, without the bodies of the events: the broker checks each one on its disk, and passes
// over one that is damaged as if it had never been there. The error is then a GapError.
func (s *Service) inspect(ctx context.Context) error {
	asked, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	log, err := s.js.Stream(asked, stream.DealsStream)
	if err != nil {
		return fmt.Errorf("find the log: %w", err)
	}
	first, last := max(log.CachedInfo().Config.FirstSeq, 1), log.CachedInfo().State.LastSeq
	if last < first {
		return nil
	}
	_, err = s.hashAt(ctx, last) // nothing comes behind it that would show it to be missing
	if _, missing := errors.AsType[*ChangedError](err); missing {
		return &GapError{Want: last, Got: last + 1}
	}
	if err != nil {
		return err
	}
	s.cfg.Health.Report("aggregator", fmt.Errorf("reads the log through, %d events, before anything may be written", last-first+1))
	err = s.follow(ctx, first-1, true, func(_ jetstream.Msg, at *jetstream.MsgMetadata) error {
		if at.Sequence.Stream >= last {
			return errInspected
		}
		return nil
	})
	if errors.Is(err, errInspected) {
		return nil
	}
	return err
}

// follow gives the events behind the sequence, each one the successor of the one before, with their bodies or without.
// It ends with the first error of each, with a GapError when the log itself skips, and with others after which it may
// begin again.
//
// It reads as an ordered consumer does, from memory and without acks, but ends at any interruption where that one would
// quietly begin again: where the log stands has to be checked first.
func (s *Service) follow(
	ctx context.Context, behind uint64, headersOnly bool, each func(jetstream.Msg, *jetstream.MsgMetadata) error,
) error {
	create, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	consumer, err := s.js.CreateConsumer(create, stream.DealsStream, jetstream.ConsumerConfig{
		Description:       "aggregator",
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
	}, jetstream.PullMaxBytes(FetchAheadBytes), jetstream.PullExpiry(10*time.Second), jetstream.PullHeartbeat(2*time.Second),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { fail(err) }))
	if err != nil {
		return fmt.Errorf("open a reader of the log: %w", err)
	}
	defer reading.Stop()
	s.cfg.Health.Report("nats", nil)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch looks after the log while it is read: how far the warehouse is behind, that the log never ends before what the
// warehouse holds, and that a lost connection ends the session.
func (s *Service) watch(ctx context.Context) error {
	connected := s.cfg.NATS.StatusChanged(nats.CONNECTED)
	defer s.cfg.NATS.RemoveStatusListener(connected)
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-connected:
			return errReconnected
		case <-ticker.C:
		}
		checkpoint := s.Checkpoint() // first: the log may only have grown since
		last, err := s.lastSequence(ctx)
		if err != nil {
			return err
		}
		if last < checkpoint {
			return &TruncatedError{Checkpoint: checkpoint, Last: last}
		}
		s.metrics.lag.Set(float64(last - checkpoint))
	}
}
