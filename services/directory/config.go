// Package directory is the service for companies, associations, chapters, members, keys and reference rates: it
// checks what registrars and admins write and stores it in the roster's buckets. It never touches a deal.
package directory

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/oidclogin"
	"github.com/dealreg/dealreg/pkg/roster"
)

// Config is what the service needs.
type Config struct {
	JetStream jetstream.JetStream // needs no server yet
	Roster    *roster.Roster      // follows the same JetStream; somebody else runs it
	Pepper    []byte              // for the hashes of keys, at least 32 bytes
	Replicas  int                 // of the buckets; 1 when 0

	// HasWonDeals tells whether an association has a won deal. Without it the zone, the first month and the currency
	// of an association cannot be changed.
	HasWonDeals func(ctx context.Context, association deal.ID) (bool, error)
	// Announce gets the operator's first key, once in the life of the buckets. Without it none is made.
	Announce func(token string)

	// OpenID verifies the ID tokens with which people sign in. Without it they sign in with links only.
	OpenID *oidclogin.Provider
	// Mailer sends sign-in links. Without it they are handed over by whoever makes them.
	Mailer Mailer

	// ForgetEvery is how often guests are looked for whose time is over; 0 is an hour.
	ForgetEvery time.Duration

	Log    *zap.Logger      // nil logs nothing
	Health roster.Health    // nil reports nothing
	Now    func() time.Time // nil: the clock
}

// Mailer hands mails to a server.
type Mailer interface {
	// SendLink mails a sign-in link to the person. An error says that the server may not have taken it.
	SendLink(ctx context.Context, to roster.Person, token string, expires time.Time) error
}

func (c *Config) check() error {
	switch {
	case c.JetStream == nil, c.Roster == nil:
		return errors.New("directory: JetStream and Roster are needed")
	case len(c.Pepper) < 32:
		return errors.New("directory: the pepper needs at least 32 bytes")
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.ForgetEvery == 0 {
		c.ForgetEvery = time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now //nolint:forbidigo // the clock of the running service
	}
	return nil
}
