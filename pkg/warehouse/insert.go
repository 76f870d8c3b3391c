package warehouse

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// The order of the columns is the order in which Insert fills them.
//
//go:embed queries/insert.sql
var insertSQL string

// InsertID names the insert of a range of sequences: a second one while the first still runs is refused by the server.
// The database is part of the name, since one server may hold several.
func (w *Warehouse) InsertID(first, last uint64) string {
	return fmt.Sprintf("agg-%s-%d-%d", w.database, first, last)
}

// Insert stores the batch as one block in one partition: when it returns nil the rows are on disk, and at no time is
// there a part of them. The same range may be inserted again; its rows still count once.
//
// After an error the insert may yet succeed: KillInsert waits until that is decided, then Checkpoint tells.
func (w *Warehouse) Insert(ctx context.Context, b *Batch) error {
	if b.Len() == 0 {
		return nil
	}
	ctx = clickhouse.Context(ctx,
		clickhouse.WithQueryID(w.InsertID(b.First(), b.Last())),
		clickhouse.WithSettings(clickhouse.Settings{
			"async_insert":          0,
			"insert_deduplicate":    0,
			"deduplicate_insert":    "disable",
			"max_insert_threads":    1,
			"max_insert_block_size": 4 * PartitionRows,
		}))
	insert, err := w.conn.PrepareBatch(ctx, insertSQL)
	if err != nil {
		return fmt.Errorf("begin insert of %d rows: %w", b.Len(), err)
	}
	at := 0
	add := func(column any) {
		if err == nil {
			err = insert.Column(at).Append(column)
		}
		at++
	}
	add(b.seq)
	add(b.at)
	add(b.payloadHash)
	add(b.poison)
	add(b.payload)
	add(b.dealID)
	add(b.revision)
	add(b.eventType)
	add(b.status)
	add(b.registeredBy)
	add(b.companies)
	add(b.groups)
	add(b.associations)
	add(b.wonOn)
	add(b.currencyOf)
	add(b.title)
	add(b.customer)
	add(b.domain)
	add(b.externalRef)
	add(b.roles)
	add(b.joining)
	add(b.waitsFor)
	add(b.told)
	add(rows(b.kind, b.entryEnd))
	add(rows(b.association, b.entryEnd))
	add(rows(b.year, b.entryEnd))
	add(rows(b.month, b.entryEnd))
	add(rows(b.a, b.entryEnd))
	add(rows(b.b, b.entryEnd))
	add(rows(b.currency, b.entryEnd))
	add(rows(b.amount, b.entryEnd))
	add(rows(b.deals, b.entryEnd))
	add(rows(b.byParties, b.entryEnd))
	add(rows(b.unconverted, b.entryEnd))
	if err != nil {
		_ = insert.Abort()
		return fmt.Errorf("fill column %d of %d rows: %w", at, b.Len(), err)
	}
	if err := insert.Send(); err != nil {
		return fmt.Errorf("insert %d rows: %w", b.Len(), err)
	}
	return nil
}

// rows cuts the values into one slice for each row, without copying them.
func rows[T any](values []T, ends []int) [][]T {
	result := make([][]T, len(ends))
	start := 0
	for i, end := range ends {
		result[i] = values[start:end]
		start = end
	}
	return result
}

// KillInsert ends the insert of the range if it still runs, and waits until it has: after it the checkpoint is final.
func (w *Warehouse) KillInsert(ctx context.Context, first, last uint64) error {
	err := w.conn.Exec(ctx, "KILL QUERY WHERE query_id = {id:String} SYNC", clickhouse.Named("id", w.InsertID(first, last)))
	if err != nil {
		return fmt.Errorf("kill insert: %w", err)
	}
	return nil
}
