package embedded

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
)

// The environment of a re-executed child. Either variable makes it an engine.
const (
	libraryEnv = "DEALREG_ENGINE_LIBRARY" // path of the shared library to load
	serverEnv  = "DEALREG_ENGINE_SERVER"  // path of the `clickhouse` binary to start
)

// Files that the child expects in its working directory.
const (
	configFile = "config.xml"
	openFile   = "open.sql"
)

// aliveFD is the read end of a pipe whose only write end is the parent's. Nothing is ever written to it: it ends when
// the parent closes it or dies.
const aliveFD = "/dev/fd/3"

// stopWithin bounds how long an engine may take to end before it is killed.
const stopWithin = 10 * time.Second

// RunEngineIfAsked turns a process that StartClickHouse re-executed into the engine and then never returns. It is the
// first statement of main and of every TestMain whose tests start a ClickHouse; in any other process it does nothing.
func RunEngineIfAsked() {
	library, server := os.Getenv(libraryEnv), os.Getenv(serverEnv)
	if library == "" && server == "" {
		return
	}
	syscall.Umask(0o077)
	alive, err := os.Open(aliveFD)
	if err != nil {
		exit(err)
	}
	ended := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, alive)
		close(ended)
	}()
	if server != "" {
		exit(runServer(server, ended))
	}
	go func() {
		<-ended // the engine reads the same pipe and ends by itself
		<-time.After(stopWithin)
		os.Exit(1)
	}()
	exit(runLibrary(library))
}

func exit(err error) {
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1)
	}
	os.Exit(0)
}

// runLibrary runs the engine on this thread. Its command line reads two files of queries: the first opens the port,
// the second is the pipe, on which it waits until the parent is gone. Reading it needs no grant.
func runLibrary(path string) error {
	runtime.LockOSThread()
	library, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return err
	}
	var commandLine func(argc int32, argv **byte) uintptr
	var errorOf func(result uintptr) string
	purego.RegisterLibFunc(&commandLine, library, "chdb_query_cmdline")
	purego.RegisterLibFunc(&errorOf, library, "chdb_result_error")
	argv := cStrings("clickhouse-local", "--config-file="+configFile, "--queries-file", openFile, "--queries-file", aliveFD)
	result := commandLine(int32(len(argv)-1), unsafe.SliceData(argv)) //nolint:gosec // six arguments
	runtime.KeepAlive(argv)
	if result == 0 {
		return errors.New("the engine ended without a reason")
	}
	if text := errorOf(result); text != "" {
		return errors.New(text)
	}
	return nil
}

// cStrings returns an argv: zero terminated strings and a nil at the end.
func cStrings(args ...string) []*byte {
	argv := make([]*byte, len(args)+1)
	for i, arg := range args {
		argv[i] = unsafe.SliceData(append([]byte(arg), 0)) //nolint:gosec // the slice keeps it alive
	}
	return argv
}

// runServer runs the binary until it ends or the parent is gone.
func runServer(path string, ended <-chan struct{}) error {
	config, err := filepath.Abs(configFile)
	if err != nil {
		return err
	}
	cmd := exec.Command(path, "server", "--config-file="+config) //nolint:gosec,noctx // found on PATH; ended below
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-ended:
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-done:
	case <-time.After(stopWithin):
		_ = cmd.Process.Kill()
		<-done
	}
	return nil
}
