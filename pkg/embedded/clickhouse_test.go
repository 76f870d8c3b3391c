package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/lifecycle"
)

// parentEnv makes this binary a process that starts an engine in that folder, says its DSN and waits to be killed.
const parentEnv = "DEALREG_TEST_PARENT"

func TestMain(m *testing.M) {
	embedded.RunEngineIfAsked()
	if dir := os.Getenv(parentEnv); dir != "" {
		ch, err := embedded.StartClickHouse(context.Background(), embedded.ClickHouseConfig{Dir: dir})
		if err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString(ch.DSN() + "\n")
		select {}
	}
	code := embeddedtest.Main(m)
	if err := goleak.Find(); err != nil && code == 0 {
		_, _ = os.Stderr.WriteString(err.Error())
		code = 1
	}
	os.Exit(code)
}

func start(t *testing.T, cfg embedded.ClickHouseConfig) *embedded.ClickHouse {
	t.Helper()
	ch, err := embedded.StartClickHouse(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ch.Stop)
	return ch
}

func exe(t *testing.T, conn driver.Conn, queries ...string) {
	t.Helper()
	for _, q := range queries {
		if err := conn.Exec(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

func count(t *testing.T, conn driver.Conn) (n uint64) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), "SELECT count() FROM d.t").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

var threeRows = []string{
	"CREATE DATABASE IF NOT EXISTS d ENGINE = Atomic",
	"CREATE TABLE d.t (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS fsync_after_insert = 1, fsync_part_directory = 1",
	"INSERT INTO d.t SELECT number FROM numbers(3)",
}

func TestClickHouse_AnswersAndKeepsDataOverRestarts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ch := start(t, embedded.ClickHouseConfig{Dir: dir})
	conn := embeddedtest.Connect(t, ch.DSN())
	exe(t, conn, threeRows...)
	if n := count(t, conn); n != 3 {
		t.Fatalf("%d rows, want 3", n)
	}
	_ = conn.Close()
	ch.Stop()
	ch.Stop()
	if n := count(t, embeddedtest.Connect(t, start(t, embedded.ClickHouseConfig{Dir: dir}).DSN())); n != 3 {
		t.Errorf("%d rows after a restart, want 3", n)
	}
}

func TestClickHouse_RunStopsTheEngineWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	ch := start(t, embedded.ClickHouseConfig{Dir: t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ch.Run(ctx); err != nil {
		t.Fatalf("Run = %v, want nil", err)
	}
	if err := embeddedtest.Connect(t, ch.DSN()).Ping(t.Context()); err == nil {
		t.Error("the engine still answers")
	}
}

func TestClickHouse_RefusesAnonymousQueries(t *testing.T) {
	t.Parallel()
	ch := start(t, embedded.ClickHouseConfig{Dir: t.TempDir()})
	options, err := clickhouse.ParseDSN(ch.DSN())
	if err != nil {
		t.Fatal(err)
	}
	anonymous := embeddedtest.Connect(t, "clickhouse://"+options.Addr[0]+"/")
	for _, q := range []string{
		"SELECT 1", "SELECT 1 SETTINGS max_ast_elements = 1000", "SELECT sleep(3)", "SELECT name FROM system.tables",
		"SET max_ast_elements = 1000", "SHOW DATABASES", "CREATE TABLE t (a Int8) ENGINE = Memory", "KILL QUERY WHERE 1",
		"SYSTEM STOP LISTEN TCP", "SYSTEM START LISTEN HTTP", "SYSTEM SHUTDOWN",
	} {
		if err := anonymous.Exec(t.Context(), q); !errors.As(err, new(*clickhouse.Exception)) {
			t.Errorf("%s: %v, want an exception", q, err)
		}
	}
	if err := embeddedtest.Connect(t, ch.DSN()).Ping(t.Context()); err != nil {
		t.Errorf("the engine's own user: %v", err)
	}
}

func TestClickHouse_KeepsQueriesOutOfItsLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ch := start(t, embedded.ClickHouseConfig{Dir: dir})
	conn := embeddedtest.Connect(t, ch.DSN())
	for _, q := range []string{"SELECT 'sub rosa' AND", "SELECT toUInt8('sub rosa')", "SELECT * FROM no.table WHERE a = 'sub rosa'"} {
		if err := conn.Exec(t.Context(), q); err == nil {
			t.Errorf("%s: no error", q)
		}
	}
	options, _ := clickhouse.ParseDSN(ch.DSN())
	ch.Stop()
	for _, pattern := range []string{"*.log", "*.xml", "*.sql"} {
		files, _ := filepath.Glob(filepath.Join(dir, pattern))
		if len(files) == 0 {
			t.Errorf("no %s", pattern)
		}
		for _, name := range files {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v, want it private", name, info.Mode())
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "sub rosa") || strings.Contains(string(text), options.Auth.Password) {
				t.Errorf("%s tells:\n%s", name, text)
			}
		}
	}
}

func TestClickHouse_StartsAKilledEngineAgainWithItsData(t *testing.T) {
	t.Parallel()
	again := make(chan struct{}, 10)
	log := zap.New(signalCore{zapcore.NewNopCore(), "engine started again", again})
	health := lifecycle.NewHealth()
	ch := start(t, embedded.ClickHouseConfig{Dir: t.TempDir(), Log: log, Health: health})
	conn := embeddedtest.Connect(t, ch.DSN())
	exe(t, conn, threeRows...)
	dsn := ch.DSN()
	for range 2 {
		// The engine kills itself with SIGKILL, so it cannot answer.
		if err := conn.Exec(t.Context(), "SYSTEM KILL"); err == nil {
			t.Fatal("the engine survived")
		}
		<-again
		if ch.DSN() != dsn {
			t.Fatal("the DSN changed")
		}
		if failing := health.Failing(); len(failing) != 0 {
			t.Errorf("failing: %v", failing)
		}
		// A pooled connection to the dead engine may have to fail first.
		_ = conn.Ping(t.Context())
		if n := count(t, conn); n != 3 {
			t.Errorf("%d rows, want 3", n)
		}
	}
}

// signalCore sends when a message is logged.
type signalCore struct {
	zapcore.Core
	message string
	seen    chan<- struct{}
}

func (signalCore) Enabled(zapcore.Level) bool { return true }

func (c signalCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return checked.AddCore(e, c)
}

func (c signalCore) Write(e zapcore.Entry, _ []zapcore.Field) error {
	if e.Message == c.message {
		c.seen <- struct{}{}
	}
	return nil
}

func TestClickHouse_EngineEndsWithItsKilledParent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.CommandContext(t.Context(), self)
	parent.Env = append(os.Environ(), parentEnv+"="+dir)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	dsn, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	dsn = strings.TrimSpace(dsn)
	conn := embeddedtest.Connect(t, dsn)
	exe(t, conn, threeRows...)
	// A query that still runs must not keep the engine alive.
	sleeping := make(chan error, 1)
	go func() {
		sleeping <- embeddedtest.Connect(t, dsn).Exec(t.Context(), "SELECT sleepEachRow(1) FROM numbers(600) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0")
	}()
	for n := uint64(0); n == 0; {
		if err := conn.QueryRow(t.Context(), "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sleepEachRow%'").Scan(&n); err != nil {
			t.Fatal(err)
		}
	}

	if _, err := embedded.StartClickHouse(t.Context(), embedded.ClickHouseConfig{Dir: dir}); err == nil || !strings.Contains(err.Error(), "another dealreg uses "+dir) {
		t.Errorf("a second process on the folder: %v", err)
	}

	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	// It starts only when the old engine has let go of the folder.
	if n := count(t, embeddedtest.Connect(t, start(t, embedded.ClickHouseConfig{Dir: dir}).DSN())); n != 3 {
		t.Errorf("%d rows, want 3", n)
	}
	if err := <-sleeping; err == nil {
		t.Error("the query of the killed process went on")
	}
	if err := embeddedtest.Connect(t, dsn).Ping(t.Context()); err == nil {
		t.Error("the old engine still answers")
	}
}

func TestClickHouse_SaysWhyItDoesNotStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "data"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.StartClickHouse(t.Context(), embedded.ClickHouseConfig{Dir: dir}); err == nil || !strings.Contains(err.Error(), "data") {
		t.Errorf("a file where the data should be: %v", err)
	}
	dir = t.TempDir()
	blocker := start(t, embedded.ClickHouseConfig{Dir: t.TempDir()})
	options, _ := clickhouse.ParseDSN(blocker.DSN())
	var port int
	if _, err := fmt.Sscanf(options.Addr[0], "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.StartClickHouse(t.Context(), embedded.ClickHouseConfig{Dir: dir, Port: port}); err == nil || !strings.Contains(err.Error(), "ddress already in use") {
		t.Errorf("a port in use: %v", err)
	}
}
