package embedded

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fakeServer is a `clickhouse` that tells its arguments through a pipe, tells "term" when it is asked to end, and ends.
func fakeServer(t *testing.T) (binary string, says *bufio.Reader) {
	t.Helper()
	dir := t.TempDir()
	fifo := filepath.Join(dir, "says")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	// Opened for writing too, so that opening waits for nobody.
	f, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	binary = filepath.Join(dir, "clickhouse")
	script := fmt.Sprintf("#!/bin/sh\ntrap 'echo term >%[1]s; exit 0' TERM\necho \"$@\" >%[1]s\nwhile :; do sleep 0.05; done\n", fifo)
	if err := os.WriteFile(binary, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return binary, bufio.NewReader(f)
}

func startFake(t *testing.T) (running *child, dir string, says *bufio.Reader) {
	t.Helper()
	binary, says := fakeServer(t)
	dir = t.TempDir()
	lock, err := tryLock(filepath.Join(dir, "engine.lock"))
	if err != nil {
		t.Fatal(err)
	}
	running, err = startChild(dir, engine{server: binary}, lock)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	if line, err := says.ReadString('\n'); err != nil || !strings.HasPrefix(line, "server --config-file="+dir+"/") {
		t.Fatalf("started with %q, %v", line, err)
	}
	return running, dir, says
}

func TestChild_ServerOnPathIsAskedToEnd(t *testing.T) {
	t.Parallel()
	running, _, says := startFake(t)
	running.stop()
	if line, err := says.ReadString('\n'); err != nil || line != "term\n" {
		t.Errorf("the server heard %q, %v", line, err)
	}
}

func TestChild_ServerOnPathHoldsTheLockAndDiesWithItsChild(t *testing.T) {
	t.Parallel()
	running, dir, _ := startFake(t)
	path := filepath.Join(dir, "engine.lock")
	if f, err := tryLock(path); err == nil {
		t.Error("the lock is free while the engine runs")
		_ = f.Close()
	}
	if err := running.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-running.done
	ctx, cancel := context.WithTimeout(t.Context(), stopWithin)
	defer cancel()
	f, err := waitLock(ctx, path)
	if err != nil {
		t.Fatalf("the server outlived its parent: %v", err)
	}
	_ = f.Close()
}
