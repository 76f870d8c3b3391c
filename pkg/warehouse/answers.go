package warehouse

import "context"

// VolumeOf is Volume of a prefix that Latest or Prefix gave, whose Last takes the place of the query's UpTo. As long as
// they give an equal prefix the rows are the same ones, so nothing is summed twice. What was read after its prefix may hold
// rows that were repaired between: the prefix that comes next is another one, so that is not what answers later.
func (w *Warehouse) VolumeOf(ctx context.Context, p Prefix, q VolumeQuery) (Volume, error) {
	q.UpTo = p.Last
	if p.rows.rolled == "" || q.Rows { // nothing marks these rows, or they are to be read
		return w.Volume(ctx, q)
	}
	asked := question{p, q}
	if v, known := w.answers.Get(asked); known {
		return v, nil
	}
	v, err := w.Volume(ctx, q)
	if err == nil {
		w.answers.Put(asked, v, 1+len(v.Items)+len(v.Partners))
	}
	return v, err
}

// rememberItems bounds what answers are remembered, to some ten megabytes.
const rememberItems = 100_000

// question is what has one answer.
type question struct {
	prefix Prefix
	query  VolumeQuery
}
