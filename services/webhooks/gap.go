package webhooks

// An endpoint is reached in two ways. What its gate takes at once goes through the queue. What the gate does not take,
// because the endpoint fails, is slower than its events, or wants them in order, becomes a gap: a range of the stream
// that a cursor delivers later from the stream itself, so that a backlog costs one number and is not rescheduled over
// and over. This file decides which way an event goes; it knows no clock, no network and no store.

// gap is the part of a stream that a cursor delivers to one endpoint instead of the queue: the events behind From up to
// Through, of which those up to At are done. It is kept after it is done, so that a message of the queue that comes
// late is known to be covered. Whoever stored a gap has promised that all of it will be delivered: therefore what an
// earlier state of the gap covers is covered for ever, and it does no harm to decide from a state that is out of date.
type gap struct {
	From    uint64 `json:"from"`
	At      uint64 `json:"at"`
	Through uint64 `json:"through"`
}

// open tells whether something is left to deliver.
func (g gap) open() bool { return g.At < g.Through }

// covers tells whether the cursor delivers the event, or has.
func (g gap) covers(sequence uint64) bool { return g.From < sequence && sequence <= g.Through }

// extend takes an event behind the gap into it, and all that lies between: up to head, the last event that there is known
// to be. A gap that is done begins anew right before the event. That of an ordered endpoint begins where the last one
// ended, so that processes which take events in at the same time, in whatever order, leave none out.
func (g gap) extend(sequence, head uint64, ordered bool) gap {
	through := max(sequence, head)
	if g.open() {
		g.Through = max(g.Through, through)
		return g
	}
	from := sequence - 1
	if ordered && g.Through > 0 {
		from = g.Through
	}
	return gap{From: from, At: from, Through: through}
}

// advance notes that everything up to the sequence is done.
func (g gap) advance(sequence uint64) gap {
	g.At = max(g.At, min(sequence, g.Through))
	return g
}

// cut takes out of the gap what is behind the last sequence of a stream that lost its end.
func (g gap) cut(last uint64) gap {
	return gap{From: min(g.From, last), At: min(g.At, last), Through: min(g.Through, last)}
}

// way is what happens to a message of the queue.
type way int

const (
	attempt way = iota // try to deliver it now
	covered            // a cursor delivers it, or has: it is done here
	widen              // take it into the gap; it is done here once that is stored
	putOff             // look at it again later
)

// choose gives the way of a message. fresh tells that it comes in the order of its stream and was never tried; full that
// the gate takes nothing now; shut that the endpoint fails; ordered that it wants its events in order.
//
// A retry never goes into a gap: it was tried before what the gap begins with, and there are only as many retries as
// attempts failed before the gate shut. It goes out also when the gate is shut, at its own time, and tells like any
// other attempt whether the endpoint is back.
func choose(g gap, sequence uint64, fresh, full, shut, ordered bool) way {
	switch {
	case fresh && g.covers(sequence):
		return covered
	case fresh && sequence > g.Through && (g.open() || full || shut || ordered):
		return widen
	case full:
		return putOff
	}
	return attempt
}
