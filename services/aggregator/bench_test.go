package aggregator_test

import (
	"context"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	"github.com/dealreg/dealreg/services/aggregator"
)

// BenchmarkRun_Backlog carries b.N events of mixed histories that are in the log already. Run it with
// -benchtime=300000x: an operation is one event.
func BenchmarkRun_Backlog(b *testing.B) {
	nc := embeddedtest.NATS(b)
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	if err := stream.Ensure(b.Context(), js, 1); err != nil {
		b.Fatal(err)
	}
	work, size := dealtest.NewWorkload(0, dealtest.Seeded(1)), 0
	var messages []*nats.Msg
	for i := range b.N {
		e := work.Next()
		size += len(e.Payload)
		m := nats.NewMsg(stream.Subject(e.Deal.ID))
		m.Data = e.Payload
		messages = append(messages, m)
		if len(messages) == 1000 || i == b.N-1 {
			if _, err := jetstreamext.PublishMsgBatch(b.Context(), js, messages); err != nil {
				b.Fatal(err)
			}
			messages = messages[:0]
		}
	}
	dsn := warehousetest.DSN(b)
	w, err := warehouse.Open(warehouse.Config{DSN: dsn})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = w.Close() })
	s, err := aggregator.New(aggregator.Config{NATS: nc, Warehouse: w})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error)
	b.ResetTimer()
	go func() { done <- s.Run(ctx) }()
	if err := s.WaitFor(ctx, uint64(b.N)); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(size)/float64(b.N), "bytes/event")
	b.ReportMetric(float64(warehousetest.Parts(b, dsn)), "parts")
	cancel()
	<-done
}
