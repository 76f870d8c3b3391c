package warehouse_test

import (
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// says gives the standing of a company.
func says(company deal.ID, accepted bool, attested uint32, voids bool) *dealregv1.Standing {
	s := &dealregv1.Standing{CompanyId: bytesOf(company), AttestedTerms: attested, Voids: voids}
	if accepted {
		s.AcceptedAt = timestamppb.New(start)
	}
	return s
}

func TestFindDeals_FindsWhatWaitsForACompany(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	in := func(d deal.ID, status dealregv1.Status, change func(*dealregv1.Deal), standings ...*dealregv1.Standing) []byte {
		e := event(d, 1, status)
		e.Deal.Standings, e.Deal.TermsVersion = standings, 3
		e.Deal.Terms.Parties[0].Role, e.Deal.Terms.Parties[1].Role = dealregv1.PartyRole_PARTY_ROLE_LEAD, dealregv1.PartyRole_PARTY_ROLE_DELIVERY
		if change != nil {
			change(e.Deal)
		}
		return marshal(t, e)
	}
	pending, closing, won := dealregv1.Status_STATUS_PENDING, dealregv1.Status_STATUS_CLOSING, dealregv1.Status_STATUS_WON
	correction := func(d *dealregv1.Deal) {
		d.Correction = &dealregv1.Correction{TermsVersion: 5, ProposedBy: bytesOf(alpha)}
	}
	insert(
		t, w, 1,
		in(id(31), pending, nil, says(alpha, true, 0, false), says(beta, false, 0, false)),
		in(id(32), pending, nil, says(alpha, true, 0, false), says(beta, true, 0, false)),
		in(id(33), closing, nil, says(alpha, true, 2, false), says(beta, true, 3, false)),
		in(id(34), won, nil, says(alpha, true, 2, false), says(beta, true, 3, false)),
		in(id(35), won, correction, says(alpha, true, 5, false), says(beta, true, 3, false), says(gamma, false, 0, false)),
		in(id(36), won, nil, says(alpha, true, 3, true), says(beta, true, 3, false)),
		in(id(37), dealregv1.Status_STATUS_ACTIVE, nil, says(alpha, true, 0, false), says(beta, false, 0, false)),
	)
	for name, c := range map[string]struct {
		filter warehouse.Filter
		want   []deal.ID
	}{
		"the lead":           {warehouse.Filter{Company: alpha, WaitsFor: alpha}, []deal.ID{id(33)}},
		"the other":          {warehouse.Filter{Company: beta, WaitsFor: beta}, []deal.ID{id(36), id(35), id(31)}},
		"who would join":     {warehouse.Filter{Company: gamma, WaitsFor: gamma}, []deal.ID{id(35)}},
		"all of who joins":   {warehouse.Filter{Company: gamma}, []deal.ID{id(35)}},
		"some of the other":  {warehouse.Filter{Company: beta, WaitsFor: beta, Statuses: []string{"pending", "active"}}, []deal.ID{id(31)}},
		"as the lead":        {warehouse.Filter{Company: alpha, Role: "lead", Status: "closing"}, []deal.ID{id(33)}},
		"not as the lead":    {warehouse.Filter{Company: beta, Role: "lead"}, nil},
		"as another":         {warehouse.Filter{Company: beta, Role: "delivery", Status: "closing"}, []deal.ID{id(33)}},
		"behind a sequence":  {warehouse.Filter{Company: alpha, After: 5}, []deal.ID{id(37), id(36)}},
		"in any of statuses": {warehouse.Filter{Statuses: []string{"closing", "active"}}, []deal.ID{id(37), id(33)}},
	} {
		got, _, err := w.FindDeals(t.Context(), c.filter, 10, warehouse.Cursor{})
		if err != nil {
			t.Fatal(err)
		}
		t.Log(name)
		same(t, got, c.want)
	}
}

func TestFindDeals_FindsRowsOfBeforeWhereTheyCouldBeMeant(t *testing.T) {
	t.Parallel()
	dsn := warehousetest.DSN(t)
	w := warehousetest.Open(t, dsn)
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	insert(
		t, w, 1, marshal(t, event(id(31), 1, dealregv1.Status_STATUS_PENDING)), marshal(t, event(id(32), 1, dealregv1.Status_STATUS_LOST)),
	)
	warehousetest.Exec(t, dsn, "ALTER TABLE deal_events UPDATE told = false, roles = [] WHERE true SETTINGS mutations_sync = 1")
	for name, c := range map[string]struct {
		filter warehouse.Filter
		want   []deal.ID
	}{
		"waiting":       {warehouse.Filter{Company: alpha, WaitsFor: alpha}, []deal.ID{id(31)}},
		"for no party":  {warehouse.Filter{Company: gamma, WaitsFor: gamma}, nil},
		"in some role":  {warehouse.Filter{Company: alpha, Role: "lead"}, []deal.ID{id(32), id(31)}},
		"of no company": {warehouse.Filter{Company: gamma, Role: "lead"}, nil},
	} {
		got, _, err := w.FindDeals(t.Context(), c.filter, 10, warehouse.Cursor{})
		if err != nil {
			t.Fatal(err)
		}
		t.Log(name)
		same(t, got, c.want)
	}
}

func TestFindDeals_FindsWordsAndCustomersInAnyCase(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	named := func(d deal.ID, title, customer, domain, ref string) []byte {
		e := event(d, 1, dealregv1.Status_STATUS_ACTIVE)
		e.Deal.Title, e.Deal.Customer, e.Deal.ExternalRef = title, &dealregv1.Customer{Name: customer, Country: "DE", Domain: domain}, ref
		return marshal(t, e)
	}
	insert(
		t, w, 1,
		named(id(31), "Payroll roll-out", "Ökostrom Straße AG", "oeko.example", "CRM-4711"),
		named(id(32), "Roll-out of O'Hara's \\ [payroll], {x:String}", "Contoso", "", "A\tB"),
		named(id(33), "Something else", "Contoso", "contoso.example", ""),
	)
	for name, c := range map[string]struct {
		filter warehouse.Filter
		want   []deal.ID
	}{
		"one word":            {warehouse.Filter{Words: []string{"PAYROLL"}}, []deal.ID{id(32), id(31)}},
		"two words":           {warehouse.Filter{Words: []string{"payroll", "crm-47"}}, []deal.ID{id(31)}},
		"over fields":         {warehouse.Filter{Words: []string{"ökostrom", "roll-OUT"}}, []deal.ID{id(31)}},
		"no word":             {warehouse.Filter{Words: []string{"payroll", "zebra"}}, nil},
		"quotes":              {warehouse.Filter{Words: []string{"o'hara's", `\`, "[payroll],"}}, []deal.ID{id(32)}},
		"braces":              {warehouse.Filter{Words: []string{"{x:String}"}}, []deal.ID{id(32)}},
		"an escape":           {warehouse.Filter{Words: []string{`\t`, `%`, `_`}}, nil},
		"customer":            {warehouse.Filter{Customer: "contoso"}, []deal.ID{id(33), id(32)}},
		"customer with marks": {warehouse.Filter{Customer: "ÖKOSTROM"}, []deal.ID{id(31)}},
		"customer's domain":   {warehouse.Filter{Customer: "Contoso.example"}, []deal.ID{id(33)}},
		"half a domain":       {warehouse.Filter{Customer: "contoso.ex"}, nil},
		"no SQL":              {warehouse.Filter{Customer: "' OR 1 = 1 --", Words: []string{"') OR (1 = 1"}}, nil},
	} {
		got, _, err := w.FindDeals(t.Context(), c.filter, 10, warehouse.Cursor{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Log(name)
		same(t, got, c.want)
	}
}
