package warehouse

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

//go:embed queries/poison.sql
var poisonSQL string

// Poison is an event of the log that could not be read, as it was stored.
type Poison struct {
	Sequence uint64
	StoredAt time.Time // when the log took it
	Reason   string    // holds nothing of the event
	Payload  []byte
	version  uint32
}

// Poison lists events behind the sequence that could not be read, in their order.
func (w *Warehouse) Poison(ctx context.Context, after uint64, limit int) ([]Poison, error) {
	rows, err := w.conn.Query(ctx, poisonSQL, clickhouse.Named("after", after), clickhouse.Named("limit", limit))
	if err != nil {
		return nil, fmt.Errorf("list poison: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var result []Poison
	for rows.Next() {
		var p Poison
		if err := rows.Scan(&p.Sequence, &p.version, &p.StoredAt, &p.Reason, &p.Payload); err != nil {
			return nil, fmt.Errorf("list poison: %w", err)
		}
		result = append(result, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list poison: %w", err)
	}
	return result, nil
}

// AppendRepaired adds the event when this code can read it, to take the place of its poison row, and tells whether it
// could. The batch may have gaps, but lies in one partition.
func (b *Batch) AppendRepaired(p Poison) bool {
	if b.event.decode(p.Payload) != nil {
		return false
	}
	return b.append(p.Sequence, p.version+1, p.StoredAt, p.Payload) == nil
}
