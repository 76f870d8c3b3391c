package disclosure

import (
	"slices"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Release is one release of a year: a function of the events that it includes, which are those of the log up to AsOf
// without the Held ones. It is stored as JSON, and small: it repeats no deal. Everything but Published is for the audit.
type Release struct {
	Number    int    // from 1
	AsOf      uint64 // sequence of the last event of the log that was looked at
	Closing   bool   // made to close the year
	Held      []Held // in the order of the deals' IDs
	Published Published
}

// Held is a deal whose events wait for a later release, from one sequence on.
type Held struct {
	Deal deal.ID
	From uint64
}

// Included gives the state of the deal that the release includes: the zero State when it has none.
func (r Release) Included(d Deal) State {
	until := r.AsOf
	if i, held := slices.BinarySearchFunc(r.Held, d.ID, func(h Held, id deal.ID) int { return h.Deal.Compare(id) }); held {
		until = min(until, r.Held[i].From-1)
	}
	if at := d.position(until); at != nothing {
		return d.States[at]
	}
	return State{}
}
