package warehouse_test

import (
	"slices"
	"testing"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// buying is an event of a deal of alpha and beta for the customer.
func buying(d deal.ID, revision uint64, status dealregv1.Status, name, domain string) *dealregv1.DealEvent {
	e := event(d, revision, status)
	e.Deal.Customer = &dealregv1.Customer{Name: name, Country: "DE", Domain: domain}
	e.Deal.Terms.Parties = []*dealregv1.Party{{CompanyId: bytesOf(alpha)}, {CompanyId: bytesOf(beta)}}
	return e
}

func dealsOf(t *testing.T, w *warehouse.Warehouse, q warehouse.RepeatsQuery) []deal.ID {
	t.Helper()
	found, err := w.FindRepeats(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var ids []deal.ID
	for _, r := range found {
		ids = append(ids, r.Deal)
	}
	slices.SortFunc(ids, deal.ID.Compare)
	return ids
}

func TestFindRepeats_FindsByCustomerCompanyAndLatestState(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	active, won, lost := dealregv1.Status_STATUS_ACTIVE, dealregv1.Status_STATUS_WON, dealregv1.Status_STATUS_LOST
	ofOthers := buying(id(35), 1, active, "Contoso AG", "")
	ofOthers.Deal.Terms.Parties = []*dealregv1.Party{{CompanyId: bytesOf(gamma)}, {CompanyId: bytesOf(id(99))}}
	imported := buying(id(36), 1, won, "Contoso AG", "")
	imported.Deal.RegisteredBy = bytesOf(association)
	insert(
		t, w, 1,
		marshal(t, buying(id(31), 1, active, "contoso a.g.", "")),
		marshal(t, buying(id(32), 1, active, "Another name", "contoso.example")),
		marshal(t, buying(id(33), 1, active, "Contoso AG", "")),
		marshal(t, buying(id(34), 1, active, "Fabrikam", "")),
		marshal(t, ofOthers), marshal(t, imported),
		marshal(t, buying(id(33), 2, lost, "Contoso AG", "")),
	)
	q := warehouse.RepeatsQuery{Customers: []string{"Fabri'kam\t\\", "CONTOSO AG"}, Domains: []string{"contoso.example"}, Companies: []deal.ID{alpha, id(98)}}
	same(t, dealsOf(t, w, q), []deal.ID{id(31), id(32), id(34), id(36)})
	q.NotBy = association
	same(t, dealsOf(t, w, q), []deal.ID{id(31), id(32), id(34)})
	q = warehouse.RepeatsQuery{Customers: []string{"Nobody"}, Companies: []deal.ID{alpha}}
	same(t, dealsOf(t, w, q), []deal.ID(nil))
}

func TestFindRepeats_MissesNoNameThatTheRuleCallsTheSame(t *testing.T) {
	t.Parallel()
	names := []string{
		"Weiß & Söhne", "WEISS SÖHNE", "ΟΔΟΣ", "οδος", "οδοσ ", "İstanbul", "istanbul", "ISTANBUL", "Ístanbul", "Coca-Cola", "COCA COLA",
		"Ǆemal", "ǆemal", "ᲐᲑᲒ", "აბგ", "ＡＢ", "ａｂ", "Ꭰꭰ", "ꭰꭰ", "株式会社 ヤマト", "株式会社ヤマト", "ЁЛКА", "ёлка", "STRAẞE", "Straße", "A\u00a0B\u200dC", "abc",
		"देवी", "दव",
	}
	w := warehousetest.New(t)
	var payloads [][]byte
	for i, name := range names {
		payloads = append(payloads, marshal(t, buying(id(byte(i)), 1, dealregv1.Status_STATUS_ACTIVE, name, ""))) // #nosec G115 -- few
	}
	insert(t, w, 1, payloads...)
	for _, name := range names {
		found := dealsOf(t, w, warehouse.RepeatsQuery{Customers: []string{name}, Companies: []deal.ID{beta}})
		for i, other := range names {
			if (deal.Customer{Name: name}).Same(deal.Customer{Name: other}) && !slices.Contains(found, id(byte(i))) { // #nosec G115 -- few
				t.Errorf("%q does not find %q", name, other)
			}
		}
	}
}
