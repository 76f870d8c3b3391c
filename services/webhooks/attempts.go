package webhooks

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

const (
	// recordsHeld bounds the attempts in memory that are not yet in the stream; more are dropped and counted, since
	// deliveries never wait for their record.
	recordsHeld = 20_000
	// gatherFor is how long attempts gather before they are written together: each write waits for the disk.
	gatherFor = 100 * time.Millisecond
	// attemptsInMessage bounds the attempts of one message, which is to stay below a megabyte: each may quote 512 bytes of
	// an answer, of which each may take five as text.
	attemptsInMessage = 200
	// carriedAtOnce bounds the messages of one insert, carryEvery is the least time between two that are not full.
	carriedAtOnce = 50
	carryEvery    = 500 * time.Millisecond
)

// recorder brings attempts into their stream, where they wait for the warehouse.
type recorder struct {
	js      jetstream.JetStream
	log     *zap.Logger
	dropped interface{ Add(float64) }
	held    chan warehouse.Attempt
}

// add never waits.
func (r *recorder) add(a warehouse.Attempt) {
	select {
	case r.held <- a:
	default:
		r.dropped.Add(1)
	}
}

// run writes what comes until ctx ends, and then what is left.
func (r *recorder) run(ctx context.Context) error {
	for {
		select {
		case a := <-r.held:
			gather := time.NewTimer(gatherFor)
			select {
			case <-gather.C:
			case <-ctx.Done():
			}
			gather.Stop()
			r.writeAll(ctx, a)
		case <-ctx.Done():
			select {
			case a := <-r.held:
				r.writeAll(ctx, a)
			default:
			}
			return nil
		}
	}
}

// writeAll writes the attempt and all that wait behind it.
func (r *recorder) writeAll(ctx context.Context, first warehouse.Attempt) {
	for more := true; more; {
		r.write(ctx, first)
		select {
		case first = <-r.held:
		default:
			more = false
		}
	}
}

// write writes the attempt and those that wait behind it, as much as one message holds. What cannot be written is dropped,
// since deliveries never wait for their record. A replay by failed_since rests on what is left: it misses what failed for
// good and could be kept neither at once nor here, and sends again what arrived in the end and has no record of that.
func (r *recorder) write(ctx context.Context, first warehouse.Attempt) {
	attempts := append(make([]warehouse.Attempt, 0, attemptsInMessage), first)
	for more := true; more && len(attempts) < attemptsInMessage; {
		select {
		case a := <-r.held:
			attempts = append(attempts, a)
		default:
			more = false
		}
	}
	if err := r.keep(ctx, attempts...); err != nil {
		r.dropped.Add(float64(len(attempts)))
		r.log.Warn("attempts not recorded", zap.Int("attempts", len(attempts)), zap.Error(err))
	}
}

// keep writes attempts and returns nil when they are on the disk.
func (r *recorder) keep(ctx context.Context, attempts ...warehouse.Attempt) error {
	var text bytes.Buffer
	if err := gob.NewEncoder(&text).Encode(attempts); err != nil {
		return fmt.Errorf("encode attempts: %w", err)
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	if _, err := r.js.Publish(within, stream.AttemptsSubject, text.Bytes()); err != nil {
		return fmt.Errorf("record attempts: %w", err)
	}
	return nil
}

// recordedUntil tells whether the warehouse has the attempts up to the sequence of their stream.
func (s *Service) recordedUntil(ctx context.Context, sequence uint64) (bool, error) {
	attempts, err := s.js.Stream(ctx, stream.AttemptsStream)
	if err != nil {
		return false, fmt.Errorf("find the attempts: %w", err)
	}
	state := attempts.CachedInfo().State
	return state.Msgs == 0 || state.FirstSeq > sequence, nil
}

// carry moves attempts from their stream into the warehouse until ctx ends or something fails. An attempt may be stored
// twice, and counts once.
func (s *Service) carry(ctx context.Context) error {
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := s.cfg.Warehouse.Ready(ask); err != nil {
		return err
	}
	s.part("webhook attempts")(nil)
	consumer, err := s.js.CreateOrUpdateConsumer(ask, stream.AttemptsStream, jetstream.ConsumerConfig{
		Durable: "warehouse", AckPolicy: jetstream.AckExplicitPolicy, AckWait: time.Minute, MaxAckPending: 2 * carriedAtOnce,
		MemoryStorage: true, InactiveThreshold: time.Hour, // as a lane's
	})
	if err != nil {
		return fmt.Errorf("open the attempts: %w", err)
	}
	for {
		if err := s.carryOnce(ctx, consumer); err != nil {
			return err
		}
		if err := s.pause(ctx, carryEvery); err != nil {
			return err
		}
	}
}

func (s *Service) carryOnce(ctx context.Context, consumer jetstream.Consumer) error {
	first, err := consumer.Next(jetstream.FetchContext(ctx))
	if errors.Is(err, nats.ErrTimeout) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the attempts: %w", err)
	}
	messages := []jetstream.Msg{first}
	more, err := consumer.FetchNoWait(carriedAtOnce - 1)
	if err != nil {
		return fmt.Errorf("read the attempts: %w", err)
	}
	for m := range more.Messages() {
		messages = append(messages, m)
	}
	var attempts []warehouse.Attempt
	for _, m := range messages {
		var some []warehouse.Attempt
		if err := gob.NewDecoder(bytes.NewReader(m.Data())).Decode(&some); err != nil {
			s.cfg.Log.Error("attempts not readable, dropped", zap.Error(err))
			continue
		}
		attempts = append(attempts, some...)
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := s.cfg.Warehouse.InsertAttempts(within, attempts); err != nil {
		for _, m := range messages {
			_ = m.Nak()
		}
		return err
	}
	for _, m := range messages {
		_ = m.Ack()
	}
	return nil
}
