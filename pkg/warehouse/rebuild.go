package warehouse

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
)

// Rebuild is a projection that is made anew in a database of its own, the next one, while this one is served; then the
// two are exchanged. What is known of it is the comment of that database, and of the tables that it made.
type Rebuild struct {
	ID deal.ID `json:"id"`
	// From is the sequence from which the log is replayed; what lies before its partition is taken over as it is.
	From      uint64    `json:"from"`
	StartedAt time.Time `json:"started_at"`
	// Accepts is the end of the log when the rebuild was asked for by someone who was told that the log lost events; nil
	// when nobody was told of a loss, so that none may be passed over.
	Accepts *stream.End `json:"accepts,omitempty"`
}

// projection lists the tables that are a function of the log alone; the last one tells which rebuild made them.
var projection = []string{"deal_events"}

func (w *Warehouse) nextDatabase() string { return w.database + "_next" }

// Next opens the database of a rebuild. Nobody else dials it, so that it may be dropped.
func (w *Warehouse) Next() (*Warehouse, error) {
	options := w.options
	options.Auth.Database = w.nextDatabase()
	return open(options, w.rollupSizes)
}

// BeginRebuild makes the next database. It fails when there is one.
func (w *Warehouse) BeginRebuild(ctx context.Context, r Rebuild) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("begin rebuild: %w", err)
	}
	// The text holds an id, numbers, a time and a hash: nothing that ends a literal.
	if err := w.conn.Exec(ctx, fmt.Sprintf("CREATE DATABASE %s ENGINE = Atomic COMMENT '%s'", w.nextDatabase(), text)); err != nil {
		return fmt.Errorf("begin rebuild: %w", err)
	}
	return nil
}

// Rebuilding gives the rebuild that was begun and did not end; nil for none. What an ended one left it clears away.
func (w *Warehouse) Rebuilding(ctx context.Context) (*Rebuild, error) {
	begun, err := w.comment(ctx, "SELECT comment FROM system.databases WHERE name = {database:String}", w.nextDatabase())
	if err != nil || begun == nil {
		return nil, err
	}
	made, err := w.Rebuilt(ctx)
	if err != nil {
		return nil, err
	}
	if made == nil || made.ID != begun.ID {
		return begun, nil
	}
	return nil, w.AbandonRebuild(ctx)
}

// Rebuilt gives the rebuild that made what is served; nil for none.
func (w *Warehouse) Rebuilt(ctx context.Context) (*Rebuild, error) {
	return w.comment(ctx, "SELECT comment FROM system.tables WHERE database = {database:String} AND name = 'deal_events' AND comment != ''", w.database)
}

func (w *Warehouse) comment(ctx context.Context, query, database string) (*Rebuild, error) {
	var texts []string
	rows, err := w.conn.Query(ctx, query, clickhouse.Named("database", database))
	if err != nil {
		return nil, fmt.Errorf("look for a rebuild: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("look for a rebuild: %w", err)
		}
		texts = append(texts, text)
	}
	if err := rows.Err(); err != nil || len(texts) == 0 {
		return nil, err
	}
	r := &Rebuild{}
	if err := json.Unmarshal([]byte(texts[0]), r); err != nil {
		return nil, fmt.Errorf("look for a rebuild: the comment of %s is not one of dealreg: %w", database, err)
	}
	return r, nil
}

// TakeOver puts the partitions that lie wholly before the rebuild's first sequence into the next database, which is
// migrated. They share their files with those that are served. It may be repeated.
func (w *Warehouse) TakeOver(ctx context.Context, r Rebuild) error {
	for partition := range Partition(r.From) {
		for _, table := range projection {
			err := w.conn.Exec(ctx, fmt.Sprintf("ALTER TABLE %s.%s REPLACE PARTITION %d FROM %s.%s",
				w.nextDatabase(), table, partition, w.database, table))
			if err != nil {
				return fmt.Errorf("take partition %d over: %w", partition, err)
			}
		}
	}
	return nil
}

// Exchange puts what was rebuilt in the place of what is served: at once for every reader, and never back, also when it is
// called again. No insert may run meanwhile, and no roll-up. After an error Rebuilding tells whether it came to pass.
//
// Two tables cannot be exchanged at once. So the roll-ups that are served go first, those of the next database come last,
// and a report between reads events alone: it is slow, and right.
func (w *Warehouse) Exchange(ctx context.Context, r Rebuild) error {
	made, err := w.Rebuilt(ctx)
	if err != nil || made != nil && made.ID == r.ID {
		return err
	}
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("exchange: %w", err)
	}
	if err := w.conn.Exec(ctx, "TRUNCATE TABLE rollups SYNC"); err != nil {
		return fmt.Errorf("exchange: %w", err)
	}
	for _, table := range projection {
		mark := fmt.Sprintf("ALTER TABLE %s.%s MODIFY COMMENT '%s'", w.nextDatabase(), table, text)
		swap := fmt.Sprintf("EXCHANGE TABLES %s.%s AND %s.%s", w.database, table, w.nextDatabase(), table)
		for _, statement := range []string{mark, swap} {
			if err := w.conn.Exec(ctx, statement); err != nil {
				return fmt.Errorf("exchange: %w", err)
			}
		}
	}
	if err := w.conn.Exec(ctx, fmt.Sprintf("EXCHANGE TABLES %s.rollups AND %s.rollups", w.database, w.nextDatabase())); err != nil {
		return fmt.Errorf("exchange the roll-ups: %w", err)
	}
	return nil
}

// AbandonRebuild drops the next database and what is in it.
func (w *Warehouse) AbandonRebuild(ctx context.Context) error {
	next, err := w.Next()
	if err != nil {
		return err
	}
	defer func() { _ = next.Close() }()
	return next.Drop(ctx)
}
