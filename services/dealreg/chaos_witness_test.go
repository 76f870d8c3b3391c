package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
	"github.com/dealreg/dealreg/services/registry"
)

// witness puts a system under load. It keeps every answer that the system gave and holds it to them.
type witness struct {
	t       *testing.T
	door    *door
	key     string // the operator's
	members [2]member
	loads   int

	mu       sync.Mutex
	receipts []receipt
	arrived  chan struct{} // closed with the next receipt
	checked  int           // so many receipts were sent again and got the same answer
	hashes   [][32]byte    // of the events of the log when it was read last
	backward int           // how often a deal's event was at an earlier time than the one before it
}

type member struct {
	id   string
	keys []*client // one for each worker: the rate of a key is limited
}

// receipt is one acknowledged change: the request, ready to be sent again, and what was answered.
type receipt struct {
	by       *client
	call     call
	sequence uint64
	etag     string
	body     []byte
}

// workers is how many deals are on their way at once.
const workers = 6

func newWitness(t *testing.T) *witness {
	t.Helper()
	return &witness{t: t, door: newDoor(t), arrived: make(chan struct{})}
}

// populate makes an association with two members, and waits until a deal of each pair of keys is registered.
func (w *witness) populate(key string) {
	w.t.Helper()
	ctx := w.t.Context()
	w.key = key
	setup := demoWorld{api: newClient(w.door.url(), key)}
	association := newAssociation(w.t, setup.api)
	for i, name := range []string{"Elm", "Fir"} {
		m := &w.members[i]
		var err error
		if m.id, err = setup.create(ctx, "/v1/companies", map[string]any{"name": name, "country": "DE"}); err != nil {
			w.t.Fatal(err)
		}
		for range workers {
			secret, err := setup.key(ctx, map[string]any{"role": "member", "company_id": m.id})
			if err != nil {
				w.t.Fatal(err)
			}
			by := newClient(w.door.url(), secret)
			by.http.Timeout = 10 * time.Second // then the request is sent again
			m.keys = append(m.keys, by)
		}
		path := "/v1/associations/" + association + "/members/" + m.id
		if _, err := setup.api.do(ctx, call{method: http.MethodPut, path: path, body: map[string]any{
			"from": "2019-01-01", "ethics_accepted_on": "2019-01-01",
		}}); err != nil {
			w.t.Fatal(err)
		}
	}
	w.follows()
}

// follows waits until every service knows the members and their keys: each hears of them by itself.
func (w *witness) follows() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for i := range workers {
		for {
			_, err := w.members[0].keys[i].once(ctx, call{
				method: http.MethodPost, path: "/v1/deals", body: w.registration("known", i, 0),
				header: map[string]string{"Idempotency-Key": fmt.Sprintf("known-%d", i)},
			})
			if err == nil {
				_, err = w.members[1].keys[i].once(ctx, call{method: http.MethodGet, path: "/v1/deals"})
			}
			if err == nil {
				break
			}
			if pause(ctx, 20*time.Millisecond) != nil {
				w.t.Fatal(err)
			}
		}
		w.insist(w.members[0].keys[i], call{
			method: http.MethodPost, path: "/v1/deals", body: w.registration("known", i, 0),
			header: map[string]string{"Idempotency-Key": fmt.Sprintf("known-%d", i)},
		})
	}
}

// registration is a deal for a customer of its own, so that none is taken for another's duplicate.
func (w *witness) registration(load string, worker, n int) map[string]any {
	name := fmt.Sprintf("x%x", sha256.Sum256(fmt.Appendf(nil, "%s %d %d", load, worker, n)))[:24]
	amount := map[string]any{"amount": fmt.Sprintf("%d.25", 100+n), "currency": "EUR"}
	none := map[string]any{"amount": "0", "currency": "EUR"}
	return map[string]any{
		"title": "Load", "customer": map[string]any{"name": name, "country": "DE"}, "value": amount,
		"parties": []any{
			map[string]any{"company_id": w.members[0].id, "share": amount}, map[string]any{"company_id": w.members[1].id, "share": none},
		},
	}
}

// begin lets the workers take deals to won. The function that it gives returns when each worker has the answer to its
// last request.
func (w *witness) begin() (end func()) {
	w.loads++
	name := strconv.Itoa(w.loads)
	stop := make(chan struct{})
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				w.win(name, worker, n)
			}
		})
	}
	return sync.OnceFunc(func() { close(stop); group.Wait() })
}

// win takes one deal from its registration to won.
func (w *witness) win(load string, worker, n int) {
	lead, partner := w.members[0].keys[worker], w.members[1].keys[worker]
	yesterday := calendar.DateOf(time.Now(), time.UTC).AddDays(-1) // which no zone calls tomorrow
	var d registry.Deal
	post := func(by *client, path string, body any) bool {
		var ok bool
		d, ok = w.insist(by, call{method: http.MethodPost, path: path, body: body, header: map[string]string{
			"Idempotency-Key": fmt.Sprintf("%s-%d-%d-%d", load, worker, n, d.Revision), "If-Match": fmt.Sprintf(`"%d"`, d.Revision),
		}})
		return ok
	}
	here := func(move string) string { return "/v1/deals/" + d.ID.String() + "/" + move }
	_ = post(lead, "/v1/deals", w.registration(load, worker, n)) && post(partner, here("accept"), map[string]any{}) &&
		post(lead, here("propose"), map[string]any{"won_on": yesterday.AddDays(-n % 400)}) && post(partner, here("attest"), map[string]any{})
}

// insist sends a request until it is answered, as a client does that hears nothing: always the same, with the same key.
func (w *witness) insist(by *client, r call) (d registry.Deal, ok bool) {
	late := time.Now().Add(patience)
	for {
		var body json.RawMessage
		r.into = &body
		header, err := by.once(w.t.Context(), r)
		if err == nil {
			sequence, parseErr := strconv.ParseUint(header.Get("Dealreg-Sequence"), 10, 64)
			if err := errors.Join(parseErr, json.Unmarshal(body, &d)); err != nil {
				w.t.Errorf("%s: %v", r.path, err)
				return d, false
			}
			w.keep(receipt{by: by, call: r, sequence: sequence, etag: header.Get("ETag"), body: body})
			return d, true
		}
		problem, answered := errors.AsType[*problemError](err)
		if answered && problem.Status != http.StatusServiceUnavailable && problem.Status != http.StatusTooManyRequests || time.Now().After(late) {
			w.t.Errorf("%s: %v", r.path, err)
			return d, false
		}
		if pause(w.t.Context(), 50*time.Millisecond) != nil {
			return d, false
		}
	}
}

func (w *witness) keep(r receipt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.receipts = append(w.receipts, r)
	close(w.arrived)
	w.arrived = make(chan struct{})
}

// kept is how many receipts there are.
func (w *witness) kept() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.receipts)
}

// more waits until that many more changes are acknowledged than when it was called: the system goes on by itself.
func (w *witness) more(n int) {
	w.t.Helper()
	late := time.After(patience)
	for want := w.kept() + n; ; {
		w.mu.Lock()
		have, arrived := len(w.receipts), w.arrived
		w.mu.Unlock()
		if have >= want {
			return
		}
		select {
		case <-arrived:
		case <-late:
			w.t.Fatalf("%d changes are missing after %v: the system does not go on by itself", want-have, patience)
		}
	}
}

// check holds the system to every answer: the same request gets the same bytes, the log has exactly one event for each
// answer and none that changed since it was read last, and the audit finds nothing. No load runs meanwhile.
func (w *witness) check() {
	w.t.Helper()
	w.replay()
	w.readLog()
	auditIsEqual(w.t, w.door.url(), w.key)
}

// replay sends the requests again that were acknowledged since the last time.
func (w *witness) replay() {
	w.t.Helper()
	var group sync.WaitGroup
	fresh := w.receipts[w.checked:]
	for worker := range workers {
		group.Go(func() {
			for _, r := range fresh {
				if r.by != w.members[0].keys[worker] && r.by != w.members[1].keys[worker] {
					continue
				}
				var body json.RawMessage
				r.call.into = &body
				header, err := r.by.do(w.t.Context(), r.call)
				switch {
				case err != nil:
					w.t.Errorf("%s, acknowledged as sequence %d: %v", r.call.path, r.sequence, err)
				case header.Get("Idempotency-Replayed") != "true":
					w.t.Errorf("%s, acknowledged as sequence %d, was made once more", r.call.path, r.sequence)
				case header.Get("ETag") != r.etag || !bytes.Equal(body, r.body):
					w.t.Errorf("%s, acknowledged as sequence %d, gets %s\n%s\nin place of %s\n%s", r.call.path, r.sequence, header.Get("ETag"), body, r.etag, r.body)
				}
			}
		})
	}
	group.Wait()
	w.checked = len(w.receipts)
}

// replayAll sends every request again that was ever acknowledged.
func (w *witness) replayAll() {
	w.t.Helper()
	w.checked = 0
	w.replay()
}

// readLog compares the log with the answers, and with what it was when it was read last.
func (w *witness) readLog() {
	w.t.Helper()
	answered := map[uint64]bool{}
	for _, r := range w.receipts {
		answered[r.sequence] = true
	}
	type state struct {
		revision uint64
		at       time.Time
	}
	hashes, deals := [][32]byte{}, map[deal.ID]state{}
	w.backward = 0
	for _, payload := range w.logEntries() {
		sequence := uint64(len(hashes)) + 1
		if !answered[sequence] {
			w.t.Errorf("sequence %d of the log is the answer to nothing", sequence)
		}
		delete(answered, sequence)
		hashes = append(hashes, sha256.Sum256(payload))
		e, err := stream.Decode(payload)
		if err != nil {
			w.t.Fatalf("sequence %d: %v", sequence, err)
		}
		before := deals[e.Deal.ID]
		if e.Deal.Revision != before.revision+1 {
			w.t.Errorf("sequence %d: revision %d of deal %s comes after %d", sequence, e.Deal.Revision, e.Deal.ID, before.revision)
		}
		if e.At.Before(before.at) {
			w.backward++
		}
		deals[e.Deal.ID] = state{e.Deal.Revision, e.At}
	}
	if len(answered) > 0 {
		w.t.Errorf("%d acknowledged changes are not in the log", len(answered))
	}
	if len(hashes) < len(w.hashes) || !slices.Equal(hashes[:len(w.hashes)], w.hashes) {
		w.t.Errorf("the log's first %d events are not what they were", len(w.hashes))
	}
	w.hashes = hashes
}

// logEntries reads the payloads of the log, which must have every sequence from 1 on.
func (w *witness) logEntries() [][]byte {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	response, err := newClient(w.door.url(), w.key).send(ctx, call{method: http.MethodGet, path: "/v1/log"})
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	var payloads [][]byte
	for reader := bufio.NewReader(response.Body); ; {
		var entry dealregv1.LogEntry
		err := protodelim.UnmarshalFrom(reader, &entry)
		if errors.Is(err, io.EOF) {
			return payloads
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if payloads = append(payloads, entry.GetPayload()); entry.GetSequence() != uint64(len(payloads)) {
			w.t.Fatalf("sequence %d of the log is at %d", entry.GetSequence(), len(payloads))
		}
	}
}

// door is the one address of a system whose processes come and go.
type door struct {
	server *httptest.Server

	mu   sync.Mutex
	at   map[string][]string // the addresses of a service, or of the system whose name is empty
	turn int
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{at: map[string][]string{}}
	d.server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(d.behind(r.In.URL.Path))
			r.Out.Host = r.In.Host
		},
		ErrorLog: log.New(io.Discard, "", 0), // what is killed does not answer
	})
	t.Cleanup(d.server.Close)
	return d
}

func (d *door) url() string { return d.server.URL }

// put says where a service is from now on.
func (d *door) put(service string, addresses ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at[service] = addresses
}

// behind gives the addresses of the path's service in turn.
func (d *door) behind(path string) *url.URL {
	d.mu.Lock()
	defer d.mu.Unlock()
	addresses := append(d.at[serviceOf(path)], d.at[""]...)
	if len(addresses) == 0 {
		return &url.URL{Scheme: "http", Host: "127.0.0.1:9"} // nobody
	}
	d.turn++
	target, err := url.Parse(addresses[d.turn%len(addresses)])
	if err != nil {
		panic(err)
	}
	return target
}

func serviceOf(path string) string {
	switch {
	case strings.HasSuffix(path, "/volume"), strings.Contains(path, "/statements"):
		return serviceReports
	case strings.HasPrefix(path, "/v1/deals"), strings.HasPrefix(path, "/v1/imports"), path == "/v1/log":
		return serviceRegistry
	default:
		return serviceDirectory
	}
}
