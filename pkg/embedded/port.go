package embedded

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Loopback is the only address on which the embedded engines listen.
const Loopback = "127.0.0.1"

// Ports from firstPort up to but not including lastPort lie below the range from which systems take the local ports of
// outgoing connections, so that no such connection can take a port between its choice and its use.
const (
	firstPort = 20000
	lastPort  = 32000
)

// given are the ports that this process has chosen: nobody may listen on one yet when the next is chosen.
var given sync.Map

// FreePort returns a TCP port in 20000..31999 on which nothing listens on the loopback interface, a different one each
// time. It does not reserve it: another process may take it before the caller does.
func FreePort() (int, error) {
	var err error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort) //nolint:gosec // a port is no secret
		if _, again := given.LoadOrStore(port, true); again {
			continue
		}
		if err = portIsFree(net.JoinHostPort(Loopback, strconv.Itoa(port))); err == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no free port in %d..%d: %w", firstPort, lastPort-1, err)
}

// portIsFree returns nil when nothing listens on addr.
func portIsFree(addr string) error {
	l, err := net.Listen("tcp", addr) //nolint:noctx // answers at once
	if err != nil {
		return err
	}
	return l.Close()
}
