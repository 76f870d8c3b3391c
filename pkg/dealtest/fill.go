package dealtest

import (
	"bytes"
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/dealreg/dealreg/pkg/stream"
)

// fillBatch is how many messages nats-server takes in one atomic batch.
const fillBatch = 1000

// Filled is what Fill wrote.
type Filled struct{ Events, Bytes uint64 }

// Fill writes what is left of the history behind the log's end. The streams exist. wrote hears how far it is; nil for nobody.
func (b *Bulk) Fill(ctx context.Context, js jetstream.JetStream, wrote func(Filled)) (Filled, error) {
	var filled Filled
	messages := make([]*nats.Msg, 0, fillBatch)
	for more := true; more; {
		var m *nats.Msg
		if m, more = b.message(); more {
			messages = append(messages, m)
		}
		if len(messages) < fillBatch && more || len(messages) == 0 {
			continue
		}
		if _, err := jetstreamext.PublishMsgBatch(ctx, js, messages); err != nil {
			return filled, fmt.Errorf("fill the log: %w", err)
		}
		for _, m := range messages {
			filled.Bytes += uint64(len(m.Data))
		}
		filled.Events += uint64(len(messages))
		messages = messages[:0]
		if wrote != nil {
			wrote(filled)
		}
	}
	return filled, nil
}

func (b *Bulk) message() (*nats.Msg, bool) {
	id, payload, more := b.Next()
	if !more {
		return nil, false
	}
	m := nats.NewMsg(stream.Subject(id))
	m.Data = bytes.Clone(payload)
	return m, true
}
