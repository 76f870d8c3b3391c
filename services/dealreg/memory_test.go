package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/stream"
)

// peakMegabytes gives how much memory the process has had at most.
func (p *process) peakMegabytes() int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		p.t.Fatalf("no VmHWM in %s", status)
	}
	kilobytes, err := strconv.Atoi(string(found[1]))
	if err != nil {
		p.t.Fatal(err)
	}
	return kilobytes / 1024
}

func TestServeAggregator_StaysBelow512MBWhateverTheBacklog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	broker := startBroker(t, filepath.Join(dir, "nats"), port)
	engine, err := embedded.StartClickHouse(t.Context(), embedded.ClickHouseConfig{Dir: filepath.Join(dir, "clickhouse")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Stop)
	nc, err := nats.Connect(broker.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Ensure(t.Context(), js, 1); err != nil {
		t.Fatal(err)
	}
	filled, err := dealtest.NewBulk(300_000, 1).Fill(t.Context(), js, nil) // several full inserts
	if err != nil {
		t.Fatal(err)
	}
	serve := func(service string) *process {
		return launch(t, "serve", service, "--data", dir, "--log-level", "warn", "--nats-url", broker.url, "--clickhouse-dsn", engine.DSN())
	}
	key := serve(serviceDirectory).waitFor(operatorLine)
	aggregator := serve(serviceAggregator)
	ready(t, aggregator.url)
	out, code := result(t, "rebuild", "--url", aggregator.url, "--key", key) // beside what is served
	if code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	contains(t, out, fmt.Sprintf("rebuilt up to event %d", filled.Events))
	if peak := aggregator.peakMegabytes(); peak >= 512 {
		t.Errorf("%d MB for %d events of %d MB", peak, filled.Events, filled.Bytes>>20)
	} else {
		t.Logf("%d MB for %d events of %d MB", peak, filled.Events, filled.Bytes>>20)
	}
	aggregator.stop()
}
