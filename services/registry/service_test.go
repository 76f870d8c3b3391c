package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
)

func TestMain(m *testing.M) { os.Exit(embeddedtest.Main(m)) }

// world is a registry on real engines, with one association in Berlin, its chapter, and companies that are members.
type world struct {
	t           testing.TB
	url         string
	nc          *nats.Conn
	service     *Service
	stop        func() // ends the service and waits for its end
	association deal.ID
	a, b, c     deal.ID // members of three groups
	outsider    deal.ID // a company that is no member
	lax         deal.ID // a member that has not accepted the code of ethics
	keys        map[deal.ID]string
	registrar   string
	operator    string
	board       string
}

// now is the time of every test, a little later at every call: no two events are the same to the last byte.
func now() time.Time {
	return time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC).Add(time.Duration(calls.Add(1)))
}

var calls atomic.Int64

var pepper = bytes.Repeat([]byte{7}, 32)

func newID() deal.ID { return deal.ID(uuid.Must(uuid.NewV7())) }

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldWith(t, warehousetest.New(t))
}

// newWorldWith is a world whose lists come from the finder.
func newWorldWith(t testing.TB, finder *warehouse.Warehouse) *world {
	t.Helper()
	nc := embeddedtest.NATS(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, nc: nc, association: newID(), keys: map[deal.ID]string{}}
	store, health := roster.NewStore(js), lifecycle.NewHealth()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context())) // outlives the test by its clean-up
	t.Cleanup(cancel)
	if err := roster.CreateBuckets(ctx, js, 1); err != nil {
		t.Fatal(err)
	}
	people := roster.New(js, zap.NewNop(), health)
	w.service, err = New(Config{
		Log: zap.NewNop(), NATS: nc, Roster: people, Store: store, Finder: finder, Health: health, Now: now, Pepper: pepper,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.start(ctx, cancel, people.Run)
	w.stop = w.run(w.service)
	w.fill(ctx, store, people)
	<-people.Loaded()
	server := httpapi.New(httpapi.Config{
		Log: zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)), Health: health,
		Authenticate: roster.Authenticator{Roster: people, Pepper: pepper}.Authenticate,
		Limit:        func(roster.Principal) httpapi.Limit { return httpapi.Limit{} }, // tests send many requests
	})
	w.service.Routes(server.API)
	listener := httptest.NewServer(server.Handler())
	t.Cleanup(listener.Close)
	w.url = listener.URL
	<-w.service.Opened()
	return w
}

// start runs parts until the test ends, and waits for their end.
func (w *world) start(ctx context.Context, cancel context.CancelFunc, parts ...func(context.Context) error) {
	ended := make(chan error, len(parts))
	for _, run := range parts {
		go func() { ended <- run(ctx) }()
	}
	w.t.Cleanup(func() {
		cancel()
		for range parts {
			if err := <-ended; err != nil {
				w.t.Error(err)
			}
		}
	})
}

func (w *world) fill(ctx context.Context, store *roster.Store, people *roster.Roster) {
	w.t.Helper()
	must := func(revision uint64, err error) uint64 {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
		return revision
	}
	must(store.PutAssociation(ctx, roster.Association{
		ID: w.association, Name: "Harbour Partners", TimeZone: "Europe/Berlin", YearStartsIn: 1, ReportingCurrency: "EUR", Disclosure: roster.DisclosureOpen,
	}))
	chapter := newID()
	must(store.PutChapter(ctx, roster.Chapter{ID: chapter, AssociationID: w.association, Name: "North"}))
	accepted := calendar.New(2020, time.January, 1)
	var last uint64
	for name, id := range map[string]*deal.ID{"Alder": &w.a, "Birch": &w.b, "Cedar": &w.c, "Outside": &w.outsider, "Lax": &w.lax} {
		*id = newID()
		must(store.PutCompany(ctx, roster.Company{ID: *id, Name: name + " GmbH", Country: "DE", Domain: strings.ToLower(name) + ".example", GroupID: *id}))
		if name == "Outside" {
			continue
		}
		period := roster.Period{ChapterID: chapter, From: calendar.New(2015, time.January, 1), EthicsAcceptedOn: &accepted}
		if name == "Lax" {
			period.EthicsAcceptedOn = nil
		}
		must(store.PutMembership(ctx, roster.Membership{AssociationID: w.association, CompanyID: *id, Periods: []roster.Period{period}}))
	}
	issue := func(scope roster.Scope) string {
		key, token, err := store.Issue(ctx, newID(), scope, now(), pepper)
		if err != nil {
			w.t.Fatal(err)
		}
		last = key.Revision
		return token
	}
	for _, id := range []deal.ID{w.a, w.b, w.c, w.outsider, w.lax} {
		w.keys[id] = issue(roster.Scope{Role: roster.RoleMember, CompanyID: id})
	}
	w.registrar = issue(roster.Scope{Role: roster.RoleRegistrar, AssociationID: w.association})
	w.board = issue(roster.Scope{Role: roster.RoleBoard, AssociationID: w.association})
	w.operator = issue(roster.Scope{Role: roster.RoleOperator})
	for _, b := range []roster.Bucket{roster.Companies, roster.Associations, roster.Members, roster.Chapters} {
		if err := people.WaitFor(ctx, b, 1); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := people.WaitFor(ctx, roster.Keys, last); err != nil {
		w.t.Fatal(err)
	}
	if err := people.WaitFor(ctx, roster.Members, 4); err != nil {
		w.t.Fatal(err)
	}
	if err := people.WaitFor(ctx, roster.Companies, 5); err != nil {
		w.t.Fatal(err)
	}
}

// reply is an answer of the API.
type reply struct {
	status int
	header http.Header
	text   string
}

func (r reply) deal(t testing.TB) Deal {
	t.Helper()
	var d Deal
	if err := json.Unmarshal([]byte(r.text), &d); err != nil {
		t.Fatalf("%v: %s", err, r.text)
	}
	return d
}

// send makes a request; headers come in pairs.
func (w *world) send(key, method, path string, body any, headers ...string) reply {
	w.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{status: response.StatusCode, header: response.Header, text: string(text)}
}

type object = map[string]any

func euros(amount string) object { return object{"amount": amount, "currency": "EUR"} }

// registration is a sound request of the companies: the first leads and gets what the others leave. Each is for a customer
// of its own, so that no deal repeats another.
func registration(companies ...deal.ID) object {
	parties := []object{}
	for i, id := range companies {
		share := "100.00"
		if i == 0 {
			share = "900.00"
		}
		parties = append(parties, object{"company_id": id, "share": euros(share)})
	}
	value := map[int]string{1: "900.00", 2: "1000.00", 3: "1100.00"}[len(companies)]
	return object{
		"title": "Payroll roll-out", "customer": object{"name": "Contoso " + newID().String(), "country": "DE"}, "value": euros(value), "parties": parties,
	}
}

func (w *world) register(key string, body object) Deal {
	w.t.Helper()
	r := w.send(w.keys[w.a], http.MethodPost, "/v1/deals", body, "Idempotency-Key", key)
	if r.status != http.StatusCreated {
		w.t.Fatalf("register: %d %s", r.status, r.text)
	}
	return r.deal(w.t)
}

// move makes a move with the tag of the given deal and expects the status.
func (w *world) move(by deal.ID, d Deal, move string, body any, status int) Deal {
	w.t.Helper()
	r := w.send(w.keys[by], http.MethodPost, location(d.ID)+"/"+move, body,
		"If-Match", httpapi.ETag(d.Revision), "Idempotency-Key", move+"-"+by.String()+httpapi.ETag(d.Revision))
	if r.status != status {
		w.t.Fatalf("%s: %d instead of %d: %s", move, r.status, status, r.text)
	}
	if status != http.StatusOK {
		return Deal{}
	}
	return r.deal(w.t)
}

// won takes a new deal of a and b to won, on the given day.
func (w *world) won(key string, wonOn string) Deal {
	w.t.Helper()
	d := w.register(key, registration(w.a, w.b))
	d = w.move(w.b, d, "accept", object{}, http.StatusOK)
	d = w.move(w.a, d, "propose", object{"won_on": wonOn}, http.StatusOK)
	return w.move(w.b, d, "attest", object{}, http.StatusOK)
}
