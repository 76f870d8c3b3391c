package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// state is how far a mail is.
type state string

// The states of a mail. All but due and sending are final.
const (
	stateDue     state = "due"
	stateSending state = "sending" // the server may or may not have it
	stateSent    state = "sent"    // the server has taken it
	stateRefused state = "refused" // the server never will
	stateDropped state = "dropped" // nobody needs it any more
	stateUnclear state = "unclear" // the server may have taken it twice, and is not asked a third time
)

func (s state) final() bool { return s != stateDue && s != stateSending }

// record is one cause in the bucket.
type record struct {
	cause
	State  state     `json:"state"`
	Doubts int       `json:"doubts,omitempty"` // attempts of which nobody knows how they ended
	Tries  int       `json:"tries,omitempty"`
	NextAt time.Time `json:"next_at"` // of a mail that is due: not before
	Why    string    `json:"why,omitempty"`
}

// doubt notes an attempt of which nobody knows how it ended. The mail is repeated once, never twice.
func (r *record) doubt() {
	if r.Doubts++; r.Doubts > 1 {
		r.State = stateUnclear
	} else {
		r.State = stateDue
	}
}

// item is a record that is not final, at its revision in the bucket.
type item struct {
	record
	revision uint64
	taken    bool
}

// outbox is every mail that is due, in the bucket and in memory. Only the one process that leads writes to it.
type outbox struct {
	kv jetstream.KeyValue

	mu    sync.Mutex
	items map[string]*item
	wake  chan struct{} // something may be due; it wakes one who waits
}

// openOutbox reads what is not final. A mail that was being sent when another process ended is in doubt.
func openOutbox(ctx context.Context, kv jetstream.KeyValue, now time.Time) (*outbox, error) {
	o := &outbox{kv: kv, items: map[string]*item{}, wake: make(chan struct{}, 1)}
	all, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("read the outbox: %w", err)
	}
	defer all.Stop() //nolint:errcheck // it ends with ctx
	for {
		select {
		case entry, open := <-all.Updates():
			if !open {
				return nil, errors.New("read the outbox: it ended too early")
			}
			if entry == nil {
				return o, o.settle(ctx, now)
			}
			if err := o.load(entry); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("read the outbox: %w", ctx.Err())
		}
	}
}

func (o *outbox) load(entry jetstream.KeyValueEntry) error {
	if entry.Key() == positionKey {
		return nil
	}
	it := &item{revision: entry.Revision()}
	if err := json.Unmarshal(entry.Value(), &it.record); err != nil {
		return fmt.Errorf("read the outbox: entry %s: %w", entry.Key(), err)
	}
	if !it.State.final() {
		o.items[entry.Key()] = it
	}
	return nil
}

// settle writes down which attempts were cut off.
func (o *outbox) settle(ctx context.Context, now time.Time) error {
	for _, it := range o.items {
		if it.State != stateSending {
			continue
		}
		it.doubt()
		it.NextAt, it.Why = now, "the process ended while it sent"
		if err := o.put(ctx, it); err != nil {
			return err
		}
	}
	return nil
}

// add puts a mail in, unless its cause has or had one.
func (o *outbox) add(ctx context.Context, c cause, now time.Time) error {
	it := &item{record: record{cause: c, State: stateDue, NextAt: now.UTC()}}
	text, err := json.Marshal(it.record)
	if err != nil {
		return fmt.Errorf("encode a mail: %w", err)
	}
	it.revision, err = o.kv.Create(ctx, c.key(), text)
	if errors.Is(err, jetstream.ErrKeyExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("put a mail into the outbox: %w", err)
	}
	o.mu.Lock()
	o.items[c.key()] = it
	o.mu.Unlock()
	o.nudge()
	return nil
}

// put writes the item over what it was. An error means that another process may lead now.
func (o *outbox) put(ctx context.Context, it *item) error {
	text, err := json.Marshal(it.record)
	if err != nil {
		return fmt.Errorf("encode a mail: %w", err)
	}
	revision, err := o.kv.Update(ctx, it.key(), text, it.revision)
	if err != nil {
		return fmt.Errorf("write to the outbox: %w", err)
	}
	it.revision = revision
	if it.State.final() {
		o.mu.Lock()
		delete(o.items, it.key())
		o.mu.Unlock()
	}
	return nil
}

// take gives a mail that is due, the longest first; nil when none is, with the time of the next one, zero for none.
func (o *outbox) take(now time.Time) (*item, time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var first *item
	for _, it := range o.items {
		if !it.taken && (first == nil || it.NextAt.Before(first.NextAt)) {
			first = it
		}
	}
	if first == nil {
		return nil, time.Time{}
	}
	if first.NextAt.After(now) {
		return nil, first.NextAt
	}
	first.taken = true
	o.nudge() // there may be more
	return first, time.Time{}
}

// giveBack ends what take began.
func (o *outbox) giveBack(it *item) {
	o.mu.Lock()
	it.taken = false
	o.mu.Unlock()
}

func (o *outbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.items)
}

func (o *outbox) nudge() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}
