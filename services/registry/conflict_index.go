package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
)

// conflictIndex holds every flag in memory, as far as its reader is. To look up a deal that has none costs nothing, and
// takes as long as to look up one whose flags the caller may not see.
type conflictIndex struct {
	mu     sync.Mutex
	byDeal map[deal.ID]map[deal.ID]flag // by either deal, then by the other
	at     uint64                       // the sequence of the latest record that is in it
	moved  chan struct{}                // closed when at moves
}

func newConflictIndex() *conflictIndex {
	return &conflictIndex{byDeal: map[deal.ID]map[deal.ID]flag{}, moved: make(chan struct{})}
}

// of gives the flags of the deal, in the order of the other deals' IDs.
func (x *conflictIndex) of(id deal.ID) []flag {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.SortedFunc(maps.Values(x.byDeal[id]), func(a, b flag) int { return a.other(id).Compare(b.other(id)) })
}

// between gives the flag of the two deals, if there is one.
func (x *conflictIndex) between(a, b deal.ID) (flag, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f, found := x.byDeal[a][b]
	return f, found
}

// undecided gives the flags that wait for a decision that the association's registrar may make; all that wait when it is zero.
func (x *conflictIndex) undecided(association deal.ID) (flags []flag) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for id, others := range x.byDeal {
		for _, f := range others {
			if f.Deals[0] == id && f.State == stream.ConflictUndecided && (association.IsZero() || slices.Contains(f.Associations, association)) {
				flags = append(flags, f)
			}
		}
	}
	return flags
}

// add takes the flag in unless a later record of it is there.
func (x *conflictIndex) add(f flag) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, id := range f.Deals {
		other := f.Deals[1-i]
		if x.byDeal[id] == nil {
			x.byDeal[id] = map[deal.ID]flag{}
		}
		if x.byDeal[id][other].sequence < f.sequence {
			x.byDeal[id][other] = f
		}
	}
}

// reached says that every record up to the sequence is in.
func (x *conflictIndex) reached(sequence uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.at = max(x.at, sequence)
	close(x.moved)
	x.moved = make(chan struct{})
}

// waitFor returns when the record at the sequence is in, or with the error of ctx.
func (x *conflictIndex) waitFor(ctx context.Context, sequence uint64) error {
	for {
		x.mu.Lock()
		at, moved := x.at, x.moved
		x.mu.Unlock()
		if at >= sequence {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fmt.Errorf("wait for the flag at sequence %d: %w", sequence, ctx.Err())
		}
	}
}

// read brings the latest record of every flag and then each new one into the index. It ends with an error, after which it
// may begin again. It reads as an ordered consumer does, which would not end with ctx while the broker is away.
func (c *conflicts) read(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	consumer, err := c.s.js.CreateConsumer(within, stream.RecordsStream, jetstream.ConsumerConfig{
		Description: "Flags that two deals may be one, for a registry's memory.", FilterSubject: stream.ConflictSubjects,
		DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("read the flags: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullExpiry(10*time.Second), jetstream.PullHeartbeat(2*time.Second),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return fmt.Errorf("read the flags: %w", err)
	}
	defer messages.Stop()
	for delivered := uint64(1); ; delivered++ {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("read the flags: %w", err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read the flags: %w", err)
		}
		if meta.Sequence.Consumer != delivered {
			return errFlagLost
		}
		f := flag{sequence: meta.Sequence.Stream}
		if err := json.Unmarshal(m.Data(), &f.conflict); err != nil {
			c.s.cfg.Log.Error("flag cannot be read", zap.String("subject", m.Subject()), zap.Error(err))
		} else {
			c.index.add(f)
		}
		c.index.reached(f.sequence)
	}
}

var errFlagLost = errors.New("a flag got lost between the records and here: read again")

// catchUp returns when every flag that is in the records now is in memory. The leader says which one is the last.
func (c *conflicts) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	last, _, err := c.records.Last(ctx, stream.ConflictSubjects)
	switch {
	case errors.Is(err, stream.ErrNoRecord):
		return nil
	case err != nil:
		return err
	}
	return c.index.waitFor(ctx, last)
}
