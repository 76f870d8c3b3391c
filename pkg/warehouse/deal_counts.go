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
	Waiting uint64 // for the company's word, or for that of any party; not those whose events say nothing about it yet
	Pending, Active, Closing, Disputed,
	Won uint64 // in the year
	Unconverted int64 // of an association: won deals that wait for a rate
}

// CountDeals counts in the events up to and including the sequence.
func (w *Warehouse) CountDeals(ctx context.Context, of Whose, upTo uint64) (DealCounts, error) {
	wonFrom, wonBefore := Filter{Year: of.Year, YearStartsIn: of.YearStartsIn}.wonBetween()
	var c DealCounts
	err := w.conn.QueryRow(ctx, dealCountsSQL,
		clickhouse.Named("as_of", upTo),
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
