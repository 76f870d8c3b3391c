package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
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

// withMany runs a system whose log has the history of so many deals, calls the function once it was carried into the
// warehouse, and stops it.
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
		events, err := m.fill(ctx, dealtest.NewBulk(deals, 5))
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

func (m ofMany) fill(ctx context.Context, history *dealtest.Bulk) (events []stream.Stored, err error) {
	for _, a := range history.Associations {
		if _, err := m.store.PutAssociation(ctx, roster.Association{
			ID: a.ID, Name: "Many", TimeZone: "UTC", YearStartsIn: int(a.YearStartsIn), ReportingCurrency: a.Currency, Disclosure: roster.DisclosureOpen,
		}); err != nil {
			return nil, err
		}
	}
	for id, payload, more := history.Next(); more; id, payload, more = history.Next() {
		event, err := stream.Decode(payload)
		if err != nil {
			return nil, err
		}
		payload = bytes.Clone(payload)
		if _, err := m.js.Publish(ctx, stream.Subject(id), payload); err != nil {
			return nil, err
		}
		events = append(events, stream.Stored{Sequence: uint64(len(events)) + 1, Payload: payload, Event: event})
	}
	for at := uint64(0); at < uint64(len(events)); {
		checkpoint, err := m.house.Checkpoint(ctx)
		if err != nil {
			return nil, err
		}
		at = checkpoint.Sequence
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// alter adds one minor unit to the first entry of a pair in the row.
func (m ofMany) alter(t *testing.T, sequence uint64) {
	t.Helper()
	warehousetest.Exec(t, m.dsn, "ALTER TABLE deal_events UPDATE `entry.amount` = arrayMap((amount, i) -> "+
		"amount + (i = indexOf(`entry.kind`, 'pair')), `entry.amount`, arrayEnumerate(`entry.amount`)) WHERE seq = ? SETTINGS mutations_sync = 2", sequence)
}

func TestAudit_NamesTheFirstEventWhoseRowWasAltered(t *testing.T) {
	t.Parallel()
	withMany(t, 3000, func(m ofMany, events []stream.Stored) {
		counted := slices.DeleteFunc(events[len(events)/2:], func(e stream.Stored) bool { return len(e.Attributions) == 0 })
		first, later := counted[0], counted[len(counted)/2]
		m.alter(t, first.Sequence)
		m.alter(t, later.Sequence)
		var out strings.Builder
		code, err := audit.Run(t.Context(), audit.Config{URL: m.url, Key: m.key, Out: &out})
		if err != nil || code != audit.Different {
			t.Fatalf("exit %d, %v\n%s", code, err, &out)
		}
		association, pair := first.Attributions[0], first.Attributions[0].Pairs[0]
		contains(t, out.String(), "different: 0 findings in the log, 2 figures in the reports",
			fmt.Sprintf("begins at event %d, deal %s: association %s, year %d, by pair, pair amount of %s and %s: the log says ",
				first.Sequence, first.Deal.ID, association.Association, association.Year, pair.A, pair.B))
	})
}
