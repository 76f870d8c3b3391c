package webhooks

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// model is an endpoint, its queue and its gap, with a network that loses nothing unless the history says so. It does what
// the service does with the decisions of choose, and remembers what arrived.
type model struct {
	gap     gap
	states  []gap // every state that the gap ever had: any of them may be what a process still sees
	queue   []message
	arrived map[uint64]int
	shut    bool
}

type message struct {
	sequence uint64
	fresh    bool
}

func (m *model) set(g gap) {
	m.gap = g
	m.states = append(m.states, g)
}

// take handles one message of the queue as a process that sees some state of the gap. It tells whether the message is done.
func (m *model) take(q message, seen gap, full, ordered bool, head uint64) bool {
	switch choose(seen, q.sequence, q.fresh, full, m.shut, ordered) {
	case covered:
		return true
	case widen: // stored by comparing: whoever sees an old state looks again
		if !m.gap.covers(q.sequence) && q.sequence > m.gap.Through {
			m.set(m.gap.extend(q.sequence, head, ordered))
			return true
		}
		return m.gap.covers(q.sequence)
	case putOff:
		m.queue = append(m.queue, q)
		return true
	case attempt:
		if m.shut {
			m.queue = append(m.queue, message{q.sequence, false})
			return true
		}
		m.arrived[q.sequence]++
		return true
	}
	return false
}

// step lets the cursor deliver one event.
func (m *model) step() {
	if m.gap.open() && !m.shut {
		m.arrived[m.gap.At+1]++
		m.set(m.gap.advance(m.gap.At + 1))
	}
}

// run plays a history drawn by chance and ends with an endpoint that answers. Forgetful histories let messages come twice
// and let processes see old states of the gap.
func (m *model) run(t *rapid.T, ordered, forgetful bool) (last uint64) {
	draw := func(name string, n int) int { return rapid.IntRange(0, n).Draw(t, name) }
	m.arrived, m.states = map[uint64]int{}, []gap{{}}
	head := uint64(0)
	for range draw("length", 80) {
		switch draw("what", 5) {
		case 0, 1:
			head++
			m.queue = append(m.queue, message{head, true})
		case 2:
			m.shut = !m.shut
		case 3:
			m.step()
		default:
			if len(m.queue) == 0 {
				continue
			}
			i, seen := 0, m.gap
			if forgetful {
				i, seen = draw("which", len(m.queue)-1), m.states[draw("seen", len(m.states)-1)]
			}
			q := m.queue[i]
			m.queue = slices.Delete(slices.Clone(m.queue), i, i+1)
			if done := m.take(q, seen, draw("full", 4) == 0, ordered, head); !done || forgetful && draw("lost", 3) == 0 {
				m.queue = append(m.queue, q)
			}
		}
	}
	m.shut = false
	for rounds := 0; len(m.queue) > 0 || m.gap.open(); rounds++ {
		if rounds > 10_000 {
			t.Fatal("it never comes to an end")
		}
		m.step()
		if len(m.queue) > 0 {
			q := m.queue[0]
			m.queue = m.queue[1:]
			if !m.take(q, m.gap, false, ordered, head) {
				m.queue = append(m.queue, q)
			}
		}
	}
	return head
}

func TestChoose_LosesNoEventWhateverComesTwiceAndWhateverIsSeenLate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var m model
		last := m.run(t, rapid.Bool().Draw(t, "ordered"), true)
		for sequence := uint64(1); sequence <= last; sequence++ {
			if m.arrived[sequence] == 0 {
				t.Fatalf("event %d of %d never arrived", sequence, last)
			}
		}
	})
}

func TestChoose_DeliversEachEventOnceWhileNothingIsLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var m model
		last := m.run(t, rapid.Bool().Draw(t, "ordered"), false)
		for sequence := uint64(1); sequence <= last; sequence++ {
			if m.arrived[sequence] != 1 {
				t.Fatalf("event %d of %d arrived %d times", sequence, last, m.arrived[sequence])
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
