package warehouse

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

//go:embed queries/deals.sql
var dealsSQL string

// Filter chooses deals by their latest state. A zero field chooses all.
type Filter struct {
	Company      deal.ID // a party of the deal, or one that an open correction would take in
	Role         string  // of the company, which is given then
	WaitsFor     deal.ID // a company without whose word the deal does not move on; it is Company too
	Association  deal.ID // in the audience of the deal's latest event
	Status       string
	Statuses     []string   // any of them
	Words        []string   // each in the title, the customer or the external reference, in any case
	Customer     string     // in the customer's name, in any case, or its domain
	After        uint64     // the latest event lies behind this sequence
	Year         int        // in which the deal was won
	YearStartsIn time.Month // of that year; 0 is January
	UpdatedSince time.Time  // in milliseconds
	Unconverted  bool       // waits for a rate, in the association when one is given
	Deals        []deal.ID  // any of them
}

// Cursor is where a page of deals begins. The zero Cursor is the first page, and after the last one.
type Cursor struct {
	asOf   uint64 // the prefix of the log in which all pages look
	before uint64 // the sequence behind which the page begins
}

// IsZero tells whether the cursor begins at the first page or, given back by FindDeals, that there is no other page.
func (c Cursor) IsZero() bool { return c == Cursor{} }

// String gives the text that ParseCursor reads, empty for the zero Cursor.
func (c Cursor) String() string {
	if c.IsZero() {
		return ""
	}
	return strconv.FormatUint(c.asOf, 36) + "." + strconv.FormatUint(c.before, 36)
}

// ParseCursor reads what String gave.
func ParseCursor(text string) (Cursor, error) {
	if text == "" {
		return Cursor{}, nil
	}
	asOf, before, _ := strings.Cut(text, ".")
	c := Cursor{}
	var err error
	if c.asOf, err = strconv.ParseUint(asOf, 36, 64); err == nil {
		c.before, err = strconv.ParseUint(before, 36, 64)
	}
	if err != nil || c.before > c.asOf || c.before == 0 {
		return Cursor{}, fmt.Errorf("cursor: send one that a page gave, as it is")
	}
	return c, nil
}

// AsOf is the last sequence of the prefix in which the pages look.
func (c Cursor) AsOf() uint64 { return c.asOf }

// FirstPage is a cursor at the first page of all that the warehouse holds now.
func (w *Warehouse) FirstPage(ctx context.Context) (Cursor, error) {
	checkpoint, err := w.Checkpoint(ctx)
	return Cursor{asOf: checkpoint.Sequence, before: math.MaxUint64}, err
}

// The latest events are asked for a page of deals first, and then so many times as many as long as it is not full: the
// first page of a list need not read the whole log. The last look reads it all, the ones before it a seventh of that.
const (
	lookBack      = 50_000
	lookBackTimes = 8
)

// FindDeals gives up to limit deals, those whose latest event is newest first, and the cursor of the next page. It only
// finds: what the deal is, and who may see it, the log decides.
func (w *Warehouse) FindDeals(ctx context.Context, f Filter, limit int, from Cursor) ([]deal.ID, Cursor, error) {
	if from.IsZero() {
		var err error
		if from, err = w.FirstPage(ctx); err != nil {
			return nil, Cursor{}, err
		}
	}
	all := f.After
	for back := w.lookBack; ; back *= lookBackTimes {
		begins := min(from.before-1, from.asOf) // the newest event that can be on the page
		f.After = max(all, begins-min(back, begins))
		ids, next, err := w.findDeals(ctx, f, limit, from)
		if err != nil || !next.IsZero() || f.After == all {
			return ids, next, err
		}
	}
}

// findDeals looks at no event at or before f.After. A deal that it finds changed behind that, so the deals that it finds
// are the newest ones.
func (w *Warehouse) findDeals(ctx context.Context, f Filter, limit int, from Cursor) ([]deal.ID, Cursor, error) {
	wonFrom, wonBefore := f.wonBetween()
	rows, err := w.conn.Query(ctx, dealsSQL,
		clickhouse.Named("as_of", from.asOf),
		clickhouse.Named("before", from.before),
		clickhouse.Named("any_company", f.Company.IsZero()),
		clickhouse.Named("company", f.Company.String()),
		clickhouse.Named("any_association", f.Association.IsZero()),
		clickhouse.Named("association", f.Association.String()),
		clickhouse.Named("role", f.Role),
		clickhouse.Named("any_waiting", f.WaitsFor.IsZero()),
		clickhouse.Named("statuses", f.statuses()),
		clickhouse.Named("words", append([]string{}, f.Words...)),
		clickhouse.Named("customer", f.Customer),
		clickhouse.Named("after", f.After),
		clickhouse.Named("any_year", f.Year == 0),
		clickhouse.Named("won_from", wonFrom),
		clickhouse.Named("won_before", wonBefore),
		clickhouse.Named("updated_since", f.updatedSinceMilli()),
		clickhouse.Named("unconverted", f.Unconverted),
		clickhouse.Named("any_deal", len(f.Deals) == 0),
		clickhouse.Named("deals", idTexts(f.Deals)),
		clickhouse.Named("limit", limit+1))
	if err != nil {
		return nil, Cursor{}, fmt.Errorf("find deals: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var ids []deal.ID
	next := Cursor{}
	for rows.Next() {
		var id uuid.UUID
		var seq uint64
		if err := rows.Scan(&id, &seq); err != nil {
			return nil, Cursor{}, fmt.Errorf("read deals: %w", err)
		}
		if len(ids) == limit { // the one too many: there is a next page
			return ids, next, nil
		}
		ids = append(ids, deal.ID(id))
		next = Cursor{asOf: from.asOf, before: seq}
	}
	if err := rows.Err(); err != nil {
		return nil, Cursor{}, fmt.Errorf("read deals: %w", err)
	}
	return ids, Cursor{}, nil
}

func (f Filter) statuses() []string {
	statuses := append([]string{}, f.Statuses...)
	if f.Status != "" {
		statuses = append(statuses, f.Status)
	}
	return statuses
}

// wonBetween gives the days from the first of the year to before the first of the next.
func (f Filter) wonBetween() (from, before int32) {
	month := max(f.YearStartsIn, time.January)
	return int32(calendar.New(f.Year, month, 1)), int32(calendar.New(f.Year+1, month, 1))
}

func (f Filter) updatedSinceMilli() int64 {
	if f.UpdatedSince.IsZero() {
		return 0
	}
	return f.UpdatedSince.UnixMilli()
}
