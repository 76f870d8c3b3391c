package reports

import (
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"fmt"
	"hash"
	"sync"

	"github.com/dealreg/dealreg/pkg/warehouse"
)

// logHash is the hash of a prefix of the log: SHA-256 over the SHA-256 of each event's payload, from the first sequence
// to the last of the prefix. It keeps where it stopped, in memory, so that the next, longer prefix costs only what is
// new.
type logHash struct {
	warehouse *warehouse.Warehouse

	mu    sync.Mutex
	upTo  uint64
	state []byte // of the hash after upTo, as encoding.BinaryMarshaler gives it; nil at the beginning
}

// of gives the hash of the events up to the sequence, in hexadecimal. The warehouse must hold them all.
func (l *logHash) of(ctx context.Context, upTo uint64) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	after, sum := uint64(0), sha256.New()
	if l.state != nil && l.upTo <= upTo {
		if err := sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(l.state); err != nil { //nolint:forcetypeassert // SHA-256 promises it
			return "", fmt.Errorf("go on with the hash of the log: %w", err)
		}
		after = l.upTo
	}
	err := l.warehouse.PayloadHashes(ctx, after, upTo, func(payload []byte) error { _, err := sum.Write(payload); return err })
	if err != nil {
		return "", err
	}
	if upTo >= l.upTo {
		if err := l.keep(sum, upTo); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func (l *logHash) keep(sum hash.Hash, upTo uint64) error {
	state, err := sum.(encoding.BinaryMarshaler).MarshalBinary() //nolint:forcetypeassert // SHA-256 promises it
	if err != nil {
		return fmt.Errorf("keep the hash of the log: %w", err)
	}
	l.upTo, l.state = upTo, state
	return nil
}
