package warehouse

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

//go:embed queries/rollup_ranges.sql
var rollupRangesSQL string

// rollup is a range of sequences of which it is stored what its events add up to. A range begins at a multiple of its
// size; the first one begins at 0, which is no sequence.
type rollup struct {
	size, first uint64
	version     uint64 // the sum of the versions of the rows
	roll        uint64 // the number that its rows have
	quarantined uint64
	at          time.Time // of the last event
}

func (r rollup) last() uint64 { return r.first + r.size - 1 }

// rollups gives what is rolled up, by the first sequence, the longer range before the shorter.
func (w *Warehouse) rollups(ctx context.Context) ([]rollup, error) {
	return w.rolledUp.ask(ctx, w.readRollups)
}

func (w *Warehouse) readRollups(ctx context.Context) ([]rollup, error) {
	rows, err := w.conn.Query(ctx, rollupRangesSQL)
	if err != nil {
		return nil, fmt.Errorf("read the roll-ups: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var stored []rollup
	for rows.Next() {
		var r rollup
		if err := rows.Scan(&r.size, &r.first, &r.version, &r.roll, &r.quarantined, &r.at); err != nil {
			return nil, fmt.Errorf("read the roll-ups: %w", err)
		}
		stored = append(stored, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the roll-ups: %w", err)
	}
	w.seen.Store(&stored)
	return stored, nil
}

// chosen are roll-ups that follow each other from the beginning of the log. What is behind them is read from the events.
type chosen []rollup

// choose takes the longest roll-up at each place, as far as they follow each other and none reaches beyond the sequence.
func choose(stored []rollup, upTo uint64) chosen {
	var result chosen
	next := uint64(0)
	for _, r := range stored {
		if r.first == next && r.last() <= upTo {
			result, next = append(result, r), r.last()+1
		}
	}
	return result
}

// last is the sequence up to which the roll-ups stand for the log; 0 for none of it. It is also how many events they
// stand for.
func (c chosen) last() uint64 {
	if len(c) == 0 {
		return 0
	}
	return c[len(c)-1].last()
}

// String names them as a literal of ClickHouse's type Array(Tuple(UInt64, UInt64, UInt64)). Others have another one.
func (c chosen) String() string {
	var text strings.Builder
	for i, r := range c {
		if i > 0 {
			text.WriteByte(',')
		}
		fmt.Fprintf(&text, "(%d,%d,%d)", r.size, r.first, r.roll)
	}
	return "[" + text.String() + "]"
}

// parameters names the roll-ups in a query, and what it reads behind them.
func (c chosen) parameters(upTo uint64) []any {
	return []any{clickhouse.Named("chosen", c.String()), clickhouse.Named("after", c.last()), clickhouse.Named("up_to", upTo)}
}

// still tells whether each of them is among those that are stored.
func (c chosen) still(stored []rollup) bool {
	for _, r := range stored {
		if len(c) > 0 && r.roll == c[0].roll {
			c = c[1:]
		}
	}
	return len(c) == 0
}

// same tells whether they are the same ones: their sums are then the same too.
func (c chosen) same(other chosen) bool {
	return slices.EqualFunc(c, other, func(a, b rollup) bool { return a.roll == b.roll })
}

// chooseAgain bounds how often roll-ups are chosen that are gone when they are read.
const chooseAgain = 3

// fold has roll-ups read, and the events behind them up to the sequence. What was read counts when all those roll-ups are
// still stored afterwards: then no rebuild was exchanged meanwhile, which begins with taking them away, and no merge put
// others in their place. Else it is read anew with others, at last with none. So those that were stored at the last look
// will do to begin with, unless much could be behind them.
func (w *Warehouse) fold(ctx context.Context, upTo uint64, read func(c chosen) error) error {
	var stored []rollup
	if seen := w.seen.Load(); seen != nil {
		stored = *seen
	}
	if behind := choose(stored, upTo).last(); upTo-behind >= 2*w.RollupStep() && (upTo != math.MaxUint64 || behind == 0) {
		var err error
		if stored, err = w.rollups(ctx); err != nil {
			return err
		}
	}
	for range chooseAgain {
		c := choose(stored, upTo)
		if err := read(c); err != nil || len(c) == 0 {
			return err
		}
		var err error
		if stored, err = w.rollups(ctx); err != nil || c.still(stored) {
			return err
		}
	}
	return read(nil)
}
