package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/stream"
)

// broken is a log whose broker stops, so that its files can be damaged, and starts again.
type broken struct {
	t      *testing.T
	dir    string
	broker *embedded.NATS
	*stream.Log
}

func newBroken(t *testing.T) *broken {
	t.Helper()
	b := &broken{t: t, dir: t.TempDir()}
	b.start()
	return b
}

func (b *broken) start() {
	b.t.Helper()
	var err error
	if b.broker, err = embedded.StartNATS(embedded.NATSConfig{Dir: b.dir}); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(b.broker.Stop)
	nc, err := b.broker.Connect()
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(nc.Close)
	b.Log = ensure(b.t, nc)
}

// files of the stream of deals, by their pattern.
func (b *broken) files(pattern string) []string {
	b.t.Helper()
	files, err := filepath.Glob(filepath.Join(b.dir, "jetstream", "*", "streams", stream.DealsStream, "msgs", pattern))
	if err != nil || len(files) == 0 {
		b.t.Fatalf("no %s: %v", pattern, err)
	}
	return files
}

// flip changes one bit of the event on the disk. The broker does not run.
func (b *broken) flip(payload []byte) {
	b.t.Helper()
	for _, path := range b.files("*.blk") {
		block, err := os.ReadFile(path)
		if err != nil {
			b.t.Fatal(err)
		}
		if at := bytes.Index(block, payload); at >= 0 {
			block[at+len(payload)/2] ^= 1
			if err := os.WriteFile(path, block, 0o600); err != nil {
				b.t.Fatal(err)
			}
			return
		}
	}
	b.t.Fatal("no block holds the event")
}

// forget removes the broker's index of the stream.
func (b *broken) forget() {
	b.t.Helper()
	for _, path := range b.files("index.db") {
		if err := os.Remove(path); err != nil {
			b.t.Fatal(err)
		}
	}
}

// cut restarts the broker with the event damaged and without the index: the log ends before it.
func (b *broken) cut(payload []byte) {
	b.t.Helper()
	b.broker.Stop()
	b.flip(payload)
	b.forget()
	b.start()
}

func is[E error](t *testing.T, err error, want E) {
	t.Helper()
	got, ok := errors.AsType[E](err)
	if !ok || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("gives %v; want %v", err, want)
	}
}

func TestVerify_RemembersTheEndThatTheLogLost(t *testing.T) {
	t.Parallel()
	b := newBroken(t)
	for n := range uint32(20) {
		add(t, b.Log, draft(t, n, "a", nil))
	}
	lost := draft(t, 20, "a", nil)
	add(t, b.Log, lost)
	for _, do := range []func(context.Context) error{b.Remember, func(ctx context.Context) error { return b.Verify(ctx, nil) }} {
		if err := do(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b.cut(lost.Payload)
	is(t, b.Verify(t.Context(), nil), &stream.TruncatedError{Known: 21, Last: 20})
	is(t, b.Remember(t.Context()), &stream.TruncatedError{Known: 21, Last: 20})
	add(t, b.Log, draft(t, 30, "b", nil)) // the same sequence again
	add(t, b.Log, draft(t, 31, "b", nil))
	is(t, b.Verify(t.Context(), nil), &stream.ChangedError{Sequence: 21})
	is(t, b.Remember(t.Context()), &stream.ChangedError{Sequence: 21})
	for _, do := range []func(context.Context) error{b.Accept, b.Remember, func(ctx context.Context) error { return b.Verify(ctx, nil) }} {
		if err := do(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestVerify_FindsAMissingEventWhereverItIs(t *testing.T) {
	t.Parallel()
	for _, missing := range []uint64{1, 7, 12} {
		b := newBroken(t)
		if err := b.Verify(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		var payloads [][]byte
		for n := range uint32(12) {
			d := draft(t, n, "a", nil)
			payloads = append(payloads, d.Payload)
			add(t, b.Log, d)
		}
		b.broker.Stop()
		b.flip(payloads[missing-1])
		b.start()
		is(t, b.Verify(t.Context(), nil), &stream.GapError{Want: missing, Got: missing + 1})
	}
}

func TestKeepEnd_RemembersOnceMoreWhenItStops(t *testing.T) {
	t.Parallel()
	b := newBroken(t)
	open, told := make(chan struct{}), make(chan error, 1)
	lost := draft(t, 2, "a", nil)
	add(t, b.Log, draft(t, 1, "a", nil))
	close(open)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { b.KeepEnd(ctx, open, func(err error) { told <- err }); close(ended) }()
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	add(t, b.Log, lost)
	cancel()
	for running := true; running; {
		select {
		case err := <-told:
			if err != nil {
				t.Fatal(err)
			}
		case <-ended:
			running = false
		}
	}
	b.cut(lost.Payload)
	is(t, b.Verify(t.Context(), nil), &stream.TruncatedError{Known: 2, Last: 1})
}

func TestReads_NeverPassOverAnEventThatCannotBeRead(t *testing.T) {
	t.Parallel()
	id := exampleOf(1).Deal.ID
	for damaged := range 4 {
		b := newBroken(t)
		var before *stream.Stored
		var payloads [][]byte
		for i := range 4 {
			d := draft(t, 1, fmt.Sprint(i), before)
			payloads = append(payloads, d.Payload)
			add(t, b.Log, d)
			before = last(t, b.Log, 1)
			add(t, b.Log, draft(t, uint32(10+i), "other", nil)) // #nosec G115 -- up to 4
		}
		b.broker.Stop()
		b.flip(payloads[damaged])
		b.start()
		history, err := b.History(t.Context(), id)
		if !errors.Is(err, stream.ErrUnknown) {
			t.Errorf("the history without event %d of 4 gives %d events and %v", damaged+1, len(history), err)
		}
		if _, err := b.History(t.Context(), exampleOf(10).Deal.ID); err != nil {
			t.Errorf("the history of another deal gives %v", err)
		}
	}
}

func TestReads_TellADealThatCannotBeReadFromOneThatIsNotThere(t *testing.T) {
	t.Parallel()
	b := newBroken(t)
	only := draft(t, 1, "a", nil)
	add(t, b.Log, only)
	add(t, b.Log, draft(t, 2, "a", nil))
	b.broker.Stop()
	b.flip(only.Payload)
	b.start()
	for name, read := range map[string]func(context.Context, deal.ID) (stream.Stored, error){"Last": b.Last, "First": b.First} {
		_, err := read(t.Context(), only.Event.Deal.ID)
		is(t, err, &stream.DamagedError{Deal: only.Event.Deal.ID})
		if !errors.Is(err, stream.ErrUnknown) {
			t.Errorf("%s does not say that it does not know", name)
		}
		if _, err := read(t.Context(), exampleOf(3).Deal.ID); !errors.Is(err, stream.ErrNoDeal) {
			t.Errorf("%s gives %v; want ErrNoDeal", name, err)
		}
	}
}

func TestRead_NeverWaitsForALastEventThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := newBroken(t)
	lastOne := draft(t, 2, "a", nil)
	add(t, b.Log, draft(t, 1, "a", nil))
	add(t, b.Log, lastOne)
	b.broker.Stop()
	b.flip(lastOne.Payload)
	b.start()
	is(t, b.Read(t.Context(), 1, func(uint64, string, []byte) error { return nil }), &stream.GapError{Want: 2, Got: 3})
	_, err := b.End(t.Context())
	is(t, err, &stream.GapError{Want: 2, Got: 3})
}

// Nothing comes behind the events that are missing, so that only the silence shows it.
func TestFollow_NeverWaitsForEventsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for missing := 1; missing <= 2; missing++ {
		b := newBroken(t)
		var payloads [][]byte
		for n := range uint32(5) {
			d := draft(t, n, "a", nil)
			payloads = append(payloads, d.Payload)
			add(t, b.Log, d)
		}
		b.broker.Stop()
		for _, payload := range payloads[5-missing:] {
			b.flip(payload)
		}
		b.start()
		got := 0
		err := b.Follow(t.Context(), 0, false, nil, func(jetstream.Msg, *jetstream.MsgMetadata) error { got++; return nil })
		is(t, err, &stream.GapError{Want: uint64(6 - missing), Got: 6}) // #nosec G115 -- 1 or 2
		if got != 5-missing {
			t.Errorf("gives %d events; want %d", got, 5-missing)
		}
	}
}

func TestKeepEnd_ClosesALogThatCameBackShorter(t *testing.T) {
	t.Parallel()
	nc := embeddedtest.NATS(t)
	log := ensure(t, nc)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint32(5) {
		add(t, log, draft(t, n, "a", nil))
	}
	open, told := make(chan struct{}), make(chan error)
	close(open)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { log.KeepEnd(ctx, open, func(err error) { told <- err }); close(ended) }()
	if err := <-told; err != nil || log.Lost() != nil {
		t.Fatal(err, log.Lost())
	}
	if err := js.DeleteStream(t.Context(), stream.DealsStream); err != nil {
		t.Fatal(err)
	}
	other := ensure(t, nc)
	for n := range uint32(3) {
		add(t, other, draft(t, n, "a", nil))
	}
	until := func(want error) {
		for fmt.Sprint(log.Lost()) != fmt.Sprint(want) {
			<-told
		}
	}
	until(&stream.TruncatedError{Known: 5, Last: 3})
	if _, err := log.Append(t.Context(), draft(t, 9, "a", nil)); !errors.Is(err, stream.ErrUnknown) {
		t.Errorf("writes a log that lost its end: %v", err)
	}
	if err := log.AppendBatch(t.Context(), []stream.Draft{draft(t, 9, "a", nil)}); !errors.Is(err, stream.ErrUnknown) {
		t.Errorf("writes a log that lost its end: %v", err)
	}
	if err := other.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(nil)
	add(t, log, draft(t, 9, "a", nil))
	cancel()
	for running := true; running; {
		select {
		case <-told:
		case <-ended:
			running = false
		}
	}
}

// The callback holds KeepEnd up, so that nobody has looked at the log over the new connection.
func TestAppend_WaitsOnANewConnectionUntilTheEndWasLookedFor(t *testing.T) {
	t.Parallel()
	broker, err := embedded.StartNATS(embedded.NATSConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Stop)
	nc, err := broker.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	log := ensure(t, nc)
	open, told, goOn := make(chan struct{}), make(chan error), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { log.KeepEnd(ctx, open, func(err error) { told <- err; <-goOn }); close(ended) }()
	close(open)
	add(t, log, draft(t, 1, "a", nil)) // behind the first look
	if err := <-told; err != nil {
		t.Fatal(err)
	}
	connected := nc.StatusChanged(nats.CONNECTED)
	if err := broker.Restart(); err != nil {
		t.Fatal(err)
	}
	<-connected
	for n, write := range []func(context.Context, stream.Draft) error{
		func(ctx context.Context, d stream.Draft) error { _, err := log.Append(ctx, d); return err },
		func(ctx context.Context, d stream.Draft) error { return log.AppendBatch(ctx, []stream.Draft{d}) },
	} {
		d := draft(t, uint32(2+n), "a", nil) // #nosec G115 -- 2 or 3
		soon, giveUp := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if err := write(soon, d); !errors.Is(err, stream.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("gives %v; want ErrUnknown and that it waited", err)
		}
		giveUp()
	}
	if n := lastSequence(t, log); n != 1 {
		t.Errorf("the log has %d events; want 1", n)
	}
	written := make(chan error, 1)
	go func() { _, err := log.Append(t.Context(), draft(t, 4, "a", nil)); written <- err }()
	close(goOn)
	cancel()
	for running := true; running; {
		select {
		case err := <-told:
			if err != nil {
				t.Error(err)
			}
		case <-ended:
			running = false
		}
	}
	if err := <-written; err != nil {
		t.Errorf("a writer who waited is told %v", err)
	}
}
