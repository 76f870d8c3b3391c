package embedded

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// Loopback is the only address on which the embedded engines listen.
const Loopback = "127.0.0.1"

// Ports from firstPort up to but not including lastPort lie below the range from which systems take the local ports of
// outgoing connections, so that no such connection can take a port between its choice and its use.
const (
	firstPort = 20000
	lastPort  = 32000
)

// forkWithin bounds the time between the fork of a child and its own program.
const forkWithin = 200 * time.Millisecond

// given holds a lock for each port that this process has chosen, until it ends: between the choice of a port and its use
// another process of dealreg may be choosing too.
var given sync.Map

// FreePort returns a TCP port in 20000..31999 on which nothing listens on the loopback interface, and which no process
// of dealreg that this user runs was given before. A process of another kind may still take it before the caller does.
func FreePort() (int, error) {
	locks := filepath.Join(os.TempDir(), "dealreg-ports-"+strconv.Itoa(os.Getuid()))
	if err := os.MkdirAll(locks, 0o700); err != nil {
		return 0, fmt.Errorf("choose a port: %w", err)
	}
	var err error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // a port is no secret
		lock, lockErr := tryLock(filepath.Join(locks, strconv.Itoa(port)))
		if err = lockErr; err != nil {
			continue
		}
		given.Store(port, lock)
		if err = portIsFree(net.JoinHostPort(Loopback, strconv.Itoa(port))); err == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port in %d..%d: %w", firstPort, lastPort-1, err)
}

// portIsFree returns nil when nothing listens on addr. It looks for a moment: a listener that was closed just now lives on
// in a child that another part of this process is starting, until that child runs its own program.
func portIsFree(addr string) error {
	var err error
	for end := time.After(forkWithin); ; {
		var l net.Listener
		if l, err = net.Listen("tcp", addr); err == nil { //nolint:noctx // answers at once
			return l.Close()
		}
		select {
		case <-end:
			return err
		case <-time.After(forkWithin / 20):
		}
	}
}
