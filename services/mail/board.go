package mail

import (
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/dealreg/dealreg/pkg/deal"
)

// board is which deals wait for whom now, as far as the log was followed.
type board struct {
	mu   sync.Mutex
	open map[deal.ID]waiting
}

type waiting struct {
	question
	reminded int // the day of the latest reminder that lies in the outbox
}

// note takes the deal over and gives its question, and whether it was not asked before.
func (b *board) note(d deal.Deal) (question, bool) {
	q, waits := asked(d)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !waits {
		delete(b.open, d.ID)
		return q, false
	}
	before, known := b.open[d.ID]
	same := known && before.same(q)
	if !same {
		before = waiting{}
	}
	b.open[d.ID] = waiting{question: q, reminded: before.reminded}
	return q, !same
}

// all is what waits now.
func (b *board) all() iter.Seq2[deal.ID, waiting] {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.All(maps.Clone(b.open))
}

// reminded notes that a reminder lies in the outbox, unless the deal asks something else by now.
func (b *board) reminded(id deal.ID, q question, day int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w, waits := b.open[id]; waits && w.same(q) {
		w.reminded = day
		b.open[id] = w
	}
}

// waitingFor counts the deals that wait for the company.
func (b *board) waitingFor(company deal.ID) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, w := range b.open {
		if slices.Contains(w.Companies, company) {
			n++
		}
	}
	return n
}
