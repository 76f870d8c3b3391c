package disclosure

import (
	"slices"
)

// Next makes the next release of the year from the log up to the sequence asOf, which is not before that of the last
// release. Others are the years, of other associations and of this one, that share deals with this year, or with one of
// these, each with what it has released: one may see what all of them publish. Releases of years that share deals must
// therefore be made one after the other. Years that share none are ignored.
//
// What is new and cannot be shown yet is Held, and is in no figure. When the year is closing, detail goes first and the
// total is whole if that can be. The same years give the same release, whatever the order of deals, waivers and others.
func Next(year Year, asOf uint64, closing bool, others []Year) Release {
	d := newDraft(year, asOf, others)
	if year.Policy == Open {
		return d.release(&trial{wanted: dimensionsOf(Guarded), now: d.latest}, closing)
	}
	all := dimensionsOf(year.Policy)
	if t, ok := d.try(all, closing); ok {
		return d.release(t, closing)
	}
	best, _ := d.try(nil, closing)
	for _, dimension := range all {
		if t, ok := d.try(append(slices.Clip(best.wanted), dimension), closing); ok {
			best = t
		}
	}
	return d.release(best, closing)
}

// dimensionsOf gives the dimensions that a policy allows, the most wanted first.
func dimensionsOf(p Policy) []Dimension {
	if p == Strict {
		return nil
	}
	return Dimensions()
}

// draft is a year between two releases: the books of all associations that it hangs together with, its own first, and
// which states its deals had and may get.
type draft struct {
	books  []*book
	deals  []dealAt
	own    []int // by deal of the year: its index in deals
	names  *names
	asOf   uint64
	waived map[Pair]bool
	before []int32 // by deal of the year: the position of the state in the release before
	latest []int32 // and of the one at asOf
}

func newDraft(year Year, asOf uint64, others []Year) *draft {
	d := &draft{books: connected(year, others), names: newNames(), asOf: asOf, waived: map[Pair]bool{}}
	for _, p := range year.Waived {
		d.waived[p] = true
	}
	deals := d.books[0].year.Deals
	d.before, d.latest = slices.Repeat([]int32{nothing}, len(deals)), make([]int32, len(deals))
	if n := len(year.Released); n > 0 {
		d.before = d.books[0].positions(year.Released[n-1])
	}
	for i, own := range deals {
		d.latest[i] = own.position(asOf)
	}
	d.deals, d.own = places(d.books)
	return d
}

// release writes the trial down.
func (d *draft) release(t *trial, closing bool) Release {
	year := d.books[0].year
	r := Release{Number: len(year.Released) + 1, AsOf: d.asOf, Closing: closing, Published: d.publish(t)}
	for i, own := range year.Deals {
		if t.held != nil && t.held[i] {
			r.Held = append(r.Held, Held{Deal: own.ID, From: own.States[d.before[i]+1].Sequence})
		}
	}
	return r
}
