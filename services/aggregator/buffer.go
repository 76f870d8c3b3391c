package aggregator

import (
	"context"
	"sync"
	"time"

	"github.com/dealreg/dealreg/pkg/warehouse"
)

// patience bounds how long a batch waits for what is known to follow.
const patience = time.Second

// buffer lies between the reader of the log and the insert: one batch fills while the other one is stored. It is the
// one place that weighs latency against throughput. Whoever inserts takes what has gathered, but not before its pace
// allows unless the batch is full; so a lone event goes at once, and the slower the inserts, the larger they are. While
// more of the log is known to follow, the batch is given longer to fill: a large block costs a third of small ones a row.
type buffer struct {
	rows, bytes int

	mu      sync.Mutex
	filling *warehouse.Batch
	full    bool          // the next event must go into another batch
	behind  bool          // more of the log follows the last event
	end     error         // after what is in filling; nil while more may come
	changed chan struct{} // holds a token after filling got its first event, its last one or became full, and after end
	taken   chan struct{} // holds a token after filling was taken
}

func newBuffer(rows, bytes int) *buffer {
	return &buffer{
		rows: rows, bytes: bytes, filling: &warehouse.Batch{},
		changed: make(chan struct{}, 1), taken: make(chan struct{}, 1),
	}
}

// add decodes the event into the filling batch; it waits while that is full. behind tells whether the log holds more.
// Errors are those of ctx and of Append.
func (b *buffer) add(ctx context.Context, seq uint64, storedAt time.Time, payload []byte, behind bool) error {
	for {
		b.mu.Lock()
		if !b.full && b.filling.Takes(seq) {
			err := b.filling.Append(seq, storedAt, payload)
			b.full = b.filling.Len() >= b.rows || b.filling.Bytes() >= b.bytes
			signal := b.full || b.filling.Len() == 1 || b.behind && !behind
			b.behind = behind
			b.mu.Unlock()
			if signal {
				token(b.changed)
			}
			return err
		}
		b.full = true
		b.mu.Unlock()
		token(b.changed)
		select {
		case <-b.taken:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// finish says that no event follows: take gives what is left and then the error.
func (b *buffer) finish(err error) {
	b.mu.Lock()
	b.end = err
	b.mu.Unlock()
	token(b.changed)
}

// take waits for events, and until due unless the batch is full, and then for patience at most while more follows; it
// gives the batch, and an empty one takes its place.
func (b *buffer) take(ctx context.Context, due <-chan time.Time, empty *warehouse.Batch) (*warehouse.Batch, error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for isDue, isLate := false, false; ; {
		b.mu.Lock()
		if b.filling.Len() == 0 && b.end != nil {
			b.mu.Unlock()
			return nil, b.end
		}
		if b.filling.Len() > 0 && (b.full || b.end != nil || isDue && (isLate || !b.behind)) {
			batch := b.filling
			b.filling, b.full = empty, false
			b.mu.Unlock()
			token(b.taken)
			return batch, nil
		}
		b.mu.Unlock()
		select {
		case <-b.changed:
		case <-due:
			isDue, due = true, nil
		case <-late.C:
			isLate = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// token leaves a token in the channel unless there is one.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
