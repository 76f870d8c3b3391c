package warehouse

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Table gives the rows as warehousetest.Table does.
func (b *Batch) Table() []string {
	var result []string
	for i, r := range b.rows() {
		companies, roles := texts(r.Companies), r.Roles
		wonOn := ""
		if r.WonOn != nil {
			wonOn = fmt.Sprint(*r.WonOn)
		}
		line := fmt.Sprintf("%d|%d|%x|%s|%x|%s|%d|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s|%s",
			b.seq[i], r.AtMilli, r.Hash, r.Poison, r.Payload, r.DealID, r.Revision, r.Type, r.Status, r.RegisteredBy,
			companies, texts(r.Groups), texts(r.Associations), wonOn, r.Currency, r.Title, r.Customer, r.Domain, r.Ref,
			strings.Join(roles, ","), texts(r.Joining), texts(r.WaitsFor))
		for _, e := range r.Entries {
			byParties := 0
			if e.ByParties {
				byParties = 1
			}
			line += fmt.Sprintf("|%d %s %d %d %s %s %s %d %d %d %d", e.Kind, e.Association, e.Year, e.Month, e.A, e.B, e.Currency,
				e.AmountMinor, e.Deals, byParties, e.Unconverted)
		}
		result = append(result, line)
	}
	return result
}

func texts(ids []uuid.UUID) string {
	var result []string
	for _, id := range ids {
		result = append(result, id.String())
	}
	return strings.Join(result, ",")
}
