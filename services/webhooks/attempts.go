package webhooks

import (
	"context"
	"encoding/json"
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
	// carriedAtOnce bounds the attempts of one insert, carryEvery is the least time between two that are not full.
	carriedAtOnce = 10_000
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
			r.write(ctx, a)
		case <-ctx.Done():
			for {
				select {
				case a := <-r.held:
					r.write(ctx, a)
				default:
					return nil
				}
			}
		}
	}
}

// write writes the attempt and those that wait behind it. What cannot be written is dropped: it is a record of what was
// done, and nothing rests on it.
func (r *recorder) write(ctx context.Context, a warehouse.Attempt) {
	var messages []*nats.Msg
	for {
		text, err := json.Marshal(a)
		if err == nil {
			m := nats.NewMsg(stream.AttemptsSubject)
			m.Data = text
			messages = append(messages, m)
		}
		if len(messages) == fanoutBatch {
			break
		}
		select {
		case a = <-r.held:
			continue
		default:
		}
		break
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	if err := stream.PutAll(within, r.js, messages, func(int) string { return "" }); err != nil {
		r.dropped.Add(float64(len(messages)))
		r.log.Warn("attempts not recorded", zap.Int("attempts", len(messages)), zap.Error(err))
	}
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
	attempts := make([]warehouse.Attempt, 0, len(messages))
	for _, m := range messages {
		var a warehouse.Attempt
		if err := json.Unmarshal(m.Data(), &a); err != nil {
			s.cfg.Log.Error("attempt not readable, dropped", zap.Error(err))
			continue
		}
		attempts = append(attempts, a)
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
