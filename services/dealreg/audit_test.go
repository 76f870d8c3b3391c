package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/audit"
	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
)

// ofMany is a system with a long log, and an operator's key of it.
type ofMany struct {
	*assembly
	dsn string // of the warehouse
	url string
	key string
}

// withMany runs a system whose log has the history of so many deals, calls the function, and stops it.
func withMany(t *testing.T, deals int, do func(m ofMany, events []stream.Stored)) {
	t.Helper()
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(embeddedtest.ClickHouse(t))
	if err != nil {
		t.Fatal(err)
	}
	address.Path = fmt.Sprintf("/of_%d", deals)
	m := ofMany{dsn: address.String()}
	m.assembly, err = assemble(t.Context(), system{
		Data: t.TempDir(), Listen: fmt.Sprintf("127.0.0.1:%d", port), ClickhouseDSN: m.dsn, Replicas: 1, Statements: "off",
	}, zap.NewNop(), func(string) {}, []string{serviceDirectory, serviceAggregator, serviceRegistry, serviceReports})
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	err = m.serve(ctx, func(ctx context.Context, url string) error {
		defer end()
		if err := waitReady(ctx, url); err != nil {
			return err
		}
		m.url = url
		if _, m.key, err = m.issueOperator(ctx, "test"); err != nil {
			return err
		}
		events, err := m.fill(ctx, dealtest.NewBulk(deals, 5), dealtest.NewBulk(deals, 5))
		if err != nil {
			return err
		}
		do(m, events)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fill writes the history into the log, of which it gives the same once more as events.
func (m ofMany) fill(ctx context.Context, history, same *dealtest.Bulk) (events []stream.Stored, err error) {
	for _, a := range history.Associations {
		if _, err := m.store.PutAssociation(ctx, roster.Association{
			ID: a.ID, Name: "Many", TimeZone: "UTC", YearStartsIn: int(a.YearStartsIn), ReportingCurrency: a.Currency, Disclosure: roster.DisclosureOpen,
		}); err != nil {
			return nil, err
		}
	}
	for _, payload, more := history.Next(); more; _, payload, more = history.Next() {
		event, err := stream.Decode(payload)
		if err != nil {
			return nil, err
		}
		events = append(events, stream.Stored{Sequence: uint64(len(events)) + 1, Event: event})
	}
	_, err = same.Fill(ctx, m.js, nil)
	return events, err
}

// carried waits until the warehouse has the log, of two ranges at least, and has rolled up one.
func (m ofMany) carried(t *testing.T, last uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	shown := regexp.MustCompile(`(?m)^dealreg_aggregator_.*`)
	for done := regexp.MustCompile(fmt.Sprintf(`(?s)_checkpoint %d\n.*_rolled_up [1-9]`, last)); ; {
		response, err := http.Get(m.url + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if done.Match(text) {
			return
		}
		if err := errors.Join(err, pause(ctx, 20*time.Millisecond)); err != nil {
			t.Fatalf("%v before the warehouse has all %d events and a roll-up:\n%s", err, last, bytes.Join(shown.FindAll(text, -1), []byte("\n")))
		}
	}
}

// alter adds one minor unit to the first entry of a pair in the row.
func (m ofMany) alter(t *testing.T, sequence uint64) {
	t.Helper()
	warehousetest.Exec(t, m.dsn, "ALTER TABLE deal_events UPDATE `entry.amount` = arrayMap((amount, i) -> "+
		"amount + (i = indexOf(`entry.kind`, 'pair')), `entry.amount`, arrayEnumerate(`entry.amount`)) WHERE seq = ? SETTINGS mutations_sync = 2", sequence)
}

func TestAudit_NamesTheFirstEventWhoseRowWasAltered(t *testing.T) {
	t.Parallel()
	withMany(t, 16_000, func(m ofMany, events []stream.Stored) {
		m.carried(t, uint64(len(events)))
		counted := slices.DeleteFunc(events[len(events)/2:], func(e stream.Stored) bool { return len(e.Attributions) == 0 })
		first := counted[0]
		later := counted[len(counted)/2+slices.IndexFunc(counted[len(counted)/2:], func(e stream.Stored) bool {
			return e.Attributions[0].Association == first.Attributions[0].Association && e.Attributions[0].Year == first.Attributions[0].Year
		})]
		var out strings.Builder
		run := func() (int, error) {
			counts := first.Attributions[0]
			return audit.Run(t.Context(), audit.Config{URL: m.url, Key: m.key, Association: counts.Association.String(), Year: counts.Year, Out: &out})
		}
		if code, err := run(); code != audit.Equal { // from now on what it asked for is remembered
			t.Fatalf("exit %d, %v\n%s", code, err, &out)
		}
		m.alter(t, first.Sequence)
		m.alter(t, later.Sequence)
		if code, err := run(); err != nil || code != audit.Different {
			t.Fatalf("exit %d, %v\n%s", code, err, &out)
		}
		association, pair := first.Attributions[0], first.Attributions[0].Pairs[0]
		contains(t, out.String(), "different: 0 findings in the log, ",
			fmt.Sprintf("begins at event %d, deal %s: association %s, year %d, by pair anew from all rows, pair amount of %s and %s: the log says ",
				first.Sequence, first.Deal.ID, association.Association, association.Year, pair.A, pair.B))
	})
}

// What was added up before hides the hole from every figure that is served, and an event that counts for nothing is in no
// sum at all.
func TestAudit_NamesTheFirstRowThatIsMissingBelowARollUpAlsoOneThatCountsForNothing(t *testing.T) {
	t.Parallel()
	withMany(t, 15_500, func(m ofMany, events []stream.Stored) {
		m.carried(t, uint64(len(events)))
		counts := func(e stream.Stored) bool { return len(e.Attributions) > 0 }
		some := events[slices.IndexFunc(events, counts)].Attributions[0]
		nothing := events[slices.IndexFunc(events, func(e stream.Stored) bool { return !counts(e) })]
		later := events[len(events)/2+slices.IndexFunc(events[len(events)/2:], func(e stream.Stored) bool {
			return counts(e) && e.Attributions[0].Association == some.Association && e.Attributions[0].Year == some.Year
		})]
		var out strings.Builder
		run := func() (int, error) {
			return audit.Run(t.Context(), audit.Config{URL: m.url, Key: m.key, Association: some.Association.String(), Year: some.Year, Out: &out})
		}
		if code, err := run(); code != audit.Equal {
			t.Fatalf("exit %d, %v\n%s", code, err, &out)
		}
		warehousetest.Exec(t, m.dsn, "DELETE FROM deal_events WHERE seq IN (?, ?)", nothing.Sequence, later.Sequence)
		if code, err := run(); err != nil || code != audit.Different {
			t.Fatalf("exit %d, %v\n%s", code, err, &out)
		}
		contains(t, out.String(), fmt.Sprintf("begins at event %d, deal %s: stored events: the log says %d, the report %d\n",
			nothing.Sequence, nothing.Deal.ID, len(events), len(events)-2))
	})
}
