package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/lifecycle"
)

const (
	defaultMaxMemory = 2 << 30
	// steadyAfter is how long an engine must live for its next end to count as the first one again.
	steadyAfter = time.Minute
)

// ClickHouseConfig says where the engine and its data live. Only Dir must be set.
type ClickHouseConfig struct {
	Dir       string // data, configuration and log of the engine; made when missing; one process at a time
	Port      int    // 0: a free one, the same for as long as this process lives
	MaxMemory int64  // bytes that the engine may use; 0: 2 GiB

	// CacheDir keeps the fetched engine for all processes of this user. Empty: "dealreg" in the user's cache folder,
	// and CacheFallback where there is none because HOME is not set.
	CacheDir      string
	CacheFallback string
	// Progress hears of the fetch of the engine: "fetch" and then "unpack", bytes so far and in all (0: not known).
	// It is not called concurrently and not at all when the engine is there. May be nil.
	Progress func(stage string, done, total int64)

	Log    *zap.Logger       // nil: no logs
	Health *lifecycle.Health // nil: nobody asks. Reports as "clickhouse".
}

// ClickHouse is an engine that runs as a child of this process, on the loopback interface, for one user whose random
// password only this process knows. It is started again when it dies and ends when this process ends, however it does.
type ClickHouse struct {
	cfg      ClickHouseConfig
	engine   engine
	password string
	lock     *os.File

	stop    context.CancelFunc
	stopped chan struct{} // closed when the child is gone for good
	once    sync.Once
}

// StartClickHouse finds the engine (a `clickhouse` on PATH, else the fetched one), starts it and returns when it
// answers a query. It fails when another process uses cfg.Dir. ctx bounds the start only.
func StartClickHouse(ctx context.Context, cfg ClickHouseConfig) (*ClickHouse, error) {
	c, err := startClickHouse(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	return c, nil
}

func startClickHouse(ctx context.Context, cfg ClickHouseConfig) (_ *ClickHouse, err error) {
	if cfg.MaxMemory == 0 {
		cfg.MaxMemory = defaultMaxMemory
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Health == nil {
		cfg.Health = lifecycle.NewHealth()
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string, int64, int64) {}
	}
	// The engine runs in a folder of its own and must find its files from there.
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, err
	}
	lock, err := ownDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			unlock(lock)
		}
	}()
	if cfg.Port == 0 {
		if cfg.Port, err = FreePort(); err != nil {
			return nil, err
		}
	}
	c := &ClickHouse{cfg: cfg, password: rand.Text(), lock: lock, stopped: make(chan struct{})}
	if c.engine, err = findEngine(ctx, cfg); err != nil {
		return nil, err
	}
	first, err := c.launch(ctx)
	if err != nil {
		return nil, err
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	go c.watch(watching, first)
	return c, nil
}

// DSN is how clickhouse-go/v2 reaches the engine. It stays the same when the engine is started again. It holds the
// password: keep it out of logs.
func (c *ClickHouse) DSN() string {
	u := url.URL{Scheme: "clickhouse", User: url.UserPassword(engineUser, c.password), Host: c.addr(), Path: "/"}
	return u.String()
}

// Run blocks until ctx ends and then stops the engine. The engine is watched with or without Run.
func (c *ClickHouse) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-c.stopped:
	}
	c.Stop()
	return nil
}

// Stop ends the engine and returns when it is gone, after seconds at most. It may be called more than once.
func (c *ClickHouse) Stop() {
	c.once.Do(func() {
		c.stop()
		<-c.stopped
		unlock(c.lock)
	})
}

// watch starts the engine again whenever it ends, until ctx does.
func (c *ClickHouse) watch(ctx context.Context, running *child) {
	defer close(c.stopped)
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval = 50 * time.Millisecond
	pause.MaxInterval = 10 * time.Second
	for {
		steady := time.NewTimer(steadyAfter)
		var err error
		select {
		case <-ctx.Done():
			steady.Stop()
			running.stop()
			return
		case <-running.done:
			err = running.failure()
		}
		if !steady.Stop() {
			pause.Reset()
		}
		if running = c.relaunch(ctx, pause, err); running == nil {
			return
		}
		c.cfg.Health.Report("clickhouse", nil)
		c.cfg.Log.Info("engine started again")
	}
}

// relaunch tries until the engine runs. It returns nil when ctx has ended.
func (c *ClickHouse) relaunch(ctx context.Context, pause *backoff.ExponentialBackOff, why error) *child {
	for {
		wait := pause.NextBackOff()
		c.cfg.Health.Report("clickhouse", why)
		c.cfg.Log.Warn("engine ended", zap.Error(why), zap.Duration("next_try_in", wait))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		running, err := c.launch(ctx)
		if err == nil {
			return running
		}
		if ctx.Err() != nil {
			return nil
		}
		why = err
	}
}

// launch starts one child and waits until it answers.
func (c *ClickHouse) launch(ctx context.Context) (*child, error) {
	inherited, err := c.engineLock(ctx)
	if err != nil {
		return nil, err
	}
	defer inherited.Close() // the child holds its own copy
	if err := c.writeConfig(); err != nil {
		return nil, err
	}
	// Asking whoever else listens there with our password would abort an engine like ours.
	if err := portIsFree(c.addr()); err != nil {
		return nil, err
	}
	running, err := startChild(c.cfg.Dir, c.engine, inherited)
	if err != nil {
		return nil, err
	}
	if err := running.ready(ctx, c.DSN()); err != nil {
		running.stop()
		return nil, err
	}
	return running, nil
}

// engineLock takes the lock that every child inherits. The engine of a killed dealreg ends a moment after it.
func (c *ClickHouse) engineLock(ctx context.Context) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	f, err := waitLock(ctx, filepath.Join(c.cfg.Dir, "engine.lock"))
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("the engine of an earlier dealreg still uses %s: end that process first", c.cfg.Dir)
	}
	return f, err
}
