package warehouse_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
)

// recently is a time that the table still keeps.
func recently() time.Time {
	return time.Now().UTC().Truncate(time.Hour) //nolint:forbidigo // rows older than thirty days vanish by the server's clock
}

func attempt(n int, verdict string) warehouse.Attempt {
	return warehouse.Attempt{
		EndpointID: deal.ID{1}, EventID: fmt.Sprintf("deal:%d", n), EventType: "dealreg.deal.won", Source: "DEALS", Sequence: uint64(n),
		Attempt: 1, At: recently().Add(time.Duration(n) * time.Microsecond), Took: 1500 * time.Microsecond,
		Outcome: "server_error", Verdict: verdict, Words: "the receiver failed with 500: see its log", Status: 500, Excerpt: "oops",
	}
}

func TestAttempts_AreFoundOnceNewestFirstHoweverOftenTheyWereStored(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	var all []warehouse.Attempt
	for n := range 7 {
		all = append(all, attempt(n, "retrying"))
	}
	all = append(all, attempt(6, "retrying")) // another event in the same microsecond
	all[7].EventID = "deal:7"
	for range 2 {
		if err := w.InsertAttempts(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
	other := attempt(1, "failed")
	other.EndpointID = deal.ID{2}
	if err := w.InsertAttempts(t.Context(), []warehouse.Attempt{other}); err != nil {
		t.Fatal(err)
	}
	var found []warehouse.Attempt
	position := ""
	for page := 0; page == 0 || position != ""; page++ {
		var some []warehouse.Attempt
		var err error
		if some, position, err = w.FindAttempts(t.Context(), warehouse.AttemptFilter{Endpoint: deal.ID{1}}, 3, position); err != nil {
			t.Fatal(err)
		}
		found = append(found, some...)
	}
	slices.Reverse(found)
	if diff := cmp.Diff(all, found); diff != "" {
		t.Error(diff)
	}
}

func TestAttempts_AreFoundByEventOutcomeAndTime(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	if err := w.InsertAttempts(t.Context(), []warehouse.Attempt{attempt(1, "retrying"), attempt(2, "failed"), attempt(3, "retrying")}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		filter warehouse.AttemptFilter
		want   []uint64
	}{
		"event":   {warehouse.AttemptFilter{EventID: "deal:2"}, []uint64{2}},
		"verdict": {warehouse.AttemptFilter{Outcome: "failed"}, []uint64{2}},
		"outcome": {warehouse.AttemptFilter{Outcome: "server_error"}, []uint64{3, 2, 1}},
		"none":    {warehouse.AttemptFilter{Outcome: "delivered"}, nil},
		"since":   {warehouse.AttemptFilter{Since: recently().Add(3 * time.Microsecond)}, []uint64{3}},
	} {
		c.filter.Endpoint = deal.ID{1}
		found, _, err := w.FindAttempts(t.Context(), c.filter, 10, "")
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, a := range found {
			got = append(got, a.Sequence)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v instead of %v", name, got, c.want)
		}
	}
	if _, _, err := w.FindAttempts(t.Context(), warehouse.AttemptFilter{}, 10, "nonsense"); !errors.Is(err, warehouse.ErrPosition) {
		t.Errorf("a position of nobody gives %v", err)
	}
}

// TestAttempts_AreKeptForThirtyDays merges by hand what the server merges by itself in its own time.
func TestAttempts_AreKeptForThirtyDays(t *testing.T) {
	t.Parallel()
	dsn := warehousetest.DSN(t)
	w := warehousetest.Open(t, dsn)
	if err := w.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var all []warehouse.Attempt
	for _, days := range []int{0, 29, 31} {
		a := attempt(days, "delivered")
		a.At = a.At.AddDate(0, 0, -days)
		all = append(all, a)
	}
	if err := w.InsertAttempts(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	warehousetest.Exec(t, dsn, "OPTIMIZE TABLE webhook_attempts FINAL")
	found, _, err := w.FindAttempts(t.Context(), warehouse.AttemptFilter{Endpoint: deal.ID{1}}, 10, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all[:2], found); diff != "" {
		t.Error(diff)
	}
}

func TestFailed_AreThoseThatDidNotArriveLater(t *testing.T) {
	t.Parallel()
	w := warehousetest.New(t)
	arrived := attempt(4, "delivered")
	arrived.At, arrived.Attempt = arrived.At.Add(time.Minute), 2
	record := attempt(9, "failed")
	record.Source = "RECORDS"
	tested := attempt(10, "failed")
	tested.Source = ""
	all := []warehouse.Attempt{
		attempt(1, "failed"), attempt(2, "delivered"), attempt(3, "retrying"), attempt(4, "failed"), arrived, attempt(5, "failed"), record, tested,
	}
	if err := w.InsertAttempts(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		after warehouse.Place
		limit int
		want  []warehouse.Place
	}{
		"all":    {warehouse.Place{}, 10, []warehouse.Place{{"DEALS", 1}, {"DEALS", 5}, {"RECORDS", 9}}},
		"first":  {warehouse.Place{}, 1, []warehouse.Place{{"DEALS", 1}}},
		"behind": {warehouse.Place{Source: "DEALS", Sequence: 1}, 10, []warehouse.Place{{"DEALS", 5}, {"RECORDS", 9}}},
	} {
		found, err := w.FindFailed(t.Context(), deal.ID{1}, recently(), c.after, c.limit)
		if err != nil || !slices.Equal(found, c.want) {
			t.Errorf("%s: %v %v", name, found, err)
		}
	}
}
