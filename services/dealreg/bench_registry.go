package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/services/registry"
)

// benchRegistry is a registry as `serve registry` runs it, with two members of one association and no ClickHouse, which
// no registration asks. It does not limit how often its key registers: a thousand companies have a thousand keys.
type benchRegistry struct {
	handler http.Handler
	key     string
	body    []byte // of a registration

	house *warehouse.Warehouse
	end   context.CancelFunc
	ended chan error
}

func startBenchRegistry(ctx context.Context, engines *benchEngines, log *zap.Logger) (*benchRegistry, error) {
	if err := roster.CreateBuckets(ctx, engines.js, 1); err != nil {
		return nil, err
	}
	port, err := embedded.FreePort()
	if err != nil {
		return nil, err
	}
	house, err := warehouse.Open(warehouse.Config{DSN: fmt.Sprintf("clickhouse://127.0.0.1:%d/nobody", port)})
	if err != nil {
		return nil, err
	}
	health, store, people := lifecycle.NewHealth(), roster.NewStore(engines.js), roster.New(engines.js, log, lifecycle.NewHealth())
	// Its lines are made as always, and kept by nobody.
	lines := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(io.Discard), zap.InfoLevel))
	pepper := make([]byte, 32)
	_, _ = rand.Read(pepper) // never fails (crypto/rand)
	s, err := registry.New(registry.Config{
		Log: lines, NATS: engines.nc, Roster: people, Store: store, Finder: house, Health: health, Now: time.Now, Pepper: pepper,
	})
	if err != nil {
		return nil, errors.Join(err, house.Close())
	}
	server := httpapi.New(httpapi.Config{
		Log: lines, Health: health, Authenticate: roster.Authenticator{Roster: people, Pepper: pepper}.Authenticate,
		Limit: func(roster.Principal) httpapi.Limit { return httpapi.Limit{} },
	})
	s.Routes(server.API)
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	r := &benchRegistry{handler: server.Handler(), house: house, end: end, ended: make(chan error, 1)}
	go func() {
		r.ended <- lifecycle.Run(running, lines, lifecycle.Part{Name: "roster", Run: people.Run}, lifecycle.Part{Name: "registry", Run: s.Run})
	}()
	if err := r.fill(ctx, store, people, pepper); err != nil {
		return nil, errors.Join(err, r.stop())
	}
	for _, ready := range []<-chan struct{}{people.Loaded(), s.Opened()} {
		select {
		case <-ready:
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), r.stop())
		}
	}
	return r, nil
}

func (r *benchRegistry) stop() error {
	r.end()
	return errors.Join(<-r.ended, r.house.Close())
}

// fill makes the association, its members and the request, and waits until the roster knows them.
func (r *benchRegistry) fill(ctx context.Context, store *roster.Store, people *roster.Roster, pepper []byte) error {
	association, companies := newBenchID(), []deal.ID{newBenchID(), newBenchID()}
	_, err := store.PutAssociation(ctx, roster.Association{
		ID: association, Name: "Bench", TimeZone: "UTC", YearStartsIn: 1, ReportingCurrency: "EUR", Disclosure: roster.DisclosureGuarded,
	})
	if err != nil {
		return err
	}
	since := calendar.New(2020, time.January, 1)
	last := map[roster.Bucket]uint64{roster.Associations: 1}
	for i, id := range companies {
		if last[roster.Companies], err = store.PutCompany(ctx, roster.Company{ID: id, Name: fmt.Sprintf("Member %d", i), Country: "DE", GroupID: id}); err != nil {
			return err
		}
		if last[roster.Members], err = store.PutMembership(ctx, roster.Membership{
			AssociationID: association, CompanyID: id, Periods: []roster.Period{{From: since, EthicsAcceptedOn: &since}},
		}); err != nil {
			return err
		}
	}
	key, token, err := store.Issue(ctx, newBenchID(), roster.Scope{Role: roster.RoleMember, CompanyID: companies[0]}, time.Now(), pepper)
	if err != nil {
		return err
	}
	r.key, last[roster.Keys] = token, key.Revision
	for bucket, revision := range last {
		if err := people.WaitFor(ctx, bucket, revision); err != nil {
			return err
		}
	}
	amount := func(text string) map[string]any { return map[string]any{"amount": text, "currency": "EUR"} }
	r.body, err = json.Marshal(map[string]any{
		"title": "Payroll roll-out, three countries", "customer": map[string]any{"name": "Contoso AG", "country": "DE", "domain": "contoso.example"},
		"value": amount("480000.00"), "expected_on": calendar.DateOf(time.Now(), time.UTC).AddDays(30),
		"parties": []any{
			map[string]any{"company_id": companies[0], "share": amount("300000.00")},
			map[string]any{"company_id": companies[1], "share": amount("180000.00")},
		},
	})
	return err
}

func newBenchID() deal.ID { return deal.ID(uuid.Must(uuid.NewV7())) }
