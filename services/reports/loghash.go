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

// from goes on behind a sequence, and keeps where it stops unless it kept more.
func (l *logHash) from(ctx context.Context, after uint64, sum hash.Hash, upTo uint64) (string, error) {
	var state, last []byte
	seq := after
	err := l.warehouse.PayloadHashes(ctx, after, upTo, func(payload []byte) (err error) {
		seq++
		if after > 0 && seq == l.upTo && !bytes.Equal(payload, l.last) {
			return errAnotherLog
		}
		if seq == upTo {
			last = bytes.Clone(payload)
			if state, err = sum.(encoding.BinaryMarshaler).MarshalBinary(); err != nil { //nolint:forcetypeassert // SHA-256 promises it
				return fmt.Errorf("keep the hash of the log: %w", err)
			}
		}
		_, err = sum.Write(payload)
		return err
	})
	if err != nil {
		return "", err
	}
	if upTo >= l.upTo {
		l.upTo, l.last, l.state = upTo, last, state
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
