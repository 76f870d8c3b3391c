package warehouse_test

import (
	"testing"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

func TestCountDeals_CountsEachDealOnceWhereItStandsNow(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	in := func(d deal.ID, revision uint64, status dealregv1.Status, standings ...*dealregv1.Standing) []byte {
		e := event(d, revision, status)
		e.Deal.Standings, e.Deal.TermsVersion = standings, 3
		e.Audience = &dealregv1.Audience{AssociationIds: [][]byte{bytesOf(association)}}
		return marshal(t, e)
	}
	wonOn := func(d deal.ID, day calendar.Date) []byte {
		e := event(d, 1, dealregv1.Status_STATUS_WON)
		on := int32(day)
		e.Deal.Terms.WonOn = &on
		e.Audience = &dealregv1.Audience{AssociationIds: [][]byte{bytesOf(association)}}
		return marshal(t, e)
	}
	elsewhere := event(id(40), 1, dealregv1.Status_STATUS_ACTIVE)
	elsewhere.Audience = &dealregv1.Audience{AssociationIds: [][]byte{bytesOf(id(2))}}
	elsewhere.Deal.Terms.Parties = []*dealregv1.Party{{CompanyId: bytesOf(gamma)}, {CompanyId: bytesOf(id(9))}}
	pending, active, closing := dealregv1.Status_STATUS_PENDING, dealregv1.Status_STATUS_ACTIVE, dealregv1.Status_STATUS_CLOSING
	asked, accepted, attested := says(beta, false, 0, false), says(beta, true, 0, false), says(beta, true, 3, false)
	insert(
		t, w, 1,
		in(id(31), 1, pending, says(alpha, true, 0, false), asked),
		in(id(32), 1, pending, says(alpha, true, 0, false), asked),
		in(id(32), 2, active, says(alpha, true, 0, false), accepted),
		in(id(33), 1, closing, says(alpha, true, 0, false), attested), // waits for alpha
		in(id(34), 1, dealregv1.Status_STATUS_DISPUTED, says(alpha, true, 0, false), asked),
		in(id(35), 1, dealregv1.Status_STATUS_WITHDRAWN, says(alpha, true, 0, false), asked),
		wonOn(id(36), calendar.New(2026, 4, 1)),
		wonOn(id(37), calendar.New(2027, 3, 31)),
		wonOn(id(38), calendar.New(2026, 3, 31)),
		marshal(t, elsewhere),
	)
	whole := warehouse.DealCounts{Waiting: 1, Pending: 1, Active: 1, Closing: 1, Disputed: 1, Won: 2}
	members := whole
	members.Waiting = 2
	for name, c := range map[string]struct {
		of   warehouse.Whose
		upTo uint64
		want warehouse.DealCounts
	}{
		"a company":              {warehouse.Whose{Company: beta, Year: 2026, YearStartsIn: 4}, 10, whole},
		"the association":        {warehouse.Whose{Association: association, Year: 2026, YearStartsIn: 4}, 10, members},
		"before it went on":      {warehouse.Whose{Company: beta, Year: 2026, YearStartsIn: 4}, 2, warehouse.DealCounts{Waiting: 2, Pending: 2}},
		"who would take no part": {warehouse.Whose{Company: id(99), Year: 2026}, 10, warehouse.DealCounts{}},
	} {
		got, err := w.CountDeals(t.Context(), c.of, c.upTo)
		if err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestCountDeals_CountsWhatWaitsForARate(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	waits := attribution(1)
	waits.AmountMinor, waits.Chapters, waits.Pairs, waits.Withheld = 0, nil, nil, dealregv1.Withheld_WITHHELD_UNCONVERTED
	insert(
		t, w, 1,
		marshal(t, won(id(31), 1, nil, list{waits})),
		marshal(t, won(id(32), 1, nil, list{waits})),
		marshal(t, won(id(31), 2, list{waits}, list{waits})),
		marshal(t, won(id(32), 2, list{waits}, list{attribution(10)})),
	)
	for upTo, want := range map[uint64]int64{2: 2, 3: 2, 4: 1} {
		got, err := w.CountDeals(t.Context(), warehouse.Whose{Association: association, Year: 2026}, upTo)
		if err != nil || got.Unconverted != want {
			t.Errorf("up to %d: %+v, %v; want %d", upTo, got, err, want)
		}
	}
}
