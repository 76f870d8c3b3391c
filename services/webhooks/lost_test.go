package webhooks_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	"github.com/dealreg/dealreg/services/webhooks"
)

// The log was restored to an older state: what comes now has sequences that were sent before.
func TestLost_TheEndOfTheLogIsSaidAndNothingNewIsPassedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	rc := newReceiver(t, nil)
	id, _ := w.endpoint(key, rc.URL, nil)
	w.stop()
	w.put("webhook_checkpoints", stream.DealsStream, `{"sequence":1000}`)
	w.put("webhook_cursors", id+"."+stream.DealsStream, `{"from":10,"at":990,"through":1000,"endpoint_id":"`+id+`","source":"DEALS"}`)
	w.put(stream.EndsBucket, stream.DealsStream, `{"sequence":1000}`)
	w.begin()
	w.until("said", func() bool {
		return strings.Contains(w.health.Failing()["webhooks DEALS"], "the log ends at 0 but had sequence 1000")
	})
	events := w.happen(20, company)
	if err := w.log.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	rc.await(t, events...)
	rc.once(t, events...)
}

// Everything, or the log alone, is brought back as it was an hour ago while two dispatchers live. What they remember of the
// hour must not stand in for what has its sequences and revisions now.
func TestLost_TheLastHourWhileDispatchersLive(t *testing.T) {
	t.Parallel()
	for name, part := range map[string]string{"everything": "", "the log": "jetstream/$G/streams/" + stream.DealsStream} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, patient)
			healths := []*lifecycle.Health{w.health}
			w.start()
			healths = append(healths, w.health)
			company, key := w.companyAdmin()
			stranger, otherKey := w.companyAdmin()
			var broken atomic.Bool
			plain, inOrder, other := newReceiver(t, nil), newReceiver(t, nil), newReceiver(t, breakable(&broken))
			id, _ := w.endpoint(key, plain.URL, nil)
			w.endpoint(key, inOrder.URL, object{"ordered": true})
			failing, _ := w.endpoint(otherKey, other.URL, nil)
			await := func(events []string) {
				t.Helper()
				plain.await(t, events...)
				inOrder.await(t, events...)
			}
			restart := func(meanwhile func(store string) error) {
				t.Helper()
				w.server.Stop()
				if err := meanwhile(filepath.Join(w.server.Dir(), filepath.FromSlash(part))); err != nil {
					t.Fatal(err)
				}
				w.server.Start()
				w.until("the log", func() bool {
					_, err := w.log.LastSequence(t.Context())
					return err == nil
				})
			}
			change := func(description string) {
				t.Helper()
				w.until("endpoint changed", func() bool {
					_, _, header := w.do(key, "GET", endpoints+"/"+id, nil)
					status, _, _ := w.do(key, "PATCH", endpoints+"/"+id, object{"description": description}, "If-Match", header.Get("ETag"))
					return status == 200
				})
			}
			await(w.happen(20, company))
			backup := t.TempDir()
			restart(func(store string) error { return os.CopyFS(backup, os.DirFS(store)) })
			for i := range 10 { // with revisions that the restored buckets do not reach soon
				lost := w.happen(4, stranger)
				other.await(t, lost...)
				change(fmt.Sprint("lost ", i))
			}
			broken.Store(true)
			w.happen(4, stranger)
			w.attempts(otherKey, failing, "outcome=retrying", func(a []object) bool { return len(a) >= 4 })
			later, _ := w.endpoint(key, plain.URL, nil)
			w.until("the log's end remembered", func() bool { return w.log.Remember(t.Context()) == nil }) // as a registry does each second
			restart(func(store string) error {
				if err := os.RemoveAll(store); err != nil {
					return err
				}
				return os.CopyFS(store, os.DirFS(backup))
			})
			if part != "" {
				w.until("said", func() bool {
					return slices.ContainsFunc(healths, func(h *lifecycle.Health) bool {
						return strings.Contains(h.Failing()["webhooks DEALS"], "the log ends at 20 but had sequence")
					})
				})
				if err := w.log.Accept(t.Context()); err != nil {
					t.Fatal(err)
				}
			} else {
				w.until("forgotten", func() bool {
					status, _, _ := w.do(key, "GET", endpoints+"/"+later, nil)
					return status == 404
				})
			}
			came := len(other.all())
			await(w.happen(60, company))
			broken.Store(false) // what is tried again is none of the events that failed
			change("kept")
			await(w.happen(60, company))
			w.until("nothing waits", func() bool {
				queue, err := w.js.Stream(t.Context(), stream.DeliveriesStream)
				return err == nil && queue.CachedInfo().State.Msgs == 0
			})
			if n := len(other.all()); n != came {
				t.Errorf("%d events of others came to a stranger", n-came)
			}
		})
	}
}

// The log begins anew while the broker lives, which knows a single event again for some minutes.
func TestLost_WhatComesInPlaceOfASingleEventIsSentToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	rc := newReceiver(t, nil)
	w.endpoint(key, rc.URL, nil)
	rc.await(t, w.happen(1, company)...)
	w.until("the log's end remembered", func() bool { return w.log.Remember(t.Context()) == nil }) // as a registry does each second
	if err := errors.Join(w.js.DeleteStream(t.Context(), stream.DealsStream), stream.Ensure(t.Context(), w.js, 1)); err != nil {
		t.Fatal(err)
	}
	w.until("said", func() bool {
		return strings.Contains(w.health.Failing()["webhooks DEALS"], "the log ends at 0 but had sequence")
	})
	if err := w.log.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	rc.await(t, w.happen(1, company)...)
}

// A stream that lets messages be deleted plays one with damaged blocks: the broker passes over what it cannot read.
func TestLost_DamagedEventsAreSaidAndHoldUpNoOthers(t *testing.T) {
	t.Parallel()
	core, logged := observer.New(zap.ErrorLevel)
	server := rostertest.NewServer(t)
	w := newWorldAt(t, server.Connect(), warehousetest.New(t), func(cfg *webhooks.Config) { cfg.Log = zap.New(core) })
	deals, err := w.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: stream.DealsStream, Subjects: []string{"deals.*.*"}, AllowDirect: true, AllowAtomicPublish: true})
	if err != nil {
		t.Fatal(err)
	}
	damage := func(sequences ...uint64) {
		t.Helper()
		for _, sequence := range sequences {
			if err := deals.DeleteMsg(t.Context(), sequence); err != nil {
				t.Fatal(err)
			}
		}
	}
	said := func() (missing []uint64) {
		for _, line := range logged.FilterMessageSnippet("events are missing").All() {
			fields := line.ContextMap()
			for sequence := fields["from"].(uint64); sequence <= fields["to"].(uint64); sequence++ {
				missing = append(missing, sequence)
			}
		}
		slices.Sort(missing)
		return slices.Compact(missing)
	}
	w.start()
	company, key := w.companyAdmin()
	var broken atomic.Bool
	broken.Store(true)
	plain, failed := newReceiver(t, nil), newReceiver(t, breakable(&broken))
	w.endpoint(key, plain.URL, nil)
	failing, _ := w.endpoint(key, failed.URL, nil)
	from := now()
	events := w.happen(10, company)
	plain.await(t, events...)
	w.attempts(key, failing, "outcome=failed", func(a []object) bool { return len(a) == 10 })
	w.stop()
	events = append(events, w.happen(20, company)...) // 11 to 30
	damage(3, 9, 14, 15, 30)                          // not the tenth: where the log ended is remembered
	w.begin()                                         // it is not ready while the last event cannot be read
	there := slices.Concat(events[:13], events[15:29], w.happen(1, company))
	plain.await(t, there...)
	plain.once(t, there...)
	if got := said(); !slices.Equal(got, []uint64{14, 15, 30}) {
		t.Errorf("the fan-out said that %v are missing", got)
	}

	broken.Store(false)
	for _, way := range []string{"failed_since", "since"} {
		path := fmt.Sprintf("%s/%s/replays/%s", endpoints, failing, w.must(202, key, "POST", endpoints+"/"+failing+"/replay", object{way: from})["id"])
		w.until("replayed", func() bool { return w.must(200, key, "GET", path, nil)["state"] == "done" })
		failed.await(t, slices.Concat(events[:2], events[3:8], events[9:10])...)
		if got := said(); !slices.Equal(got, []uint64{3, 9, 14, 15, 30}) {
			t.Errorf("the replay said that %v are missing", got)
		}
	}
}
