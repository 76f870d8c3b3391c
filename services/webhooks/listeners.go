package webhooks

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// listeners finds the endpoints that may hear of an event by their owners.
type listeners struct {
	endpoints *mirror[endpoint]
	stale     atomic.Bool

	mu     sync.Mutex
	owners map[deal.ID][]endpoint
}

func newListeners(endpoints *mirror[endpoint]) *listeners {
	l := &listeners{endpoints: endpoints}
	l.stale.Store(true)
	return l
}

// of gives the endpoints that hear of the notice, which came into its stream at the time, each once.
func (l *listeners) of(n notice, at time.Time) []endpoint {
	owners := l.byOwner()
	if len(owners) == 0 {
		return nil
	}
	var found []endpoint
	for _, audience := range [][]deal.ID{n.companies, n.associations} {
		for _, owner := range audience {
			for _, e := range owners[owner] {
				if e.takes(at) && e.hears(n) {
					found = append(found, e)
				}
			}
		}
	}
	return found
}

// none tells whether nobody listens at all.
func (l *listeners) none() bool { return len(l.byOwner()) == 0 }

func (l *listeners) byOwner() map[deal.ID][]endpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stale.Swap(false) {
		l.owners = map[deal.ID][]endpoint{}
		for _, e := range l.endpoints.all() {
			owner := e.Company
			if owner.IsZero() {
				owner = e.Association
			}
			l.owners[owner] = append(l.owners[owner], e)
		}
	}
	return l.owners
}
