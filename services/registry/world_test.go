package registry

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/audit"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/services/aggregator"
)

// run runs the service until stop, or the test's end.
func (w *world) run(s *Service) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(stop)
	return stop
}

// another is a second registry on the same engines, some time later. change may change it before it runs.
func (w *world) another(later time.Duration, change ...func(*Service)) *world {
	w.t.Helper()
	cfg := w.service.cfg
	cfg.Health = lifecycle.NewHealth()
	cfg.Now = func() time.Time { return now().Add(later) }
	s, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range change {
		f(s)
	}
	other := *w
	other.service, other.stop = s, w.run(s)
	server := httpapi.New(httpapi.Config{
		Log: zap.NewNop(), Health: cfg.Health, Authenticate: roster.Authenticator{Roster: cfg.Roster, Pepper: pepper}.Authenticate,
	})
	s.Routes(server.API)
	listener := httptest.NewServer(server.Handler())
	w.t.Cleanup(listener.Close)
	other.url = listener.URL
	<-s.Opened()
	return &other
}

// associate makes one more association of the reporting currency and waits until the roster knows it.
func (w *world) associate(currency money.Currency) deal.ID {
	w.t.Helper()
	id := newID()
	revision, err := w.service.cfg.Store.PutAssociation(w.t.Context(), roster.Association{
		ID: id, Name: "Coast", TimeZone: "Europe/London", YearStartsIn: 1, ReportingCurrency: currency, Disclosure: roster.DisclosureOpen,
	})
	if err == nil {
		err = w.service.cfg.Roster.WaitFor(w.t.Context(), roster.Associations, revision)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return id
}

// project runs an aggregator until the test ends, and gives what waits until the warehouse has all of the log.
func (w *world) project() (wait func() uint64) {
	w.t.Helper()
	a, err := aggregator.New(aggregator.Config{NATS: w.nc, Warehouse: w.service.cfg.Finder, Pace: time.Millisecond})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	w.start(ctx, cancel, a.Run)
	return func() uint64 {
		w.t.Helper()
		last, err := w.service.log.LastSequence(w.t.Context())
		if err == nil {
			err = a.WaitFor(w.t.Context(), last)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		return last
	}
}

// last is the deal's latest event.
func (w *world) last(id deal.ID) stream.Stored {
	w.t.Helper()
	e, err := w.service.log.Last(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// types are the types of the deal's events, in order.
func (w *world) types(id deal.ID) []deal.EventType {
	w.t.Helper()
	events, err := w.service.log.History(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	var types []deal.EventType
	for _, e := range events {
		types = append(types, e.Type)
	}
	return types
}

// eventually waits for what comes without a signal.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("it never happens that %s", what)
		}
	}
}

// get reads a deal through the API.
func (w *world) get(by, id deal.ID) Deal {
	w.t.Helper()
	r := w.send(w.keys[by], http.MethodGet, location(id), nil)
	if r.status != http.StatusOK {
		w.t.Fatalf("get: %d %s", r.status, r.text)
	}
	return r.deal(w.t)
}

// counts are the association's sums in 2026, in the warehouse after the event at the sequence.
func (w *world) counts(association deal.ID, upTo uint64) warehouse.Sums {
	w.t.Helper()
	v, err := w.service.cfg.Finder.Volume(w.t.Context(), warehouse.VolumeQuery{
		Association: association, Year: 2026, By: warehouse.ByTotal, UpTo: upTo,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return v.Total
}

// audited folds the log and compares its sums of 2026 with those of the warehouse, for the associations given and for all
// together.
func (w *world) audited(upTo uint64, associations ...deal.ID) {
	w.t.Helper()
	log := w.send(w.operator, http.MethodGet, "/v1/log", nil)
	ledger, err := audit.Fold(func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(log.text)), nil })
	if err != nil || ledger.FindingCount > 0 || ledger.LastSequence != upTo {
		w.t.Fatalf("audit up to %d: %v, %+v", upTo, err, ledger)
	}
	for _, id := range append(associations, together) {
		want, got := ledger.Total(audit.ID(id), 2026), w.counts(id, upTo)
		if want.Amount.Cmp(got.Amount) != 0 || want.Deals != got.Deals || want.Unconverted != got.Unconverted {
			w.t.Errorf("the log says %+v, the warehouse %+v", want, got)
		}
	}
}

func wantSums(t *testing.T, got warehouse.Sums, minor, deals, unconverted int64) {
	t.Helper()
	if got.Amount.Cmp(big.NewInt(minor)) != 0 || got.Deals != deals || got.Unconverted != unconverted {
		t.Errorf("%s in %d deals and %d unconverted, want %d in %d and %d", got.Amount, got.Deals, got.Unconverted, minor, deals, unconverted)
	}
}

func wantTypes(t *testing.T, got []deal.EventType, want ...deal.EventType) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

// inDollars is the request with all its amounts in USD.
func inDollars(body object) object {
	body = maps.Clone(body)
	dollars := func(amount any) object {
		o := maps.Clone(amount.(object))
		o["currency"] = "USD"
		return o
	}
	body["value"] = dollars(body["value"])
	parties := []object{}
	for _, p := range body["parties"].([]object) {
		p = maps.Clone(p)
		p["share"] = dollars(p["share"])
		parties = append(parties, p)
	}
	body["parties"] = parties
	return body
}

// awayWarehouse is one that nobody listens for.
func awayWarehouse(t testing.TB) *warehouse.Warehouse {
	t.Helper()
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	w, err := warehouse.Open(warehouse.Config{DSN: fmt.Sprintf("clickhouse://127.0.0.1:%d/nobody", port)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}
