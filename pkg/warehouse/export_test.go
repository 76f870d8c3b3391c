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
