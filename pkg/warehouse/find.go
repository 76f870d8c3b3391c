package warehouse

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
)

//go:embed queries/due.sql
var dueSQL string

//go:embed queries/won_on.sql
var wonOnSQL string

//go:embed queries/won_by.sql
var wonBySQL string

// Page is a part of a list of deals: at most Limit of them, behind the deal After, in an order of the warehouse's own.
// The last deal of a page is the After of the next one; a page that is not full is the last.
type Page struct {
	After deal.ID
	Limit int
}

// Waiting holds, for each open status, the time at or before which a deal must have begun to wait to be found.
type Waiting struct {
	Pending, Closing, Active time.Time
}

// FindWaiting gives deals that wait since then or longer. It may give some that do not, and misses none that it holds.
func (w *Warehouse) FindWaiting(ctx context.Context, since Waiting, page Page) ([]deal.ID, error) {
	return w.find(ctx, dueSQL, page,
		clickhouse.Named("pending", milliUp(since.Pending)),
		clickhouse.Named("closing", milliUp(since.Closing)),
		clickhouse.Named("active", milliUp(since.Active)))
}

// milliUp cannot leave out an event of the same millisecond.
func milliUp(t time.Time) int64 { return t.UnixMilli() + 1 }

// Days are the days from First to Last, both included.
type Days struct{ First, Last calendar.Date }

// FindWonOn gives deals that were won on one of the days, in a currency that must be converted, into EUR or by an
// association of theirs: reporting is the currency of each. It may give some that no longer are, and misses none that it holds.
func (w *Warehouse) FindWonOn(ctx context.Context, days []Days, reporting map[deal.ID]money.Currency, page Page) ([]deal.ID, error) {
	var first, last []int32
	for _, d := range days {
		first, last = append(first, int32(d.First)), append(last, int32(d.Last))
	}
	var associations, currencies []string
	for id, currency := range reporting {
		associations, currencies = append(associations, id.String()), append(currencies, string(currency))
	}
	return w.find(ctx, wonOnSQL, page,
		clickhouse.Named("first", first), clickhouse.Named("last", last),
		clickhouse.Named("associations", associations), clickhouse.Named("currencies", currencies))
}

// FindWonBy gives deals that were won with one of the companies as a party. It may give some that no longer are, and
// misses none that it holds.
func (w *Warehouse) FindWonBy(ctx context.Context, companies []deal.ID, page Page) ([]deal.ID, error) {
	return w.find(ctx, wonBySQL, page, clickhouse.Named("companies", idTexts(companies)))
}

func (w *Warehouse) find(ctx context.Context, query string, page Page, parameters ...any) ([]deal.ID, error) {
	rows, err := w.conn.Query(ctx, query, append(parameters,
		clickhouse.Named("after", page.After.String()), clickhouse.Named("limit", page.Limit))...)
	if err != nil {
		return nil, fmt.Errorf("find deals: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var ids []deal.ID
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("read deals: %w", err)
		}
		ids = append(ids, deal.ID(id))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read deals: %w", err)
	}
	return ids, nil
}

// idTexts is a list of ids as a parameter Array(UUID).
func idTexts(ids []deal.ID) []string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return texts
}
