package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/lifecycle"
)

const (
	// natsReadyWithin bounds the start of the server; it reads its streams first, about a second per million deals.
	natsReadyWithin = 2 * time.Minute
	// natsMaxMemory bounds JetStream's memory storage, which dealreg does not use for data.
	natsMaxMemory = 64 << 20
	// natsMaxStore leaves it to the disk how much there may be. The limit that the server takes by itself is three quarters
	// of the disk as it is when the server starts: one that starts on a full disk would refuse every message until the next
	// start, whatever room there was meanwhile.
	natsMaxStore = 1 << 62
	// natsCheckEvery is how often Run looks whether JetStream is still enabled.
	natsCheckEvery = time.Second
)

// NATSConfig says where the broker keeps its data. Only Dir must be set.
type NATSConfig struct {
	Dir string // made when missing; one process at a time
	// Port on which the server listens on 127.0.0.1, where everyone on this machine may then connect.
	// 0: it does not listen, only this process reaches it.
	Port   int
	Log    *zap.Logger       // nil: no logs
	Health *lifecycle.Health // nil: nobody asks. Run reports as "nats".
}

// NATS is a broker inside this process. It syncs every message to disk before it acknowledges it.
type NATS struct {
	cfg  NATSConfig
	lock *os.File

	mu     sync.Mutex
	server *server.Server // nil after Stop
	log    *natsLog       // of the server
}

// StartNATS starts the broker and returns when JetStream answers. It fails when another process uses cfg.Dir.
func StartNATS(cfg NATSConfig) (*NATS, error) {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Health == nil {
		cfg.Health = lifecycle.NewHealth()
	}
	lock, err := ownDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("nats: %w", err)
	}
	s, log, err := startServer(cfg)
	if err != nil {
		unlock(lock)
		return nil, fmt.Errorf("nats: %w", err)
	}
	return &NATS{cfg: cfg, lock: lock, server: s, log: log}, nil
}

func startServer(cfg NATSConfig) (*server.Server, *natsLog, error) {
	s, err := server.NewServer(&server.Options{
		ServerName:             "dealreg",
		Host:                   Loopback,
		Port:                   cfg.Port,
		DontListen:             cfg.Port == 0,
		JetStream:              true,
		StoreDir:               cfg.Dir,
		SyncAlways:             true,
		JetStreamMaxMemory:     natsMaxMemory,
		JetStreamMaxStore:      natsMaxStore,
		DisableJetStreamBanner: true,
		NoSigs:                 true,
	})
	if err != nil {
		return nil, nil, err
	}
	log := &natsLog{log: cfg.Log.Sugar()}
	s.SetLogger(log, false, false)
	s.Start()
	if !s.ReadyForConnections(natsReadyWithin) || !s.JetStreamEnabled() {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, nil, fmt.Errorf("the server in %s does not start; the log tells why", cfg.Dir)
	}
	return s, log, nil
}

// InProcessConn lets clients connect without a socket. It makes NATS a nats.InProcessConnProvider that reaches the
// present server, so that clients come back by themselves after Restart.
func (n *NATS) InProcessConn() (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.server == nil {
		return nil, errors.New("nats: the embedded server is stopped")
	}
	return n.server.InProcessConn()
}

// Connect returns a client of this broker. It reconnects for ever unless opts say otherwise; the caller closes it
// before Stop.
func (n *NATS) Connect(opts ...nats.Option) (*nats.Conn, error) {
	defaults := []nats.Option{
		nats.InProcessServer(n),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(50 * time.Millisecond),
		nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond),
	}
	return nats.Connect("", append(defaults, opts...)...)
}

// Run blocks until ctx ends and then stops the broker. When its disk is full or refuses a write the server disables
// JetStream or closes the stream, and does not go on by itself: Run restarts it until it can work and reports to Health
// meanwhile.
func (n *NATS) Run(ctx context.Context) error {
	defer n.Stop()
	tick := time.NewTicker(natsCheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if n.writes() {
			continue
		}
		n.cfg.Health.Report("nats", errors.New("the store is disabled: its disk is full or refuses writes"))
		_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, n.Restart() },
			backoff.WithMaxElapsedTime(0),
			backoff.WithNotify(func(err error, next time.Duration) {
				n.cfg.Log.Warn("broker not started again", zap.Error(err), zap.Duration("next_try_in", next))
			}))
		if err != nil {
			return nil //nolint:nilerr // ctx has ended
		}
		n.cfg.Health.Report("nats", nil)
	}
}

// writes tells whether every stream takes messages, as far as it was tried.
func (n *NATS) writes() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.server == nil || n.server.JetStreamEnabled() && !n.log.writeFailed.Load()
}

// Restart stops the server and starts it again on the same data. Clients made by Connect come back by themselves.
// After an error there is no server until another Restart succeeds.
func (n *NATS) Restart() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lock == nil {
		return errors.New("nats: the embedded server is stopped")
	}
	n.shutdown()
	s, log, err := startServer(n.cfg)
	if err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	n.server, n.log = s, log
	n.cfg.Log.Info("broker started again")
	return nil
}

// Stop ends the broker and returns when its files are closed. It may be called more than once.
func (n *NATS) Stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.shutdown()
	if n.lock != nil {
		unlock(n.lock)
		n.lock = nil
	}
}

func (n *NATS) shutdown() {
	if n.server != nil {
		n.server.Shutdown()
		n.server.WaitForShutdown()
		n.server = nil
	}
}

// natsLog passes on what the server warns of. Its notices and traces are dropped.
type natsLog struct {
	log *zap.SugaredLogger
	// writeFailed is set when a stream failed to write and takes no more messages until the server is restarted. The
	// server says so in its log only.
	writeFailed atomic.Bool
}

// criticalWriteError is what the log of nats-server 2.15 says then.
const criticalWriteError = "Critical write error"

func (*natsLog) Noticef(string, ...any)          {}
func (l *natsLog) Warnf(format string, v ...any) { l.log.Warnf("nats: "+format, v...) }
func (l *natsLog) Errorf(format string, v ...any) {
	if strings.Contains(fmt.Sprintf(format, v...), criticalWriteError) {
		l.writeFailed.Store(true)
	}
	l.log.Errorf("nats: "+format, v...)
}
func (l *natsLog) Fatalf(format string, v ...any) { l.log.Errorf("nats: "+format, v...) }
func (*natsLog) Debugf(string, ...any)            {}
func (*natsLog) Tracef(string, ...any)            {}
