package embedded_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
)

func startNATS(t *testing.T, cfg embedded.NATSConfig, opts ...nats.Option) (*embedded.NATS, jetstream.JetStream) {
	t.Helper()
	broker, err := embedded.StartNATS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Stop)
	conn, err := broker.Connect(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return broker, js
}

// reconnected returns a signal of the client that has the option.
func reconnected() (<-chan struct{}, nats.Option) {
	back := make(chan struct{}, 1)
	return back, nats.ReconnectHandler(func(*nats.Conn) {
		select {
		case back <- struct{}{}:
		default:
		}
	})
}

func TestNATS_KeepsMessagesOverRestarts(t *testing.T) {
	t.Parallel()
	cfg := embedded.NATSConfig{Dir: t.TempDir()}
	back, isBack := reconnected()
	broker, js := startNATS(t, cfg, isBack)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Storage: jetstream.FileStorage}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "s.a", []byte("one")); err != nil {
		t.Fatal(err)
	}
	if !broker.SyncsAlways() {
		t.Error("messages are acknowledged before they are on disk")
	}

	// The same client goes on after a restart of the server beneath it.
	if err := broker.Restart(); err != nil {
		t.Fatal(err)
	}
	<-back
	if _, err := js.Publish(t.Context(), "s.b", []byte("two")); err != nil {
		t.Fatal(err)
	}
	broker.Stop()
	broker.Stop()

	_, js = startNATS(t, cfg)
	stream, err := js.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	for subject, want := range map[string]string{"s.a": "one", "s.b": "two"} {
		msg, err := stream.GetLastMsgForSubject(t.Context(), subject)
		if err != nil || string(msg.Data) != want {
			t.Errorf("%s = %v, %v, want %q", subject, msg, err, want)
		}
	}
}

func TestNATS_RunRestartsADisabledStore(t *testing.T) {
	t.Parallel()
	back, isBack := reconnected()
	broker, js := startNATS(t, embedded.NATSConfig{Dir: t.TempDir()}, isBack)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- broker.Run(ctx) }()
	if err := broker.LoseStore(); err != nil {
		t.Fatal(err)
	}
	<-back
	if _, err := js.AccountInfo(t.Context()); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if _, err := broker.Connect(nats.Timeout(time.Second)); err == nil {
		t.Error("the broker still answers")
	}
}

func TestNATS_RefusesAFolderInUse(t *testing.T) {
	t.Parallel()
	cfg := embedded.NATSConfig{Dir: t.TempDir()}
	startNATS(t, cfg)
	if _, err := embedded.StartNATS(cfg); err == nil || !strings.Contains(err.Error(), "another dealreg uses "+cfg.Dir) {
		t.Errorf("a second broker on the folder: %v", err)
	}
}

func TestNATS_ListensOnTheLoopbackWhenAsked(t *testing.T) {
	t.Parallel()
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	broker, _ := startNATS(t, embedded.NATSConfig{Dir: t.TempDir(), Port: port})
	conn, err := nats.Connect(broker.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if !strings.HasPrefix(broker.ClientURL(), "nats://127.0.0.1:") {
		t.Errorf("listens on %s", broker.ClientURL())
	}
}

func TestNATS_IsFreshForEachTest(t *testing.T) {
	t.Parallel()
	js, err := jetstream.New(embeddedtest.NATS(t))
	if err != nil {
		t.Fatal(err)
	}
	info, err := js.AccountInfo(t.Context())
	if err != nil || info.Streams != 0 {
		t.Errorf("info = %v, %v, want no streams", info, err)
	}
}
