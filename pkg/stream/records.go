package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoRecord says that the stream has no message on the subject.
var ErrNoRecord = errors.New("there is no such record")

// Records writes and reads the stream of records that change: the last message on a subject is where its record stands.
type Records struct {
	nc *nats.Conn
	js jetstream.JetStream
}

// NewRecords makes Records on the connection. It asks nothing of the server yet.
func NewRecords(nc *nats.Conn) (*Records, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	return &Records{nc: nc, js: js}, nil
}

// Last reads the latest message on the subject, which may have wildcards, from the stream's leader: what a decision
// rests on. Errors are ErrNoRecord, ErrUnknown and those of the server.
func (r *Records) Last(ctx context.Context, subject string) (sequence uint64, payload []byte, err error) {
	m, err := LastMessage(ctx, r.nc, RecordsStream, subject)
	if err != nil && !errors.Is(err, ErrNoRecord) {
		err = fmt.Errorf("read the records: %w", err)
	}
	return m.Sequence, m.Data, err
}

// Put writes the record behind the subject's message at the sequence, 0 for a new record, and returns the new sequence
// once it is on the disk. Errors are ErrConflict, when another message came first, and ErrUnknown.
func (r *Records) Put(ctx context.Context, subject string, behind uint64, payload []byte) (uint64, error) {
	ack, err := r.js.Publish(ctx, subject, payload,
		jetstream.WithExpectStream(RecordsStream), jetstream.WithExpectLastSequencePerSubject(behind))
	switch {
	case err == nil:
		return ack.Sequence, nil
	case isConflict(err):
		return 0, fmt.Errorf("write a record behind sequence %d: %w", behind, ErrConflict)
	}
	return 0, fmt.Errorf("write a record: %w: %w", ErrUnknown, err)
}
