package webhooks_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/webhook"
	"github.com/dealreg/dealreg/services/webhooks"
)

// What a child process reads: which one it is, the port of the broker, the broker's folder, and the dispatcher's warehouse.
const (
	childPart = "DEALREG_TEST_WEBHOOKS_PART"
	childPort = "DEALREG_TEST_WEBHOOKS_PORT"
	childDir  = "DEALREG_TEST_WEBHOOKS_DIR"
	childDSN  = "DEALREG_TEST_WEBHOOKS_DSN"
)

// The parts that are killed.
const (
	theBroker     = "broker"
	theDispatcher = "dispatcher"
)

// runChildIfAsked runs a broker or a dispatcher until the process is killed.
func runChildIfAsked() {
	part := os.Getenv(childPart)
	if part == "" {
		return
	}
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, part+":", err)
			os.Exit(1)
		}
	}
	port, err := strconv.Atoi(os.Getenv(childPort))
	fail(err)
	if part == theBroker {
		_, err := embedded.StartNATS(embedded.NATSConfig{Dir: os.Getenv(childDir), Port: port})
		fail(err)
		select {}
	}
	nc, err := connect(port)
	fail(err)
	house, err := warehouse.Open(warehouse.Config{DSN: os.Getenv(childDSN)})
	fail(err)
	cfg, err := childConfig(nc, house)
	fail(err)
	s, err := webhooks.New(cfg)
	fail(err)
	fail(s.Run(context.Background()))
}

// connect gives a connection that comes back by itself, whether or not the broker is there now.
func connect(port int) (*nats.Conn, error) {
	return nats.Connect("nats://127.0.0.1:"+strconv.Itoa(port), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
}

func childConfig(nc *nats.Conn, house *warehouse.Warehouse) (webhooks.Config, error) {
	key, err := webhook.NewSealingKey([]byte("0123456789abcdef0123456789abcdef"))
	cfg := webhooks.Config{
		NATS: nc, Warehouse: house, Key: key, Guard: webhook.Guard{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, AllowHTTP: true},
		AckWait: 30 * time.Second, Lease: 2 * time.Second, Deadline: 10 * time.Second, ProbeFirst: 50 * time.Millisecond, ProbeMost: 200 * time.Millisecond,
	}
	patient(&cfg)
	return cfg, err
}

// TestKilled_AtAnyMomentEveryEventArrives kills the broker, the dispatcher, or both while events come and go out.
func TestKilled_AtAnyMomentEveryEventArrives(t *testing.T) {
	t.Parallel()
	for _, parts := range [][]string{{theBroker}, {theDispatcher}, {theBroker, theDispatcher}} {
		t.Run(strings.Join(parts, " and "), func(t *testing.T) {
			t.Parallel()
			everyEventArrives(t, parts)
		})
	}
}

func everyEventArrives(t *testing.T, killed []string) {
	dsn, house := ownEngine(t) // it aborts when a client that asks it something is killed, and is started again
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	children := map[string]*exec.Cmd{}
	var kills []time.Time
	kill := func(parts []string) {
		for _, part := range parts {
			_ = children[part].Process.Kill()
			_ = children[part].Wait()
		}
		kills = append(kills, now()) // they were at work until here
	}
	start := func(parts []string) {
		for _, part := range parts {
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), childPart+"="+part, childDir+"="+dir, childPort+"="+strconv.Itoa(port), childDSN+"="+dsn)
			child.Stderr = os.Stderr
			if err := child.Start(); err != nil {
				t.Error(err)
				return
			}
			children[part] = child
		}
	}
	start([]string{theBroker})
	t.Cleanup(func() { kill(slices.Collect(maps.Keys(children))) })

	nc, err := connect(port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldAt(t, js, house, patient)
	w.start()
	company, key := w.companyAdmin()
	plain, inOrder, slow := newReceiver(t, nil), newReceiver(t, nil), newReceiver(t, nil)
	w.endpoint(key, plain.URL, nil)
	w.endpoint(key, inOrder.URL, object{"ordered": true})
	w.endpoint(key, slow.URL, object{"rate_per_second": 100})
	var nth atomic.Int32
	failing := newReceiver(t, func(rw http.ResponseWriter, _ *http.Request, _ []byte) {
		if nth.Add(1)%3 == 0 {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	})
	w.endpoint(key, failing.URL, nil)
	began, past := now(), w.happen(60, company)
	for _, rc := range []*receiver{plain, inOrder, slow, failing} {
		rc.await(t, past...)
	}
	again := newReceiver(t, nil)
	replayed, _ := w.endpoint(key, again.URL, nil)                                                            // too late for them but by a replay
	w.must(202, key, "POST", endpoints+"/"+replayed+"/replay", object{"since": began, "rate_per_second": 12}) // five seconds
	w.stop()
	start([]string{theDispatcher})
	const rounds, perRound = 6, 60
	events, written := past, map[string]time.Time{}
	for _, id := range past {
		written[id] = began
	}
	for round := range rounds {
		back := make(chan struct{})
		go func() {
			defer close(back)
			<-time.After(time.Duration(200+rand.IntN(3000)) * time.Millisecond) // by chance before or after the leases were taken over
			if round < rounds-1 {
				kill(killed)
				start(killed)
			}
		}()
		for range perRound {
			at := now()
			id := w.insist(company)
			events, written[id] = append(events, id), at
		}
		<-back
	}
	receivers := map[string]*receiver{"plain": plain, "ordered": inOrder, "slow": slow, "failing": failing, "replayed": again}
	for _, rc := range receivers {
		rc.await(t, events...)
	}
	last := w.insist(company) // what came again has come by then
	events, written[last] = append(events, last), now()
	for name, rc := range receivers {
		rc.await(t, last)
		// After a kill an event may come once more from the queue, and once more from the fan-out or a cursor, which note how far
		// they are now and then.
		came, twice := map[string]int{}, 0
		for _, got := range rc.all() {
			before := 0
			for _, kill := range kills {
				if kill.After(written[got.id]) && kill.Before(got.at) {
					before++
				}
			}
			if came[got.id]++; came[got.id] > 1+2*before {
				t.Errorf("%s: event %s of %v came for the %dth time at %v, after %d kills", name, got.id, written[got.id], came[got.id], got.at, before)
			}
			if came[got.id] > 1 {
				twice++
			}
		}
		if name == "plain" && twice > len(events)/2 { // for the others a cursor sends a second's events again after each kill
			t.Errorf("%s: %d of %d events came again", name, twice, len(events))
		}
	}
	place, next, back := map[string]int{}, 0, 0
	for i, id := range events {
		place[id] = i
	}
	for i, got := range inOrder.all() { // each comes first in order, and a cursor goes back after a kill only
		switch at := place[got.id]; {
		case at > next:
			t.Fatalf("event %s came before %s", got.id, events[next])
		case at == next:
			next++
		case i > 0 && at <= place[inOrder.all()[i-1].id]:
			back++
		}
	}
	if back > 2*len(kills) {
		t.Errorf("ordered: it went back %d times after %d kills", back, len(kills))
	}
}

// ownEngine gives a warehouse, and its DSN, on an engine that no other test is using when it ends.
func ownEngine(t *testing.T) (dsn string, house *warehouse.Warehouse) {
	t.Helper()
	engine, err := embedded.StartClickHouse(t.Context(), embedded.ClickHouseConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Stop)
	dsn = engine.DSN() + "webhooks"
	house, err = warehouse.Open(warehouse.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = house.Close() })
	if err := house.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return dsn, house
}

// insist writes one event until the log says that it has it.
func (w *world) insist(company deal.ID) string {
	w.t.Helper()
	e := stream.Event{Audience: stream.Audience{Companies: []deal.ID{company}}, Event: deal.Event{
		Type: deal.EventRegistered, At: now().UTC(), Deal: deal.Deal{ID: newID(), Revision: 1, Status: deal.Pending, TermsVersion: 1},
	}}
	d, err := stream.NewDraft(e, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.until("event written", func() bool {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		_, err := w.log.Append(ctx, d)
		return err == nil
	})
	return e.ID()
}

func TestAttempts_AreKeptWhileTheWarehouseIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.stop()
	away, err := warehouse.Open(warehouse.Config{DSN: "clickhouse://127.0.0.1:9/nowhere"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = away.Close() })
	there := w.cfg.Warehouse
	w.cfg.Warehouse = away
	company, key := w.companyAdmin()
	rc := newReceiver(t, nil)
	w.begin()
	var id string
	w.until("endpoint made", func() bool {
		status, made, _ := w.do(key, "POST", endpoints, object{"url": rc.URL, "event_types": []string{"*"}})
		id, _ = made["id"].(string)
		return status == 201
	})
	events := w.happen(20, company)
	rc.await(t, events...)
	if status, answer, _ := w.do(key, "GET", endpoints+"/"+id+"/attempts", nil); status != 503 {
		t.Errorf("attempts without a warehouse: %d %v", status, answer)
	}
	w.stop()
	w.cfg.Warehouse = there
	w.start()
	w.attempts(key, id, "outcome=delivered", func(a []object) bool { return len(a) == 20 })
}

func TestKilled_TheWarehouseComesBackAndHasEveryAttempt(t *testing.T) {
	t.Parallel()
	dsn, house := ownEngine(t)
	conn := embeddedtest.Connect(t, dsn)
	w := newWorldAt(t, rostertest.NewServer(t).Connect(), house, nil)
	w.start()
	company, key := w.companyAdmin()
	rc := newReceiver(t, nil)
	id, _ := w.endpoint(key, rc.URL, nil)
	var events []string
	for range 3 {
		events = append(events, w.happen(20, company)...)
		if err := conn.Exec(t.Context(), "SYSTEM KILL"); err == nil { // it ends by SIGKILL and cannot answer
			t.Fatal("the engine survived")
		}
		more := w.happen(20, company)
		rc.await(t, more...) // without waiting for the engine
		events = append(events, more...)
		w.until("the warehouse", func() bool { return house.Ready(t.Context()) == nil })
	}
	rc.once(t, events...)
	var found []string
	w.until("every attempt", func() bool {
		status, page, _ := w.do(key, "GET", endpoints+"/"+id+"/attempts?limit=200&outcome=delivered", nil)
		found = nil
		if status == 200 {
			for _, item := range page["items"].([]any) {
				found = append(found, item.(object)["event_id"].(string))
			}
		}
		return len(found) >= len(events)
	})
	slices.Sort(events)
	slices.Sort(found)
	if !slices.Equal(found, events) {
		t.Errorf("%d attempts of %d events", len(found), len(events))
	}
}
