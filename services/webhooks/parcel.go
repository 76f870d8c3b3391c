package webhooks

import (
	"context"
	"slices"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/stream"
)

// parcel is a message of the queue whose events are under way, each on its own. When none is any more the message is
// taken out of the queue; should that be lost on the way it comes again, and so may its events.
type parcel struct {
	message jetstream.Msg
	putBack func(*parcel)

	delivery stream.Delivery

	mu       sync.Mutex
	underWay int
	returned []uint64 // sequences of what the gates gave back
}

// queued is one event of a parcel. One of done and giveBack is called, once.
type queued struct {
	stream.Delivery // with this event alone
	parcel          *parcel
}

// unpack gives the events of the message. putBack gets the parcel when some of them were given back and the others are
// done.
func unpack(d stream.Delivery, m jetstream.Msg, putBack func(*parcel)) []queued {
	p := &parcel{message: m, putBack: putBack, delivery: d, underWay: len(d.Sequences)}
	events := make([]queued, len(d.Sequences))
	for i := range events {
		events[i] = queued{d, p}
		events[i].Sequences = d.Sequences[i : i+1]
	}
	return events
}

func (q queued) sequence() uint64 { return q.Sequences[0] }

// done says that nothing more is to be done for the event here.
func (q queued) done() { q.parcel.end(q.sequence(), false) }

// giveBack says that the event is for another process, or the next start.
func (q queued) giveBack() { q.parcel.end(q.sequence(), true) }

func (p *parcel) end(sequence uint64, returned bool) {
	p.mu.Lock()
	if returned {
		p.returned = append(p.returned, sequence)
	}
	p.underWay--
	last := p.underWay == 0
	p.mu.Unlock()
	if !last {
		return
	}
	if len(p.returned) > 0 {
		p.putBack(p)
		return
	}
	_ = p.message.Ack()
}

// putBack puts what was given back into the queue again, without what is done.
func (s *Service) putBack(p *parcel) {
	if len(p.returned) == len(p.delivery.Sequences) {
		_ = p.message.Nak()
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.working), askTimeout)
	defer cancel()
	left := p.delivery
	left.Sequences = slices.Sorted(slices.Values(p.returned))
	if err := s.queue.Put(ctx, left); err != nil {
		s.cfg.Log.Warn("delivery comes again as a whole", zap.Stringer("endpoint_id", left.Endpoint), zap.Error(err))
		_ = p.message.Nak()
		return
	}
	_ = p.message.Ack()
}
