package warehouse

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// partAfter bounds how long a closed connection waits for the server to end it too.
const partAfter = 10 * time.Second

// dialKindly connects to a server whose connections end without a reset.
func dialKindly(ctx context.Context, address string, timeout time.Duration) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: timeout}).DialContext(ctx, "tcp", address)
	if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
		return &kindConn{Conn: conn, tcp: tcp}, nil
	}
	return conn, err
}

// kindConn ends its own direction when it is closed and takes what the server still sends. A socket that is closed with
// an unread answer, as after a query that was broken off, is reset instead, and the embedded engine aborts when its next
// read meets that (clickhouse 26.7.2: Connection reset by peer, uncaught).
type kindConn struct {
	net.Conn // the same as tcp, without its ways around Read
	tcp      *net.TCPConn
	closing  sync.Once
	closed   atomic.Bool
	reading  sync.Mutex // held while the client reads
}

// Read fails with net.ErrClosed once the connection is closed, also when it waited before.
func (c *kindConn) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	n, err := c.tcp.Read(p)
	if err != nil && c.closed.Load() {
		return n, net.ErrClosed
	}
	return n, err
}

// SyscallConn lets the client look whether an idle connection still is one.
func (c *kindConn) SyscallConn() (syscall.RawConn, error) { return c.tcp.SyscallConn() }

// Close does not wait for the server.
func (c *kindConn) Close() error {
	c.closing.Do(func() {
		c.closed.Store(true)
		_ = c.tcp.CloseWrite()
		_ = c.tcp.SetReadDeadline(time.Unix(1, 0)) // ends a read that waits
		go c.drain()
	})
	return nil
}

// drain takes what comes until the server ends its direction too.
func (c *kindConn) drain() {
	late := time.AfterFunc(partAfter, func() { _ = c.tcp.Close() })
	defer late.Stop()
	c.reading.Lock() // the client's last read has left
	_ = c.tcp.SetReadDeadline(time.Time{})
	c.reading.Unlock()
	_, _ = io.Copy(io.Discard, c.tcp)
	_ = c.tcp.Close()
}
