package reports

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"sync"

	"github.com/dealreg/dealreg/pkg/warehouse"
)

// logHash is the hash of a prefix of the log: SHA-256 over the SHA-256 of each event's payload, from the first sequence
// to the last of the prefix. It keeps where it stopped, in memory, so that the next, longer prefix costs only what is
// new. It begins again when another event stands there: the log was cut, and went on differently.
type logHash struct {
	warehouse *warehouse.Warehouse

	mu    sync.Mutex
	upTo  uint64
	last  []byte // SHA-256 of the payload at upTo
	state []byte // of the hash before upTo, as encoding.BinaryMarshaler gives it; nil at the beginning
}

var errAnotherLog = errors.New("another event stands where the hash of the log stopped")

// of gives the hash of the events up to the sequence, in hexadecimal. The warehouse must hold them all.
func (l *logHash) of(ctx context.Context, upTo uint64) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == nil || upTo < l.upTo {
		return l.from(ctx, 0, sha256.New(), upTo)
	}
	sum := sha256.New()
	if err := sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(l.state); err != nil { //nolint:forcetypeassert // SHA-256 promises it
		return "", fmt.Errorf("go on with the hash of the log: %w", err)
	}
	text, err := l.from(ctx, l.upTo-1, sum, upTo)
	if errors.Is(err, errAnotherLog) {
		l.upTo, l.last, l.state = 0, nil, nil
		return l.from(ctx, 0, sha256.New(), upTo)
	}
	return text, err
}

// from goes on behind a sequence, and keeps where it stops, also at an error, unless it kept more.
func (l *logHash) from(ctx context.Context, after uint64, sum hash.Hash, upTo uint64) (string, error) {
	seq, last := after, []byte(nil) // the last is not in the sum yet
	err := l.warehouse.PayloadHashes(ctx, after, upTo, func(payload []byte) error {
		if after > 0 && seq+1 == l.upTo && !bytes.Equal(payload, l.last) {
			return errAnotherLog
		}
		sum.Write(last)
		seq, last = seq+1, append(last[:0], payload...)
		return nil
	})
	if last != nil && seq >= l.upTo {
		state, failed := sum.(encoding.BinaryMarshaler).MarshalBinary() //nolint:forcetypeassert // SHA-256 promises it
		if failed != nil {
			return "", fmt.Errorf("keep the hash of the log: %w", failed)
		}
		l.upTo, l.last, l.state = seq, last, state
	}
	if err != nil {
		return "", err
	}
	sum.Write(last)
	return hex.EncodeToString(sum.Sum(nil)), nil
}
