package warehouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/clickhouse-go/v2"
)

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
	client, err := w.inserter(ctx)
	if err != nil {
		return fmt.Errorf("begin insert of %d rows: %w", b.Len(), err)
	}
	input := b.input()
	err = client.Do(ctx, ch.Query{Body: input.Into("deal_events"), QueryID: w.InsertID(b.First(), b.Last()), Input: input})
	if err != nil {
		_ = client.Close() // what the server still expects on it is not known
		return fmt.Errorf("insert %d rows: %w", b.Len(), err)
	}
	select {
	case w.inserters <- client:
	default:
		_ = client.Close()
	}
	return nil
}

// inserter gives the connection of the last insert, if it has nothing to do and is still there, or another. It takes
// columns that are already in their form on the wire, where clickhouse-go copies arrays row by row with reflection.
func (w *Warehouse) inserter(ctx context.Context) (*ch.Client, error) {
	select {
	case last := <-w.inserters:
		quick, cancel := context.WithTimeout(ctx, w.options.DialTimeout)
		defer cancel()
		if err := last.Ping(quick); err == nil {
			return last, nil
		}
		_ = last.Close()
	default:
	}
	var errs []error
	for _, address := range w.options.Addr {
		conn, err := w.dial(ctx, address)
		if err == nil {
			var client *ch.Client
			if client, err = ch.Connect(ctx, conn, w.insertOptions()); err == nil {
				return client, nil
			}
			_ = conn.Close()
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (w *Warehouse) insertOptions() ch.Options {
	auth := w.options.Auth
	options := ch.Options{
		Database: auth.Database, User: auth.Username, Password: auth.Password, ClientName: "dealreg",
		// A busy server takes its time to greet. During an insert the client looks after it whether the context was cancelled.
		ReadTimeout:      w.options.DialTimeout,
		HandshakeTimeout: w.options.DialTimeout,
	}
	switch w.options.Compression.Method { //nolint:exhaustive // others are of HTTP
	case clickhouse.CompressionLZ4:
		options.Compression = ch.CompressionLZ4
	case clickhouse.CompressionLZ4HC:
		options.Compression = ch.CompressionLZ4HC
	case clickhouse.CompressionZSTD:
		options.Compression = ch.CompressionZSTD
	}
	add := func(key string, value any) {
		setting := ch.Setting{Key: key, Value: fmt.Sprint(value), Important: true}
		if custom, is := value.(clickhouse.CustomSetting); is {
			setting = ch.Setting{Key: key, Value: custom.Value, Custom: true}
		}
		options.Settings = append(options.Settings, setting)
	}
	for key, value := range w.options.Settings {
		add(key, value)
	}
	add("max_insert_threads", 1)
	add("max_insert_block_size", 4*PartitionRows) // a batch is not cut
	return options
}

// KillInsert ends the insert of the range if it still runs, and waits until it has: after it the checkpoint is final.
func (w *Warehouse) KillInsert(ctx context.Context, first, last uint64) error {
	err := w.conn.Exec(ctx, "KILL QUERY WHERE query_id = {id:String} SYNC", clickhouse.Named("id", w.InsertID(first, last)))
	if err != nil {
		return fmt.Errorf("kill insert: %w", err)
	}
	return nil
}
