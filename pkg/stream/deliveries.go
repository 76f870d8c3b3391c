package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/dealreg/dealreg/pkg/deal"
)

// The streams of the webhooks. Neither is the truth of anything but of what is still to be delivered or to be kept.
const (
	DeliveriesStream = "DELIVERIES" // what waits to be delivered: a work queue, with retries as message schedules
	AttemptsStream   = "ATTEMPTS"   // what was tried, on its way to the warehouse
)

// AttemptsSubject is where the attempts are.
const AttemptsSubject = "attempts"

// EndpointSubjects is where it is recorded that endpoints were disabled.
const EndpointSubjects = "records.endpoint.*"

// EndpointSubject is where it is recorded that the endpoint was disabled.
func EndpointSubject(endpoint deal.ID) string { return "records.endpoint." + endpoint.String() }

// EndpointRecord is what the records keep of an endpoint that was disabled.
type EndpointRecord struct {
	Endpoint    deal.ID   `json:"endpoint_id"`
	Company     deal.ID   `json:"company_id,omitzero"`     // the owner: a company
	Association deal.ID   `json:"association_id,omitzero"` // or an association
	Deals       bool      `json:"deals,omitempty"`         // whether an association's endpoint hears of its deals
	Reason      string    `json:"reason"`
	At          time.Time `json:"at"`
}

// DecodeEndpoint reads the payload of a message of EndpointSubjects.
func DecodeEndpoint(payload []byte) (EndpointRecord, error) {
	var r EndpointRecord
	if err := json.Unmarshal(payload, &r); err != nil {
		return EndpointRecord{}, fmt.Errorf("read the record of an endpoint: %w", err)
	}
	return r, nil
}

// Lanes is the number of queues over which endpoints are spread, so that a few consumers serve any number of endpoints.
const Lanes = 64

// Bounds of what waits in ATTEMPTS while the warehouse is away; the oldest attempts go first.
const (
	attemptsMaxBytes = 256 << 20
	attemptsMaxAge   = 7 * 24 * time.Hour
)

// Lane is the queue of an endpoint, 0 to Lanes-1.
func Lane(endpoint deal.ID) int {
	h := fnv.New32a()
	_, _ = h.Write(endpoint[:])
	return int(h.Sum32() % Lanes)
}

// LaneSubjects is where the deliveries of all endpoints of one lane are.
func LaneSubjects(lane int) string { return fmt.Sprintf("deliveries.%d.*", lane) }

// DeliverySubject is where the deliveries of one endpoint are that are due.
func DeliverySubject(endpoint deal.ID) string {
	return fmt.Sprintf("deliveries.%d.%s", Lane(endpoint), endpoint)
}

// retrySubject is where one event waits for its next attempt: a later schedule takes the place of an earlier one.
func retrySubject(d Delivery) string {
	return fmt.Sprintf("retries.%s.%s-%d", d.Endpoint, d.Source, d.Sequences[0])
}

// MostEvents bounds the events of one delivery: some kilobytes. The removal of a message costs the queue a sync of the disk,
// whatever is in it.
const MostEvents = 256

// Delivery is events on their way to one endpoint. It names them; what they say is in their stream, for all endpoints
// once.
type Delivery struct {
	Endpoint  deal.ID  `json:"endpoint"`
	Source    string   `json:"source"`          // the stream of the events, DealsStream or RecordsStream
	Sequences []uint64 `json:"sequences"`       // of the events in that stream, rising, 1 to MostEvents
	Head      uint64   `json:"head,omitempty"`  // a sequence of that stream that existed when this was written
	Attempt   int      `json:"attempt"`         // of the next attempt, from 1; from 2 on there is one event
	Again     bool     `json:"again,omitempty"` // somebody asked for it: the endpoint may have had it before

	// At is when the last of the events came into its stream, for Put alone. A stream that lost its end gives the same sequence
	// again, to another event at another time.
	At time.Time `json:"-"`
}

// Fresh tells whether the events come in the order of their stream and were never tried.
func (d Delivery) Fresh() bool { return d.Attempt == 1 && !d.Again }

// DecodeDelivery reads the payload of a message of DELIVERIES.
func DecodeDelivery(payload []byte) (Delivery, error) {
	var d Delivery
	if err := json.Unmarshal(payload, &d); err != nil {
		return Delivery{}, fmt.Errorf("read a delivery: %w", err)
	}
	if d.Endpoint.IsZero() || d.Source == "" || len(d.Sequences) == 0 || d.Attempt < 1 {
		return Delivery{}, errors.New("read a delivery: endpoint, source, sequences or attempt are missing")
	}
	return d, nil
}

// EnsureDeliveries creates the streams of the webhooks that are missing, and leaves what exists as it is.
func EnsureDeliveries(ctx context.Context, js jetstream.JetStream, replicas int) error {
	for _, cfg := range []jetstream.StreamConfig{
		{
			Name: DeliveriesStream, Subjects: []string{"deliveries.*.*", "retries.*.*"},
			Description: "Events on their way to endpoints of webhooks, and those that wait for another attempt.",
			Retention:   jetstream.WorkQueuePolicy, Discard: jetstream.DiscardOld, AllowRollup: true,
			AllowMsgSchedules: true, AllowAtomicPublish: true, Duplicates: 10 * time.Minute,
		},
		{
			Name: AttemptsStream, Subjects: []string{AttemptsSubject},
			Description: "Attempts to deliver webhooks, on their way to the warehouse.",
			Retention:   jetstream.WorkQueuePolicy, Discard: jetstream.DiscardOld, AllowAtomicPublish: true,
			MaxBytes: attemptsMaxBytes, MaxAge: attemptsMaxAge,
		},
	} {
		cfg.Storage, cfg.Replicas = jetstream.FileStorage, max(1, replicas)
		_, err := js.CreateStream(ctx, cfg)
		if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return fmt.Errorf("create stream %s: %w", cfg.Name, err)
		}
	}
	return nil
}

// Deliveries writes to the queue of what is to be delivered.
type Deliveries struct{ js jetstream.JetStream }

// NewDeliveries asks nothing of the server yet.
func NewDeliveries(js jetstream.JetStream) *Deliveries { return &Deliveries{js: js} }

// batchFrom is the number of messages from which one atomic batch is quicker than single ones: a batch is staged on the
// disk first, single ones are each synced.
const batchFrom = 32

// Put writes deliveries that are due. When it returns nil all of them are on the disk; after an error any may be. One
// event that is put again within ten minutes is dropped when it was put alone both times, so a repetition is rare but must
// be borne.
func (q *Deliveries) Put(ctx context.Context, deliveries ...Delivery) error {
	messages := make([]*nats.Msg, len(deliveries))
	for i, d := range deliveries {
		m, err := message(DeliverySubject(d.Endpoint), d)
		if err != nil {
			return err
		}
		messages[i] = m
	}
	return PutAll(ctx, q.js, messages, func(i int) string {
		d := deliveries[i]
		if !d.Fresh() || len(d.Sequences) > 1 { // meant to be put again, or put again with others
			return ""
		}
		return fmt.Sprintf("%s/%s/%d/%d", d.Endpoint, d.Source, d.Sequences[0], d.At.UnixNano())
	})
}

// Later writes a delivery of one event that is due at the time, and returns when it is on the disk. It takes the place of
// what waits for the same event and endpoint.
func (q *Deliveries) Later(ctx context.Context, d Delivery, at time.Time) error {
	m, err := message(retrySubject(d), d)
	if err != nil {
		return err
	}
	// The client's own option cuts the time to whole seconds.
	m.Header.Set("Nats-Schedule", "@at "+at.UTC().Format(time.RFC3339Nano))
	m.Header.Set("Nats-Schedule-Target", DeliverySubject(d.Endpoint))
	if _, err := q.js.PublishMsg(ctx, m); err != nil {
		return fmt.Errorf("schedule a delivery: %w", err)
	}
	return nil
}

func message(subject string, v any) (*nats.Msg, error) {
	payload, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode for %s: %w", subject, err)
	}
	m := nats.NewMsg(subject)
	m.Data = payload
	return m, nil
}

// PutAll writes messages to one stream, few singly and many in atomic batches, and returns nil when all are on the disk.
// name gives the name by which the server drops a single message that was written before, or nothing.
func PutAll(ctx context.Context, js jetstream.JetStream, messages []*nats.Msg, name func(i int) string) error {
	if len(messages) >= batchFrom {
		for start := 0; start < len(messages); start += maxBatch {
			some := messages[start:min(start+maxBatch, len(messages))]
			if _, err := jetstreamext.PublishMsgBatch(ctx, js, some, jetstreamext.BatchFlowControl{}); err != nil {
				return fmt.Errorf("write %d messages: %w", len(some), err)
			}
		}
		return nil
	}
	acks := make([]jetstream.PubAckFuture, len(messages))
	for i, m := range messages {
		var options []jetstream.PublishOpt
		if n := name(i); n != "" {
			options = append(options, jetstream.WithMsgID(n))
		}
		ack, err := js.PublishMsgAsync(m, options...)
		if err != nil {
			return fmt.Errorf("write a message: %w", err)
		}
		acks[i] = ack
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return fmt.Errorf("write a message: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("write a message: %w", ctx.Err())
		}
	}
	return nil
}
