package warehouse_test

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// at is an event of the deal in the status, some hours after start.
func at(d deal.ID, revision uint64, status dealregv1.Status, hours int) *dealregv1.DealEvent {
	e := event(d, revision, status)
	e.At = timestamppb.New(start.Add(time.Duration(hours) * time.Hour))
	return e
}

// all walks through the pages of two deals each.
func all(t *testing.T, find func(warehouse.Page) ([]deal.ID, error)) []deal.ID {
	t.Helper()
	var ids []deal.ID
	page := warehouse.Page{Limit: 2}
	for {
		some, err := find(page)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, some...)
		if len(some) < page.Limit {
			slices.SortFunc(ids, deal.ID.Compare)
			return ids
		}
		page.After = some[len(some)-1]
	}
}

func TestFindWaiting_GivesEveryDealThatBeganToWaitByThen(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	pending, active, closing := dealregv1.Status_STATUS_PENDING, dealregv1.Status_STATUS_ACTIVE, dealregv1.Status_STATUS_CLOSING
	insert(
		t, w, 1,
		marshal(t, at(id(31), 1, pending, 0)),                           // waits since 0
		marshal(t, at(id(32), 1, pending, 0)),                           // since 0 too, although it was edited
		marshal(t, at(id(33), 1, pending, 0)),                           // answered, and idle since 9
		marshal(t, at(id(34), 1, pending, 0)),                           // idle since 2
		marshal(t, at(id(35), 1, closing, 1)),                           // closing since 1
		marshal(t, at(id(36), 1, closing, 1)),                           // won
		marshal(t, at(id(37), 1, pending, 2)),                           // too young
		marshal(t, at(id(34), 2, active, 2)),                            //
		marshal(t, at(id(33), 2, active, 1)),                            //
		marshal(t, at(id(36), 2, dealregv1.Status_STATUS_WON, 2)),       //
		marshal(t, at(id(32), 2, pending, 9)),                           //
		marshal(t, at(id(33), 3, active, 9)),                            //
		marshal(t, at(id(38), 1, dealregv1.Status_STATUS_WITHDRAWN, 0)), // ended
	)
	since := warehouse.Waiting{
		Pending: start.Add(time.Hour), Closing: start.Add(time.Hour), Active: start.Add(2 * time.Hour),
	}
	got := all(t, func(p warehouse.Page) ([]deal.ID, error) { return w.FindWaiting(t.Context(), since, p) })
	same(t, got, []deal.ID{id(31), id(32), id(34), id(35)})
}

func TestFindWonOn_GivesDealsOfTheDaysThatNeedARate(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	day := func(n int) calendar.Date { return calendar.New(2026, 3, n) }
	in := func(d deal.ID, currency string, on calendar.Date) []byte {
		e := event(d, 1, dealregv1.Status_STATUS_WON)
		wonOn := int32(on)
		e.Deal.Terms.Currency, e.Deal.Terms.WonOn = currency, &wonOn
		return marshal(t, e)
	}
	insert(
		t, w, 1,
		in(id(31), "USD", day(1)), in(id(32), "EUR", day(1)), in(id(33), "USD", day(2)), in(id(34), "JPY", day(3)), in(id(35), "USD", day(5)),
		marshal(t, event(id(36), 1, dealregv1.Status_STATUS_PENDING)),
	)
	find := func(reporting map[deal.ID]money.Currency) []deal.ID {
		return all(t, func(p warehouse.Page) ([]deal.ID, error) {
			return w.FindWonOn(t.Context(), []warehouse.Days{{First: day(1), Last: day(1)}, {First: day(3), Last: day(4)}}, reporting, p)
		})
	}
	same(t, find(map[deal.ID]money.Currency{association: "EUR"}), []deal.ID{id(31), id(34)})
	same(t, find(map[deal.ID]money.Currency{association: "USD"}), []deal.ID{id(31), id(32), id(34)}) // all together count in EUR
	same(t, find(nil), []deal.ID{id(31), id(32), id(34)})                                            // an association that nobody knows yet
}

func TestFindWonBy_GivesWonDealsOfTheCompanies(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	by := func(d, a, b deal.ID, status dealregv1.Status) []byte {
		e := event(d, 1, status)
		e.Deal.Terms.Parties = []*dealregv1.Party{{CompanyId: bytesOf(a)}, {CompanyId: bytesOf(b)}}
		return marshal(t, e)
	}
	won := dealregv1.Status_STATUS_WON
	insert(
		t, w, 1,
		by(id(31), alpha, beta, won), by(id(32), beta, gamma, won), by(id(33), alpha, gamma, won),
		by(id(34), alpha, beta, dealregv1.Status_STATUS_ACTIVE),
	)
	for _, c := range []struct{ companies, want []deal.ID }{
		{[]deal.ID{alpha}, []deal.ID{id(31), id(33)}},
		{[]deal.ID{alpha, beta, gamma}, []deal.ID{id(31), id(32), id(33)}},
		{[]deal.ID{id(99)}, nil},
	} {
		got := all(t, func(p warehouse.Page) ([]deal.ID, error) { return w.FindWonBy(t.Context(), c.companies, p) })
		same(t, got, c.want)
	}
}

func TestFindDeals_ListsWhatWaitsForARate(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	waits := func() *dealregv1.Attribution {
		a := attribution(1)
		a.AmountMinor, a.Chapters, a.Pairs, a.Withheld = 0, nil, nil, dealregv1.Withheld_WITHHELD_UNCONVERTED
		return a
	}
	other := waits()
	other.AssociationId = bytesOf(id(2))
	insert(
		t, w, 1,
		marshal(t, won(id(31), 1, nil, list{waits()})),
		marshal(t, won(id(32), 1, nil, list{attribution(10)})),
		marshal(t, won(id(33), 1, nil, list{waits()})),
		marshal(t, won(id(34), 1, nil, list{other})),
		marshal(t, won(id(31), 2, list{waits()}, list{waits()})), // posts nothing, and waits on
		marshal(t, won(id(33), 2, list{waits()}, list{attribution(10)})),
	)
	for name, c := range map[string]struct {
		filter warehouse.Filter
		want   []deal.ID
	}{
		"of an association": {warehouse.Filter{Unconverted: true, Association: association}, []deal.ID{id(31)}},
		"of any":            {warehouse.Filter{Unconverted: true}, []deal.ID{id(31), id(34)}},
	} {
		got, _, err := w.FindDeals(t.Context(), c.filter, 10, warehouse.Cursor{})
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, deal.ID.Compare)
		t.Log(name)
		same(t, got, c.want)
	}
}
