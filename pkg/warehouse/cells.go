package warehouse

import (
	"context"
	_ "embed"
	"fmt"
	"sync"

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

// cells sums the roll-ups and the events behind them. The sums may be changed.
func (w *Warehouse) cells(ctx context.Context, q VolumeQuery, c chosen) (map[cellKey]Sums, error) {
	rolled, err := w.rolled(ctx, q.part(), c)
	if err != nil {
		return nil, err
	}
	cells, err := w.readCells(ctx, tailSQL, append(c.parameters(q.UpTo), q.part().parameters()...))
	if err != nil {
		return nil, err
	}
	for key, s := range rolled {
		sum, there := cells[key]
		if !there {
			sum = NoSums()
		}
		sum.add(s)
		cells[key] = sum
	}
	return cells, nil
}

// rolled sums the roll-ups. The sums must not be changed.
func (w *Warehouse) rolled(ctx context.Context, p part, c chosen) (map[cellKey]Sums, error) {
	if len(c) == 0 {
		return nil, nil
	}
	if cells, known := w.known.of(p, c); known {
		return cells, nil
	}
	cells, err := w.readCells(ctx, rolledSQL, append(c.parameters(0), p.parameters()...))
	if err == nil {
		w.known.keep(p, c, cells)
	}
	return cells, err
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

// rememberCells bounds what is remembered: some tens of megabytes.
const rememberCells = 200_000

// memory keeps what roll-ups add up to. A roll-up never changes, so it holds for as long as the same ones are chosen.
type memory struct {
	mu    sync.Mutex
	parts map[part]remembered
	cells int
}

type remembered struct {
	chosen chosen
	cells  map[cellKey]Sums
}

func (m *memory) of(p part, c chosen) (cells map[cellKey]Sums, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.parts[p]
	return r.cells, r.cells != nil && r.chosen.same(c)
}

// keep forgets all else when there is too much.
func (m *memory) keep(p part, c chosen, cells map[cellKey]Sums) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cells -= len(m.parts[p].cells)
	if m.parts == nil || m.cells+len(cells) > rememberCells {
		m.parts, m.cells = map[part]remembered{}, 0
	}
	if len(cells) <= rememberCells {
		m.parts[p] = remembered{chosen: c, cells: cells}
		m.cells += len(cells)
	}
}
