package warehouse

import (
	"context"
	_ "embed"
	"fmt"
	"reflect"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

//go:embed queries/statement_deals.sql
var statementDealsSQL string

//go:embed queries/statement_told.sql
var statementToldSQL string

//go:embed queries/statement_years.sql
var statementYearsSQL string

//go:embed queries/statement_hashes.sql
var statementHashesSQL string

// DealYear is what one deal counts for in an association's year, from its first event that counted there on.
type DealYear struct {
	Deal     deal.ID
	Versions []DealVersion // by rising sequence, each different from the one before; at least one
	Told     []Party       // all who ever were a party of the deal, or were to become one, in whatever state it was
}

// DealVersion is what a deal counts for after an event that changed it.
type DealVersion struct {
	Sequence uint64
	Parties  []Party // of the deal, also those that are no members
	Counts   *Counts // nil: the deal counts for nothing any more
}

// Party is a company with its corporate group at the time of an event; one without a group is its own.
type Party struct{ Company, Group deal.ID }

// Counts is what a deal counts for, in minor units of the association's currency. Chapters and pairs add up to Amount.
type Counts struct {
	Month       calendar.Date // the first day of the month of won_on
	Currency    string
	AmountMinor int64
	ByParties   bool // whether the parties stand for it, or a registrar
	Unconverted bool // it waits for a rate: the amount is 0 and there are no parts
	Chapters    []Part
	Pairs       []Part
}

// Part is that of a chapter, whose id is A, or of the pair of companies A and B.
type Part struct {
	A, B        deal.ID
	AmountMinor int64
}

// DealYears reads the deals that ever counted in an association's year, by their ids, as the events up to the sequence
// left them. A deal that gave way to its duplicate counts for nothing. The caller makes sure that the warehouse holds the
// log that far.
func (w *Warehouse) DealYears(ctx context.Context, of AssociationYear, upTo uint64) ([]DealYear, error) {
	rows, err := w.conn.Query(ctx, statementDealsSQL, clickhouse.Named("association", of.Association.String()),
		clickhouse.Named("year", of.Year), clickhouse.Named("up_to", upTo))
	if err != nil {
		return nil, fmt.Errorf("read the deals of a year: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var deals []DealYear
	for rows.Next() {
		var id uuid.UUID
		var companies, groups []uuid.UUID
		var v DealVersion
		var added addedEntries
		err := rows.Scan(&id, &v.Sequence, &companies, &groups, &added.kinds, &added.months, &added.a, &added.b,
			&added.currencies, &added.amounts, &added.byParties, &added.unconverted)
		if err != nil {
			return nil, fmt.Errorf("read the deals of a year: %w", err)
		}
		v.Parties = parties(companies, groups)
		v.Counts = added.counts()
		deals = appendVersion(deals, deal.ID(id), v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the deals of a year: %w", err)
	}
	return deals, w.readTold(ctx, of, upTo, deals)
}

// readTold fills in who was told of the deals, which come in the order of the query.
func (w *Warehouse) readTold(ctx context.Context, of AssociationYear, upTo uint64, deals []DealYear) error {
	rows, err := w.conn.Query(ctx, statementToldSQL, clickhouse.Named("association", of.Association.String()),
		clickhouse.Named("year", of.Year), clickhouse.Named("up_to", upTo))
	if err != nil {
		return fmt.Errorf("read who was told of deals: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id uuid.UUID
		var companies, groups []uuid.UUID
		if err := rows.Scan(&id, &companies, &groups); err != nil {
			return fmt.Errorf("read who was told of deals: %w", err)
		}
		if len(deals) > 0 && deals[0].Deal == deal.ID(id) { // else one that never counted
			deals[0].Told, deals = parties(companies, groups), deals[1:]
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read who was told of deals: %w", err)
	}
	if len(deals) > 0 {
		return fmt.Errorf("read who was told of deals: deal %s is missing", deals[0].Deal)
	}
	return nil
}

func parties(companies, groups []uuid.UUID) []Party {
	list := make([]Party, len(companies))
	for i := range list {
		list[i] = Party{Company: deal.ID(companies[i]), Group: deal.ID(groups[i])}
	}
	return list
}

// appendVersion adds the version to its deal, which is the last one or a new one, unless it changes nothing.
func appendVersion(deals []DealYear, id deal.ID, v DealVersion) []DealYear {
	if n := len(deals); n > 0 && deals[n-1].Deal == id {
		d := &deals[n-1]
		if !reflect.DeepEqual(d.Versions[len(d.Versions)-1].Counts, v.Counts) {
			d.Versions = append(d.Versions, v)
		}
		return deals
	}
	if v.Counts == nil { // the event only took back what one that could not be read must have posted
		return deals
	}
	return append(deals, DealYear{Deal: id, Versions: []DealVersion{v}})
}

// addedEntries are the columns of the ledger entries that one event added.
type addedEntries struct {
	kinds       []int8
	months      []int32
	a, b        []uuid.UUID
	currencies  []string
	amounts     []int64
	byParties   []bool
	unconverted []bool
}

func (e addedEntries) counts() *Counts {
	if len(e.kinds) == 0 {
		return nil
	}
	counts := &Counts{
		Month: calendar.Date(e.months[0]), Currency: e.currencies[0], ByParties: e.byParties[0], Unconverted: e.unconverted[0],
	}
	for i, kind := range e.kinds {
		switch Kind(kind) {
		case KindAssociation:
			counts.AmountMinor += e.amounts[i]
		case KindChapter:
			counts.Chapters = append(counts.Chapters, Part{A: deal.ID(e.a[i]), AmountMinor: e.amounts[i]})
		case KindPair:
			counts.Pairs = append(counts.Pairs, Part{A: deal.ID(e.a[i]), B: deal.ID(e.b[i]), AmountMinor: e.amounts[i]})
		}
	}
	return counts
}

// AssociationYear is one year of one association.
type AssociationYear struct {
	Association deal.ID
	Year        int
}

// YearsSharingDeals gives the years of associations, this one included, in which a deal ever counted that ever counted
// in this one, up to the sequence. There are none when no deal did.
func (w *Warehouse) YearsSharingDeals(ctx context.Context, with AssociationYear, upTo uint64) ([]AssociationYear, error) {
	rows, err := w.conn.Query(ctx, statementYearsSQL, clickhouse.Named("association", with.Association.String()),
		clickhouse.Named("year", with.Year), clickhouse.Named("up_to", upTo))
	if err != nil {
		return nil, fmt.Errorf("find years that share deals: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var years []AssociationYear
	for rows.Next() {
		var association uuid.UUID
		var year int32
		if err := rows.Scan(&association, &year); err != nil {
			return nil, fmt.Errorf("read years that share deals: %w", err)
		}
		years = append(years, AssociationYear{Association: deal.ID(association), Year: int(year)})
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read years that share deals: %w", err)
	}
	return years, nil
}

// PayloadHashes gives the SHA-256 of the payload of each event behind the one sequence up to the other, in their order,
// also of events that could not be read. Sequences that the warehouse lacks are an error.
func (w *Warehouse) PayloadHashes(ctx context.Context, after, upTo uint64, do func(hash []byte) error) error {
	rows, err := w.conn.Query(ctx, statementHashesSQL, clickhouse.Named("after", after), clickhouse.Named("up_to", upTo))
	if err != nil {
		return fmt.Errorf("read hashes of the log: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var hash []byte
	for rows.Next() {
		var sequence uint64
		if err := rows.Scan(&sequence, &hash); err != nil {
			return fmt.Errorf("read hashes of the log: %w", err)
		}
		if after++; sequence != after {
			return fmt.Errorf("read hashes of the log: sequence %d is missing", after)
		}
		if err := do(hash); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read hashes of the log: %w", err)
	}
	if after < upTo {
		return fmt.Errorf("read hashes of the log: sequence %d is missing", after+1)
	}
	return nil
}
