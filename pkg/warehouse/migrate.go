package warehouse

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/pressly/goose/v3"
)

// Every statement in migrations may run twice, and at the same time in two processes: the server has no lock to take.
//
//go:embed migrations/*.sql
var migrations embed.FS

// schemaVersion is the version of the newest migration, which this code needs.
const schemaVersion = 7

// SchemaError says that the database is not at the version that this code needs.
type SchemaError struct{ Have, Need int64 }

func (e *SchemaError) Error() string {
	return fmt.Sprintf("the warehouse schema is at version %d and must be at %d: wait for the aggregator to migrate it", e.Have, e.Need)
}

// Migrate creates the database when it is missing and brings the schema to the version of this code. It may be repeated,
// and several processes may migrate at once.
func (w *Warehouse) Migrate(ctx context.Context) error {
	if err := w.createDatabase(ctx); err != nil {
		return err
	}
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	options := w.options
	options.MaxOpenConns = 1
	db := clickhouse.OpenDB(&options)
	defer func() { _ = db.Close() }()
	provider, err := goose.NewProvider(goose.DialectClickHouse, db, dir, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate the warehouse: %w", err)
	}
	return nil
}

// Drop removes the database and all that is in it. The log can fill it again, after Migrate.
func (w *Warehouse) Drop(ctx context.Context) error {
	w.exists.Store(false)
	return w.define(ctx, "DROP DATABASE IF EXISTS {database:Identifier} SYNC")
}

func (w *Warehouse) createDatabase(ctx context.Context) error {
	return w.define(ctx, "CREATE DATABASE IF NOT EXISTS {database:Identifier} ENGINE = Atomic")
}

func (w *Warehouse) define(ctx context.Context, statement string) error {
	conn, err := w.beside()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := conn.Exec(ctx, statement, clickhouse.Named("database", w.database)); err != nil {
		return fmt.Errorf("create or drop the database: %w", err)
	}
	return nil
}

// Ready tells whether the server answers and the schema is the one that this code needs, with a SchemaError when it is
// older. A newer schema is accepted: migrations only add.
func (w *Warehouse) Ready(ctx context.Context) error {
	var have int64
	if err := w.conn.QueryRow(ctx, "SELECT max(version_id) FROM goose_db_version WHERE is_applied").Scan(&have); err != nil {
		return fmt.Errorf("read the schema version: %w", err)
	}
	if have < schemaVersion {
		return &SchemaError{Have: have, Need: schemaVersion}
	}
	return nil
}
