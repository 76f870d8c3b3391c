// Package warehousetest gives each test a database of its own on the real engine.
package warehousetest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// New gives an empty warehouse with its schema, dropped when the test ends.
func New(t testing.TB) *warehouse.Warehouse {
	t.Helper()
	w := Open(t, DSN(t))
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// Open opens the warehouse at the DSN until the test ends, which drops its database.
func Open(t testing.TB, dsn string) *warehouse.Warehouse {
	t.Helper()
	w, err := warehouse.Open(warehouse.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drop(context.WithoutCancel(t.Context()), w); err != nil { // the test's own context has ended
			t.Errorf("drop the test's database: %v", err)
		}
		_ = w.Close()
	})
	return w
}

// drop drops the database again while a migration that was broken off still makes its last table: the engine says so.
func drop(ctx context.Context, w *warehouse.Warehouse) error {
	const newTableAppeared = 219
	for tries := 1; ; tries++ {
		err := w.Drop(ctx)
		if refused, is := errors.AsType[*clickhouse.Exception](err); !is || refused.Code != newTableAppeared || tries == 10 {
			return err
		}
	}
}

// Exec runs a statement that the warehouse itself has no need of.
func Exec(t testing.TB, dsn, statement string, values ...any) {
	t.Helper()
	if err := embeddedtest.Connect(t, dsn).Exec(t.Context(), statement, values...); err != nil {
		t.Fatal(err)
	}
}

// Rows counts the rows of deal_events as they lie there, each copy of a sequence for itself.
func Rows(t testing.TB, dsn string) uint64 {
	t.Helper()
	var rows uint64
	if err := embeddedtest.Connect(t, dsn).QueryRow(t.Context(), "SELECT count() FROM deal_events").Scan(&rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// RolledUp gives the last sequence of the last range that is rolled up; 0 for none.
func RolledUp(t testing.TB, dsn string) (last uint64) {
	t.Helper()
	if err := embeddedtest.Connect(t, dsn).QueryRow(t.Context(), "SELECT toUInt64(greatest(max(first + size), 1) - 1) FROM rollups").Scan(&last); err != nil {
		t.Fatal(err)
	}
	return last
}

// Spoil makes the row at the sequence one that code of before could not read, though the payload is sound.
func Spoil(t testing.TB, dsn string, seq uint64, payload []byte) {
	t.Helper()
	hash := sha256.Sum256(payload)
	Exec(t, dsn, "DELETE FROM deal_events WHERE seq = ?", seq)
	Exec(t, dsn, "INSERT INTO deal_events (seq, at, payload_hash, poison, payload, told) SELECT ?, now64(3), unhex(?), 'unknown to code of before', unhex(?), true",
		seq, hex.EncodeToString(hash[:]), hex.EncodeToString(payload))
}

// Groups gives the groups of the parties at the sequence.
func Groups(t testing.TB, dsn string, seq uint64) []uuid.UUID {
	t.Helper()
	var groups []uuid.UUID
	if err := embeddedtest.Connect(t, dsn).QueryRow(t.Context(), "SELECT groups FROM deal_events FINAL WHERE seq = ?", seq).Scan(&groups); err != nil {
		t.Fatal(err)
	}
	return groups
}

// Table gives each row of deal_events as one text, in the order of the sequences: all columns, then each ledger entry.
func Table(t testing.TB, dsn string) []string {
	t.Helper()
	rows, err := embeddedtest.Connect(t, dsn).Query(t.Context(), `SELECT concat(
		arrayStringConcat([toString(seq), toString(toUnixTimestamp64Milli(at)), lower(hex(payload_hash)), poison, lower(hex(payload)),
			toString(deal_id), toString(revision), type, status, toString(registered_by), arrayStringConcat(companies, ','),
			arrayStringConcat(groups, ','), arrayStringConcat(associations, ','), ifNull(toString(toInt32(won_on)), ''),
			value_currency, title, customer, customer_domain, external_ref, arrayStringConcat(roles, ','),
			arrayStringConcat(joining, ','), arrayStringConcat(waits_for, ',')], '|'),
		arrayStringConcat(arrayMap((kind, association, year, month, a, b, currency, amount, deals, by_parties, unconverted) ->
			concat('|', arrayStringConcat([toString(toInt8(kind)), toString(association), toString(year), toString(toInt32(month)),
				toString(a), toString(b), currency, toString(amount), toString(deals), toString(by_parties), toString(unconverted)], ' ')),
			entry.kind, entry.association_id, entry.year, entry.month, entry.a, entry.b, entry.currency, entry.amount, entry.deals,
			entry.by_parties, entry.unconverted)))
		FROM deal_events FINAL WHERE told ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var result []string
	for rows.Next() {
		var row string
		if err := rows.Scan(&row); err != nil {
			t.Fatal(err)
		}
		result = append(result, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return result
}

// Parts counts the parts that inserts wrote to the first partition of deal_events, whether or not they were merged since.
func Parts(t testing.TB, dsn string) uint64 {
	t.Helper()
	var parts uint64
	query := "SELECT toUInt64(max(max_block_number)) FROM system.parts WHERE database = currentDatabase() AND table = 'deal_events'"
	if err := embeddedtest.Connect(t, dsn).QueryRow(t.Context(), query).Scan(&parts); err != nil {
		t.Fatal(err)
	}
	return parts
}

// DSN names a database that does not exist yet on the engine that the tests of the process share. The package's
// TestMain is embeddedtest.Main.
func DSN(t testing.TB) string {
	t.Helper()
	dsn, err := url.Parse(embeddedtest.ClickHouse(t))
	if err != nil {
		t.Fatal(err)
	}
	dsn.Path = "/test_" + strings.ToLower(rand.Text())
	return dsn.String()
}
