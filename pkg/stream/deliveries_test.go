package stream_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/stream"
)

func newDeliveries(t *testing.T) (*stream.Deliveries, jetstream.JetStream) {
	t.Helper()
	js, err := jetstream.New(embeddedtest.NATS(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := stream.EnsureDeliveries(t.Context(), js, 1); err != nil {
			t.Fatal(err)
		}
	}
	return stream.NewDeliveries(js), js
}

// lane reads what is due for the endpoint.
func lane(t *testing.T, js jetstream.JetStream, endpoint deal.ID) jetstream.Consumer {
	t.Helper()
	consumer, err := js.CreateConsumer(t.Context(), stream.DeliveriesStream, jetstream.ConsumerConfig{
		FilterSubject: stream.LaneSubjects(stream.Lane(endpoint)), AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	return consumer
}

func next(t *testing.T, from jetstream.Consumer) stream.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	m, err := from.Next(jetstream.FetchContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	d, err := stream.DecodeDelivery(m.Data())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.DoubleAck(ctx); err != nil {
		t.Fatal(err)
	}
	return d
}

func delivery(n int) stream.Delivery {
	return stream.Delivery{
		Endpoint: deal.ID{1}, Source: stream.DealsStream, Sequences: []uint64{uint64(n)}, Attempt: 1,
	}
}

func TestDeliveries_ComeInOrderHoweverManyAreWrittenAtOnce(t *testing.T) {
	t.Parallel()
	queue, js := newDeliveries(t)
	n := 0
	for _, size := range []int{1, 3, 31, 32, 1001, 0, 2} {
		var some []stream.Delivery
		for range size {
			n++
			some = append(some, delivery(n))
		}
		if err := queue.Put(t.Context(), some...); err != nil {
			t.Fatal(err)
		}
	}
	consumer := lane(t, js, deal.ID{1})
	for want := range n {
		if got := next(t, consumer); got.Sequences[0] != uint64(want+1) {
			t.Fatalf("delivery %d came in place of %d", got.Sequences, want+1)
		}
	}
}

func TestDeliveries_ThatArePutAgainAreDroppedUnlessThatIsMeant(t *testing.T) {
	t.Parallel()
	queue, js := newDeliveries(t)
	again, more := delivery(1), delivery(1)
	again.Again = true
	more.Sequences = []uint64{1, 2}
	for _, d := range []stream.Delivery{delivery(1), delivery(1), again, more, delivery(2)} {
		if err := queue.Put(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	consumer := lane(t, js, deal.ID{1})
	for i, want := range []stream.Delivery{delivery(1), again, more, delivery(2)} {
		if got := next(t, consumer); got.Sequences[0] != want.Sequences[0] || len(got.Sequences) != len(want.Sequences) || got.Again != want.Again {
			t.Errorf("delivery %d is %+v", i, got)
		}
	}
}

func TestDeliveries_ThatWaitComeAtTheirTimeAndOnce(t *testing.T) {
	t.Parallel()
	queue, js := newDeliveries(t)
	start := time.Now() //nolint:forbidigo // the server's schedules follow the real clock
	due := start.Add(700 * time.Millisecond)
	for range 2 { // the second schedule takes the place of the first
		if err := queue.Later(t.Context(), delivery(1), due); err != nil {
			t.Fatal(err)
		}
	}
	consumer := lane(t, js, deal.ID{1})
	got := next(t, consumer)
	if now := time.Now(); now.Before(due) { //nolint:forbidigo // as above
		t.Errorf("it came %v early", due.Sub(now))
	}
	if len(got.Sequences) != 1 || got.Sequences[0] != 1 {
		t.Errorf("it came as %+v", got)
	}
	s, err := js.Stream(t.Context(), stream.DeliveriesStream)
	if err != nil {
		t.Fatal(err)
	}
	if left := s.CachedInfo().State.Msgs; left != 0 {
		t.Errorf("%d messages are left", left)
	}
}

func TestDecodeDelivery_RefusesWhatIsNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "{}", "[]", `{"endpoint":"01a202d8-ba21-75c9-80b6-72597351bc0e","source":"DEALS","sequences":[1],"attempt":0}`,
		`{"endpoint":"01a202d8-ba21-75c9-80b6-72597351bc0e","source":"DEALS","sequences":[],"attempt":1}`,
	} {
		if _, err := stream.DecodeDelivery([]byte(text)); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
