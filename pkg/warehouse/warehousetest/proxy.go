package warehousetest

import (
	"context"
	"errors"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy lies between a client and the engine, and loses or delays answers. It always lets through what the client sent: the
// embedded engine aborts when a client goes away in the middle of an insert, and all tests share the engine.
type Proxy struct {
	DSN    string // of the same database, through the proxy
	engine string
	lose   atomic.Bool
	late   atomic.Int64 // nanoseconds
	open   sync.WaitGroup
}

// NewProxy gives a proxy for the DSN until the test ends.
func NewProxy(t testing.TB, dsn string) *Proxy {
	t.Helper()
	address, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{engine: address.Host}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address.Host = listener.Addr().String()
	p.DSN = address.String()
	p.open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			engine, err := (&net.Dialer{}).DialContext(context.WithoutCancel(t.Context()), "tcp", p.engine)
			if err != nil {
				_ = client.Close()
				continue
			}
			l := &link{client: client.(*net.TCPConn), engine: engine.(*net.TCPConn)}
			p.open.Go(l.forward)
			p.open.Go(func() { l.answer(p) })
		}
	})
	t.Cleanup(func() { _ = listener.Close(); p.open.Wait() })
	return p
}

// LoseAnswers makes the proxy swallow the engine's next answer to an insert of more than 4 KiB, and end the connection
// on which it came.
func (p *Proxy) LoseAnswers() { p.lose.Store(true) }

// DelayAnswers makes the proxy hold each answer back for so long.
func (p *Proxy) DelayAnswers(by time.Duration) { p.late.Store(int64(by)) }

// link is one connection through the proxy. The engine answers an insert twice: to the statement, which is short, and
// to its rows.
type link struct {
	client, engine *net.TCPConn
	asked          atomic.Int64 // bytes since the last answer
}

// forward carries requests until the client is gone.
func (l *link) forward() {
	defer func() { _ = l.engine.Close() }()
	buffer := make([]byte, 64<<10)
	for {
		n, err := l.client.Read(buffer)
		l.asked.Add(int64(n))
		if _, writeErr := l.engine.Write(buffer[:n]); errors.Join(err, writeErr) != nil {
			return
		}
	}
}

// answer carries answers until one is to be lost. It then ends only its own direction, so that the engine gets the
// rest of what the client sent.
func (l *link) answer(p *Proxy) {
	defer func() { _ = l.client.CloseWrite() }()
	buffer := make([]byte, 64<<10)
	for {
		n, err := l.engine.Read(buffer)
		if err != nil || l.asked.Swap(0) > 4<<10 && p.lose.CompareAndSwap(true, false) {
			return
		}
		<-time.After(time.Duration(p.late.Load()))
		if _, err := l.client.Write(buffer[:n]); err != nil {
			return
		}
	}
}
