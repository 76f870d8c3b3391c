package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealtest"
	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/stream"
)

// crowd is so many writers of one log that their events go as atomic batches, which the broker takes to the disk in another
// way than single events. It keeps what each was told.
type crowd struct {
	t   *testing.T
	js  jetstream.JetStream
	log *stream.Log
	end func() // returns when each writer knows of its last event

	mu   sync.Mutex
	told map[uint64][]byte // every acknowledged event
}

const crowdWriters = 64

// newCrowd lets the writers begin at the broker, which may go and come back.
func newCrowd(t *testing.T, nc *nats.Conn) *crowd {
	t.Helper()
	c := &crowd{t: t, told: map[uint64][]byte{}}
	var err error
	if c.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	if err := stream.Ensure(t.Context(), c.js, 1); err != nil {
		t.Fatal(err)
	}
	if c.log, err = stream.NewLog(nc); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var writers sync.WaitGroup
	example := dealtest.NewWorkload(1, dealtest.Seeded(1)).Next().Event
	for range crowdWriters {
		writers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				e := example
				e.Deal.ID = deal.ID(uuid.New())
				if !c.insist(e) {
					return
				}
			}
		})
	}
	c.end = sync.OnceFunc(func() { close(stop); writers.Wait() })
	t.Cleanup(c.end)
	return c
}

// crowdConn is a connection to a broker that may go and come back.
func crowdConn(t *testing.T, url string) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// insist appends the event until that is acknowledged.
func (c *crowd) insist(e stream.Event) bool {
	d, err := stream.NewDraft(e, nil)
	if err != nil {
		c.t.Error(err)
		return false
	}
	for late := time.Now().Add(patience); ; {
		ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
		sequence, err := c.log.Append(ctx, d)
		cancel()
		if err == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.told[sequence] != nil {
				c.t.Errorf("sequence %d was told to two writers", sequence)
			}
			c.told[sequence] = d.Payload
			return true
		}
		if time.Now().After(late) || pause(c.t.Context(), 20*time.Millisecond) != nil {
			c.t.Error(err)
			return false
		}
	}
}

// acknowledged is how many events there are.
func (c *crowd) acknowledged() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.told)
}

// more waits until that many more events were acknowledged, for each writer on average.
func (c *crowd) more(n int) {
	c.t.Helper()
	late := time.Now().Add(patience)
	for want := c.acknowledged() + n*crowdWriters; c.acknowledged() < want; {
		if time.Now().After(late) || pause(c.t.Context(), time.Millisecond) != nil {
			c.t.Fatalf("%d events are missing after %v: the log does not go on by itself", want-c.acknowledged(), patience)
		}
	}
}

// check holds the log to what the writers were told: it has exactly their events, each where its writer was told. Batches
// must be among the first ones.
func (c *crowd) check(first int) {
	c.t.Helper()
	c.end()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	consumer, err := c.js.OrderedConsumer(ctx, stream.DealsStream, jetstream.OrderedConsumerConfig{})
	if err != nil {
		c.t.Fatal(err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		c.t.Fatal(err)
	}
	defer messages.Stop()
	missing, batched := len(c.told), 0
	for range consumer.CachedInfo().NumPending {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			c.t.Fatal(err)
		}
		at, err := m.Metadata()
		if err != nil {
			c.t.Fatal(err)
		}
		if bytes.Equal(c.told[at.Sequence.Stream], m.Data()) {
			missing--
		} else {
			c.t.Errorf("nobody was told of the event at %d", at.Sequence.Stream)
		}
		if m.Headers().Get(jetstreamext.BatchIDHeader) != "" && at.Sequence.Stream <= uint64(first) { // #nosec G115 -- some thousand
			batched++
		}
	}
	if missing != 0 {
		c.t.Errorf("%d of %d acknowledged events are not in the log", missing, len(c.told))
	}
	c.t.Logf("%d of the first %d events came in batches, of %d", batched, first, len(c.told))
	if batched == 0 {
		c.t.Error("nothing was written in batches")
	}
}

func TestChaos_BatchesAreNeitherLostNorTwiceWhenAcknowledgementsAreLost(t *testing.T) {
	t.Parallel()
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	startBroker(t, filepath.Join(t.TempDir(), "nats"), port)
	wire := newWire(t, fmt.Sprintf("127.0.0.1:%d", port))
	c := newCrowd(t, crowdConn(t, fmt.Sprintf("nats://127.0.0.1:%d", wire.port)))
	for range 2 {
		c.more(2)
		wire.lose.Store(loseAcks)
		wire.hasLost(t, &wire.batchAcks)
		wire.lose.Store(loseNothing)
	}
	acknowledged := c.acknowledged()
	c.more(2)
	c.check(acknowledged)
}

func TestChaos_BatchesGoOnWhenTheDiskHasRoomAgain(t *testing.T) {
	t.Parallel()
	const room = "size=1g"
	disk := memoryDisk(t, room)
	health := lifecycle.NewHealth()
	broker, err := embedded.StartNATS(embedded.NATSConfig{Dir: filepath.Join(disk, "nats"), Health: health})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- broker.Run(ctx) }()
	t.Cleanup(func() { stop(); <-ended })
	nc, err := broker.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	c := newCrowd(t, nc)
	c.more(2)
	shrink(t, disk)
	for late := time.Now().Add(patience); len(health.Failing()) == 0; {
		if time.Now().After(late) || pause(t.Context(), 10*time.Millisecond) != nil {
			t.Fatal("the broker does not notice that its disk is full")
		}
	}
	acknowledged := c.acknowledged()
	do(t, "mount", "-o", "remount,"+room, disk)
	c.more(2)
	c.check(acknowledged)
}
