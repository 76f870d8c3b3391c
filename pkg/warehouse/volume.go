package warehouse

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"math/big"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

//go:embed queries/years.sql
var yearsSQL string

//go:embed queries/months.sql
var monthsSQL string

//go:embed queries/parts.sql
var partsSQL string

//go:embed queries/company.sql
var companySQL string

// By is how a volume is cut into items.
type By string

// The ways to cut a volume.
const (
	ByTotal   By = "total" // no items
	ByChapter By = "chapter"
	ByPair    By = "pair"
	ByMonth   By = "month"
)

// Sums are what a set of ledger entries adds up to, in minor units of the association's reporting currency.
type Sums struct {
	Amount            *big.Int
	AttestedByParties *big.Int // the part of Amount for which the parties themselves stand, not a registrar
	Deals             int64    // how many deals Amount is made of
	Unconverted       int64    // how many deals wait for a rate and are not in Amount
}

// Item is one part of a volume. Only the fields of the way in which it was cut are set.
type Item struct {
	Chapter deal.ID
	A, B    deal.ID       // the companies of a pair, the lesser first
	Month   calendar.Date // the first day of the month
	Sums
}

// Volume is an association's year. Items add up to Total.
type Volume struct {
	Currency     string // ISO 4217; empty while the association has no won deal in either year
	Total        Sums
	PreviousYear Sums
	Items        []Item // pairs and chapters by falling amount, then by id; months in their order
}

// VolumeQuery asks for an association's year as it was after the event at the sequence UpTo.
type VolumeQuery struct {
	Association deal.ID
	Year        int
	By          By
	UpTo        uint64
}

// CurrencyError says that a sum would mix currencies, which the log must never ask for.
type CurrencyError struct {
	Association deal.ID
	Year        int
}

func (e *CurrencyError) Error() string {
	return fmt.Sprintf("association %s has entries in several currencies in %d: run dealreg audit", e.Association, e.Year)
}

// Volume folds the ledger up to a sequence. The caller makes sure that the warehouse holds the log that far.
func (w *Warehouse) Volume(ctx context.Context, q VolumeQuery) (Volume, error) {
	v := Volume{Total: NoSums(), PreviousYear: NoSums()}
	if err := w.years(ctx, q, &v); err != nil {
		return Volume{}, err
	}
	var err error
	switch q.By {
	case ByMonth:
		v.Items, err = w.months(ctx, q)
	case ByChapter:
		v.Items, err = w.parts(ctx, q, "chapter")
	case ByPair:
		v.Items, err = w.parts(ctx, q, "pair")
	case ByTotal:
	}
	if err != nil {
		return Volume{}, err
	}
	return v, nil
}

// NoSums are the sums of no entries.
func NoSums() Sums { return Sums{Amount: new(big.Int), AttestedByParties: new(big.Int)} }

func (w *Warehouse) years(ctx context.Context, q VolumeQuery, v *Volume) error {
	rows, err := w.conn.Query(ctx, yearsSQL, q.parameters()...)
	if err != nil {
		return fmt.Errorf("sum years: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var year int32
		var currencies []string
		s := NoSums()
		if err := rows.Scan(&year, s.Amount, s.AttestedByParties, &s.Deals, &s.Unconverted, &currencies); err != nil {
			return fmt.Errorf("read years: %w", err)
		}
		if len(currencies) != 1 || v.Currency != "" && v.Currency != currencies[0] {
			return &CurrencyError{Association: q.Association, Year: int(year)}
		}
		v.Currency = currencies[0]
		if int(year) == q.Year {
			v.Total = s
		} else {
			v.PreviousYear = s
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read years: %w", err)
	}
	return nil
}

func (w *Warehouse) months(ctx context.Context, q VolumeQuery) ([]Item, error) {
	rows, err := w.conn.Query(ctx, monthsSQL, q.parameters()...)
	if err != nil {
		return nil, fmt.Errorf("sum months: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var items []Item
	for rows.Next() {
		item := Item{Sums: NoSums()}
		var month int32
		if err := rows.Scan(&month, item.Amount, item.AttestedByParties, &item.Deals, &item.Unconverted); err != nil {
			return nil, fmt.Errorf("read months: %w", err)
		}
		item.Month = calendar.Date(month)
		items = append(items, item)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read months: %w", err)
	}
	return items, nil
}

func (w *Warehouse) parts(ctx context.Context, q VolumeQuery, kind string) ([]Item, error) {
	rows, err := w.conn.Query(ctx, partsSQL, append(q.parameters(), clickhouse.Named("kind", kind))...)
	if err != nil {
		return nil, fmt.Errorf("sum %ss: %w", kind, err)
	}
	defer func() { _ = rows.Close() }()
	var items []Item
	for rows.Next() {
		item := Item{Sums: NoSums()}
		var a, b uuid.UUID
		if err := rows.Scan(&a, &b, item.Amount, item.AttestedByParties, &item.Deals, &item.Unconverted); err != nil {
			return nil, fmt.Errorf("read %ss: %w", kind, err)
		}
		if kind == "chapter" {
			item.Chapter = deal.ID(a)
		} else {
			item.A, item.B = deal.ID(a), deal.ID(b)
		}
		items = append(items, item)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read %ss: %w", kind, err)
	}
	slices.SortFunc(items, func(x, y Item) int {
		return cmp.Or(y.Amount.Cmp(x.Amount), x.Chapter.Compare(y.Chapter), x.A.Compare(y.A), x.B.Compare(y.B))
	})
	return items, nil
}

func (q VolumeQuery) parameters() []any {
	return []any{
		clickhouse.Named("up_to", q.UpTo),
		clickhouse.Named("association", q.Association.String()),
		clickhouse.Named("year", q.Year),
	}
}

// CompanyPair is what a company and one partner count for together in one association.
type CompanyPair struct {
	Association deal.ID
	Partner     deal.ID
	Currency    string
	Sums
}

// CompanyVolume folds a company's pairs in a year, over all associations, up to a sequence. They come by association,
// then by falling amount.
func (w *Warehouse) CompanyVolume(ctx context.Context, company deal.ID, year int, upTo uint64) ([]CompanyPair, error) {
	rows, err := w.conn.Query(ctx, companySQL, clickhouse.Named("up_to", upTo),
		clickhouse.Named("company", company.String()), clickhouse.Named("year", year))
	if err != nil {
		return nil, fmt.Errorf("sum a company's pairs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var pairs []CompanyPair
	for rows.Next() {
		p := CompanyPair{Sums: NoSums()}
		var association, partner uuid.UUID
		err := rows.Scan(&association, &p.Currency, &partner, p.Amount, p.AttestedByParties, &p.Deals, &p.Unconverted)
		if err != nil {
			return nil, fmt.Errorf("read a company's pairs: %w", err)
		}
		p.Association, p.Partner = deal.ID(association), deal.ID(partner)
		pairs = append(pairs, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read a company's pairs: %w", err)
	}
	slices.SortFunc(pairs, func(x, y CompanyPair) int {
		return cmp.Or(x.Association.Compare(y.Association), y.Amount.Cmp(x.Amount), x.Partner.Compare(y.Partner))
	})
	return pairs, nil
}
