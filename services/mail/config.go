// Package mail tells people by mail what waits for them: deals to answer, figures to attest, reminders, and what waits
// once a week. It follows the log with a position of its own. It writes nothing but its own bucket and never decides
// anything about a deal; a mail never holds a customer, an amount or a company's name.
package mail

import (
	"cmp"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/roster"
)

// Config is what the service needs. NATS, Roster and Postman are required; neither engine nor server must be alive yet.
type Config struct {
	NATS     *nats.Conn
	Roster   *roster.Roster // follows the same NATS; somebody else runs it
	Postman  *Postman
	Replicas int // of the bucket; 1 when 0

	Health  *lifecycle.Health     // hears of mail: of the log, never of the SMTP server; nil for none
	Log     *zap.Logger           // nil for none
	Metrics prometheus.Registerer // nil for none
	Now     func() time.Time      // nil is the clock

	// Every is how often it looks for reminders and digests that are due; 0 is a minute.
	Every time.Duration
	// Lease is after how long the work of a process that died is taken over; 0 is 10 s.
	Lease time.Duration
	// RetryFirst and RetryMost are the waits after a mail or the server failed for now; 0 is 15 s and 30 min.
	RetryFirst, RetryMost time.Duration

	runner string // names this process in the lease
}

func (c *Config) complete() error {
	if c.NATS == nil || c.Roster == nil || c.Postman == nil {
		return errors.New("mail: NATS, Roster and Postman are required")
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
	c.Every = cmp.Or(c.Every, time.Minute)
	c.Lease = cmp.Or(c.Lease, 10*time.Second)
	c.RetryFirst, c.RetryMost = cmp.Or(c.RetryFirst, 15*time.Second), cmp.Or(c.RetryMost, 30*time.Minute)
	c.runner = uuid.NewString()
	return nil
}
