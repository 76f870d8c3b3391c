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
)

//go:embed queries/repeats.sql
var repeatsSQL string

// RepeatsQuery asks for deals that are for one of the customers and have one of the companies as a party. NotBy leaves
// out those that it registered, so that the rows of an import do not find each other.
type RepeatsQuery struct {
	Customers []string // names as they are written
	Domains   []string // in lower case, none of them empty
	Companies []deal.ID
	NotBy     deal.ID
}

// Repeat is what the warehouse knows of a deal that may repeat another one.
type Repeat struct {
	Deal      deal.ID
	Customer  string
	Domain    string
	Companies []deal.ID // its parties
	WonOn     *calendar.Date
}

// FindRepeats gives the deals that have not ended otherwise than won. It finds more than pass deal.MayRepeat and misses
// none that it holds: what the deals are, the log says.
func (w *Warehouse) FindRepeats(ctx context.Context, q RepeatsQuery) ([]Repeat, error) {
	rows, err := w.conn.Query(ctx, repeatsSQL,
		clickhouse.Named("customers", q.Customers), clickhouse.Named("domains", q.Domains),
		clickhouse.Named("companies", idTexts(q.Companies)), clickhouse.Named("not_by", q.NotBy.String()))
	if err != nil {
		return nil, fmt.Errorf("find repeats: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var repeats []Repeat
	for rows.Next() {
		var r Repeat
		var id uuid.UUID
		var parties []uuid.UUID
		var wonOn *time.Time
		if err := rows.Scan(&id, &r.Customer, &r.Domain, &parties, &wonOn); err != nil {
			return nil, fmt.Errorf("read repeats: %w", err)
		}
		r.Deal = deal.ID(id)
		for _, p := range parties {
			r.Companies = append(r.Companies, deal.ID(p))
		}
		if wonOn != nil {
			day := calendar.DateOf(*wonOn, time.UTC)
			r.WonOn = &day
		}
		repeats = append(repeats, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read repeats: %w", err)
	}
	return repeats, nil
}
