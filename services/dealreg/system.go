package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// system is what `up` and `serve` run with.
type system struct {
	Data          string `default:"dealreg-data" placeholder:"DIR" help:"Folder of the embedded engines and of the pepper for keys." json:"data"`
	Listen        string `default:"127.0.0.1:8080" placeholder:"ADDR" help:"Address of the API." json:"listen"`
	NATSURL       string `name:"nats-url" placeholder:"URL" help:"A NATS server with JetStream, instead of the embedded one." json:"nats-url"`
	ClickhouseDSN string `name:"clickhouse-dsn" placeholder:"URL" help:"A ClickHouse server (native protocol), instead of the embedded one." json:"clickhouse-dsn"`
	Replicas      int    `default:"1" help:"Replicas of the streams that are created." json:"replicas"`
	Statements    string `default:"scheduled" enum:"scheduled,off" help:"Whether this process makes the associations' releases on their schedules: ${enum}." json:"statements"`

	portalFlags
	openIDFlags
	webhookFlags
	mailFlags
}

// assembly wires services to engines. Closers undo what was opened, the last first.
type assembly struct {
	system
	log     *zap.Logger
	health  *lifecycle.Health
	broker  *embedded.NATS // nil when another one is named
	nc      *nats.Conn
	js      jetstream.JetStream
	roster  *roster.Roster
	store   *roster.Store
	pepper  []byte
	house   *warehouse.Warehouse
	server  *httpapi.Server
	parts   []lifecycle.Part
	closers []func()
	// gate is when a registry of this process may open; nil without an aggregator beside it.
	gate func(context.Context) error
	// announce gets the operator's key on the first start.
	announce func(token string)
}

// assemble opens the engines and wires the named services. Everything but `serve` beside an external NATS needs no
// engine but those that it starts itself.
func assemble(ctx context.Context, cfg system, log *zap.Logger, announce func(string), services []string) (*assembly, error) {
	a := &assembly{system: cfg, log: log, health: lifecycle.NewHealth(), announce: announce}
	steps := []func(context.Context) error{a.openData, a.openNATS, a.openClickHouse, a.openRoster}
	if !needsWarehouse(services) {
		steps = slices.Delete(steps, 2, 3)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			a.close()
			return nil, err
		}
	}
	a.server = httpapi.New(httpapi.Config{
		Title: "dealreg", Version: version, Log: log, Health: a.health,
		Authenticate: roster.Authenticator{Roster: a.roster, Pepper: a.pepper}.Authenticate,
	})
	if err := a.addServices(services); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *assembly) close() {
	for _, undo := range slices.Backward(a.closers) {
		undo()
	}
	a.closers = nil
}

// openData makes the data folder and reads the pepper, which it makes on the first start.
func (a *assembly) openData(context.Context) error {
	if err := os.MkdirAll(a.Data, 0o700); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	var err error
	a.pepper, err = keyFile(filepath.Join(a.Data, "pepper"), "pepper for keys", "every key is void")
	return err
}

// openNATS connects to the broker, the embedded one unless another is named. An external one need not answer yet.
func (a *assembly) openNATS(context.Context) error {
	if a.NATSURL != "" {
		a.health.Report("nats", errors.New("not connected yet"))
	} else {
		var err error
		a.broker, err = embedded.StartNATS(embedded.NATSConfig{Dir: filepath.Join(a.Data, "nats"), Log: a.log, Health: a.health})
		if err != nil {
			return err
		}
		a.closers = append(a.closers, a.broker.Stop)
		a.parts = append(a.parts, lifecycle.Part{Name: "nats", Run: a.broker.Run}, lifecycle.Part{Name: "nats client", Run: a.closeNATS})
	}
	var err error
	a.nc, err = a.connect(
		nats.ConnectHandler(func(*nats.Conn) { a.health.Report("nats", nil) }),
		nats.ReconnectHandler(func(*nats.Conn) {
			a.health.Report("nats", nil)
			a.log.Info("NATS is back")
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				a.health.Report("nats", fmt.Errorf("no connection: %w", err))
				a.log.Warn("NATS is away", zap.Error(err))
			}
		}),
	)
	if err != nil {
		return err
	}
	a.js, err = jetstream.New(a.nc)
	return err
}

// connect makes a connection to the broker that comes back by itself, until the assembly is closed.
func (a *assembly) connect(more ...nats.Option) (*nats.Conn, error) {
	options := append([]nats.Option{
		nats.Name("dealreg"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.ReconnectWait(250 * time.Millisecond),
	}, more...)
	var nc *nats.Conn
	var err error
	if a.broker != nil {
		nc, err = a.broker.Connect(options...)
	} else {
		nc, err = nats.Connect(a.NATSURL, options...)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	a.closers = append(a.closers, nc.Close)
	return nc, nil
}

// closeNATS closes the connection when everything that uses it has ended, before the broker does.
func (a *assembly) closeNATS(ctx context.Context) error {
	<-ctx.Done()
	a.nc.Close()
	return nil
}

// openClickHouse opens the warehouse, the embedded one unless another is named. An external one need not answer yet.
func (a *assembly) openClickHouse(ctx context.Context) error {
	dsn := a.ClickhouseDSN
	if dsn == "" {
		bar := newStageBar(os.Stderr)
		engine, err := embedded.StartClickHouse(ctx, embedded.ClickHouseConfig{
			Dir: filepath.Join(a.Data, "clickhouse"), Log: a.log, Health: a.health, Progress: bar.show,
		})
		bar.end()
		if err != nil {
			return err
		}
		a.closers = append(a.closers, engine.Stop)
		a.parts = append(a.parts, lifecycle.Part{Name: "clickhouse", Run: engine.Run})
		dsn = engine.DSN()
	}
	var err error
	a.house, err = warehouse.Open(warehouse.Config{DSN: dsn})
	if err != nil {
		return err
	}
	a.closers = append(a.closers, func() { _ = a.house.Close() })
	return nil
}

func (a *assembly) openRoster(context.Context) error {
	a.roster = roster.New(a.js, a.log, a.health)
	a.store = roster.NewStore(a.js)
	a.parts = append(a.parts, lifecycle.Part{Name: "roster", Run: a.roster.Run})
	return nil
}

// serve listens and runs all parts until ctx ends. ready is called with the address once the listener is open.
func (a *assembly) serve(ctx context.Context, ready func(ctx context.Context, url string) error) error {
	defer a.close()
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", a.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w: choose another address with --listen", a.Listen, err)
	}
	url := "http://" + listener.Addr().String()
	server := &http.Server{
		Handler: a.server.Handler(), MaxHeaderBytes: 64 << 10, IdleTimeout: 2 * time.Minute,
		// Nobody holds a connection by sending slowly, read or not. What takes files from those who may send them gives them longer.
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
	}
	a.parts = append(a.parts, lifecycle.Part{Name: "http", Run: func(ctx context.Context) error {
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(listener) }()
		select {
		case err := <-ended:
			return fmt.Errorf("serve HTTP: %w", err)
		case <-ctx.Done():
		}
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if server.Shutdown(within) != nil {
			_ = server.Close()
		}
		<-ended
		return nil
	}})
	if ready != nil {
		a.parts = append(a.parts, lifecycle.Part{Name: "start", Run: func(ctx context.Context) error {
			if err := ready(ctx, url); err != nil && ctx.Err() == nil {
				return err
			}
			<-ctx.Done()
			return nil
		}})
	}
	a.log.Info("listening", zap.String("url", url))
	return lifecycle.Run(ctx, a.log, a.parts...)
}
