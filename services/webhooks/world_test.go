package webhooks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	"github.com/dealreg/dealreg/pkg/webhook"
	"github.com/dealreg/dealreg/services/webhooks"
)

func TestMain(m *testing.M) {
	runChildIfAsked()
	os.Exit(embeddedtest.Main(m))
}

const patience = 2 * time.Minute // a test that waits longer has failed

type object = map[string]any

func now() time.Time { return time.Now() } //nolint:forbidigo // what receivers see

// world is a broker, a warehouse and the service with its API.
type world struct {
	t       *testing.T
	server  *rostertest.Server
	js      jetstream.JetStream
	log     *stream.Log
	house   *warehouse.Warehouse
	cfg     webhooks.Config
	callers map[string]roster.Principal
	url     string
	stop    func()
	health  *lifecycle.Health
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// newWorld starts the service with a schedule of moments. change may be nil.
func newWorld(t *testing.T, change func(*webhooks.Config)) *world {
	t.Helper()
	server := rostertest.NewServer(t)
	w := newWorldAt(t, server.Connect(), warehousetest.New(t), change)
	w.server = server
	w.start()
	return w
}

// newWorldAt starts nothing. Its waits are so long that no busy machine turns a slow answer into a second attempt, or a
// slow disk into a lease that is lost.
func newWorldAt(t *testing.T, js jetstream.JetStream, house *warehouse.Warehouse, change func(*webhooks.Config)) *world {
	t.Helper()
	w := &world{t: t, js: js, house: house, callers: map[string]roster.Principal{}}
	var err error
	if w.log, err = stream.NewLog(w.js.Conn()); err != nil {
		t.Fatal(err)
	}
	key, err := webhook.NewSealingKey([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	moment := 20 * time.Millisecond
	w.cfg = webhooks.Config{
		NATS: w.js.Conn(), Warehouse: w.house, Key: key, Guard: webhook.Guard{Allow: loopback, AllowHTTP: true},
		Schedule: []time.Duration{moment, moment, moment}, Deadline: 10 * time.Second,
		ProbeFirst: moment, ProbeMost: 4 * moment, AckWait: 30 * time.Second, Lease: 5 * time.Second,
	}
	if testing.Verbose() {
		w.cfg.Log = zaptest.NewLogger(t, zaptest.Level(zap.InfoLevel))
	}
	if change != nil {
		change(&w.cfg)
	}
	return w
}

// start starts a service beside those that run, and waits until it is ready.
func (w *world) start() {
	w.t.Helper()
	w.begin()
	w.until("ready", func() bool { return len(w.health.Failing()) == 0 })
}

// begin starts a service that may lack something.
func (w *world) begin() {
	w.t.Helper()
	w.health = lifecycle.NewHealth()
	cfg := w.cfg
	cfg.Health = w.health
	s, err := webhooks.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	api := httpapi.New(httpapi.Config{
		Health: w.health, Limit: func(roster.Principal) httpapi.Limit { return httpapi.Limit{PerSecond: 1e6, Burst: 1e6} },
		Authenticate: func(token string) (roster.Principal, error) {
			p, known := w.callers[token]
			if !known {
				return p, roster.ErrUnauthenticated
			}
			return p, nil
		},
	})
	s.Routes(api.API)
	web := httptest.NewServer(api.Handler())
	w.url = web.URL
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		web.Close()
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("run: %v", err)
		}
	})
	w.stop = stop
	w.t.Cleanup(stop)
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
			w.t.Fatalf("waited in vain: %s (%v)", what, w.health.Failing())
		}
	}
}

func newID() deal.ID { return deal.ID(uuid.Must(uuid.NewV7())) }

// companyAdmin makes a company and gives it and its admin's key.
func (w *world) companyAdmin() (company deal.ID, key string) {
	company, key = newID(), uuid.NewString()
	w.callers[key] = roster.Principal{KeyID: newID(), Role: roster.RoleCompanyAdmin, Company: company}
	return company, key
}

// caller gives a key of the role in the association.
func (w *world) caller(role roster.Role, association deal.ID) string {
	key := uuid.NewString()
	w.callers[key] = roster.Principal{KeyID: newID(), Role: role, Association: association}
	return key
}

// do sends a request and gives the status and the answer.
func (w *world) do(key, method, path string, body any, headers ...string) (int, object, http.Header) {
	w.t.Helper()
	var text io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		text = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, text)
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer answer.Body.Close()
	got := object{}
	raw, _ := io.ReadAll(answer.Body)
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &got); err != nil {
			w.t.Fatalf("%s %s: %s", method, path, raw)
		}
	}
	return answer.StatusCode, got, answer.Header
}

func (w *world) must(status int, key, method, path string, body any, headers ...string) object {
	w.t.Helper()
	got, answer, _ := w.do(key, method, path, body, headers...)
	if got != status {
		w.t.Fatalf("%s %s answers %d instead of %d: %v", method, path, got, status, answer)
	}
	return answer
}

const endpoints = "/v1/webhook-endpoints"

// endpoint creates one and gives its id and secret.
func (w *world) endpoint(key, url string, change object) (id, secret string) {
	w.t.Helper()
	body := object{"url": url, "event_types": []string{"*"}, "rate_per_second": 1000}
	maps.Copy(body, change)
	made := w.must(201, key, "POST", endpoints, body)
	id, _ = made["id"].(string)
	secret, _ = made["secret"].(string)
	return id, secret
}

// happen writes n new deals of the companies into the log and gives the ids of their events.
func (w *world) happen(n int, companies ...deal.ID) []string {
	w.t.Helper()
	return w.heardBy(n, stream.Audience{Companies: companies})
}

func (w *world) heardBy(n int, audience stream.Audience) []string {
	w.t.Helper()
	return w.write(slices.Repeat([]stream.Event{{Audience: audience, Event: deal.Event{Type: deal.EventRegistered}}}, n)...)
}

// write writes the events into the log, each of a new deal that is pending, and gives their ids.
func (w *world) write(events ...stream.Event) (ids []string) {
	w.t.Helper()
	var drafts []stream.Draft
	for _, e := range events {
		e.At, e.Deal = now().UTC(), deal.Deal{ID: newID(), Revision: 1, Status: deal.Pending, TermsVersion: 1}
		d, err := stream.NewDraft(e, nil)
		if err != nil {
			w.t.Fatal(err)
		}
		ids, drafts = append(ids, e.ID()), append(drafts, d)
	}
	for some := range slices.Chunk(drafts, 1000) {
		if err := w.log.AppendBatch(w.t.Context(), some); err != nil {
			w.t.Fatal(err)
		}
	}
	return ids
}

// put writes into a bucket what the service is to find there.
func (w *world) put(bucket, key, value string) {
	w.t.Helper()
	kv, err := w.js.KeyValue(w.t.Context(), bucket)
	if err == nil {
		_, err = kv.PutString(w.t.Context(), key, value)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// receiver is what a customer runs.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	got   []received
	index map[string]int
	news  chan struct{}
}

type received struct {
	id     string
	header http.Header
	body   []byte
	at     time.Time
}

// newReceiver answers as answer does, 200 when that is nil. What it answers with 2xx counts as received.
func newReceiver(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, body []byte)) *receiver {
	t.Helper()
	rc := &receiver{index: map[string]int{}, news: make(chan struct{}, 1)}
	rc.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := now()
		body, _ := io.ReadAll(r.Body)
		status := &statusWriter{ResponseWriter: w}
		if answer != nil {
			answer(status, r, body)
		}
		if status.status == 0 || status.status/100 == 2 {
			rc.mu.Lock()
			rc.got = append(rc.got, received{id: r.Header.Get("webhook-id"), header: r.Header.Clone(), body: body, at: at})
			rc.index[r.Header.Get("webhook-id")]++
			rc.mu.Unlock()
			select {
			case rc.news <- struct{}{}:
			default:
			}
		}
	}))
	t.Cleanup(rc.Close)
	return rc
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusWriter) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (rc *receiver) all() []received {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return append([]received{}, rc.got...)
}

func (rc *receiver) times(id string) int {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return rc.index[id]
}

// await waits until every id has arrived.
func (rc *receiver) await(t *testing.T, ids ...string) {
	t.Helper()
	late := time.After(patience)
	for {
		missing := 0
		rc.mu.Lock()
		for _, id := range ids {
			if rc.index[id] == 0 {
				missing++
			}
		}
		rc.mu.Unlock()
		if missing == 0 {
			return
		}
		select {
		case <-rc.news:
		case <-late:
			t.Fatalf("%d of %d events did not arrive", missing, len(ids))
		}
	}
}

// once fails unless every event arrived exactly once, and no other.
func (rc *receiver) once(t *testing.T, ids ...string) {
	t.Helper()
	rc.mu.Lock()
	defer rc.mu.Unlock()
	for _, id := range ids {
		if rc.index[id] != 1 {
			t.Errorf("event %s arrived %d times", id, rc.index[id])
		}
	}
	if len(rc.index) != len(ids) {
		t.Errorf("%d events arrived instead of %d", len(rc.index), len(ids))
	}
}

// paced wants no more to have come at any time than the rate since then allows, and a fifth of a second's at once. A busy
// machine makes some late, which then come together, but none early.
func paced(t *testing.T, got []received, perSecond int, since time.Time) {
	t.Helper()
	slices.SortFunc(got, func(a, b received) int { return a.at.Compare(b.at) })
	for i, one := range got {
		took := one.at.Sub(since)
		if i >= int(took.Seconds()*float64(perSecond))+perSecond/5 {
			t.Fatalf("%d webhooks within %v at %d a second", i+1, took, perSecond)
		}
	}
}

// attempts waits until the endpoint's attempts are as expected, and gives them, the newest first.
func (w *world) attempts(key, id, query string, enough func([]object) bool) []object {
	w.t.Helper()
	var found []object
	w.until("attempts "+query, func() bool {
		found = nil
		for _, item := range w.must(200, key, "GET", fmt.Sprintf("%s/%s/attempts?%s", endpoints, id, query), nil)["items"].([]any) {
			found = append(found, item.(object))
		}
		return enough(found)
	})
	return found
}
