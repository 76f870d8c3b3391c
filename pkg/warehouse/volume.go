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

//go:embed queries/volume.sql
var volumeSQL string

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
	var v Volume
	err := w.fold(ctx, q.UpTo, func(parameters []any) (found uint64, err error) {
		v, found, err = w.volume(ctx, q, parameters)
		return found, err
	})
	if err != nil {
		return Volume{}, err
	}
	slices.SortFunc(v.Items, func(x, y Item) int {
		return cmp.Or(cmp.Compare(x.Month, y.Month), y.Amount.Cmp(x.Amount), x.Chapter.Compare(y.Chapter), x.A.Compare(y.A), x.B.Compare(y.B))
	})
	return v, nil
}

func (w *Warehouse) volume(ctx context.Context, q VolumeQuery, parameters []any) (v Volume, found uint64, err error) {
	part := KindAssociation
	switch q.By {
	case ByChapter:
		part = KindChapter
	case ByPair:
		part = KindPair
	case ByTotal, ByMonth:
	}
	v = Volume{Total: NoSums(), PreviousYear: NoSums()}
	rows, err := w.conn.Query(ctx, volumeSQL, append(parameters, clickhouse.Named("association", q.Association.String()),
		clickhouse.Named("year", q.Year), clickhouse.Named("kind", part.String()))...)
	if err != nil {
		return v, 0, fmt.Errorf("sum a year: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var kind Kind
		var year, month int32
		var a, b uuid.UUID
		var currency string
		var sequences uint64
		s := NoSums()
		err := rows.Scan((*int8)(&kind), &year, &month, &a, &b, &currency, s.Amount, s.AttestedByParties, &s.Deals, &s.Unconverted, &sequences)
		if err != nil {
			return v, 0, fmt.Errorf("read a year: %w", err)
		}
		if kind == kindRange {
			found = sequences
			continue
		}
		if err := v.add(q, kind, int(year), currency, s); err != nil {
			return v, 0, err
		}
		if int(year) != q.Year || s.nothing() {
			continue
		}
		switch {
		case kind == KindChapter:
			v.Items = append(v.Items, Item{Chapter: deal.ID(a), Sums: s})
		case kind == KindPair:
			v.Items = append(v.Items, Item{A: deal.ID(a), B: deal.ID(b), Sums: s})
		case q.By == ByMonth:
			v.Items = append(v.Items, Item{Month: calendar.Date(month), Sums: s})
		}
	}
	if err := rows.Err(); err != nil {
		return v, 0, fmt.Errorf("read a year: %w", err)
	}
	return v, found, nil
}

// add adds a month of the association to its year. Other sums are views of the same amounts.
func (v *Volume) add(q VolumeQuery, kind Kind, year int, currency string, s Sums) error {
	if v.Currency != "" && v.Currency != currency {
		return &CurrencyError{Association: q.Association, Year: year}
	}
	v.Currency = currency
	if kind != KindAssociation {
		return nil
	}
	total := &v.Total
	if year != q.Year {
		total = &v.PreviousYear
	}
	total.Amount.Add(total.Amount, s.Amount)
	total.AttestedByParties.Add(total.AttestedByParties, s.AttestedByParties)
	total.Deals += s.Deals
	total.Unconverted += s.Unconverted
	return nil
}

// NoSums are the sums of no entries.
func NoSums() Sums { return Sums{Amount: new(big.Int), AttestedByParties: new(big.Int)} }

// nothing tells whether every entry was taken back, or there was none.
func (s Sums) nothing() bool { return s.Amount.Sign() == 0 && s.Deals == 0 && s.Unconverted == 0 }

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
	var pairs []CompanyPair
	err := w.fold(ctx, upTo, func(parameters []any) (found uint64, err error) {
		pairs, found, err = w.companyPairs(ctx, append(parameters, clickhouse.Named("company", company.String()), clickhouse.Named("year", year)))
		return found, err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(pairs, func(x, y CompanyPair) int {
		return cmp.Or(x.Association.Compare(y.Association), y.Amount.Cmp(x.Amount), x.Partner.Compare(y.Partner))
	})
	return pairs, nil
}

func (w *Warehouse) companyPairs(ctx context.Context, parameters []any) (pairs []CompanyPair, found uint64, err error) {
	rows, err := w.conn.Query(ctx, companySQL, parameters...)
	if err != nil {
		return nil, 0, fmt.Errorf("sum a company's pairs: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		p := CompanyPair{Sums: NoSums()}
		var kind Kind
		var association, partner uuid.UUID
		var sequences uint64
		err := rows.Scan((*int8)(&kind), &association, &p.Currency, &partner, p.Amount, p.AttestedByParties, &p.Deals, &p.Unconverted, &sequences)
		if err != nil {
			return nil, 0, fmt.Errorf("read a company's pairs: %w", err)
		}
		if kind == kindRange {
			found = sequences
			continue
		}
		p.Association, p.Partner = deal.ID(association), deal.ID(partner)
		pairs = append(pairs, p)
	}
	if err := rows.Err(); err != nil {
		return nil, 0, fmt.Errorf("read a company's pairs: %w", err)
	}
	return pairs, found, nil
}
