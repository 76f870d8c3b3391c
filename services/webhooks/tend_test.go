package webhooks_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/services/webhooks"
)

// movable gives the service a clock that can be set forward.
func movable(cfg *webhooks.Config) (forward func(time.Duration)) {
	var ahead atomic.Int64
	cfg.Now = func() time.Time { return now().Add(time.Duration(ahead.Load())) }
	return func(d time.Duration) { ahead.Add(int64(d)) }
}

// keys lists what is in the bucket.
func (w *world) keys(bucket string) []string {
	w.t.Helper()
	kv, err := w.js.KeyValue(w.t.Context(), bucket)
	if err != nil {
		w.t.Fatal(err)
	}
	keys, err := kv.Keys(w.t.Context())
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		w.t.Fatal(err)
	}
	return keys
}

func TestTend_RemovesWhatNobodyNeedsOfOldReplaysAndOfDeletedEndpoints(t *testing.T) {
	t.Parallel()
	var forward func(time.Duration)
	w := newWorld(t, func(cfg *webhooks.Config) { forward = movable(cfg) })
	company, key := w.companyAdmin()
	rc := newReceiver(t, nil)
	id, _ := w.endpoint(key, rc.URL, object{"ordered": true})
	event := w.happen(1, company)[0]
	rc.await(t, event)
	made := w.must(202, key, "POST", endpoints+"/"+id+"/replay", object{"event": event})
	path := endpoints + "/" + id + "/replays/" + made["id"].(string)
	w.until("replayed", func() bool { return w.must(200, key, "GET", path, nil)["state"] == "done" })
	forward(31 * 24 * time.Hour)
	w.until("replay forgotten", func() bool {
		status, _, _ := w.do(key, "GET", path, nil)
		return status == 404
	})
	if left := w.keys("webhook_cursors"); len(left) != 2 {
		t.Errorf("the gaps of the endpoint are %v", left)
	}
	more := w.happen(1, company)[0]
	rc.await(t, more)
	w.put("webhook_failing", id, `{"since":"2026-11-22T10:00:00Z"}`)
	w.must(204, key, "DELETE", endpoints+"/"+id, nil)
	w.until("cursors removed", func() bool { return len(w.keys("webhook_cursors")) == 0 })
	w.until("failures removed", func() bool { return len(w.keys("webhook_failing")) == 0 })
}

// wasDisabled writes into the bucket what a process leaves that disables the endpoint and dies, and gives its tag.
func (w *world) wasDisabled(id, at string) (tag string) {
	w.t.Helper()
	kv, err := w.js.KeyValue(w.t.Context(), "webhook_endpoints")
	if err != nil {
		w.t.Fatal(err)
	}
	stored, err := kv.Get(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	var e object
	if err := json.Unmarshal(stored.Value(), &e); err != nil {
		w.t.Fatal(err)
	}
	e["enabled"], e["disabled_at"], e["disabled_reason"] = false, at, "gone"
	text, err := json.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	revision, err := kv.Update(w.t.Context(), id, text, stored.Revision())
	if err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprintf(`"%d"`, revision)
}

// tended waits until everything was tended once: what is left of a deleted endpoint goes at the beginning of each round.
func (w *world) tended(key string) {
	w.t.Helper()
	id, _ := w.endpoint(key, "https://receiver.example/", nil)
	w.must(204, key, "DELETE", endpoints+"/"+id, nil)
	for range 2 {
		w.put("webhook_cursors", id+".DEALS", `{"endpoint_id":"`+id+`","source":"DEALS"}`)
		w.until("tended", func() bool { return !slices.Contains(w.keys("webhook_cursors"), id+".DEALS") })
	}
}

func TestTend_TellsWhatAProcessThatDiedDidNotTell(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	_, key := w.companyAdmin()
	watching := newReceiver(t, nil)
	id, _ := w.endpoint(key, "https://receiver.example/", nil)
	w.endpoint(key, watching.URL, object{"event_types": []string{"dealreg.endpoint.disabled"}})
	w.stop()
	tag := w.wasDisabled(id, "2026-11-22T10:00:00Z")
	w.start()
	w.until("told", func() bool { return len(watching.all()) > 0 })
	if got := watching.all()[0]; !strings.HasPrefix(got.id, id+":disabled:") {
		t.Errorf("told %s", got.id)
	}
	w.tended(key)
	if _, _, header := w.do(key, "GET", endpoints+"/"+id, nil); header.Get("ETag") != tag {
		t.Errorf("the tag %s became %s, and its owner sees no change", tag, header.Get("ETag"))
	}
}

func TestTend_TellsNothingAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	id, _ := w.endpoint(key, "https://receiver.example/", nil)
	again, _ := w.endpoint(key, "https://receiver.example/", nil)
	w.stop()
	for _, endpoint := range []string{id, again} {
		record := `{"endpoint_id":"` + endpoint + `","company_id":"` + company.String() + `","reason":"gone","at":"2026-11-22T10:00:00Z"}`
		if _, err := w.js.Publish(t.Context(), "records.endpoint."+endpoint, []byte(record)); err != nil {
			t.Fatal(err)
		}
	}
	w.wasDisabled(id, "2026-11-22T10:00:00Z")
	w.wasDisabled(again, "2026-11-22T11:00:00Z")
	w.start()
	w.tended(key)
	if records, err := w.js.Stream(t.Context(), stream.RecordsStream); err != nil || records.CachedInfo().State.Msgs != 3 {
		t.Errorf("%d records instead of 3, %v", records.CachedInfo().State.Msgs, err)
	}
}

func TestGap_OfAnHourComesAtTheRateAndInOrderWhenThatIsWanted(t *testing.T) {
	t.Parallel()
	var forward func(time.Duration)
	w := newWorld(t, func(cfg *webhooks.Config) {
		patient(cfg)
		cfg.Schedule = []time.Duration{24 * time.Hour}
		forward = movable(cfg)
	})
	company, key := w.companyAdmin()
	var broken atomic.Bool
	const perSecond = 100
	plain, inOrder := newReceiver(t, breakable(&broken)), newReceiver(t, breakable(&broken))
	w.endpoint(key, plain.URL, object{"rate_per_second": perSecond})
	id, _ := w.endpoint(key, inOrder.URL, object{"rate_per_second": perSecond, "ordered": true})
	first := w.happen(1, company)
	plain.await(t, first...)
	inOrder.await(t, first...)
	broken.Store(true)
	var events []string
	for range 3 {
		events = append(events, w.happen(100, company)...)
		forward(20 * time.Minute)
	}
	w.until("behind", func() bool {
		return w.must(200, key, "GET", endpoints+"/"+id, nil)["behind"].(float64) == 300
	})
	mended := now()
	broken.Store(false)
	inOrder.await(t, events...)
	for i, got := range inOrder.all()[1:] {
		if got.id != events[i] {
			t.Fatalf("event %s came in place of %s", got.id, events[i])
		}
	}
	inOrder.once(t, append(first, events...)...)
	// What failed before the gate shut, or was held by it and is older than the gap, waits for its retry: 8 and 64 at most.
	w.until("the others", func() bool { return len(plain.all()) >= len(events)-8-64 })
	for _, rc := range []*receiver{plain, inOrder} {
		paced(t, rc.all()[1:], perSecond, mended)
	}
}
