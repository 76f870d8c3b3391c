// Package rostertest starts a NATS server inside the test process, with the directory's buckets and a roster that
// follows them.
package rostertest

import (
	"context"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/roster"
)

const patience = 20 * time.Second // a test that waits longer has failed

// Server is a NATS server with a file store that outlives Stop and Start.
type Server struct {
	t    testing.TB
	dir  string
	port int
	run  *server.Server
}

// NewServer starts a server on a free port of the loopback and stops it with the test.
func NewServer(t testing.TB) *Server {
	t.Helper()
	s := &Server{t: t, dir: t.TempDir()}
	for s.run == nil {
		s.port = freePort(t)
		s.run = s.start()
	}
	t.Cleanup(s.Stop)
	return s
}

// freePort finds a port that nobody listens on, below those that the kernel gives to connections.
func freePort(t testing.TB) int {
	t.Helper()
	var listen net.ListenConfig
	for {
		port := 20000 + rand.IntN(12000) //nolint:gosec // no secret
		l, err := listen.Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
}

// start gives nil when somebody took the port.
func (s *Server) start() *server.Server {
	run, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: s.port, JetStream: true, StoreDir: s.dir, NoSigs: true, NoLog: true,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	run.Start()
	if !run.ReadyForConnections(patience) {
		run.Shutdown()
		return nil
	}
	return run
}

// Stop takes the server away; its store stays.
func (s *Server) Stop() {
	if s.run != nil {
		s.run.Shutdown()
		s.run.WaitForShutdown()
		s.run = nil
	}
}

// Start brings the server back on the same port.
func (s *Server) Start() {
	if s.run = s.start(); s.run == nil {
		s.t.Fatal("the port was taken")
	}
}

// Dir is where its store is, for tests that damage it or bring an older one back while the server is stopped.
func (s *Server) Dir() string { return s.dir }

// URL is where clients find the server, also while it is away.
func (s *Server) URL() string { return "nats://127.0.0.1:" + strconv.Itoa(s.port) }

// Connect gives a connection that comes back by itself within milliseconds, whether or not the server is there now.
func (s *Server) Connect() jetstream.JetStream {
	s.t.Helper()
	nc, err := nats.Connect(s.URL(), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		s.t.Fatal(err)
	}
	return js
}

// New gives a store and a loaded roster on a server of their own.
func New(t testing.TB) (*roster.Store, *roster.Roster) {
	t.Helper()
	js := NewServer(t).Connect()
	if err := roster.CreateBuckets(t.Context(), js, 1); err != nil {
		t.Fatal(err)
	}
	return roster.NewStore(js), Follow(t, js)
}

// Follow gives a loaded roster that runs until the test ends.
func Follow(t testing.TB, js jetstream.JetStream) *roster.Roster {
	t.Helper()
	r := roster.New(js, nil, nil)
	Run(t, r)
	select {
	case <-r.Loaded():
	case <-time.After(patience):
		t.Fatal("the roster was not loaded")
	}
	return r
}

// Runner is what Run runs.
type Runner interface {
	Run(ctx context.Context) error
}

// Run runs a part until the test ends, and waits for its end.
func Run(t testing.TB, part Runner) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- part.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}
