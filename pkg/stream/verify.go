package stream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// EndsBucket remembers how far the log was known to reach, apart from the log and from every projection of it: a log that
// lost its end hands out the same sequences again, and nothing else might remember the first ones.
const EndsBucket = "log_ends"

// markEvery is how often the end of a log that grows is remembered. What is lost of the last moment goes unnoticed.
const markEvery = time.Second

// End is the last event of a log, as it was at some time: the log must hold it ever after. The zero End is that of an
// empty log.
type End struct {
	Sequence uint64 `json:"sequence"`
	Hash     []byte `json:"hash,omitempty"` // of its payload
}

func ensureEnds(ctx context.Context, js jetstream.JetStream, replicas int) error {
	_, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: EndsBucket, Description: "How far the log is known to reach.", History: 1, Storage: jetstream.FileStorage, Replicas: replicas,
	})
	if err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
		return fmt.Errorf("create bucket %s: %w", EndsBucket, err)
	}
	return nil
}

// HashAt reads the event at the sequence from the stream's leader and hashes it. A missing one is a ChangedError.
func (l *Log) HashAt(ctx context.Context, sequence uint64) ([sha256.Size]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	m, err := askLeader(ctx, l.nc, DealsStream, getRequest{Sequence: sequence})
	switch {
	case errors.Is(err, ErrNoRecord):
		return [sha256.Size]byte{}, &ChangedError{Sequence: sequence}
	case err != nil:
		return [sha256.Size]byte{}, fmt.Errorf("read event %d: %w", sequence, err)
	}
	return sha256.Sum256(m.Data), nil
}

// errThrough ends the reading of Verify.
var errThrough = errors.New("the log was read to its end")

// Verify makes sure that the log reaches as far as it was known to, and that none of its events is missing. It reads the
// whole log, without the bodies: the broker checks each event on its disk, and passes over one that is damaged as if it
// had never been there. Then it would take the same deal once more, which is why nothing may be written before, and why
// this does not begin where it once ended. began hears how many events are read; nil for nobody.
//
// The errors are TruncatedError, ChangedError and GapError, and others after which it may be tried again.
func (l *Log) Verify(ctx context.Context, began func(events uint64)) error {
	if err := l.Reaches(ctx); err != nil {
		return err
	}
	first, last, err := l.bounds(ctx)
	if err != nil || last < first {
		return err
	}
	if _, err := l.hashWithin(ctx, last, last); err != nil { // sooner than by the silence behind it
		return err
	}
	if began != nil {
		began(last - first + 1)
	}
	err = l.Follow(ctx, first-1, true, nil, func(_ jetstream.Msg, at *jetstream.MsgMetadata) error {
		if at.Sequence.Stream >= last {
			return errThrough
		}
		return nil
	})
	if errors.Is(err, errThrough) {
		return nil
	}
	return err
}

// bounds are the sequence with which the log began, 1 unless it was made otherwise, and its last, less than that when it
// is empty.
func (l *Log) bounds(ctx context.Context) (first, last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s, err := l.js.Stream(ctx, DealsStream)
	if err != nil {
		return 0, 0, fmt.Errorf("find the log: %w", err)
	}
	return max(s.CachedInfo().Config.FirstSeq, 1), s.CachedInfo().State.LastSeq, nil
}

// hashWithin is HashAt of an event that the log must have, since it reaches to the last one: the error is a GapError when it
// is missing. The broker passes over an event that it cannot read; when nothing follows it, only this shows it.
func (l *Log) hashWithin(ctx context.Context, sequence, last uint64) ([sha256.Size]byte, error) {
	hash, err := l.HashAt(ctx, sequence)
	if _, missing := errors.AsType[*ChangedError](err); missing {
		err = &GapError{Want: sequence, Got: last + 1}
	}
	return hash, err
}

// End gives the log's present end. It is a GapError when that cannot be read.
func (l *Log) End(ctx context.Context) (End, error) {
	_, last, err := l.bounds(ctx)
	if err != nil || last == 0 {
		return End{}, err
	}
	hash, err := l.hashWithin(ctx, last, last)
	if err != nil {
		return End{}, err
	}
	return End{Sequence: last, Hash: hash[:]}, nil
}

// Holds makes sure that the log still has what was once its end. The errors are TruncatedError and ChangedError, and
// others after which it may be tried again.
func (l *Log) Holds(ctx context.Context, end End) error {
	_, last, err := l.bounds(ctx)
	switch {
	case err != nil || end.Sequence == 0:
		return err
	case end.Sequence > last:
		return &TruncatedError{Known: end.Sequence, Last: last}
	}
	hash, err := l.HashAt(ctx, end.Sequence)
	if err == nil && !bytes.Equal(hash[:], end.Hash) {
		err = &ChangedError{Sequence: end.Sequence}
	}
	return err
}

// Reaches makes sure that the log reaches as far as it was known to. The errors are those of Holds.
func (l *Log) Reaches(ctx context.Context) error {
	_, _, err := l.reaches(ctx)
	return err
}

// reaches is Reaches, and gives what was remembered.
func (l *Log) reaches(ctx context.Context) (known End, revision uint64, err error) {
	known, revision, err = l.remembered(ctx)
	if err == nil {
		err = l.Holds(ctx, known)
	}
	return known, revision, err
}

// remembered is the end that was remembered, and its revision in the bucket; both are zero when there is none.
func (l *Log) remembered(ctx context.Context) (end End, revision uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := connected(l.nc); err != nil {
		return End{}, 0, fmt.Errorf("read the log's remembered end: %w", err)
	}
	kv, err := l.js.KeyValue(ctx, EndsBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return End{}, 0, nil
	}
	if err != nil {
		return End{}, 0, fmt.Errorf("read the log's remembered end: %w", err)
	}
	entry, err := kv.Get(ctx, DealsStream)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return End{}, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(entry.Value(), &end)
	}
	if err != nil {
		return End{}, 0, fmt.Errorf("read the log's remembered end: %w", err)
	}
	return end, entry.Revision(), nil
}

// Remember lets Verify know that the log reaches to its present end. The errors are those of a log that lost what was
// remembered before, TruncatedError and ChangedError, and others after which it may be tried again.
func (l *Log) Remember(ctx context.Context) error {
	known, revision, err := l.reaches(ctx)
	if err != nil {
		return err
	}
	return l.advance(ctx, known, revision)
}

// advance remembers the present end, in place of the known one.
func (l *Log) advance(ctx context.Context, known End, revision uint64) error {
	now, err := l.End(ctx)
	if err != nil || now.Sequence == known.Sequence {
		return err
	}
	return l.remember(ctx, now, revision)
}

// Accept takes the log as it is: what it lost is forgotten.
func (l *Log) Accept(ctx context.Context) error {
	known, revision, err := l.remembered(ctx)
	if err != nil || known.Sequence == 0 {
		return err
	}
	now, err := l.End(ctx)
	if err != nil {
		return err
	}
	return l.remember(ctx, now, revision)
}

// remember puts the end into the place of what was remembered at the revision.
func (l *Log) remember(ctx context.Context, now End, revision uint64) error {
	value, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("remember the log's end: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	kv, err := l.js.KeyValue(ctx, EndsBucket)
	if err == nil {
		_, err = kv.Update(ctx, DealsStream, value, revision)
	}
	if err != nil {
		return fmt.Errorf("remember the log's end: %w", err)
	}
	return nil
}

// look is what KeepEnd learned when it looked whether the log still holds what was remembered.
type look struct {
	connection uint64        // over which it looked last and got to know; 0 for none
	lost       error         // what it got to know
	next       chan struct{} // closed once it has looked again
}

// connection counts how often there was a new one, from 1 on.
func (l *Log) connection() uint64 { return l.nc.Stats().Reconnects + 1 }

// KeepEnd remembers the end of the log while it grows: at once when the log is open to be written, and not before, since
// until then it may be one that lost its end; then every second, when the connection is back, and once more when ctx ends.
// tell hears of every try, nil when it went well. From now on this Log writes nothing over a connection before it was found
// to hold what was remembered, and nothing while it does not, which Lost tells.
func (l *Log) KeepEnd(ctx context.Context, open <-chan struct{}, tell func(error)) {
	back := l.nc.StatusChanged(nats.CONNECTED)
	defer l.nc.RemoveStatusListener(back)
	tick := time.NewTicker(markEvery)
	defer tick.Stop()
	l.seen.Store(&look{next: make(chan struct{})})
	for opened, ended := open, false; !ended; {
		select {
		case <-opened:
			opened = nil
		case <-tick.C:
		case <-back:
		case <-ctx.Done():
		}
		ended = ctx.Err() != nil // then this look sees the last event
		select {
		case <-open:
			connected, cancel := l.whileConnected(context.WithoutCancel(ctx))
			tell(l.keepEnd(connected))
			cancel()
		default:
		}
	}
}

// whileConnected gives a context that ends with the connection: what was asked over it is never answered then, and the
// writers wait for a look over the next one.
func (l *Log) whileConnected(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	gone := l.nc.StatusChanged(nats.RECONNECTING)
	go func() {
		defer l.nc.RemoveStatusListener(gone)
		select {
		case <-gone:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// keepEnd looks at the log, lets the writers know, and remembers its present end.
func (l *Log) keepEnd(ctx context.Context) error {
	before := l.seen.Load()
	now := &look{connection: l.connection(), next: make(chan struct{})}
	known, revision, err := l.reaches(ctx)
	if now.lost = err; err != nil && !IsLoss(err) {
		now.connection, now.lost = before.connection, before.lost // nothing new is known
	}
	l.seen.Store(now)
	close(before.next)
	if err != nil {
		return err
	}
	return l.advance(ctx, known, revision)
}

// Lost is why the log must not be written any more: the loss that KeepEnd met last, if it is still there; else nil.
func (l *Log) Lost() error {
	if seen := l.seen.Load(); seen != nil {
		return seen.lost
	}
	return nil
}
