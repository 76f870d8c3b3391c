package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/stream"
)

// benchCommand holds the benches. Each starts engines of its own in a folder that it removes again.
type benchCommand struct {
	Aggregate benchAggregate `cmd:"" help:"Measure how fast the log gets into the warehouse."`
	Pages     benchPages     `cmd:"" help:"Measure how fast the pages of a busy year are served."`
	Register  benchRegister  `cmd:"" help:"Measure how fast deals are registered."`
	Reports   benchReports   `cmd:"" help:"Measure how fast the reports answer."`
	Webhooks  benchWebhooks  `cmd:"" help:"Measure how fast webhooks are delivered."`
}

// benchResult is the JSON object that a bench prints: what was reached, and what this machine allows, measured in the same
// run and in the same unit.
type benchResult struct {
	Bench  string             `json:"bench"`
	Figure float64            `json:"figure"`
	Unit   string             `json:"unit"`
	Limit  float64            `json:"limit"`
	Ratio  float64            `json:"ratio"` // figure / limit
	Also   map[string]float64 `json:"also"`  // what the limit is made of, and what else was measured; names end in their unit
}

// print completes the ratio and prints the object on one line.
func (r benchResult) print() error {
	r.Ratio = r.Figure / r.Limit
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("bench %s: %w", r.Bench, err)
	}
	fmt.Println(string(text))
	return nil
}

// benchEngines are empty engines with the streams of dealreg, for as long as the bench runs.
type benchEngines struct {
	nc  *nats.Conn
	js  jetstream.JetStream
	dsn string // of ClickHouse; each bench makes the databases that it needs
	dir string

	closers []func() error
}

func startBenchEngines(ctx context.Context, log *zap.Logger) (*benchEngines, error) {
	e := &benchEngines{}
	if err := e.start(ctx, log); err != nil {
		return nil, errors.Join(err, e.stop())
	}
	return e, nil
}

func (e *benchEngines) start(ctx context.Context, log *zap.Logger) error {
	if err := e.startBroker(ctx, log); err != nil {
		return err
	}
	engine, err := embedded.StartClickHouse(ctx, embedded.ClickHouseConfig{Dir: filepath.Join(e.dir, "clickhouse"), Log: log})
	if err != nil {
		return err
	}
	e.closers = append(e.closers, func() error { engine.Stop(); return nil })
	e.dsn = engine.DSN()
	return nil
}

// startBroker starts NATS alone.
func (e *benchEngines) startBroker(ctx context.Context, log *zap.Logger) error {
	var err error
	if e.dir, err = os.MkdirTemp("", "dealreg-bench-"); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	e.closers = append(e.closers, func() error { return os.RemoveAll(e.dir) })
	broker, err := embedded.StartNATS(embedded.NATSConfig{Dir: filepath.Join(e.dir, "nats"), Log: log})
	if err != nil {
		return err
	}
	e.closers = append(e.closers, func() error { broker.Stop(); return nil })
	if e.nc, err = broker.Connect(); err != nil {
		return err
	}
	e.closers = append(e.closers, func() error { e.nc.Close(); return nil })
	if e.js, err = jetstream.New(e.nc); err != nil {
		return err
	}
	return stream.Ensure(ctx, e.js, 1)
}

// stop ends the engines and removes their data.
func (e *benchEngines) stop() error {
	var errs []error
	for _, closer := range slices.Backward(e.closers) {
		errs = append(errs, closer())
	}
	e.closers = nil
	return errors.Join(errs...)
}
