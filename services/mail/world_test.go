package mail

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
	"github.com/dealreg/dealreg/pkg/stream"
)

func TestMain(m *testing.M) {
	if os.Getenv(childNATS) != "" {
		runChild()
	}
	goleak.VerifyTestMain(m)
}

const patience = 2 * time.Minute // a test that waits longer has failed

func newID() deal.ID { return deal.ID(uuid.Must(uuid.NewV7())) }

// world is a broker with a log and a directory, an SMTP server, and the service.
type world struct {
	t       *testing.T
	nats    *rostertest.Server
	js      jetstream.JetStream
	log     *stream.Log
	store   *roster.Store
	roster  *roster.Roster
	inbox   *inbox
	later   atomic.Int64 // how far the clock is ahead
	cfg     Config
	health  *lifecycle.Health
	stop    func()
	service *Service
}

// newWorld starts no service yet. The companies Aardvark, Bumblebee and Capybara have no people.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, nats: rostertest.NewServer(t)}
	w.js = w.nats.Connect()
	if err := roster.CreateBuckets(t.Context(), w.js, 1); err != nil {
		t.Fatal(err)
	}
	if err := stream.Ensure(t.Context(), w.js, 1); err != nil {
		t.Fatal(err)
	}
	w.store, w.roster = roster.NewStore(w.js), rostertest.Follow(t, w.js)
	var err error
	if w.log, err = stream.NewLog(w.js.Conn()); err != nil {
		t.Fatal(err)
	}
	w.inbox = newInbox(t)
	w.cfg = Config{NATS: w.js.Conn(), Roster: w.roster, Postman: w.postman(), Now: w.now}
	quick(&w.cfg)
	if testing.Verbose() {
		w.cfg.Log = zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel))
	}
	return w
}

// quick makes the waits short.
func quick(cfg *Config) {
	cfg.Every, cfg.Lease, cfg.RetryFirst, cfg.RetryMost = 20*time.Millisecond, 600*time.Millisecond, 20*time.Millisecond, 100*time.Millisecond
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.later.Load())) } //nolint:forbidigo // the log has real times

func (w *world) postman(change ...func(*PostmanConfig)) *Postman {
	w.t.Helper()
	cfg := PostmanConfig{
		SMTP: "smtp://" + w.inbox.address, From: "dealreg@registry.example", PublicURL: "https://deals.registry.example/", Now: w.now,
	}
	for _, f := range change {
		f(&cfg)
	}
	p, err := NewPostman(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// begin starts a service beside those that run.
func (w *world) begin() (stop func()) {
	w.t.Helper()
	w.health = lifecycle.NewHealth()
	cfg := w.cfg
	cfg.Health = w.health
	s, err := New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("run: %v", err)
		}
	})
	w.t.Cleanup(stop)
	w.service, w.stop = s, stop
	return stop
}

// start starts a service and waits until it is ready and mails from here on.
func (w *world) start() {
	w.t.Helper()
	w.begin()
	w.until("ready", func() bool { return len(w.health.Failing()) == 0 })
}

// until waits for what nothing signals.
func (w *world) until(what string, is func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for !is() {
		select {
		case <-tick.C:
		case <-late:
			w.t.Fatalf("waited in vain: %s (%v, %v)", what, w.health.Failing(), w.records())
		}
	}
}

// records are the entries of the bucket beside the position.
func (w *world) records() []record {
	w.t.Helper()
	_, records := w.bucket()
	return records
}

func (w *world) bucket() (p position, records []record) {
	w.t.Helper()
	kv, err := w.js.KeyValue(w.t.Context(), bucket)
	if err != nil {
		return p, nil
	}
	keys, err := kv.Keys(w.t.Context())
	if err != nil {
		return p, nil
	}
	slices.Sort(keys)
	for _, key := range keys {
		entry, err := kv.Get(w.t.Context(), key)
		if err != nil {
			w.t.Fatal(err)
		}
		var r record
		if key == positionKey {
			err = json.Unmarshal(entry.Value(), &p)
		} else if err = json.Unmarshal(entry.Value(), &r); err == nil {
			records = append(records, r)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return p, records
}

// settled waits until all of the log was followed, what is due was looked for and every mail has ended, and gives the records.
func (w *world) settled() []record {
	w.t.Helper()
	last, err := w.log.LastSequence(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var records []record
	rounds := w.service.rounds.Load() + 2 // one that has begun by now may have missed something
	w.until("every mail has ended", func() bool {
		if w.service.rounds.Load() < rounds {
			return false
		}
		var p position
		before := len(records)
		p, records = w.bucket() // which lacks what is written meanwhile: so it must be the same twice
		return len(records) == before && p.Sequence >= last && !slices.ContainsFunc(records, func(r record) bool { return !r.State.final() })
	})
	return records
}

// ended counts the records by how they ended.
func ended(records []record) string {
	count := map[state]int{}
	for _, r := range records {
		count[r.State]++
	}
	return strings.TrimPrefix(fmt.Sprint(count), "map")
}

// person makes somebody who acts for the company, and gives the address. change may change the person first.
func (w *world) person(name string, company deal.ID, language roster.Language, change ...func(*roster.Person)) string {
	w.t.Helper()
	p := roster.Person{
		ID: newID(), Name: name, Email: strings.ToLower(strings.Fields(name)[0]) + "@people.example", Language: language,
		Role: roster.RoleMember, CompanyID: company, CreatedAt: w.now().UTC(),
	}
	for _, f := range change {
		f(&p)
	}
	revision, err := w.store.PutPerson(w.t.Context(), p)
	if err == nil {
		err = w.roster.WaitFor(w.t.Context(), roster.People, revision)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Email
}

// change changes the person with the address.
func (w *world) change(address string, f func(*roster.Person)) {
	w.t.Helper()
	p, known := w.roster.PersonByEmail(address)
	if !known {
		w.t.Fatalf("nobody has %s", address)
	}
	p, err := w.store.UpdatePerson(w.t.Context(), p.ID, func(p roster.Person) (roster.Person, error) { f(&p); return p, nil })
	if err == nil {
		err = w.roster.WaitFor(w.t.Context(), roster.People, p.Revision)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func company(n byte) deal.ID { return deal.ID{0xC0, 15: n} }

// The companies of all deals: the first one registers.
var aardvark, bumblebee, capybara = company(1), company(2), company(3)

func (w *world) terms(parties ...deal.ID) *deal.Terms {
	today := calendar.DateOf(w.now(), time.UTC)
	t := &deal.Terms{Value: money.Amount{Minor: 471123, Currency: "EUR"}, WonOn: &today}
	shares := money.Split(471123, len(parties))
	for i, id := range parties {
		role := deal.Other
		if i == 0 {
			role = deal.Lead
		}
		t.Parties = append(t.Parties, deal.Party{Company: id, Group: id, Role: role, ShareMinor: shares[i]})
	}
	return t
}

// register writes a new deal of Aardvark with the others into the log.
func (w *world) register(others ...deal.ID) deal.ID {
	w.t.Helper()
	id := newID()
	w.act(id, deal.Command{
		Move: deal.Register, By: deal.Actor{Key: newID(), Company: aardvark}, Deal: id, Terms: w.terms(append([]deal.ID{aardvark}, others...)...),
		Details: &deal.Details{
			Title: "Zanzibar roll-out of Aardvark and Bumblebee", Description: "4711.23 EUR", ExternalRef: "Zanzibar-1",
			Customer: deal.Customer{Name: "Zuckerfabrik AG", Country: "DE", Domain: "zuckerfabrik.example"},
		},
	})
	return id
}

// move makes a company's move on the deal.
func (w *world) move(id deal.ID, by deal.ID, move deal.Move, change ...func(*deal.Command)) {
	w.t.Helper()
	c := deal.Command{Move: move, By: deal.Actor{Key: newID(), Company: by}, Reason: "Zanzibar"}
	for _, f := range change {
		f(&c)
	}
	w.act(id, c)
}

// propose is the move with the figures as they are, or others.
func (w *world) propose(valueMinor int64) func(*deal.Command) {
	return func(c *deal.Command) {
		c.Terms = w.terms(aardvark, bumblebee, capybara)
		c.Terms.Parties[0].ShareMinor += valueMinor - c.Terms.Value.Minor
		c.Terms.Value.Minor = valueMinor
	}
}

func (w *world) act(id deal.ID, c deal.Command) {
	w.t.Helper()
	c.Today = calendar.DateOf(w.now(), time.UTC)
	var before *stream.Stored
	var d deal.Deal
	if c.Move != deal.Register {
		last, err := w.log.Last(w.t.Context(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		before, d = &last, last.Deal
	}
	e, err := deal.Decide(d, c, w.now().UTC())
	if err != nil {
		w.t.Fatalf("%s: %v", c.Move, err)
	}
	draft, err := stream.NewDraft(stream.Event{Event: e}, before)
	if err == nil {
		_, err = w.log.Append(w.t.Context(), draft)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// won brings a new deal of all three companies to its end.
func (w *world) won() deal.ID {
	w.t.Helper()
	id := w.register(bumblebee, capybara)
	w.move(id, bumblebee, deal.Accept)
	w.move(id, capybara, deal.Accept)
	w.move(id, aardvark, deal.Propose, w.propose(471123))
	w.move(id, bumblebee, deal.Attest)
	w.move(id, capybara, deal.Attest)
	return id
}

func wantSubjects(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("mails %q, want %q", got, want)
	}
}
