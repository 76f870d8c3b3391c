package disclosure

import "github.com/dealreg/dealreg/pkg/deal"

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

// Included gives the state of the deal that the release includes; it counts for nothing when the release has none.
func (r Release) Included(d Deal) State {
	for _, h := range r.Held {
		if h.Deal == d.ID && h.From <= r.AsOf {
			return d.at(h.From - 1)
		}
	}
	return d.at(r.AsOf)
}
