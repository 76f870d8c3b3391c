package webhooks_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/services/webhooks"
)

// laneOf gives the consumer of an endpoint's lane, as it is now.
func (w *world) laneOf(endpoint string) (deliveries jetstream.Stream, name string, info *jetstream.ConsumerInfo) {
	w.t.Helper()
	id, err := deal.ParseID(endpoint)
	if err != nil {
		w.t.Fatal(err)
	}
	if deliveries, err = w.js.Stream(w.t.Context(), stream.DeliveriesStream); err != nil {
		w.t.Fatal(err)
	}
	name = fmt.Sprintf("lane-%d", stream.Lane(id))
	lane, err := deliveries.Consumer(w.t.Context(), name)
	if err != nil {
		w.t.Fatal(err)
	}
	return deliveries, name, lane.CachedInfo()
}

// chosen gives the broker's choice for the lane, or nothing.
func chosen(info *jetstream.ConsumerInfo) string { return info.PriorityGroups[0].PinnedClientID }

func TestLanes_AreFreeAtOnceWhenADispatcherHasStopped(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	rc := newReceiver(t, nil)
	busy, _ := w.endpoint(key, rc.URL, nil)
	_, other := w.companyAdmin()
	idle, _ := w.endpoint(other, rc.URL, nil)
	rc.await(t, w.happen(1, company)...)
	if _, _, info := w.laneOf(busy); chosen(info) == "" {
		t.Fatal("nobody serves the lane")
	}
	w.stop()
	for _, id := range []string{busy, idle} {
		if _, name, info := w.laneOf(id); chosen(info) != "" || info.NumWaiting != 0 {
			t.Errorf("%s is kept for one that has stopped, or may be: %q, %d requests", name, chosen(info), info.NumWaiting)
		}
	}
}

func TestLanes_OfOthersAreLeftToThemByADispatcherThatStops(t *testing.T) {
	t.Parallel()
	first, second := prometheus.NewRegistry(), prometheus.NewRegistry()
	w := newWorld(t, func(cfg *webhooks.Config) { cfg.Metrics = first })
	stopFirst := w.stop
	company, key := w.companyAdmin()
	rc := newReceiver(t, nil)
	id, _ := w.endpoint(key, rc.URL, nil)
	events := 0.0
	serves := func(metrics *prometheus.Registry) bool {
		t.Helper()
		before := tried(t, metrics)
		w.happen(1, company)
		events++
		w.until("delivered", func() bool { return tried(t, first)+tried(t, second) == events })
		return tried(t, metrics) > before
	}
	if !serves(first) {
		t.Fatal("the first does not serve the lane")
	}
	w.cfg.Metrics = second
	w.start()
	w.until("served by the second", func() bool {
		deliveries, name, _ := w.laneOf(id)
		if err := deliveries.UnpinConsumer(t.Context(), name, "dispatcher"); err != nil {
			t.Fatal(err)
		}
		return serves(second)
	})
	_, _, before := w.laneOf(id)
	stopFirst()
	if _, _, info := w.laneOf(id); chosen(before) == "" || chosen(info) != chosen(before) {
		t.Errorf("the lane of another is given up: %q, before %q", chosen(info), chosen(before))
	}
}

// tried counts the attempts of a dispatcher.
func tried(t *testing.T, metrics *prometheus.Registry) float64 {
	t.Helper()
	return total(t, metrics, "dealreg_webhook_attempts_total")
}

// total adds up a metric.
func total(t *testing.T, metrics *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := metrics.Gather()
	if err != nil {
		t.Error(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			for _, m := range family.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
