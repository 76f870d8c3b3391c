package webhooks

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/stream"
)

// lettersKept bounds the letters of one stream that are kept: some megabytes.
const lettersKept = 4096

// letter is an event as it is sent: read and encoded once for all endpoints.
type letter struct {
	notice
	told bool // whether it is meant for anybody
	body []byte
}

// letters reads the events of one stream, and keeps the last ones that were read: what many endpoints are to hear they
// are to hear at about the same time.
type letters struct {
	source
	js  jetstream.JetStream
	log *zap.Logger

	reading chan struct{} // one reads, and the others find it afterwards
	mu      sync.Mutex
	kept    [lettersKept]*letter // by sequence, modulo the size
}

func newLetters(src source, js jetstream.JetStream, log *zap.Logger) *letters {
	return &letters{source: src, js: js, log: log, reading: make(chan struct{}, 1)}
}

// take reads the message. Of one that is not readable nobody is told, and the log says so; the error is that it is of a
// newer release, which must not pass over it.
func (l *letters) take(sequence uint64, subject string, payload []byte) (*letter, error) {
	if known := l.known(sequence, 1); len(known) > 0 {
		return known[0], nil
	}
	n, told, err := l.notice(sequence, subject, payload)
	read := &letter{notice: n, told: told && err == nil}
	if read.told {
		read.body, err = n.event.Body()
	}
	if newer, is := errors.AsType[*stream.NewerSchemaError](err); is {
		return nil, newer
	}
	if err != nil {
		read = &letter{notice: notice{source: l.stream, sequence: sequence}}
		l.log.Error("event not readable, nobody is told of it", zap.String("stream", l.stream), zap.Uint64("sequence", sequence), zap.Error(err))
	}
	l.keep(read)
	return read, nil
}

// forget drops what is kept: the stream lost its end, and other events get the same sequences.
func (l *letters) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.kept[:])
}

// known gives up to limit letters from the sequence on, one behind the other, as far as they are kept.
func (l *letters) known(from uint64, limit int) []*letter {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []*letter
	for sequence := from; len(found) < limit; sequence++ {
		kept := l.kept[sequence%lettersKept]
		if kept == nil || kept.sequence != sequence {
			break
		}
		found = append(found, kept)
	}
	return found
}

// from gives 1 to limit letters from the sequence on, one behind the other, and none when the stream, or the replica that
// answered, ends before it. Of an event that the stream has lost nobody is told.
func (l *letters) from(ctx context.Context, from uint64, limit int) ([]*letter, error) {
	if found := l.known(from, limit); len(found) > 0 {
		return found, nil
	}
	select {
	case l.reading <- struct{}{}:
		defer func() { <-l.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if found := l.known(from, limit); len(found) > 0 {
		return found, nil
	}
	if !l.js.Conn().IsConnected() {
		return nil, fmt.Errorf("read %s: %w", l.stream, nats.ErrDisconnected) // else all would wait for it in turn
	}
	messages, err := readRange(ctx, l.js, l.stream, from, limit)
	if err != nil {
		return nil, err
	}
	if len(messages) == 0 {
		return l.missing(ctx, from, limit)
	}
	found := make([]*letter, 0, len(messages))
	for _, m := range messages {
		read, err := l.take(m.Sequence, m.Subject, m.Data)
		if err != nil && len(found) == 0 {
			return nil, err
		}
		if err != nil {
			break
		}
		found = append(found, read)
	}
	return found, nil
}

// missing gives 1 to limit letters, of which nobody is told, in place of those that the stream's leader does not have from
// the sequence on, and says so: the stream is damaged there. It gives none when the leader has the first one.
func (l *letters) missing(ctx context.Context, from uint64, limit int) ([]*letter, error) {
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	first, err := stream.FirstFrom(ask, l.js.Conn(), l.stream, from)
	if errors.Is(err, stream.ErrNoRecord) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", l.stream, err)
	}
	var found []*letter
	for sequence := from; sequence < first && len(found) < limit; sequence++ {
		found = append(found, &letter{notice: notice{source: l.stream, sequence: sequence}})
	}
	if len(found) > 0 {
		l.log.Error("events are missing, nobody is told of them: the stream is damaged, restore it from a replica or a backup",
			zap.String("stream", l.stream), zap.Uint64("from", from), zap.Uint64("to", found[len(found)-1].sequence))
	}
	l.keep(found...)
	return found, nil
}

func (l *letters) keep(read ...*letter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range read {
		l.kept[r.sequence%lettersKept] = r
	}
}

// one gives the letter at the sequence. Those behind it are read with it: they are asked for next.
func (l *letters) one(ctx context.Context, sequence uint64) (*letter, error) {
	if known := l.known(sequence, 1); len(known) > 0 {
		return known[0], nil
	}
	found, err := l.from(ctx, sequence, readAhead)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("read %s: no sequence %d", l.stream, sequence)
	}
	if err != nil {
		return nil, err
	}
	return found[0], nil
}
