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

// poisonBytes bounds a page of poison but for its last event.
const poisonBytes = 8 << 20

// Poison lists events behind the sequence that could not be read, in their order: up to the limit, and fewer when they are
// large, but one at least. more tells that others may follow.
func (w *Warehouse) Poison(ctx context.Context, after uint64, limit int) (page []Poison, more bool, err error) {
	rows, err := w.conn.Query(ctx, poisonSQL,
		clickhouse.Named("after", after), clickhouse.Named("limit", limit+1), clickhouse.Named("bytes", poisonBytes))
	if err != nil {
		return nil, false, fmt.Errorf("list poison: %w", err)
	}
	defer func() { _ = rows.Close() }()
	size := 0
	for rows.Next() {
		var p Poison
		if err := rows.Scan(&p.Sequence, &p.version, &p.StoredAt, &p.Reason, &p.Payload); err != nil {
			return nil, false, fmt.Errorf("list poison: %w", err)
		}
		page, size = append(page, p), size+len(p.Payload)
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("list poison: %w", err)
	}
	if len(page) > limit {
		return page[:limit], true, nil
	}
	return page, size >= poisonBytes, nil
}

// AppendRepaired adds the event when this code can read it, to take the place of its poison row, and tells whether it
// could. The batch may have gaps, but lies in one partition.
func (b *Batch) AppendRepaired(p Poison) bool {
	if b.event.decode(p.Payload) != nil {
		return false
	}
	return b.append(p.Sequence, p.version+1, p.StoredAt, p.Payload) == nil
}
