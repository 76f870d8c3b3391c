package warehouse

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/dealreg/dealreg/pkg/deal"
)

//go:embed queries/deal_counts.sql
var dealCountsSQL string

// Whose deals are counted: a company's or an association's, exactly one of the two.
type Whose struct {
	Company      deal.ID // a party of the deal, or one that an open correction would take in
	Association  deal.ID // in the audience of the deal's latest event
	Year         int     // in which a deal was won to count as won
	YearStartsIn time.Month
}

// DealCounts are how many deals stand where.
type DealCounts struct {
	Waiting int64 // for the company's word, or for that of any party; not those whose events say nothing about it yet
	Pending, Active, Closing, Disputed,
	Won int64 // in the year
	Unconverted int64 // of an association: won deals that wait for a rate
}

func (c DealCounts) plus(change DealCounts) DealCounts {
	return DealCounts{
		Waiting: c.Waiting + change.Waiting, Pending: c.Pending + change.Pending, Active: c.Active + change.Active,
		Closing: c.Closing + change.Closing, Disputed: c.Disputed + change.Disputed, Won: c.Won + change.Won,
		Unconverted: c.Unconverted + change.Unconverted,
	}
}

// counted is how the deals stood at the end of roll-ups. They mark the events: as long as these are stored, it is still so.
type counted struct {
	chosen chosen
	DealCounts
}

// rememberCounts bounds for how many companies and associations it is remembered how their deals stood.
const rememberCounts = 10_000

// CountDeals counts in the events up to and including the sequence. It reads them all for the first time; what it counted
// in those that are rolled up it remembers, and from then on looks only at deals that changed since.
func (w *Warehouse) CountDeals(ctx context.Context, of Whose, upTo uint64) (counts DealCounts, err error) {
	err = w.fold(ctx, upTo, func(c chosen) error {
		before, err := w.countedUpTo(ctx, of, c)
		if err != nil {
			return err
		}
		change, err := w.countChange(ctx, of, c.last(), upTo)
		counts = before.plus(change)
		return err
	})
	return counts, err
}

// countedUpTo counts in the events that the roll-ups stand for.
func (w *Warehouse) countedUpTo(ctx context.Context, of Whose, c chosen) (DealCounts, error) {
	if len(c) == 0 {
		return DealCounts{}, nil
	}
	known, _ := w.counted.Get(of)
	if known.chosen.last() > c.last() || !known.chosen.still(*w.seen.Load()) { // some were seen: c are
		known = counted{}
	}
	if known.chosen.last() == c.last() {
		return known.DealCounts, nil
	}
	change, err := w.countChange(ctx, of, known.chosen.last(), c.last())
	if err != nil {
		return DealCounts{}, err
	}
	counts := known.plus(change)
	w.counted.Put(of, counted{chosen: c, DealCounts: counts}, 1)
	return counts, nil
}

// countChange tells by how much the events behind a sequence, up to and including another, change the counts.
func (w *Warehouse) countChange(ctx context.Context, of Whose, after, upTo uint64) (DealCounts, error) {
	wonFrom, wonBefore := Filter{Year: of.Year, YearStartsIn: of.YearStartsIn}.wonBetween()
	var c DealCounts
	err := w.conn.QueryRow(ctx, dealCountsSQL,
		clickhouse.Named("after", after),
		clickhouse.Named("up_to", upTo),
		clickhouse.Named("company", of.Company.String()),
		clickhouse.Named("any_company", of.Company.IsZero()),
		clickhouse.Named("any_association", of.Association.IsZero()),
		clickhouse.Named("association", of.Association.String()),
		clickhouse.Named("won_from", wonFrom),
		clickhouse.Named("won_before", wonBefore)).
		Scan(&c.Waiting, &c.Pending, &c.Active, &c.Closing, &c.Disputed, &c.Won, &c.Unconverted)
	if err != nil {
		return DealCounts{}, fmt.Errorf("count deals: %w", err)
	}
	return c, nil
}
