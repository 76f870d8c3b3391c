package audit

import "hash/maphash"

// deals holds the state of each deal of the log in at most 64 bytes: states are written one behind the other into pages
// that never move, and found by an index that has their numbers only. It holds up to 2^32-1 deals.
type deals struct {
	seed  maphash.Seed
	pages []*[statesOfPage]state
	count uint32
	index []uint32 // at the deal's hash or behind it: 1 + the number of its state; 0 for nothing
}

// statesOfPage makes a page of 132 KiB, most of which the states fill.
const statesOfPage = 4096

// state is what the check of a deal's next event needs to know of the one before.
type state struct {
	id   ID
	seal seal
	won  bool
}

func newDeals() *deals { return &deals{seed: maphash.MakeSeed(), index: make([]uint32, 64)} }

// of gives the state of the deal and whether it was known. A new one has the id only. The pointer stays good.
func (d *deals) of(id ID) (s *state, known bool) {
	if uint64(d.count)*4 >= uint64(len(d.index))*3 {
		d.grow()
	}
	slot := d.slot(id)
	if n := d.index[slot]; n != 0 {
		return d.at(n - 1), true
	}
	if d.count%statesOfPage == 0 {
		d.pages = append(d.pages, new([statesOfPage]state))
	}
	s = d.at(d.count)
	s.id = id
	d.count++
	d.index[slot] = d.count
	return s, false
}

func (d *deals) at(number uint32) *state { return &d.pages[number/statesOfPage][number%statesOfPage] }

// slot is where the index has the deal, or where it will.
func (d *deals) slot(id ID) uint64 {
	last := uint64(len(d.index)) - 1 // all bits are set: the length is a power of two
	slot := maphash.Comparable(d.seed, id) & last
	for d.index[slot] != 0 && d.at(d.index[slot]-1).id != id {
		slot = (slot + 1) & last
	}
	return slot
}

func (d *deals) grow() {
	d.index = make([]uint32, 2*len(d.index))
	for n := range d.count {
		d.index[d.slot(d.at(n).id)] = n + 1
	}
}
