package webhooks_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dealreg/dealreg/services/webhooks"
)

// Two dispatchers, an endpoint whose rate makes each event wait for longer than a lease, and answers that take longer than
// one too. A lease is long enough for a busy machine, which may leave a process alone for seconds.
func TestLease_IsKeptForAsLongAsACursorWaitsOrWorks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *webhooks.Config) { cfg.Lease, cfg.Deadline = 5*time.Second, 30*time.Second })
	w.start()
	company, key := w.companyAdmin()
	rc := newReceiver(t, func(_ http.ResponseWriter, r *http.Request, _ []byte) {
		select {
		case <-time.After(6 * time.Second):
		case <-r.Context().Done():
		}
	})
	w.endpoint(key, rc.URL, object{"ordered": true, "rate_per_second": 0.15})
	events := w.happen(3, company)
	rc.await(t, events...)
	last := w.happen(1, company)
	rc.await(t, last...)
	rc.once(t, append(events, last...)...)
}

// cursor reads the gap of an endpoint in the stream of deals.
func (w *world) cursor(id string) (c struct {
	Runner      string
	At, Through uint64
},
) {
	w.t.Helper()
	kv, err := w.js.KeyValue(w.t.Context(), "webhook_cursors")
	if err != nil {
		w.t.Fatal(err)
	}
	if stored, err := kv.Get(w.t.Context(), id+".DEALS"); err == nil {
		if err := json.Unmarshal(stored.Value(), &c); err != nil {
			w.t.Fatal(err)
		}
	}
	return c
}

func TestLease_IsGivenUpWhileAProbeIsFarAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *webhooks.Config) { patient(cfg); cfg.ProbeFirst, cfg.ProbeMost = time.Hour, time.Hour })
	company, key := w.companyAdmin()
	var broken atomic.Bool
	broken.Store(true)
	rc := newReceiver(t, breakable(&broken))
	id, _ := w.endpoint(key, rc.URL, nil)
	events := w.happen(100, company)
	w.until("released", func() bool {
		c := w.cursor(id)
		return c.At < c.Through && c.Runner == ""
	})
	broken.Store(false)
	w.must(200, key, "POST", endpoints+"/"+id+"/enable", nil)
	rc.await(t, events...)
}

func TestEnabled_StaysAnEndpointThatSucceedsNowAndThen(t *testing.T) {
	t.Parallel()
	const disableAfter = 20 * time.Second // in which an event of a busy machine arrives, also the second time
	w := newWorld(t, func(cfg *webhooks.Config) { patient(cfg); cfg.DisableAfter = disableAfter })
	w.start()
	company, key := w.companyAdmin()
	var n atomic.Int32
	rc := newReceiver(t, func(rw http.ResponseWriter, _ *http.Request, _ []byte) {
		if n.Add(1)%2 == 1 {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	})
	id, _ := w.endpoint(key, rc.URL, nil)
	var events []string
	for began := now(); now().Sub(began) < disableAfter+5*time.Second; {
		some := w.happen(2, company)
		rc.await(t, some...)
		events = slices.Concat(events, some)
	}
	rc.once(t, events...)
	if shown := w.must(200, key, "GET", endpoints+"/"+id, nil); shown["enabled"] != true {
		t.Errorf("%v", shown)
	}
}
