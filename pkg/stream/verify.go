package stream

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// EndsBucket remembers how far the log was known to reach, apart from the log and from every projection of it: a log that
// lost its end hands out the same sequences again, and nothing else might remember the first ones.
const EndsBucket = "log_ends"

// markEvery is how often the end of a log that grows is remembered. What is lost of the last moment goes unnoticed.
const markEvery = time.Second

// mark is an event that the log must hold.
type mark struct {
	Sequence uint64 `json:"sequence"`
	Hash     []byte `json:"hash"` // of its payload
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
	_, payload, err := askLeader(ctx, l.nc, DealsStream, getRequest{Sequence: sequence})
	switch {
	case errors.Is(err, ErrNoRecord):
		return [sha256.Size]byte{}, &ChangedError{Sequence: sequence}
	case err != nil:
		return [sha256.Size]byte{}, fmt.Errorf("read event %d: %w", sequence, err)
	}
	return sha256.Sum256(payload), nil
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
	first, last, err := l.bounds(ctx)
	if err != nil {
		return err
	}
	known, _, err := l.remembered(ctx)
	if err != nil {
		return err
	}
	if err := l.reaches(ctx, known, last); err != nil {
		return err
	}
	if last < first {
		return nil
	}
	_, err = l.HashAt(ctx, last) // nothing comes behind it that would show it to be missing
	if _, missing := errors.AsType[*ChangedError](err); missing {
		return &GapError{Want: last, Got: last + 1}
	}
	if err != nil {
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

// reaches compares the log, which ends at last, with the end that was remembered.
func (l *Log) reaches(ctx context.Context, known mark, last uint64) error {
	if known.Sequence == 0 {
		return nil
	}
	if known.Sequence > last {
		return &TruncatedError{Known: known.Sequence, Last: last}
	}
	hash, err := l.HashAt(ctx, known.Sequence)
	if err == nil && !bytes.Equal(hash[:], known.Hash) {
		err = &ChangedError{Sequence: known.Sequence}
	}
	return err
}

// remembered is the end that was remembered, and its revision in the bucket; both are zero when there is none.
func (l *Log) remembered(ctx context.Context) (m mark, revision uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	kv, err := l.js.KeyValue(ctx, EndsBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return mark{}, 0, nil
	}
	if err != nil {
		return mark{}, 0, fmt.Errorf("read the log's remembered end: %w", err)
	}
	entry, err := kv.Get(ctx, DealsStream)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return mark{}, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(entry.Value(), &m)
	}
	if err != nil {
		return mark{}, 0, fmt.Errorf("read the log's remembered end: %w", err)
	}
	return m, entry.Revision(), nil
}

// Remember lets Verify know that the log reaches to its present end. The errors are those of a log that lost what was
// remembered before, TruncatedError and ChangedError, and others after which it may be tried again.
func (l *Log) Remember(ctx context.Context) error {
	_, last, err := l.bounds(ctx)
	if err != nil {
		return err
	}
	known, revision, err := l.remembered(ctx)
	if err != nil || last == known.Sequence {
		return err
	}
	if err := l.reaches(ctx, known, last); err != nil {
		return err
	}
	return l.remember(ctx, last, revision)
}

// Accept takes the log as it is: what it lost is forgotten.
func (l *Log) Accept(ctx context.Context) error {
	_, last, err := l.bounds(ctx)
	if err != nil {
		return err
	}
	known, revision, err := l.remembered(ctx)
	if err != nil || known.Sequence == 0 {
		return err
	}
	return l.remember(ctx, last, revision)
}

// remember puts the end at last in the place of what was remembered at the revision.
func (l *Log) remember(ctx context.Context, last, revision uint64) error {
	now := mark{Sequence: last}
	if last > 0 {
		hash, err := l.HashAt(ctx, last)
		if err != nil {
			return err
		}
		now.Hash = hash[:]
	}
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

// KeepEnd remembers the end of the log while it grows, every second and once more when ctx ends; not before the log is
// open to be written: until then it may be one that lost its end. tell hears of every try, nil when it went well.
func (l *Log) KeepEnd(ctx context.Context, open <-chan struct{}, tell func(error)) {
	tick := time.NewTicker(markEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		select {
		case <-open:
			tell(l.Remember(context.WithoutCancel(ctx)))
		default:
		}
	}
}
