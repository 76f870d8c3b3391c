package warehouse

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

//go:embed queries/rolled.sql
var rolledSQL string

//go:embed queries/tail.sql
var tailSQL string

// cellKey names what entries are summed under. Only entries of KindAssociation have a month.
type cellKey struct {
	kind     Kind
	year     int32
	month    calendar.Date
	a, b     deal.ID
	currency string
}

// part is what is read of an association for a report: its year and the one before, and the year's entries of a kind.
type part struct {
	association deal.ID
	year        int
	kind        Kind
}

func (q VolumeQuery) part() part {
	p := part{association: q.Association, year: q.Year, kind: KindAssociation}
	switch q.By {
	case ByChapter:
		p.kind = KindChapter
	case ByPair:
		p.kind = KindPair
	case ByTotal, ByMonth:
	}
	return p
}

func (p part) parameters() []any {
	return []any{
		clickhouse.Named("association", p.association.String()), clickhouse.Named("year", p.year), clickhouse.Named("kind", p.kind.String()),
	}
}

// rolled sums the roll-ups.
func (w *Warehouse) rolled(ctx context.Context, p part, c chosen) (*ranking, error) {
	if len(c) == 0 {
		return rank(p, nil)
	}
	if known, there := w.known.Get(p); there && known.chosen.same(c) {
		return known.ranking, nil
	}
	cells, err := w.readCells(ctx, rolledSQL, append(c.parameters(0), p.parameters()...))
	if err != nil {
		return nil, err
	}
	r, err := rank(p, cells)
	if err == nil {
		w.known.Put(p, remembered{chosen: c, ranking: r}, len(cells))
	}
	return r, err
}

func (w *Warehouse) readCells(ctx context.Context, query string, parameters []any) (map[cellKey]Sums, error) {
	rows, err := w.conn.Query(ctx, query, parameters...)
	if err != nil {
		return nil, fmt.Errorf("sum a year: %w", err)
	}
	defer func() { _ = rows.Close() }()
	cells := map[cellKey]Sums{}
	for rows.Next() {
		var key cellKey
		var month int32
		var a, b uuid.UUID
		s := NoSums()
		err := rows.Scan((*int8)(&key.kind), &key.year, &month, &a, &b, &key.currency, s.Amount, s.AttestedByParties, &s.Deals, &s.Unconverted)
		if err != nil {
			return nil, fmt.Errorf("read a year: %w", err)
		}
		key.month, key.a, key.b = calendar.Date(month), deal.ID(a), deal.ID(b)
		cells[key] = s
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read a year: %w", err)
	}
	return cells, nil
}

// rememberCells bounds what is remembered: some hundred megabytes. A year of hundreds of thousands of pairs fits.
const rememberCells = 500_000

// remembered is what roll-ups add up to. A roll-up never changes, so it holds for as long as the same ones are chosen.
type remembered struct {
	chosen chosen
	*ranking
}
