package aggregator

import (
	"cmp"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// Health hears what the service needs and lacks.
type Health interface {
	// Report takes the state of a part; nil says that it is well.
	Report(part string, err error)
}

// What one insert takes at most.
const (
	DefaultBatchRows  = 100_000
	DefaultBatchBytes = 96 << 20
)

// Config is what the aggregator needs. NATS and Warehouse are required; neither must be alive yet.
type Config struct {
	NATS      *nats.Conn
	Warehouse *warehouse.Warehouse
	Health    Health                // hears of clickhouse, nats and aggregator; nil for none
	Log       *zap.Logger           // nil for none
	Metrics   prometheus.Registerer // nil for none
	Now       func() time.Time      // nil for the machine's clock

	// Pace is the least time between the starts of two inserts that are not full, and so how long an event waits at most
	// besides the insert itself; 0 means 100 ms. An event that comes after a pause does not wait.
	Pace time.Duration
	// BatchRows bounds the events of one insert; 0 means DefaultBatchRows.
	BatchRows int
	// BatchBytes bounds the memory of one insert, but for its last event; 0 means DefaultBatchBytes. Two batches are in
	// memory at once, one that fills while the other is inserted, and two of half the size while the warehouse is rebuilt.
	BatchBytes int
}

func (c *Config) complete() error {
	if c.NATS == nil || c.Warehouse == nil {
		return errors.New("aggregator: NATS and Warehouse are required")
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Health == nil {
		c.Health = lifecycle.NewHealth()
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the clock of the running service
	}
	c.Pace = cmp.Or(c.Pace, 100*time.Millisecond)
	c.BatchRows, c.BatchBytes = cmp.Or(c.BatchRows, DefaultBatchRows), cmp.Or(c.BatchBytes, DefaultBatchBytes)
	return nil
}
