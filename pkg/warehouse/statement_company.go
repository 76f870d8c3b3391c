package warehouse

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/deal"
)

//go:embed queries/company_totals.sql
var companyTotalsSQL string

// CompanyTotal is what a company's own deals count for in one association, each deal as a whole.
type CompanyTotal struct {
	Association deal.ID
	Currency    string
	Sums
}

// CompanyTotals folds a company's deals in a year up to a sequence, by association. A company is in several pairs of a
// deal with more than two members, so its pairs do not add up to this.
func (w *Warehouse) CompanyTotals(ctx context.Context, company deal.ID, year int, upTo uint64) ([]CompanyTotal, error) {
	rows, err := w.conn.Query(ctx, companyTotalsSQL, clickhouse.Named("up_to", upTo),
		clickhouse.Named("company", company.String()), clickhouse.Named("year", year))
	if err != nil {
		return nil, fmt.Errorf("sum a company's deals: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var totals []CompanyTotal
	for rows.Next() {
		t := CompanyTotal{Sums: NoSums()}
		var association uuid.UUID
		if err := rows.Scan(&association, &t.Currency, t.Amount, t.AttestedByParties, &t.Deals, &t.Unconverted); err != nil {
			return nil, fmt.Errorf("read a company's deals: %w", err)
		}
		t.Association = deal.ID(association)
		totals = append(totals, t)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read a company's deals: %w", err)
	}
	return totals, nil
}
