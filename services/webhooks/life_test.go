package webhooks_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dealreg/dealreg/services/webhooks"
)

// change patches the endpoint as it is.
func (w *world) change(key, id string, to object) object {
	w.t.Helper()
	_, _, header := w.do(key, "GET", endpoints+"/"+id, nil)
	return w.must(200, key, "PATCH", endpoints+"/"+id, to, "If-Match", header.Get("ETag"))
}

// Two dispatchers have each asked the receiver, and are to leave it alone for an hour.
func TestEnable_TriesAtOnceWhoeverWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *webhooks.Config) { patient(cfg); cfg.Lease = 2 * time.Second })
	w.start()
	company, key := w.companyAdmin()
	var asked atomic.Int32
	var broken atomic.Bool
	broken.Store(true)
	rc := newReceiver(t, func(rw http.ResponseWriter, _ *http.Request, _ []byte) {
		if asked.Add(1); broken.Load() {
			rw.Header().Set("Retry-After", "3600")
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	id, _ := w.endpoint(key, rc.URL, object{"ordered": true})
	events := w.happen(10, company)
	w.until("both wait", func() bool { return asked.Load() == 2 && w.cursor(id).Runner == "" })
	broken.Store(false)
	w.must(200, key, "POST", endpoints+"/"+id+"/enable", nil)
	rc.await(t, events...)
}

// Two webhooks are on their way. The answer to one disables the endpoint; that to the other comes after it was enabled again.
func TestGone_SaysNothingOfAnEndpointThatWasEnabledSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	both, second := make(chan struct{}), make(chan struct{})
	var n atomic.Int32
	rc := newReceiver(t, func(rw http.ResponseWriter, r *http.Request, _ []byte) {
		wait := both
		switch n.Add(1) {
		case 1:
		case 2:
			close(both)
			wait = second
		default:
			return
		}
		select {
		case <-wait:
		case <-r.Context().Done():
		}
		rw.WriteHeader(http.StatusGone)
	})
	id, _ := w.endpoint(key, rc.URL, nil)
	events := w.happen(2, company)
	w.disabled(key, id)
	w.must(200, key, "POST", endpoints+"/"+id+"/enable", nil)
	close(second)
	rc.await(t, events...)
	if shown := w.must(200, key, "GET", endpoints+"/"+id, nil); shown["enabled"] != true {
		t.Errorf("%v", shown)
	}
}

// The event was tried before, so no gap takes it in.
func TestGone_OfTheURLBeforeLosesNoRetry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	retried, moved := make(chan struct{}), make(chan struct{})
	var n atomic.Int32
	before, after := newReceiver(t, func(rw http.ResponseWriter, r *http.Request, _ []byte) {
		if n.Add(1) == 1 {
			rw.WriteHeader(http.StatusInternalServerError)
			return
		}
		close(retried)
		select {
		case <-moved:
		case <-r.Context().Done():
		}
		rw.WriteHeader(http.StatusGone)
	}), newReceiver(t, nil)
	id, _ := w.endpoint(key, before.URL, nil)
	events := w.happen(1, company)
	<-retried
	w.change(key, id, object{"url": after.URL})
	close(moved)
	after.await(t, events...)
	if shown := w.must(200, key, "GET", endpoints+"/"+id, nil); shown["enabled"] != true {
		t.Errorf("%v", shown)
	}
}

// What was kept of its failures is of an earlier life, and a process that died could not remove it.
func TestEnable_GivesAnEndpointItsFullTimeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, patient)
	company, key := w.companyAdmin()
	var n atomic.Int32
	rc := newReceiver(t, func(rw http.ResponseWriter, _ *http.Request, _ []byte) {
		if n.Add(1) < 3 {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	})
	id, _ := w.endpoint(key, rc.URL, nil)
	w.put("webhook_failing", id, `{"since":"2026-01-01T00:00:00Z"}`)
	w.until("failing", func() bool { return w.must(200, key, "GET", endpoints+"/"+id, nil)["failing_since"] != nil })
	if shown := w.must(200, key, "POST", endpoints+"/"+id+"/enable", nil); shown["failing_since"] != nil {
		t.Errorf("enabled: %v", shown)
	}
	w.put("webhook_failing", id, `{"since":"2026-01-01T00:00:00Z"}`)
	rc.await(t, w.happen(1, company)...)
	if shown := w.must(200, key, "GET", endpoints+"/"+id, nil); shown["enabled"] != true {
		t.Errorf("%v", shown)
	}
}
