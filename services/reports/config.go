package reports

import (
	"errors"

	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// Health hears whether the reports can be made.
type Health interface {
	// Report takes the state of a part; nil says that it is well.
	Report(part string, err error)
}

// Config is what the reports need. Warehouse and Roster are required; neither must be ready yet.
type Config struct {
	Warehouse *warehouse.Warehouse
	Roster    *roster.Roster // gives names, and tells who may see what; somebody else runs it
	Health    Health         // hears of reports; nil for none
	Log       *zap.Logger    // nil for none
}

func (c *Config) complete() error {
	if c.Warehouse == nil || c.Roster == nil {
		return errors.New("reports: Warehouse and Roster are required")
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Health == nil {
		c.Health = deaf{}
	}
	return nil
}

type deaf struct{}

func (deaf) Report(string, error) {}
