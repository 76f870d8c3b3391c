package webhooks_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/webhook"
	"github.com/dealreg/dealreg/pkg/webhook/webhooktest"
	"github.com/dealreg/dealreg/services/webhooks"
)

func TestConcurrency_HoldsForTheQueueTheGapAndReplaysTogether(t *testing.T) {
	t.Parallel()
	const most = 3
	w := newWorld(t, func(cfg *webhooks.Config) { patient(cfg); cfg.Concurrency = most })
	company, key := w.companyAdmin()
	var underWay, highest atomic.Int32
	rc := newReceiver(t, func(rw http.ResponseWriter, r *http.Request, _ []byte) {
		n := underWay.Add(1)
		defer underWay.Add(-1)
		for seen := highest.Load(); n > seen; seen = highest.Load() {
			if highest.CompareAndSwap(seen, n) {
				break
			}
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-r.Context().Done():
		}
		if n%2 == 0 && r.Header.Get("webhook-id")[0]%4 == 0 { // some come back as retries
			rw.WriteHeader(http.StatusInternalServerError)
		}
	})
	id, _ := w.endpoint(key, rc.URL, nil)
	from := now()
	first := w.happen(50, company)
	rc.await(t, first...)
	for range 2 {
		w.must(202, key, "POST", endpoints+"/"+id+"/replay", object{"since": from})
	}
	rc.await(t, w.happen(400, company)...) // more than the gate holds
	if got := highest.Load(); got != most {
		t.Errorf("%d exchanges at a time instead of %d", got, most)
	}
}

func TestReplay_KeepsItsOwnRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	rc := newReceiver(t, nil)
	id, _ := w.endpoint(key, rc.URL, nil)
	from := now()
	events := w.happen(40, company)
	for range 40 { // its rate holds for deals and records together
		gone := stream.EndpointRecord{Endpoint: newID(), Company: company, Reason: "gone", At: now()}
		record, err := json.Marshal(gone)
		if err == nil {
			_, err = w.js.Publish(t.Context(), stream.EndpointSubject(gone.Endpoint), record)
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, webhook.Disabled(gone.Endpoint, gone.Reason, gone.At).ID)
	}
	rc.await(t, events...)
	const perSecond = 20
	asked := now()
	w.must(202, key, "POST", endpoints+"/"+id+"/replay", object{"since": from, "rate_per_second": perSecond})
	w.until("replayed", func() bool { return len(rc.all()) == 2*len(events) })
	paced(t, rc.all()[len(events):], perSecond, asked)
}

func TestHostile_ANameThatLeadsInsideIsRefusedWhenItIsDialled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *webhooks.Config) {
		cfg.Guard = webhook.Guard{Resolver: webhooktest.Names(map[string][]string{"innocent.test": {"10.0.0.1"}})}
		cfg.Schedule = []time.Duration{}
	})
	company, key := w.companyAdmin()
	id, _ := w.endpoint(key, "https://innocent.test/hook", nil)
	w.happen(1, company)
	got := w.attempts(key, id, "outcome=address_not_allowed", func(a []object) bool { return len(a) == 1 })[0]
	if words, _ := got["words"].(string); words == "" || strings.ContainsAny(words, "0123456789") {
		t.Errorf("it says %q", words)
	}
}

// Nothing more can be opened here for a while. That is put off, and held against no endpoint: each that failed at all would be
// disabled.
func TestConnections_ThatRunOutAreHeldAgainstNoEndpoint(t *testing.T) {
	t.Parallel()
	var none atomic.Bool
	none.Store(true)
	var refused atomic.Int32
	metrics, names := prometheus.NewRegistry(), webhooktest.Names(map[string][]string{"receiver.test": {"127.0.0.1"}})
	w := newWorld(t, func(cfg *webhooks.Config) {
		cfg.Metrics, cfg.DisableAfter = metrics, time.Nanosecond
		cfg.Guard.Resolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if none.Load() {
				refused.Add(1)
				return nil, os.NewSyscallError("socket", syscall.EMFILE)
			}
			return names.Dial(ctx, network, address)
		}}
	})
	company, key := w.companyAdmin()
	var counted atomic.Bool
	rc := newReceiver(t, func(http.ResponseWriter, *http.Request, []byte) {
		counted.Store(total(t, metrics, "dealreg_webhook_connections") > 0)
	})
	address := strings.Replace(rc.URL, "127.0.0.1", "receiver.test", 1)
	plain, _ := w.endpoint(key, address+"/plain", nil)
	inOrder, _ := w.endpoint(key, address+"/ordered", object{"ordered": true})
	events := w.happen(5, company)
	w.until("nothing left", func() bool { return refused.Load() > 0 && w.cursor(inOrder).Through == uint64(len(events)) })
	none.Store(false)
	for _, id := range []string{plain, inOrder} {
		w.attempts(key, id, "", func(a []object) bool { return len(a) >= len(events) })
		for _, got := range w.attempts(key, id, "", func([]object) bool { return true }) {
			if got["outcome"] != "delivered" || got["attempt"] != 1.0 {
				t.Errorf("%v", got)
			}
		}
		if shown := w.must(200, key, "GET", endpoints+"/"+id, nil); shown["enabled"] != true || shown["failing_since"] != nil {
			t.Errorf("%v", shown)
		}
	}
	rc.await(t, events...)
	if !counted.Load() {
		t.Error("no connection is counted")
	}
}

func TestRotation_TheOldSecretEndsAfterADay(t *testing.T) {
	t.Parallel()
	var forward func(time.Duration)
	w := newWorld(t, func(cfg *webhooks.Config) { forward = movable(cfg) })
	company, key := w.companyAdmin()
	rc := newReceiver(t, nil)
	id, first := w.endpoint(key, rc.URL, nil)
	second, _ := w.must(200, key, "POST", endpoints+"/"+id+"/rotate-secret", nil)["secret"].(string)
	verifies := func(event, secret string, at time.Time) bool {
		t.Helper()
		by, err := webhook.ParseSecret(secret)
		if err != nil {
			t.Fatal(err)
		}
		for _, got := range rc.all() {
			if got.id == event {
				return webhook.Verify(got.header, got.body, at, by) == nil
			}
		}
		return false
	}
	during := w.happen(1, company)[0]
	rc.await(t, during)
	if !verifies(during, first, now()) || !verifies(during, second, now()) {
		t.Error("during the rotation not both sign")
	}
	forward(24 * time.Hour)
	after := w.happen(1, company)[0]
	rc.await(t, after)
	tomorrow := now().Add(24 * time.Hour)
	if verifies(after, first, tomorrow) || !verifies(after, second, tomorrow) {
		t.Error("after a day not the new one alone signs")
	}
	for range 3 {
		w.must(200, key, "POST", endpoints+"/"+id+"/rotate-secret", nil)
	}
	w.must(409, key, "POST", endpoints+"/"+id+"/rotate-secret", nil)
}
