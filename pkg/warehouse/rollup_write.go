package warehouse

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
)

//go:embed queries/rollup_repaired.sql
var rollupRepairedSQL string

//go:embed queries/rollup_insert.sql
var rollupInsertSQL string

// defaultRollupSizes are the sizes of the ranges that are rolled up, each a multiple of the one before. The first one
// bounds how many events a report reads one by one, the last one how many roll-ups. The ranges between make any prefix of
// the log quick to read, not only the longest one.
var defaultRollupSizes = []uint64{10_000, 100_000}

// UnevenError says that a range cannot be rolled up because the warehouse lacks events of it.
type UnevenError struct{ First, Last, Have uint64 }

func (e *UnevenError) Error() string {
	return fmt.Sprintf("the warehouse holds %d sequences from %d to %d, which are not all: rebuild it from the log", e.Have, e.First, e.Last)
}

// RollupStep is how many sequences the shortest range has: as often there is something to roll up.
func (w *Warehouse) RollupStep() uint64 { return w.rollupSizes[0] }

// RollUp rolls up every range that ends at or before the sequence and is not rolled up yet, or whose events were repaired
// since. A short range is left out where a long one holds it that is due as well. It may be broken off at any time and
// done by several processes at once: what is rolled up twice counts once. The caller makes sure that no rebuild is
// exchanged meanwhile.
func (w *Warehouse) RollUp(ctx context.Context, upTo uint64) error {
	stored, err := w.rollups(ctx)
	if err != nil {
		return err
	}
	repaired, err := w.repaired(ctx)
	if err != nil {
		return err
	}
	for _, r := range w.due(stored, repaired, upTo) {
		if err := w.rollUp(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// repaired gives the versions of the rows that took the place of others, by their sequences.
func (w *Warehouse) repaired(ctx context.Context) (map[uint64]uint64, error) {
	rows, err := w.conn.Query(ctx, rollupRepairedSQL)
	if err != nil {
		return nil, fmt.Errorf("look for repaired events: %w", err)
	}
	defer func() { _ = rows.Close() }()
	versions := map[uint64]uint64{}
	for rows.Next() {
		var seq, version uint64
		if err := rows.Scan(&seq, &version); err != nil {
			return nil, fmt.Errorf("look for repaired events: %w", err)
		}
		versions[seq] = version
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look for repaired events: %w", err)
	}
	return versions, nil
}

// due lists what has to be rolled up, long ranges first: they help most.
func (w *Warehouse) due(stored []rollup, repaired map[uint64]uint64, upTo uint64) []rollup {
	type place struct{ size, first uint64 }
	done, sizes, versions := map[place]bool{}, map[uint64]bool{}, map[place]uint64{}
	for _, r := range stored {
		done[place{r.size, r.first}], sizes[r.size] = true, true
	}
	for seq, version := range repaired {
		for size := range sizes {
			versions[place{size, seq - seq%size}] += version
		}
	}
	var due []rollup
	for _, r := range stored {
		if r.version < versions[place{r.size, r.first}] {
			due = append(due, r)
		}
	}
	within := uint64(0) // up to here a longer range is rolled up or due
	for _, size := range slices.Backward(w.rollupSizes) {
		first := within
		for ; first+size-1 <= upTo; first += size {
			if !done[place{size, first}] {
				due = append(due, rollup{size: size, first: first})
			}
		}
		within = first
	}
	return due
}

// rollUp rolls up one range of which every sequence is stored.
func (w *Warehouse) rollUp(ctx context.Context, r rollup) error {
	after := cmp.Or(r.first, 1) - 1
	p, versions, err := w.count(ctx, after, r.last())
	if err != nil {
		return err
	}
	if p.Sequences != r.last()-after {
		return &UnevenError{First: after + 1, Last: r.last(), Have: p.Sequences}
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithQueryID(fmt.Sprintf("%s%d-%d", w.rollupPrefix(), r.first, r.last())))
	err = w.conn.Exec(ctx, rollupInsertSQL,
		clickhouse.Named("size", r.size), clickhouse.Named("first", r.first), clickhouse.Named("version", versions),
		clickhouse.Named("roll", rand.Uint64()), //nolint:gosec // tells roll-ups apart, hides nothing
		clickhouse.Named("sequences", p.Sequences), clickhouse.Named("quarantined", p.Quarantined), clickhouse.Named("at", p.At.UnixMilli()))
	if err != nil {
		return fmt.Errorf("roll up sequences %d to %d: %w", r.first, r.last(), err)
	}
	return nil
}

// rollupPrefix begins the names of the queries that roll up. The database is part of it, since one server may hold several.
func (w *Warehouse) rollupPrefix() string { return "roll-" + w.database + "-" }

// KillRollUps ends the roll-ups that still run, also those of other processes, and waits until they have: what is
// not stored then will not be. The other processes begin again.
func (w *Warehouse) KillRollUps(ctx context.Context) error {
	err := w.conn.Exec(ctx, "KILL QUERY WHERE startsWith(query_id, {prefix:String}) SYNC", clickhouse.Named("prefix", w.rollupPrefix()))
	if err != nil {
		return fmt.Errorf("kill roll-ups: %w", err)
	}
	return nil
}
