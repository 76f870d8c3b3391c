package stream

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/dealreg/dealreg/pkg/deal"
)

const (
	// groupFrom is how many waiting events are written sooner as one batch than singly: the server stages a batch on disk
	// before it commits it, which takes as long as about ten single publishes, whatever its size.
	groupFrom = 12
	// groupMost bounds a group: beyond some hundred events a batch takes longer and is no faster for each of them.
	groupMost = 500
	// groupWithin bounds how long the log may take for one group, however long its members would wait.
	groupWithin = 5 * time.Second
)

// committer lets writers at the same time share one sync of the disk. A writer who comes alone publishes at once. While
// something is on its way newcomers gather; then they go together, a few side by side, many as one atomic batch, in which
// no deal is twice. Each writer gets the outcome of its own event: one that conflicts holds up no other.
//
// Nothing runs while nothing is on its way.
type committer struct {
	log *Log

	mu      sync.Mutex
	busy    bool // something is on its way
	waiting []*waiter
}

// waiter is an event whose writer waits for its turn.
type waiter struct {
	ctx     context.Context //nolint:containedctx // the writer's own bounds the publish that another one begins for it
	deal    deal.ID
	behind  uint64
	message *nats.Msg    // made by the writer: only a batch's way to the server is one behind the other
	done    chan outcome // has room for the one that comes, also when nobody waits for it any more
}

type outcome struct {
	sequence uint64
	err      error
}

// append writes the event and gives its sequence once it is on the disk. After an error that is not the server's own it
// may be in the log.
func (c *committer) append(ctx context.Context, d *Draft) (uint64, error) {
	w := &waiter{ctx: ctx, deal: d.Event.Deal.ID, behind: d.Behind, message: d.message(), done: make(chan outcome, 1)}
	if c.enter(w) {
		defer c.letOthers()
		return c.log.publish(ctx, w.message)
	}
	select {
	case o := <-w.done:
		return o.sequence, o.err
	case <-ctx.Done():
		c.giveUp(w)
		return 0, fmt.Errorf("wait for others: %w", ctx.Err())
	}
}

// enter tells whether the writer may publish at once, and then calls letOthers; else it has a place in the queue.
func (c *committer) enter(w *waiter) (first bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy {
		c.waiting = append(c.waiting, w)
		return false
	}
	c.busy = true
	return true
}

// letOthers lets those go on who came while a writer published.
func (c *committer) letOthers() {
	if round := c.next(); len(round) > 0 {
		go func() {
			for ; len(round) > 0; round = c.next() {
				c.write(round)
			}
		}()
	}
}

// giveUp takes an event out of the queue. What is on its way stays so.
func (c *committer) giveUp(w *waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = slices.DeleteFunc(c.waiting, func(other *waiter) bool { return other == w })
}

// next takes those out of the queue who go now: the first one of each deal, groupMost at most. When there is none, nothing
// is on its way any more.
func (c *committer) next() []*waiter {
	c.mu.Lock()
	defer c.mu.Unlock()
	var round, later []*waiter
	taken := make(map[deal.ID]bool, len(c.waiting))
	for _, w := range c.waiting {
		if len(round) == groupMost || taken[w.deal] {
			later = append(later, w)
		} else {
			taken[w.deal] = true
			round = append(round, w)
		}
	}
	c.waiting, c.busy = later, len(round) > 0
	return round
}

// write writes a round of different deals and tells each writer what came of its event.
func (c *committer) write(round []*waiter) {
	if len(round) >= groupFrom {
		round = c.group(round)
		for _, w := range round {
			unmark(w.message)
		}
	}
	var singles sync.WaitGroup
	for _, w := range round {
		singles.Go(func() {
			sequence, err := c.log.publish(w.ctx, w.message)
			w.done <- outcome{sequence, err}
		})
	}
	singles.Wait()
}

// group writes a round as one batch and gives those that remain to be published singly. When the server refuses the batch
// these are the ones whose deals have gone on meanwhile, so that each learns it from the server; the others go together
// once more. When that is refused too it is all of them.
func (c *committer) group(round []*waiter) (rest []*waiter) {
	ctx, cancel := context.WithTimeout(context.Background(), groupWithin)
	defer cancel()
	last, err := c.log.publishBatch(ctx, messages(round))
	if isConflict(err) {
		if current, overtaken := c.part(ctx, round); len(current) > 0 && len(overtaken) > 0 {
			round, rest = current, overtaken
			last, err = c.log.publishBatch(ctx, messages(round))
		}
	}
	if _, refused := errors.AsType[*jetstream.APIError](err); refused {
		return append(rest, round...) // nothing of the batch is in the log
	}
	first := last - uint64(len(round)) + 1
	// Some go on before the next batch is begun, which makes it larger; the others while it is on its way.
	sooner := len(round) / 4
	tell(round[:sooner], first, err)
	go tell(round[sooner:], first+uint64(sooner), err) // #nosec G115 -- a length
	return rest
}

// tell gives the writers of consecutive events their outcomes, a few at a time: all at once they would stand before the
// broker's goroutines in the queues of the scheduler, and the next batch would wait for all of them. One at a time the last
// would wait long while other work keeps the processors busy.
func tell(round []*waiter, first uint64, err error) {
	const atOnce = 4
	for i, w := range round {
		if i%atOnce == atOnce-1 {
			runtime.Gosched()
		}
		w.done <- outcome{first + uint64(i), err} // #nosec G115 -- an index
	}
}

// part tells those whose deals are as they know them from those whose are not. What it reads may be a little old: it only
// spares a second refusal.
func (c *committer) part(ctx context.Context, round []*waiter) (current, overtaken []*waiter) {
	ids := make([]deal.ID, len(round))
	for i, w := range round {
		ids[i] = w.deal
	}
	latest, err := c.log.Latest(ctx, ids)
	if err != nil {
		return nil, round
	}
	for _, w := range round {
		if latest[w.deal].Sequence == w.behind {
			current = append(current, w)
		} else {
			overtaken = append(overtaken, w)
		}
	}
	return current, overtaken
}

// unmark takes off what made the message one of a batch.
func unmark(m *nats.Msg) {
	for _, mark := range []string{jetstreamext.BatchIDHeader, jetstreamext.BatchSeqHeader, jetstreamext.BatchCommitHeader} {
		m.Header.Del(mark)
	}
}

func messages(round []*waiter) []*nats.Msg {
	result := make([]*nats.Msg, len(round))
	for i, w := range round {
		result[i] = w.message
	}
	return result
}
