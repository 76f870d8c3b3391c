package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// readyWithin bounds the start of an engine, which loads its tables first.
const readyWithin = time.Minute

// child is one run of the engine's process.
type child struct {
	cmd    *exec.Cmd
	alive  *os.File // closing it asks the engine to end
	output string   // path of the file with what it printed
	done   chan struct{}
	err    error // set before done is closed
}

// startChild re-executes this binary as the engine with dir as its working directory. The child holds a copy of lock.
func startChild(dir string, e engine, lock *os.File) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		return nil, err
	}
	output, err := os.OpenFile(filepath.Join(dir, "output.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // the operator's folder
	if err != nil {
		return nil, err
	}
	defer output.Close() // the child holds its own copy
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close()        // as above
	cmd := exec.Command(self) //nolint:gosec,noctx // this very binary; ended by stop
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), libraryEnv+"="+e.library, serverEnv+"="+e.server)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{read, lock}
	// A group of its own: Ctrl-C reaches the parent only, which drains before it ends the engine.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		_ = write.Close()
		return nil, err
	}
	c := &child{cmd: cmd, alive: write, output: output.Name(), done: make(chan struct{})}
	go func() {
		c.err = cmd.Wait()
		_ = write.Close()
		if e.server != "" { // what it started ends with it
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}
		close(c.done)
	}()
	return c, nil
}

// ready waits until the engine answers, or returns why it does not.
func (c *child) ready(ctx context.Context, dsn string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, fmt.Errorf("no answer within %v", readyWithin))
	defer cancel()
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return err
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = selectOne(ctx, options); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-c.done:
			return c.failure()
		case <-tick.C:
		}
	}
}

func selectOne(ctx context.Context, options *clickhouse.Options) error {
	conn, err := clickhouse.Open(options)
	if err != nil {
		return err
	}
	defer conn.Close() // nothing was written
	var one uint8
	return conn.QueryRow(ctx, "SELECT 1").Scan(&one)
}

// failure says why a child that is done has ended.
func (c *child) failure() error {
	why := "ended without an error"
	if c.err != nil {
		why = c.err.Error()
	}
	// A stack trace may follow the message.
	printed, _ := os.ReadFile(c.output)
	for line := range strings.Lines(string(printed)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "Logging ") {
			return fmt.Errorf("engine %s: %s", why, line)
		}
	}
	return fmt.Errorf("engine %s", why)
}

// stop ends the engine, kills it when that takes too long, and returns when it is gone. The engine takes milliseconds,
// and five seconds when queries still run.
func (c *child) stop() {
	_ = c.alive.Close()
	kill := time.AfterFunc(stopWithin, func() { _ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) })
	<-c.done
	kill.Stop()
}
