package warehouse_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

func TestInsert_StoresTheGroupOfEachPartyOrTheCompanyItself(t *testing.T) {
	t.Parallel()
	dsn := warehousetest.DSN(t)
	w := warehousetest.Open(t, dsn)
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := event(id(31), 1, dealregv1.Status_STATUS_ACTIVE)
	e.Deal.Terms.Parties = []*dealregv1.Party{
		{CompanyId: bytesOf(alpha), GroupId: bytesOf(gamma)}, {CompanyId: bytesOf(beta)},
	}
	insert(t, w, 1, marshal(t, e))
	var groups []deal.ID
	for _, group := range warehousetest.Groups(t, dsn, 1) {
		groups = append(groups, deal.ID(group))
	}
	if diff := cmp.Diff([]deal.ID{gamma, beta}, groups); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	e.Deal.Terms.Parties[0].GroupId = []byte{1, 2, 3}
	insert(t, w, 2, marshal(t, e))
	if prefix, err := w.Prefix(t.Context(), 2); err != nil || prefix.Quarantined != 1 {
		t.Errorf("a group of 3 bytes: %+v, %v", prefix, err)
	}
}
