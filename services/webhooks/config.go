package webhooks

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/webhook"
)

// Config is what the service needs. NATS, Warehouse and Key are required; neither engine must be alive yet.
type Config struct {
	NATS      *nats.Conn
	Warehouse *warehouse.Warehouse // of the attempts; deliveries go on without it
	Key       webhook.SealingKey   // seals the secrets of endpoints
	Guard     webhook.Guard        // where webhooks may go; the zero Guard allows public addresses over HTTPS only
	Replicas  int                  // of the streams and buckets; 1 when 0

	Health  *lifecycle.Health     // hears of webhooks and of webhook attempts; nil for none
	Log     *zap.Logger           // nil for none
	Metrics prometheus.Registerer // nil for none
	Now     func() time.Time      // nil is the clock

	// Schedule are the waits between the attempts of one delivery; nil is 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
	Schedule []time.Duration
	// Deadline bounds one exchange, from the look-up of the name to the answer's last byte that is read; 0 is 15 s.
	Deadline time.Duration
	// Concurrency bounds the exchanges with one endpoint at a time; 0 is 2. Each is a connection, and many connections cost
	// more than they bring: only a receiver that takes longer than 40 ms gets less than the 50 a second of an endpoint.
	Concurrency int
	// IdleConnections bounds the connections to all receivers that are kept between webhooks, the one that was idle longest
	// goes first; 0 is 1000.
	IdleConnections int
	// DisableAfter is how long an endpoint may fail without a success until it is disabled; 0 is five days.
	DisableAfter time.Duration
	// ProbeFirst and ProbeMost are the waits between probes of an endpoint that fails; 0 is 5 s and 5 min.
	ProbeFirst, ProbeMost time.Duration
	// AckWait is after how long what a process took and did not finish is given to another; 0 is 90 s. It must be longer
	// than two deadlines.
	AckWait time.Duration
	// Lease is after how long the work of a process that died is taken over; 0 is 10 s.
	Lease time.Duration

	runner string // names this process in leases
}

// probeAfter is the number of failures in a row that shut an endpoint's gate.
const probeAfter = 5

func (c *Config) complete() error {
	if c.NATS == nil || c.Warehouse == nil {
		return errors.New("webhooks: NATS and Warehouse are required")
	}
	if _, err := webhook.Seal(c.Key, deal.ID{}, webhook.NewSecret()); err != nil {
		return fmt.Errorf("webhooks: Key: %w", err)
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
	if c.Schedule == nil {
		c.Schedule = standardSchedule
	}
	c.Deadline = cmp.Or(c.Deadline, 15*time.Second)
	c.Concurrency = cmp.Or(c.Concurrency, 2)
	c.IdleConnections = cmp.Or(c.IdleConnections, 1000)
	c.DisableAfter = cmp.Or(c.DisableAfter, 5*24*time.Hour)
	c.ProbeFirst, c.ProbeMost = cmp.Or(c.ProbeFirst, 5*time.Second), cmp.Or(c.ProbeMost, 5*time.Minute)
	c.AckWait = cmp.Or(c.AckWait, 90*time.Second)
	c.Lease = cmp.Or(c.Lease, 10*time.Second)
	c.runner = uuid.NewString()
	return nil
}

func (c *Config) probing() probing {
	return probing{After: probeAfter, First: c.ProbeFirst, Most: c.ProbeMost}
}
