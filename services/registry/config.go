package registry

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// Config is what the registry needs. All fields are required but Deals, Replicas, Gate and TimerEvery.
type Config struct {
	Log    *zap.Logger
	NATS   *nats.Conn
	Roster *roster.Roster
	Store  *roster.Store        // for the companies and members that an import creates, and for links
	Pepper []byte               // for the hashes of links, at least 32 bytes, the same as the directory's
	Finder *warehouse.Warehouse // finds deals for lists; the log says what they are
	Health *lifecycle.Health
	Now    func() time.Time
	// Deals is the log. While it says that it lost its end, the registry is closed. Nil: one of the registry's own.
	Deals *stream.Log
	// Replicas of the streams that the registry creates; 0 means 1.
	Replicas int
	// Gate blocks until changes may begin: until the log was found whole. Nil opens at once.
	Gate func(ctx context.Context) error
	// TimerEvery is how often the registry looks for deals that have waited too long; 0 means a minute.
	TimerEvery time.Duration
}

func (c Config) check() error {
	if c.Log == nil || c.NATS == nil || c.Roster == nil || c.Store == nil || c.Finder == nil || c.Health == nil || c.Now == nil {
		return errors.New("registry: a required field of Config is missing")
	}
	if len(c.Pepper) < 32 {
		return errors.New("registry: the pepper needs at least 32 bytes")
	}
	return nil
}
