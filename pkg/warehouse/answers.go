package warehouse

import (
	"context"
	"sync"
)

// VolumeOf is Volume of a prefix that Latest or Prefix gave, whose Last takes the place of the query's UpTo. As long as
// they give an equal prefix the rows are the same ones, so nothing is summed twice.
func (w *Warehouse) VolumeOf(ctx context.Context, p Prefix, q VolumeQuery) (Volume, error) {
	q.UpTo = p.Last
	if v, known := w.answers.of(p, q); known && !q.Rows {
		return v, nil
	}
	v, err := w.Volume(ctx, q)
	if err == nil && !q.Rows {
		w.answers.keep(p, q, v)
	}
	return v, err
}

// rememberItems bounds what answers are remembered, to some ten megabytes.
const rememberItems = 100_000

// answers keeps the volumes of one prefix.
type answers struct {
	mu      sync.Mutex
	prefix  Prefix
	volumes map[VolumeQuery]Volume
	items   int
}

func (a *answers) of(p Prefix, q VolumeQuery) (v Volume, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.prefix == p {
		v, known = a.volumes[q]
	}
	return v, known
}

// keep forgets those of another prefix, and all when there are too many. What was read after its prefix may hold rows that
// were repaired between: the prefix that comes next is another one, so that is not what answers later.
func (a *answers) keep(p Prefix, q VolumeQuery, v Volume) {
	a.mu.Lock()
	defer a.mu.Unlock()
	size := len(v.Items) + 1
	if p.rows.rolled == "" || size > rememberItems {
		return
	}
	if a.prefix != p || a.items+size > rememberItems {
		a.prefix, a.volumes, a.items = p, map[VolumeQuery]Volume{}, 0
	}
	a.volumes[q] = v
	a.items += size
}
