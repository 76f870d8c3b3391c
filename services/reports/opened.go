package reports

import "sync"

const (
	// largeRelease is how many pairs make a release one that is remembered. Others are read anew each time.
	largeRelease = 1000
	// openedPairs bounds the releases that are remembered, to some ten megabytes.
	openedPairs = 200_000
)

// opened remembers what large releases say, which never changes: one of a year of hundreds of thousands of deals takes
// seconds to read. It holds releases as they were once read and found whole.
type opened struct {
	mu       sync.Mutex
	releases map[string]*published // by the name of the content
	pairs    int
}

// of gives nil for a release that is not remembered.
func (o *opened) of(r release) *published {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.releases[r.Content.Name]
}

// keep remembers a release, and forgets all others when they are too many.
func (o *opened) keep(p *published) {
	o.mu.Lock()
	defer o.mu.Unlock()
	size := len(p.pairs)
	if size < largeRelease || size > openedPairs {
		return
	}
	if o.releases == nil || o.pairs+size > openedPairs {
		o.releases, o.pairs = map[string]*published{}, 0
	}
	o.releases[p.Content.Name] = p
	o.pairs += size
}
