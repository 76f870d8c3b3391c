package webhooks_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/services/webhooks"
)

// patient keeps trying for as long as a test may take.
func patient(cfg *webhooks.Config) {
	cfg.Schedule = slices.Repeat([]time.Duration{200 * time.Millisecond}, 300)
}

// breakable answers 503 while it is broken.
func breakable(broken *atomic.Bool) func(http.ResponseWriter, *http.Request, []byte) {
	return func(rw http.ResponseWriter, _ *http.Request, _ []byte) {
		if broken.Load() {
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
	}
}

func TestGap_BringsAllThatAReceiverMissedWithoutABurstAboveItsRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, patient)
	company, key := w.companyAdmin()
	var broken atomic.Bool
	broken.Store(true)
	rc := newReceiver(t, breakable(&broken))
	const perSecond = 200
	id, _ := w.endpoint(key, rc.URL, object{"rate_per_second": perSecond})
	events := w.happen(600, company)
	w.until("behind", func() bool {
		return w.must(200, key, "GET", endpoints+"/"+id, nil)["behind"].(float64) > 500
	})
	mended := now()
	broken.Store(false)
	rc.await(t, events...)
	rc.once(t, events...)
	paced(t, rc.all(), perSecond, mended)
	if behind := w.must(200, key, "GET", endpoints+"/"+id, nil)["behind"]; behind != 0. {
		w.until("no more behind", func() bool { return w.must(200, key, "GET", endpoints+"/"+id, nil)["behind"] == 0. })
	}
	more := w.happen(20, company)
	rc.await(t, more...)
	rc.once(t, append(events, more...)...)
}

func TestOrdered_KeepsTheOrderOfTheLogWhateverFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, patient)
	company, key := w.companyAdmin()
	var n atomic.Int32
	rc := newReceiver(t, func(rw http.ResponseWriter, _ *http.Request, _ []byte) {
		if n.Add(1)%7 == 0 {
			rw.WriteHeader(http.StatusInternalServerError)
		}
	})
	w.endpoint(key, rc.URL, object{"ordered": true})
	var events []string
	for range 10 {
		events = append(events, w.happen(9, company)...)
	}
	rc.await(t, events...)
	rc.once(t, events...)
	for i, got := range rc.all() {
		if got.id != events[i] {
			t.Fatalf("event %d came as number %d", slices.Index(events, got.id), i)
		}
	}
}

// The events have happened and are not in the queue yet, when the endpoint changes.
func TestOrdered_BeginsAnewOnlyWhenOrderBegins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, patient)
	w.stop()
	w.holdFanOut()
	w.start()
	for name, change := range map[string]func(key, id string){
		"ordered again": func(key, id string) { w.change(key, id, object{"ordered": true}) },
		"disabled":      func(key, id string) { w.change(key, id, object{"enabled": false}) },
	} {
		company, key := w.companyAdmin()
		var n atomic.Int32
		rc := newReceiver(t, func(rw http.ResponseWriter, _ *http.Request, _ []byte) {
			if n.Add(1) == 1 {
				rw.WriteHeader(http.StatusInternalServerError)
			}
		})
		id, _ := w.endpoint(key, rc.URL, object{"ordered": true})
		before, err := w.log.LastSequence(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		events := w.happen(20, company)
		change(key, id)
		w.fanOut(id, before+1, before+20)
		if name == "disabled" {
			w.until("kept", func() bool { return w.must(200, key, "GET", endpoints+"/"+id, nil)["behind"] == 20. })
			w.must(200, key, "POST", endpoints+"/"+id+"/enable", nil)
		}
		rc.await(t, events...)
		rc.once(t, events...)
		for i, got := range rc.all() {
			if got.id != events[i] {
				t.Fatalf("%s: event %d came as number %d", name, slices.Index(events, got.id), i)
			}
		}
	}
}

func TestLanes_AreNotHeldByEndpointsThatNeverAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *webhooks.Config) { patient(cfg); cfg.Deadline = 10 * patience })
	company, key := w.companyAdmin()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	dead := newReceiver(t, func(_ http.ResponseWriter, r *http.Request, _ []byte) {
		select {
		case <-ctx.Done():
		case <-r.Context().Done():
		}
	})
	t.Cleanup(cancel)
	good := newReceiver(t, nil)
	healthy, _ := w.endpoint(key, good.URL, nil)
	lane := func(id string) int {
		parsed, err := deal.ParseID(id)
		if err != nil {
			t.Fatal(err)
		}
		return stream.Lane(parsed)
	}
	for shares := 0; shares < 2; { // its lane with two that are dead
		id, _ := w.endpoint(key, dead.URL, nil)
		if lane(id) == lane(healthy) {
			shares++
			continue
		}
		w.must(204, key, "DELETE", endpoints+"/"+id, nil)
	}
	events := w.happen(200, company)
	good.await(t, events...) // long before the deadline of the dead
	good.once(t, events...)
}

func TestDispatchers_ShareTheWorkAndLoseNothingWhenOneStops(t *testing.T) {
	t.Parallel()
	w := newWorld(t, patient)
	first := w.stop
	w.start()
	company, key := w.companyAdmin()
	var receivers []*receiver
	for i := range 6 {
		rc := newReceiver(t, nil)
		w.endpoint(key, rc.URL, object{"ordered": i%2 == 0})
		receivers = append(receivers, rc)
	}
	var events []string
	for i := range 20 {
		events = append(events, w.happen(20, company)...)
		if i == 10 {
			first()
		}
	}
	for _, rc := range receivers {
		rc.await(t, events...)
	}
}

func TestDispatchers_SendNothingTwiceWhileAllLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, patient)
	w.start()
	company, key := w.companyAdmin()
	var receivers []*receiver
	for _, kind := range []object{nil, {"ordered": true}, {"rate_per_second": 100}, {"ordered": true, "rate_per_second": 100}} {
		rc := newReceiver(t, nil)
		w.endpoint(key, rc.URL, kind)
		receivers = append(receivers, rc)
	}
	var events []string
	for range 10 {
		events = append(events, w.happen(30, company)...)
	}
	for _, rc := range receivers {
		rc.await(t, events...)
	}
	last := w.happen(1, company) // what comes twice has come by then
	for _, rc := range receivers {
		rc.await(t, last...)
		rc.once(t, append(events, last...)...)
	}
}

// holdFanOut keeps every service that starts from the deals: the test fans them out.
func (w *world) holdFanOut() {
	w.t.Helper()
	text, err := json.Marshal(object{"runner": "this test", "until": now().Add(time.Hour)})
	if err != nil {
		w.t.Fatal(err)
	}
	w.put("webhook_checkpoints", stream.DealsStream, string(text))
}

// fanOut puts deals into the queue for the endpoint as a fan-out that lags does.
func (w *world) fanOut(id string, from, head uint64) {
	w.t.Helper()
	endpoint, err := deal.ParseID(id)
	if err != nil {
		w.t.Fatal(err)
	}
	var deliveries []stream.Delivery
	for ; from <= head; from += stream.MostEvents {
		var sequences []uint64
		for sequence := from; sequence <= head && len(sequences) < stream.MostEvents; sequence++ {
			sequences = append(sequences, sequence)
		}
		deliveries = append(deliveries, stream.Delivery{Endpoint: endpoint, Source: stream.DealsStream, Sequences: sequences, Head: head, Attempt: 1})
	}
	if err := stream.NewDeliveries(w.js).Put(w.t.Context(), deliveries...); err != nil {
		w.t.Fatal(err)
	}
}

// TestDispatchers_SendNothingOfABurstTwice plays a fan-out that lags: many deliveries come at once, each with as many events
// as one may have, and the gates are full with a few of them.
func TestDispatchers_SendNothingOfABurstTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, patient)
	w.stop()
	w.holdFanOut()
	w.start()
	w.start()
	company, key := w.companyAdmin()
	receivers := map[string]*receiver{}
	for _, kind := range []object{nil, nil, nil, {"rate_per_second": 500}, {"ordered": true}} {
		rc := newReceiver(t, nil)
		id, _ := w.endpoint(key, rc.URL, kind)
		receivers[id] = rc
	}
	fanOut := func(from, head uint64) {
		t.Helper()
		for id := range receivers {
			w.fanOut(id, from, head)
		}
	}
	events := w.happen(3000, company)
	fanOut(1, 3000)
	for _, rc := range receivers {
		rc.await(t, events...)
	}
	events = append(events, w.happen(1, company)...) // what comes twice has come by then
	fanOut(3001, 3001)
	for _, rc := range receivers {
		rc.await(t, events...)
		rc.once(t, events...)
	}
}

func TestDispatcher_GoesOnWhenTheBrokerComesBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, patient)
	company, key := w.companyAdmin()
	rc, inOrder := newReceiver(t, nil), newReceiver(t, nil)
	w.endpoint(key, rc.URL, nil)
	w.endpoint(key, inOrder.URL, object{"ordered": true})
	events := w.happen(300, company)
	w.server.Stop()
	w.server.Start()
	w.until("the log", func() bool {
		_, err := w.log.LastSequence(t.Context())
		return err == nil
	})
	events = append(events, w.happen(50, company)...)
	rc.await(t, events...)
	inOrder.await(t, events...)
}

func TestReplay_SendsEventsAgainByTimeFromAnEventOnAndOneAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	stranger, _ := w.companyAdmin()
	rc, earlier := newReceiver(t, nil), newReceiver(t, nil)
	w.endpoint(key, earlier.URL, nil)
	before := w.happen(3, company)
	w.happen(2, stranger)
	between := now()
	after := w.happen(4, company)
	earlier.await(t, after...)
	id, _ := w.endpoint(key, rc.URL, nil)
	run := func(body object) object {
		t.Helper()
		started := w.must(202, key, "POST", endpoints+"/"+id+"/replay", body)
		path := fmt.Sprintf("%s/%s/replays/%s", endpoints, id, started["id"])
		var done object
		w.until("replayed", func() bool {
			done = w.must(200, key, "GET", path, nil)
			return done["state"] == "done"
		})
		return done
	}
	if done := run(object{"since": between}); done["delivered"] != 4. || done["failed"] != 0. || done["progress"] != 1. {
		t.Errorf("by time: %v", done)
	}
	rc.once(t, after...)
	if done := run(object{"from_event": before[1], "rate_per_second": 1000}); done["delivered"] != 6. {
		t.Errorf("from an event: %v", done)
	}
	rc.await(t, before[1], before[2])
	if rc.times(before[0]) != 0 || rc.times(after[3]) != 2 {
		t.Error("not from the event on")
	}
	if done := run(object{"since": between.Add(-time.Hour), "until": between}); done["delivered"] != 3. {
		t.Errorf("until a time: %v", done)
	}
	if done := run(object{"event": before[1]}); done["delivered"] != 1. || done["progress"] != 1. {
		t.Errorf("one event: %v", done)
	}
	of := w.happen(1, stranger)[0]
	for name, body := range map[string]object{
		"nothing": {}, "two": {"since": between, "from_event": before[0]}, "until alone": {"until": between},
		"two events": {"event": before[0], "from_event": before[0]}, "one of another": {"event": of},
		"of another": {"from_event": of}, "of nobody": {"from_event": newID().String() + ":1"}, "no id": {"from_event": "x"},
	} {
		if status, answer, _ := w.do(key, "POST", endpoints+"/"+id+"/replay", body); status != 422 {
			t.Errorf("%s: %d %v", name, status, answer)
		}
	}
}

func TestReplay_RecoversWhatFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	var broken atomic.Bool
	rc := newReceiver(t, breakable(&broken))
	id, _ := w.endpoint(key, rc.URL, nil)
	fine := w.happen(3, company)
	rc.await(t, fine...)
	broken.Store(true)
	since := now()
	failed := w.happen(4, company)
	w.attempts(key, id, "outcome=failed", func(a []object) bool { return len(a) == 4 })
	broken.Store(false)
	started := w.must(202, key, "POST", endpoints+"/"+id+"/replay", object{"failed_since": since})
	rc.await(t, failed...)
	w.until("done", func() bool {
		done := w.must(200, key, "GET", fmt.Sprintf("%s/%s/replays/%s", endpoints, id, started["id"]), nil)
		return done["state"] == "done" && done["delivered"] == 4.
	})
	rc.once(t, append(fine, failed...)...)
}

// A webhook that is on its way holds up the next one of a cursor, and the endpoint changes meanwhile.
func TestCursor_GoesOnWithTheEndpointAsItIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	after := newReceiver(t, nil)
	meanwhile := map[string]func(id string){
		"moved":   func(id string) { w.change(key, id, object{"url": after.URL}) },
		"headers": func(id string) { w.change(key, id, object{"headers": object{"X-Mine": "new"}}) },
		"deleted": func(id string) { w.must(204, key, "DELETE", endpoints+"/"+id, nil) },
	}
	began, goOn := map[string]chan struct{}{}, map[string]chan struct{}{}
	receivers, ids := map[string]*receiver{}, map[string]string{}
	for name := range meanwhile {
		first, end := make(chan struct{}), make(chan struct{})
		var n atomic.Int32
		receivers[name] = newReceiver(t, func(_ http.ResponseWriter, r *http.Request, _ []byte) {
			if n.Add(1) > 1 {
				return
			}
			close(first)
			select {
			case <-end:
			case <-r.Context().Done():
			}
		})
		began[name], goOn[name] = first, end
		ids[name], _ = w.endpoint(key, receivers[name].URL, object{"ordered": true, "headers": object{"X-Mine": "old"}})
	}
	events := w.happen(2, company)
	for name, change := range meanwhile {
		<-began[name]
		change(ids[name])
		close(goOn[name])
	}
	after.await(t, events[1])
	after.once(t, events[1])
	receivers["moved"].once(t, events[0])
	receivers["headers"].await(t, events...)
	if got := receivers["headers"].all()[1].header.Get("X-Mine"); got != "new" {
		t.Errorf("sent with %q", got)
	}
	w.until("cursors of the deleted one removed", func() bool { return len(w.keys("webhook_cursors")) == 4 })
	receivers["deleted"].once(t, events[0])
}

// The clock of the service is slow, and the attempts have not come into the warehouse yet when the replay is asked for.
func TestReplay_RecoversWhatFailedWhateverTheClockSays(t *testing.T) {
	t.Parallel()
	var forward func(time.Duration)
	w := newWorld(t, func(cfg *webhooks.Config) { forward = movable(cfg) })
	forward(-time.Hour)
	company, key := w.companyAdmin()
	var broken atomic.Bool
	broken.Store(true)
	rc := newReceiver(t, breakable(&broken))
	id, _ := w.endpoint(key, rc.URL, nil)
	attempts, err := w.js.Stream(t.Context(), stream.AttemptsStream)
	if err != nil {
		t.Fatal(err)
	}
	w.until("held up", func() bool {
		_, err := attempts.PauseConsumer(t.Context(), "warehouse", now().Add(time.Hour))
		return err == nil
	})
	events := w.happen(4, company)
	w.until("given up", func() bool {
		queue, err := w.js.Stream(t.Context(), stream.DeliveriesStream)
		if err != nil {
			t.Fatal(err)
		}
		state := queue.CachedInfo().State
		return state.Msgs == 0 && state.LastSeq > 0
	})
	broken.Store(false)
	w.must(202, key, "POST", endpoints+"/"+id+"/replay", object{"failed_since": now().Add(-2 * time.Hour)})
	if _, err := attempts.ResumeConsumer(t.Context(), "warehouse"); err != nil {
		t.Fatal(err)
	}
	rc.await(t, events...)
	rc.once(t, events...)
}
