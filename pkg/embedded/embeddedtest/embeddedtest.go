// Package embeddedtest gives tests the real engines: one ClickHouse for all tests of a process, a NATS server for each.
//
// A missing engine fails the run; nothing here skips a test.
package embeddedtest

import (
	"context"
	"flag"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/nats-io/nats.go"

	"github.com/dealreg/dealreg/pkg/embedded"
)

var shared struct {
	once   sync.Once
	dir    string
	engine *embedded.ClickHouse
	err    error
}

// Main is the body of the TestMain of every package whose tests call ClickHouse:
//
//	func TestMain(m *testing.M) { os.Exit(embeddedtest.Main(m)) }
//
// It returns the exit code of the tests after it has stopped the engine and removed its data. Without -parallel twice as many
// parallel tests run at once as there are processors, because they wait for engines and disks more than they compute.
func Main(m *testing.M) int {
	embedded.RunEngineIfAsked()
	if err := flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0))); err != nil { // the command line's comes after it
		panic(err)
	}
	code := m.Run()
	if shared.engine != nil {
		shared.engine.Stop()
	}
	if shared.dir != "" {
		_ = os.RemoveAll(shared.dir)
	}
	return code
}

// ClickHouse returns the DSN of an engine that all tests of this process share and that starts with the first call.
// Make a database of your own in it. The first call on a machine fetches the engine, which takes a minute.
func ClickHouse(tb testing.TB) string {
	tb.Helper()
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "dealreg-clickhouse-*"); shared.err == nil { //nolint:usetesting // outlives the test
			shared.engine, shared.err = embedded.StartClickHouse(context.WithoutCancel(tb.Context()), embedded.ClickHouseConfig{Dir: shared.dir})
		}
	})
	if shared.err != nil {
		tb.Fatal(shared.err)
	}
	return shared.engine.DSN()
}

// NATS returns a client of a new, empty broker with a file store. Both end with the test.
func NATS(tb testing.TB) *nats.Conn {
	tb.Helper()
	broker, err := embedded.StartNATS(embedded.NATSConfig{Dir: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(broker.Stop)
	conn, err := broker.Connect()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(conn.Close)
	return conn
}

// Connect opens a connection to the ClickHouse of the DSN, which ends with the test.
func Connect(tb testing.TB, dsn string) driver.Conn {
	tb.Helper()
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close() })
	return conn
}
