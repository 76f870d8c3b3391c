package reports

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// Whether a process makes releases of statements by itself.
const (
	Scheduled = "scheduled" // on the schedule of each association
	Off       = "off"
)

// Config is what the reports need. Warehouse, NATS, Roster and Now are required; none of them must be ready yet.
type Config struct {
	Warehouse *warehouse.Warehouse
	NATS      *nats.Conn     // keeps the releases of statements
	Roster    *roster.Roster // gives names, and tells who may see what; somebody else runs it
	Now       func() time.Time
	Health    *lifecycle.Health // hears of reports; nil for none
	Log       *zap.Logger       // nil for none
	// Statements says whether releases are made here by themselves: Scheduled, which empty means too, or Off. Any number of
	// processes may make them: each is made once.
	Statements string
	// CheckEvery is how often it is looked whether a release is due; 0 means a minute.
	CheckEvery time.Duration
}

func (c *Config) complete() error {
	if c.Warehouse == nil || c.NATS == nil || c.Roster == nil || c.Now == nil {
		return errors.New("reports: Warehouse, NATS, Roster and Now are required")
	}
	switch c.Statements {
	case "":
		c.Statements = Scheduled
	case Scheduled, Off:
	default:
		return errors.New("reports: Statements is scheduled or off")
	}
	if c.CheckEvery == 0 {
		c.CheckEvery = time.Minute
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Health == nil {
		c.Health = lifecycle.NewHealth()
	}
	return nil
}
