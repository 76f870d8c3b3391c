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

// Volume is an association's year. Items and Rest add up to Total, unless they are of one company. It must not be changed.
type Volume struct {
	Currency     string // ISO 4217; empty while the association has no won deal in either year
	Total        Sums
	PreviousYear Sums
	Items        []Item          // pairs and chapters by falling amount, then by id; months in their order
	Rest         *Rest           // what a limit left out of the items; nil without one
	Partners     map[deal.ID]int // of how many pairs each company is; nil when not cut into pairs
}

// Rest is what the items add up to that are not shown.
type Rest struct {
	Items int
	Sums
}

// VolumeQuery asks for an association's year as it was after the event at the sequence UpTo.
type VolumeQuery struct {
	Association deal.ID
	Year        int
	By          By
	UpTo        uint64
	Limit       int     // only so many chapters or pairs, the largest; 0 for all
	Company     deal.ID // only pairs of this company; zero for all
	Rows        bool    // sum each event's row, whatever was rolled up or is remembered
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
func (w *Warehouse) Volume(ctx context.Context, q VolumeQuery) (v Volume, err error) {
	read := func(c chosen) error {
		rolled, err := w.rolled(ctx, q.part(), c)
		if err != nil {
			return err
		}
		behind, err := w.readCells(ctx, tailSQL, append(c.parameters(q.UpTo), q.part().parameters()...))
		if err == nil {
			v, err = rolled.and(q, behind)
		}
		return err
	}
	if q.Rows {
		err = read(nil)
	} else {
		err = w.fold(ctx, q.UpTo, read)
	}
	return v, err
}

// add adds a cell to the total of its year when it is a month of the association. Other cells are views of the same
// amounts.
func (v *Volume) add(p part, key cellKey, s Sums) error {
	if v.Currency != "" && v.Currency != key.currency {
		return &CurrencyError{Association: p.association, Year: int(key.year)}
	}
	v.Currency = key.currency
	switch {
	case key.kind != KindAssociation:
	case int(key.year) == p.year:
		v.Total.add(s)
	default:
		v.PreviousYear.add(s)
	}
	return nil
}

// NoSums are the sums of no entries.
func NoSums() Sums { return Sums{Amount: new(big.Int), AttestedByParties: new(big.Int)} }

func (s *Sums) add(t Sums) {
	s.Amount.Add(s.Amount, t.Amount)
	s.AttestedByParties.Add(s.AttestedByParties, t.AttestedByParties)
	s.Deals += t.Deals
	s.Unconverted += t.Unconverted
}

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
	err := w.fold(ctx, upTo, func(c chosen) (err error) {
		pairs, err = w.companyPairs(ctx, append(c.parameters(upTo), clickhouse.Named("company", company.String()), clickhouse.Named("year", year)))
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(pairs, func(x, y CompanyPair) int {
		return cmp.Or(x.Association.Compare(y.Association), y.Amount.Cmp(x.Amount), x.Partner.Compare(y.Partner))
	})
	return pairs, nil
}

func (w *Warehouse) companyPairs(ctx context.Context, parameters []any) (pairs []CompanyPair, err error) {
	rows, err := w.conn.Query(ctx, companySQL, parameters...)
	if err != nil {
		return nil, fmt.Errorf("sum a company's pairs: %w", err)
	}
	defer func() { _ = rows.Close() }()
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
	return pairs, nil
}
