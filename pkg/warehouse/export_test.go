package warehouse

import (
	"context"
	"net"
	"time"
)

// Parts counts the parts of the table that hold rows.
func (w *Warehouse) Parts(ctx context.Context) (parts uint64, err error) {
	err = w.conn.QueryRow(ctx, "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = 'deal_events' AND active").Scan(&parts)
	return parts, err
}

// DialKindly is dialKindly with the timeout of a test.
func DialKindly(ctx context.Context, address string) (net.Conn, error) {
	return dialKindly(ctx, address, time.Minute)
}

// RolledUp gives the first and the last sequence of each range that is rolled up.
func (w *Warehouse) RolledUp(ctx context.Context) (ranges [][2]uint64, err error) {
	stored, err := w.rollups(ctx)
	for _, r := range stored {
		ranges = append(ranges, [2]uint64{r.first, r.last()})
	}
	return ranges, err
}

// RollUpAgain rolls a range up although it is.
func (w *Warehouse) RollUpAgain(ctx context.Context, first, last uint64) error {
	return w.rollUp(ctx, rollup{first: first, size: last - first + 1})
}

// RollupParts counts the parts that roll-ups wrote, whether or not they were merged since.
func (w *Warehouse) RollupParts(ctx context.Context) (parts uint64, err error) {
	err = w.conn.QueryRow(ctx, "SELECT toUInt64(max(max_block_number)) FROM system.parts WHERE database = currentDatabase() AND table = 'rollups'").Scan(&parts)
	return parts, err
}

// Fold is fold for a reader that wants to know only behind which sequence events are read.
func (w *Warehouse) Fold(ctx context.Context, upTo uint64, read func(after uint64)) error {
	return w.fold(ctx, upTo, func(c chosen) error {
		read(c.last())
		return nil
	})
}

// LookBack sets how many events a page of deals is looked for in first.
func (w *Warehouse) LookBack(events uint64) { w.lookBack = events }
