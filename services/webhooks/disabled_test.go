package webhooks_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dealreg/dealreg/services/webhooks"
)

// disabled waits until the endpoint is disabled and gives when.
func (w *world) disabled(key, id string) (at any) {
	w.t.Helper()
	w.until("disabled", func() bool {
		shown := w.must(200, key, "GET", endpoints+"/"+id, nil)
		at = shown["disabled_at"]
		return shown["enabled"] == false
	})
	return at
}

// recover does what the API advises for an endpoint that was disabled.
func (w *world) recover(key, id string) {
	w.t.Helper()
	enabled := w.must(200, key, "POST", endpoints+"/"+id+"/enable", nil)
	for _, since := range []string{"since", "failed_since"} {
		w.must(202, key, "POST", endpoints+"/"+id+"/replay", object{since: enabled["disabled_at"]})
	}
}

func TestDisabled_TheTimeStaysHoweverItIsEnabled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, key := w.companyAdmin()
	rc := newReceiver(t, nil)
	id, _ := w.endpoint(key, rc.URL, nil)
	path := endpoints + "/" + id
	patch := func(enabled bool) object {
		_, _, header := w.do(key, "GET", path, nil)
		return w.must(200, key, "PATCH", path, object{"enabled": enabled}, "If-Match", header.Get("ETag"))
	}
	at := patch(false)["disabled_at"]
	for i, e := range []object{patch(true), w.must(200, key, "GET", path, nil), w.must(200, key, "POST", path+"/enable", nil)} {
		if at == nil || e["disabled_at"] != at || e["enabled"] != true {
			t.Errorf("answer %d, disabled at %v: %v", i, at, e)
		}
	}
}

func TestDisabled_EveryEventArrivesAfterTheAdviceWasFollowed(t *testing.T) {
	t.Parallel()
	for name, disable := range map[string]struct {
		status int
		after  time.Duration
		byHand bool
	}{
		"after days":        {status: 503, after: 2 * time.Second},
		"gone":              {status: 410},
		"by its owner":      {status: 503, byHand: true},
		"by its owner, 200": {status: 200, byHand: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(cfg *webhooks.Config) { patient(cfg); cfg.DisableAfter = disable.after })
			company, key := w.companyAdmin()
			var status atomic.Int32
			status.Store(int32(disable.status))
			rc := newReceiver(t, func(rw http.ResponseWriter, _ *http.Request, _ []byte) { rw.WriteHeader(int(status.Load())) })
			id, _ := w.endpoint(key, rc.URL, object{"rate_per_second": 200})
			events := w.happen(400, company)
			if disable.byHand {
				_, _, header := w.do(key, "GET", endpoints+"/"+id, nil)
				w.must(200, key, "PATCH", endpoints+"/"+id, object{"enabled": false}, "If-Match", header.Get("ETag"))
			}
			w.disabled(key, id)
			events = append(events, w.happen(20, company)...)
			// Retries that fall due meanwhile are recorded as failed.
			if disable.status == 503 && !disable.byHand {
				w.attempts(key, id, "outcome=endpoint_disabled", func(a []object) bool { return len(a) > 0 })
			}
			status.Store(200)
			w.recover(key, id)
			rc.await(t, events...)
			events = append(events, w.happen(20, company)...)
			rc.await(t, events...)
		})
	}
}

// A replay whose endpoint is disabled in its midst is not done, and goes on with the endpoint.
func TestDisabled_AReplayWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, patient)
	company, key := w.companyAdmin()
	var gone atomic.Bool
	rc := newReceiver(t, func(rw http.ResponseWriter, _ *http.Request, _ []byte) {
		if gone.Load() {
			rw.WriteHeader(http.StatusGone)
		}
	})
	id, _ := w.endpoint(key, rc.URL, nil)
	from := now()
	events := w.happen(50, company)
	rc.await(t, events...)
	gone.Store(true)
	path := fmt.Sprintf("%s/%s/replays/%s", endpoints, id, w.must(202, key, "POST", endpoints+"/"+id+"/replay", object{"since": from})["id"])
	w.disabled(key, id)
	if shown := w.must(200, key, "GET", path, nil); shown["state"] != "running" || shown["progress"] != 0. {
		t.Errorf("while the endpoint is disabled: %v", shown)
	}
	gone.Store(false)
	w.must(200, key, "POST", endpoints+"/"+id+"/enable", nil)
	w.until("replayed", func() bool { return w.must(200, key, "GET", path, nil)["state"] == "done" })
	for _, event := range events {
		if rc.times(event) != 2 {
			t.Errorf("event %s arrived %d times", event, rc.times(event))
		}
	}
}
