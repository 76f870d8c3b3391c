package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/stream"
)

// errChanged says that another writer was first: read again and decide anew.
var errChanged = errors.New("another change came first")

// mirror is a bucket with a copy in memory that follows it. Writes compare and set.
type mirror[T any] struct {
	js      jetstream.JetStream
	bucket  string
	changed func(key string, before, now T) // hears of every change, nil for nobody; it must not block, nor ask the mirror
	loaded  chan struct{}                   // closed once the bucket was read

	mu      sync.Mutex
	entries map[string]entry[T]
	reading map[string]entry[T] // what a new watch has read, until it is at the end: then it is the copy
	seen    uint64              // the last revision of the bucket that is in memory; 0 while it is read anew
	moved   chan struct{}       // closed when seen rises
}

type entry[T any] struct {
	value    T
	revision uint64
	gone     bool
}

func newMirror[T any](js jetstream.JetStream, bucket string) *mirror[T] {
	return &mirror[T]{
		js: js, bucket: bucket, loaded: make(chan struct{}), entries: map[string]entry[T]{}, moved: make(chan struct{}),
	}
}

func createBucket(ctx context.Context, js jetstream.JetStream, bucket, description string, replicas int) error {
	_, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: bucket, Description: description, History: 1, Storage: jetstream.FileStorage, Replicas: max(1, replicas),
	})
	if err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
		return fmt.Errorf("create bucket %s: %w", bucket, err)
	}
	return nil
}

// get gives the value and its revision as far as is known here; revision 0 when there is none.
func (m *mirror[T]) get(key string) (T, uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[key]
	if e.gone {
		var none T
		return none, e.revision // a new value goes over the mark of the deletion
	}
	return e.value, e.revision
}

// has tells whether there is a value, as far as is known here.
func (m *mirror[T]) has(key string) bool {
	_, known := m.find(key)
	return known
}

// find gives the value, and false when there is none as far as is known here.
func (m *mirror[T]) find(key string) (T, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, known := m.entries[key]
	if !known || e.gone {
		var none T
		return none, false
	}
	return e.value, true
}

// all gives every key and value that is known here, in no order.
func (m *mirror[T]) all() iter.Seq2[string, T] {
	m.mu.Lock()
	entries := maps.Clone(m.entries)
	m.mu.Unlock()
	return func(yield func(string, T) bool) {
		for key, e := range entries {
			if !e.gone && !yield(key, e.value) {
				return
			}
		}
	}
}

// count gives how many values are so. It is quick, and the copy waits meanwhile.
func (m *mirror[T]) count(so func(T) bool) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, e := range m.entries {
		if !e.gone && so(e.value) {
			n++
		}
	}
	return n
}

// put writes the value over the revision, 0 for a new one. Errors are errChanged and others that leave open whether it
// was written; after errChanged the copy in memory is that of the bucket.
func (m *mirror[T]) put(ctx context.Context, key string, value T, over uint64) (uint64, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return 0, fmt.Errorf("encode an entry of %s: %w", m.bucket, err)
	}
	if !m.js.Conn().IsConnected() {
		return 0, nats.ErrDisconnected // the client would keep the write and send it when nobody expects it any more
	}
	ack, err := m.js.Publish(ctx, "$KV."+m.bucket+"."+key, text, jetstream.WithExpectLastSequencePerSubject(over))
	if err != nil {
		return 0, m.explain(ctx, key, err)
	}
	m.take(key, entry[T]{value: value, revision: ack.Sequence})
	return ack.Sequence, nil
}

// remove deletes the entry at the revision. Errors are those of put.
func (m *mirror[T]) remove(ctx context.Context, key string, at uint64) error {
	kv, err := m.js.KeyValue(ctx, m.bucket)
	if err != nil {
		return fmt.Errorf("open %s: %w", m.bucket, err)
	}
	if err := kv.Delete(ctx, key, jetstream.LastRevision(at)); err != nil {
		return m.explain(ctx, key, err)
	}
	m.take(key, entry[T]{revision: at + 1, gone: true}) // at least
	return nil
}

func (m *mirror[T]) explain(ctx context.Context, key string, err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) || (api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence &&
		api.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequenceConstant) {
		return fmt.Errorf("write to %s: %w", m.bucket, err)
	}
	if err := m.refresh(ctx, key); err != nil {
		return err
	}
	return errChanged
}

// refresh reads one entry past the copy in memory, and takes it over also when the copy has a later one: then the bucket
// was restored to an older state. That there is none is no error.
func (m *mirror[T]) refresh(ctx context.Context, key string) error {
	m.mu.Lock()
	known := m.entries[key].revision
	m.mu.Unlock()
	last, err := m.last(ctx, key)
	if err != nil {
		return err
	}
	e := entry[T]{revision: last.Sequence, gone: last.Sequence == 0 || bytes.Contains(last.Header, []byte("KV-Operation"))}
	if !e.gone {
		if err := json.Unmarshal(last.Data, &e.value); err != nil {
			return fmt.Errorf("read an entry of %s: %w", m.bucket, err)
		}
	}
	m.replace(key, known, e)
	return nil
}

// catchUp waits until the copy in memory holds all that was in the bucket when it was called.
func (m *mirror[T]) catchUp(ctx context.Context) error {
	last, err := m.last(ctx, ">")
	if err != nil {
		return err
	}
	for {
		m.mu.Lock()
		seen, moved := m.seen, m.moved
		m.mu.Unlock()
		if seen >= last.Sequence {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("wait for the copy of %s: %w", m.bucket, ctx.Err())
		}
	}
}

// last is the newest message of the bucket under some keys, as its leader knows it; Sequence 0 when there is none.
func (m *mirror[T]) last(ctx context.Context, keys string) (stream.Message, error) {
	last, err := stream.LastMessage(ctx, m.js.Conn(), "KV_"+m.bucket, "$KV."+m.bucket+"."+keys)
	if err != nil && !errors.Is(err, stream.ErrNoRecord) {
		return stream.Message{}, fmt.Errorf("read %s: %w", m.bucket, err)
	}
	return last, nil
}

// take takes an entry over unless a later one is known.
func (m *mirror[T]) take(key string, e entry[T]) { m.replace(key, 0, e) }

// replace takes an entry over unless a later one is known, or in place of the revision.
func (m *mirror[T]) replace(key string, revision uint64, e entry[T]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reading != nil && e.revision > m.reading[key].revision {
		m.reading[key] = e
	}
	known := m.entries[key]
	if e.revision > known.revision || e.revision < known.revision && known.revision == revision {
		m.entries[key] = e
		m.tell(key, known, e)
	}
}

// tell tells of a change. The caller holds mu.
func (m *mirror[T]) tell(key string, before, now entry[T]) {
	if m.changed != nil && before.revision != now.revision {
		m.changed(key, before.value, now.value)
	}
}

// follow keeps the copy up to date until ctx ends. It waits for the bucket, and reads it anew after a failure: then it may
// have been restored to an older state.
// report hears how it is, nil for well.
func (m *mirror[T]) follow(ctx context.Context, report func(error)) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 20*time.Millisecond, 2*time.Second
	for ctx.Err() == nil {
		err := m.followOnce(ctx, func() {
			pause.Reset()
			report(nil)
		})
		if ctx.Err() != nil {
			return
		}
		report(err)
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
		}
	}
}

func (m *mirror[T]) followOnce(ctx context.Context, began func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reconnected := m.js.Conn().StatusChanged(nats.CONNECTED)
	defer m.js.Conn().RemoveStatusListener(reconnected)
	opening, opened := context.WithTimeout(ctx, 5*time.Second)
	defer opened()
	kv, err := m.js.KeyValue(opening, m.bucket)
	if err != nil {
		return fmt.Errorf("open %s: %w", m.bucket, err)
	}
	m.mu.Lock()
	m.reading, m.seen = map[string]entry[T]{}, 0
	m.mu.Unlock()
	watch, err := kv.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("follow %s: %w", m.bucket, err)
	}
	defer func() {
		go func() { // it blocks on what nobody takes, and ends with the context
			for range watch.Updates() { //nolint:revive // nothing is left to do with them
			}
		}()
	}()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-reconnected:
			return errors.New("the connection was lost and is back")
		case update, open := <-watch.Updates():
			switch {
			case !open:
				return errors.New("the watch ended")
			case update == nil:
				m.renew()
				began()
				m.once(m.loaded)
			default:
				m.apply(update)
			}
		}
	}
}

func (m *mirror[T]) once(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

func (m *mirror[T]) apply(update jetstream.KeyValueEntry) {
	e := entry[T]{revision: update.Revision(), gone: update.Operation() != jetstream.KeyValuePut}
	if !e.gone && json.Unmarshal(update.Value(), &e.value) != nil {
		e.gone = true // not of this release: as if it were not there
	}
	m.take(update.Key(), e)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reading == nil {
		m.reach(e.revision)
	}
}

// renew makes what the watch has read the copy.
func (m *mirror[T]) renew() {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.entries
	m.entries, m.reading = m.reading, nil
	for key, e := range m.entries {
		m.tell(key, before[key], e)
		m.reach(e.revision)
	}
	for key, e := range before {
		if _, still := m.entries[key]; !still {
			m.tell(key, e, entry[T]{})
		}
	}
}

// reach notes that the copy holds all up to the revision. The caller holds mu.
func (m *mirror[T]) reach(revision uint64) {
	if revision > m.seen {
		m.seen = revision
		close(m.moved)
		m.moved = make(chan struct{})
	}
}
