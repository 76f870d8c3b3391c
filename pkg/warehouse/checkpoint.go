package warehouse

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

//go:embed queries/checkpoint.sql
var checkpointSQL string

//go:embed queries/prefix.sql
var prefixSQL string

//go:embed queries/missing.sql
var missingSQL string

// Checkpoint is how far the warehouse holds the log. The zero Checkpoint holds nothing.
type Checkpoint struct {
	Sequence    uint64
	PayloadHash [32]byte // SHA-256 of the event's payload
	At          time.Time
}

// Checkpoint reads the highest sequence that is stored.
func (w *Warehouse) Checkpoint(ctx context.Context) (Checkpoint, error) {
	var c Checkpoint
	var hash []byte
	err := w.conn.QueryRow(ctx, checkpointSQL).Scan(&c.Sequence, &hash, &c.At)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Checkpoint{}, nil
	case err != nil:
		return Checkpoint{}, fmt.Errorf("read the checkpoint: %w", err)
	}
	copy(c.PayloadHash[:], hash)
	return c, nil
}

// Prefix is what the warehouse holds of the log up to a sequence.
type Prefix struct {
	First, Last uint64
	Sequences   uint64 // how many different sequences are stored
	Quarantined uint64 // how many of them could not be read: the sums lack them
	At          time.Time

	rows rowsMark
}

// rowsMark changes when rows of a prefix are repaired and when a rebuild takes their place. Nothing marks rows of which
// none is rolled up.
type rowsMark struct {
	rolled   string // names the roll-ups that stand for the first rows
	versions uint64 // the sum of the versions of the other rows
}

// Whole tells whether no sequence is missing between the first one of the log and the last one of the prefix.
func (p Prefix) Whole() bool {
	return p.Sequences == 0 || p.First == 1 && p.Sequences == p.Last
}

// Prefix describes the stored events up to and including the sequence. What is rolled up was counted then and is not
// counted again.
func (w *Warehouse) Prefix(ctx context.Context, upTo uint64) (p Prefix, err error) {
	err = w.fold(ctx, upTo, func(c chosen) error {
		var versions uint64
		p, versions, err = w.count(ctx, c.last(), upTo)
		if err != nil || len(c) == 0 {
			return err
		}
		p.rows = rowsMark{rolled: c.String(), versions: versions}
		if p.Sequences == 0 {
			p.Last, p.At = c.last(), c[len(c)-1].at
		}
		p.First = 1
		p.Sequences += c.last()
		for _, r := range c {
			p.Quarantined += r.quarantined
		}
		return nil
	})
	return p, err
}

// Latest is the Prefix of all that is stored when it is asked for, or later.
func (w *Warehouse) Latest(ctx context.Context) (Prefix, error) {
	return w.latest.ask(ctx, func(ctx context.Context) (Prefix, error) { return w.Prefix(ctx, math.MaxUint64) })
}

// Recount is Prefix, found by reading every sequence.
func (w *Warehouse) Recount(ctx context.Context, upTo uint64) (Prefix, error) {
	p, _, err := w.count(ctx, 0, upTo)
	return p, err
}

// FirstMissing is the lowest sequence, up to and including the given one, that is not stored; 0 when all are. It reads
// every sequence.
func (w *Warehouse) FirstMissing(ctx context.Context, upTo uint64) (sequence uint64, err error) {
	if err := w.conn.QueryRow(ctx, missingSQL, clickhouse.Named("up_to", upTo)).Scan(&sequence); err != nil {
		return 0, fmt.Errorf("find the first sequence that is missing: %w", err)
	}
	return sequence, nil
}

// count describes the stored events behind a sequence, up to and including another, and sums the versions of their rows.
func (w *Warehouse) count(ctx context.Context, after, upTo uint64) (p Prefix, versions uint64, err error) {
	err = w.conn.QueryRow(ctx, prefixSQL, clickhouse.Named("after", after), clickhouse.Named("up_to", upTo)).
		Scan(&p.First, &p.Last, &p.Sequences, &p.Quarantined, &p.At, &versions)
	if err != nil {
		return Prefix{}, 0, fmt.Errorf("read the prefix: %w", err)
	}
	return p, versions, nil
}
