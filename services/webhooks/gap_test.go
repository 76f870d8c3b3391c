package webhooks

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// model is an endpoint, its queue, its gate and its gap, with a network that loses nothing unless the history says so. It does
// what the service does with the decisions of choose, and remembers what arrived.
type model struct {
	ordered, shut bool
	head          uint64 // the last event that there is
	gap           gap
	states        []gap // every state that the gap ever had: any of them may be what a process still sees,
	own           int   // but the process that serves the lane sees at least its own last change of it
	queue         []message
	held          []message // by the gate
	arrived       map[uint64]int
}

type message struct {
	sequence uint64
	fresh    bool
}

func (m *model) set(g gap) {
	m.gap = g
	m.states = append(m.states, g)
}

// take handles one message of the queue as a process that sees some state of the gap.
func (m *model) take(q message, seen gap, full bool) {
	w := choose(seen, q.sequence, q.fresh, full, m.shut, m.ordered)
	if w == attempt {
		m.held = append(m.held, q)
		return
	}
	m.follow(q, w)
}

// send tries what the gate has held for longest, as a process that sees some state of the gap.
func (m *model) send(seen gap) {
	q := m.held[0]
	m.held = m.held[1:]
	switch w := choose(seen, q.sequence, q.fresh, false, m.shut, m.ordered); {
	case w != attempt:
		m.follow(q, w)
	case m.shut:
		m.queue = append(m.queue, message{q.sequence, false})
	default:
		m.arrived[q.sequence]++
	}
}

func (m *model) follow(q message, w way) {
	switch w {
	case widen: // stored by comparing: whoever sees an old state looks again
		if !m.gap.covers(q.sequence) && q.sequence > m.gap.Through {
			m.set(m.gap.extend(q.sequence, m.head, m.ordered))
			m.held = slices.DeleteFunc(m.held, func(q message) bool { return q.fresh && m.gap.covers(q.sequence) })
		} else if !m.gap.covers(q.sequence) {
			m.queue = append(m.queue, q)
		}
		m.own = len(m.states) - 1
	case putOff:
		m.queue = append(m.queue, q)
	case covered, attempt:
	}
}

// step lets the cursor deliver one event.
func (m *model) step() {
	if m.gap.open() && !m.shut {
		m.arrived[m.gap.At+1]++
		m.set(m.gap.advance(m.gap.At + 1))
	}
}

// run plays a history drawn by chance and ends with an endpoint that answers. In each a process may see too late what a
// cursor did elsewhere. Forgetful histories let messages come twice, to any process, which sees any old state of the gap.
func (m *model) run(t *rapid.T, forgetful bool) {
	draw := func(name string, n int) int { return rapid.IntRange(0, n).Draw(t, name) }
	seen := func() gap {
		from := m.own
		if forgetful {
			from = 0
		}
		return m.states[from+draw("seen", len(m.states)-1-from)]
	}
	m.ordered, m.arrived, m.states = rapid.Bool().Draw(t, "ordered"), map[uint64]int{}, []gap{{}}
	for range draw("length", 80) {
		switch what := draw("what", 6); {
		case what < 2:
			m.head++
			m.queue = append(m.queue, message{m.head, true})
		case what == 2:
			m.shut = !m.shut
		case what == 3:
			m.step()
		case what == 4 && len(m.held) > 0:
			m.send(seen())
		case what > 4 && len(m.queue) > 0:
			i := 0
			if forgetful {
				i = draw("which", len(m.queue)-1)
			}
			q := m.queue[i]
			m.queue = slices.Delete(slices.Clone(m.queue), i, i+1)
			m.take(q, seen(), draw("full", 4) == 0)
			if forgetful && draw("lost", 3) == 0 {
				m.queue = append(m.queue, q)
			}
		}
	}
	m.shut = false
	for rounds := 0; len(m.queue) > 0 || len(m.held) > 0 || m.gap.open(); rounds++ {
		if rounds > 10_000 {
			t.Fatal("it never comes to an end")
		}
		m.step()
		if len(m.held) > 0 {
			m.send(m.gap)
		}
		if len(m.queue) > 0 {
			q := m.queue[0]
			m.queue = m.queue[1:]
			m.take(q, m.gap, false)
		}
	}
}

func TestChoose_LosesNoEventWhateverComesTwiceAndWhateverIsSeenLate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var m model
		m.run(t, true)
		for sequence := uint64(1); sequence <= m.head; sequence++ {
			if m.arrived[sequence] == 0 {
				t.Fatalf("event %d of %d never arrived", sequence, m.head)
			}
		}
	})
}

func TestChoose_DeliversEachEventOnceWhileNothingIsLostAlsoWhenACursorIsSeenLate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var m model
		m.run(t, false)
		for sequence := uint64(1); sequence <= m.head; sequence++ {
			if m.arrived[sequence] != 1 {
				t.Fatalf("event %d of %d arrived %d times", sequence, m.head, m.arrived[sequence])
			}
		}
	})
}

func TestGap_KeepsItsPromiseWhenItGrows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		g := gap{}
		var promised []gap
		head := uint64(0)
		for range rapid.IntRange(1, 30).Draw(t, "length") {
			head += uint64(rapid.IntRange(1, 5).Draw(t, "more"))
			if rapid.Bool().Draw(t, "advance") {
				g = g.advance(uint64(rapid.IntRange(0, int(head)).Draw(t, "to")))
			} else if sequence := uint64(rapid.IntRange(1, int(head)).Draw(t, "sequence")); sequence > g.Through {
				g = g.extend(sequence, head, false)
				if !g.covers(sequence) || !g.covers(head) && head > sequence {
					t.Fatalf("%+v does not cover %d up to %d", g, sequence, head)
				}
			}
			if g.At < g.From || g.At > g.Through {
				t.Fatalf("%+v", g)
			}
			promised = append(promised, g)
		}
		for _, before := range promised { // what was open is still open, or done
			if before.open() && before.Through > g.At && (!g.open() || g.Through < before.Through) {
				t.Fatalf("%+v forgot %+v", g, before)
			}
		}
	})
}
