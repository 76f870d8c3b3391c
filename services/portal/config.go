package portal

import (
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/oidclogin"
	"github.com/dealreg/dealreg/services/portal/api"
)

// Config is what the portal needs. API, JetStream and Now are required; nothing needs to be ready yet.
type Config struct {
	API       *api.Client         // all that the pages show, asked with the key of whoever looks
	JetStream jetstream.JetStream // keeps the sessions
	Replicas  int                 // of the sessions; 0 means 1
	// SecureCookies says that people reach the portal by TLS, itself or a proxy before it: then browsers send the
	// session back by TLS only.
	SecureCookies bool
	OpenID        *oidclogin.Provider // people may sign in with it; nil for none
	MailOn        bool                // mails tell people what waits for them; else the pages say that none do
	Now           func() time.Time
	Health        *lifecycle.Health // hears of portal; nil for none
	Log           *zap.Logger       // nil for none
}

func (c *Config) complete() error {
	if c.API == nil || c.JetStream == nil || c.Now == nil {
		return errors.New("portal: API, JetStream and Now are required")
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Health == nil {
		c.Health = lifecycle.NewHealth()
	}
	return nil
}
