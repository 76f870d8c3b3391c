package stream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/stream"
)

// newLog gives an empty log and the connection to its broker.
func newLog(t *testing.T) (*stream.Log, *nats.Conn) {
	t.Helper()
	nc := embeddedtest.NATS(t)
	return ensure(t, nc), nc
}

func ensure(t *testing.T, nc *nats.Conn) *stream.Log {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Ensure(t.Context(), js, 1); err != nil {
		t.Fatal(err)
	}
	log, err := stream.NewLog(nc)
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// draft is an event of the n-th deal behind the one before it; the key tells drafts of the same deal apart.
func draft(t testing.TB, n uint32, key string, before *stream.Stored) stream.Draft {
	t.Helper()
	e := exampleOf(n)
	e.Command.ID, e.Deal.Revision, e.PreviousHash = key, 1, nil
	if before != nil {
		e.Deal.Revision = before.Deal.Revision + 1
	}
	d, err := stream.NewDraft(e, before)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func add(t *testing.T, log *stream.Log, d stream.Draft) uint64 {
	t.Helper()
	sequence, err := log.Append(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return sequence
}

func last(t *testing.T, log *stream.Log, n uint32) *stream.Stored {
	t.Helper()
	s, err := log.Last(t.Context(), exampleOf(n).Deal.ID)
	if err != nil {
		t.Fatal(err)
	}
	return &s
}

func lastSequence(t *testing.T, log *stream.Log) uint64 {
	t.Helper()
	sequence, err := log.LastSequence(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return sequence
}

func TestAppend_ChainsTheEventsOfADeal(t *testing.T) {
	t.Parallel()
	log, _ := newLog(t)
	add(t, log, draft(t, 1, "a", nil))
	add(t, log, draft(t, 2, "b", nil))
	add(t, log, draft(t, 1, "c", last(t, log, 1)))
	history, err := log.History(t.Context(), exampleOf(1).Deal.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(history) != 2 || history[0].Sequence != 1 || history[1].Sequence != 3 || history[0].Command.ID != "a" || history[1].Command.ID != "c" {
		t.Fatalf("%+v", history)
	}
	if history[0].PreviousHash != nil || string(history[1].PreviousHash) != string(history[0].Hash()) || string(stream.Hash(history[0].Payload)) != string(history[0].Hash()) {
		t.Error("the second event does not carry the hash of the first")
	}
}

func TestAppend_WritesTheAttributesOfCloudEvents(t *testing.T) {
	t.Parallel()
	log, nc := newLog(t)
	d := draft(t, 1, "a", nil)
	add(t, log, d)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), stream.DealsStream)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	id := d.Event.Deal.ID.String()
	for name, want := range map[string]string{
		"ce-specversion": "1.0", "ce-id": id + ":1", "ce-type": "dealreg.deal.won", "ce-source": "/registry", "ce-subject": id,
		"ce-time": "2026-11-22T12:30:15.123456789Z", "Content-Type": "application/protobuf", "Nats-Msg-Id": "",
	} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s is %q; want %q", name, got, want)
		}
	}
	if m.Subject != stream.Subject(d.Event.Deal.ID) || string(m.Data) != string(d.Payload) {
		t.Errorf("%s holds other bytes than the draft", m.Subject)
	}
}

func TestAppend_ConflictsWithAnEventThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	log, _ := newLog(t)
	add(t, log, draft(t, 1, "a", nil))
	first := last(t, log, 1)
	add(t, log, draft(t, 1, "b", first))
	ahead := *first
	ahead.Sequence = 99
	for name, stale := range map[string]stream.Draft{
		"new again": draft(t, 1, "c", nil), "behind the first": draft(t, 1, "c", first), "behind nothing yet": draft(t, 1, "c", &ahead),
	} {
		if _, err := log.Append(t.Context(), stale); !errors.Is(err, stream.ErrConflict) || errors.Is(err, stream.ErrUnknown) {
			t.Errorf("%s gives %v; want ErrConflict alone", name, err)
		}
	}
	if n := lastSequence(t, log); n != 2 {
		t.Errorf("the log has %d events; want 2", n)
	}
}

func TestAppend_FindsTheSameDraftWhenItComesAgain(t *testing.T) {
	t.Parallel()
	log, _ := newLog(t)
	first := draft(t, 1, "a", nil)
	want := add(t, log, first)
	second := draft(t, 1, "b", last(t, log, 1))
	wantSecond := add(t, log, second)
	add(t, log, draft(t, 1, "c", last(t, log, 1)))
	if got := add(t, log, first); got != want {
		t.Errorf("the first draft again has sequence %d; want %d", got, want)
	}
	if got := add(t, log, second); got != wantSecond {
		t.Errorf("the second draft again has sequence %d; want %d", got, wantSecond)
	}
	if n := lastSequence(t, log); n != 3 {
		t.Errorf("the log has %d events; want 3", n)
	}
}

func TestAppend_LetsOneOfManyWritersWin(t *testing.T) {
	t.Parallel()
	log, _ := newLog(t)
	add(t, log, draft(t, 1, "a", nil))
	before := last(t, log, 1)
	var won atomic.Int32
	var writers sync.WaitGroup
	for i := range 100 {
		d := draft(t, 1, fmt.Sprintf("writer %d", i), before)
		writers.Go(func() {
			switch sequence, err := log.Append(t.Context(), d); {
			case err == nil && sequence == 2:
				won.Add(1)
			case !errors.Is(err, stream.ErrConflict):
				t.Errorf("sequence %d: %v", sequence, err)
			}
		})
	}
	writers.Wait()
	if won.Load() != 1 || lastSequence(t, log) != 2 {
		t.Errorf("%d writers won and the log has %d events", won.Load(), lastSequence(t, log))
	}
}

func TestAppendBatch_WritesAThousandDeals(t *testing.T) {
	t.Parallel()
	log, _ := newLog(t)
	drafts := make([]stream.Draft, 1000)
	ids := make([]deal.ID, 0, 1100)
	for i := range drafts {
		drafts[i] = draft(t, uint32(i), "import", nil) // #nosec G115 -- up to 1000
		ids = append(ids, drafts[i].Event.Deal.ID)
	}
	if err := log.AppendBatch(t.Context(), drafts); err != nil {
		t.Fatal(err)
	}
	if n := lastSequence(t, log); n != 1000 {
		t.Errorf("the log has %d events", n)
	}
	add(t, log, draft(t, 7, "later", last(t, log, 7)))
	add(t, log, draft(t, 2000, "alone", nil))
	for n := uint32(1950); n < 2050; n++ { // all but one are missing
		ids = append(ids, exampleOf(n).Deal.ID)
	}
	found, err := log.Latest(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != 1001 {
		t.Errorf("Latest finds %d deals; want 1001", len(found))
	}
	for id, s := range found {
		if s.Deal.ID != id {
			t.Fatalf("%s has the event of %s", id, s.Deal.ID)
		}
	}
	if s := found[exampleOf(7).Deal.ID]; s.Command.ID != "later" || s.Sequence != 1001 {
		t.Errorf("Latest gives %q at %d", s.Command.ID, s.Sequence)
	}
	// A second try of one of them is found, as after a batch that nobody heard of.
	if got := add(t, log, drafts[4]); got != 5 {
		t.Errorf("the fifth draft again has sequence %d", got)
	}
}

func TestAppendBatch_WritesNothingWhenOneConflicts(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]int{"first": 0, "middle": 5, "last": 9} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, _ := newLog(t)
			drafts := make([]stream.Draft, 10)
			for i := range drafts {
				drafts[i] = draft(t, uint32(i), "batch", nil) // #nosec G115 -- up to 10
			}
			add(t, log, draft(t, uint32(at), "before", nil)) // #nosec G115 -- up to 10
			if err := log.AppendBatch(t.Context(), drafts); !errors.Is(err, stream.ErrConflict) || errors.Is(err, stream.ErrUnknown) {
				t.Errorf("gives %v; want ErrConflict alone", err)
			}
			if n := lastSequence(t, log); n != 1 {
				t.Errorf("the log has %d events; want 1", n)
			}
		})
	}
}

func TestAppendBatch_RefusesADealTwice(t *testing.T) {
	t.Parallel()
	log, _ := newLog(t)
	drafts := []stream.Draft{draft(t, 1, "a", nil), draft(t, 2, "b", nil), draft(t, 1, "c", nil)}
	if err := log.AppendBatch(t.Context(), drafts); !errors.Is(err, stream.ErrConflict) {
		t.Errorf("gives %v; want ErrConflict", err)
	}
	if n := lastSequence(t, log); n != 0 {
		t.Errorf("the log has %d events; want none", n)
	}
}

func TestAppendBatch_TakesNoneOneAndNotTooMany(t *testing.T) {
	t.Parallel()
	log, _ := newLog(t)
	if err := log.AppendBatch(t.Context(), nil); err != nil {
		t.Errorf("nothing to write gives %v", err)
	}
	if err := log.AppendBatch(t.Context(), []stream.Draft{draft(t, 1, "a", nil)}); err != nil {
		t.Errorf("one gives %v", err)
	}
	if err := log.AppendBatch(t.Context(), make([]stream.Draft, 1001)); err == nil || errors.Is(err, stream.ErrUnknown) {
		t.Errorf("1001 give %v", err)
	}
	if n := lastSequence(t, log); n != 1 {
		t.Errorf("the log has %d events; want 1", n)
	}
}

// A replicated stream reports a conflict as 10164 where others report 10071. A responder plays its leader.
func TestAppend_TakesBothCodesOfTheServerForAConflict(t *testing.T) {
	t.Parallel()
	for _, code := range []int{10071, 10164} {
		nc := withoutJetStream(t)
		log, err := stream.NewLog(nc)
		if err != nil {
			t.Fatal(err)
		}
		answer := func(subject string, code int) {
			body, err := json.Marshal(map[string]any{"error": map[string]any{"code": 400, "err_code": code, "description": "no"}, "stream": stream.DealsStream})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := nc.Subscribe(subject, func(m *nats.Msg) { _ = m.Respond(body) }); err != nil {
				t.Fatal(err)
			}
		}
		answer("deals.*.*", code)
		answer("$JS.API.STREAM.MSG.GET."+stream.DealsStream, 10037) // no message found
		if _, err := log.Append(t.Context(), draft(t, 1, "a", nil)); !errors.Is(err, stream.ErrConflict) {
			t.Errorf("%d gives %v; want ErrConflict", code, err)
		}
		if err := log.AppendBatch(t.Context(), []stream.Draft{draft(t, 1, "a", nil), draft(t, 2, "b", nil)}); !errors.Is(err, stream.ErrConflict) {
			t.Errorf("%d in a batch gives %v; want ErrConflict", code, err)
		}
	}
}

// withoutJetStream gives a client of a broker that leaves JetStream's subjects to the test.
func withoutJetStream(t *testing.T) *nats.Conn {
	t.Helper()
	broker, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	broker.Start()
	t.Cleanup(func() { broker.Shutdown(); broker.WaitForShutdown() })
	nc, err := nats.Connect("", nats.InProcessServer(broker))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

func TestReads_SayThatThereIsNoDeal(t *testing.T) {
	t.Parallel()
	log, _ := newLog(t)
	for _, filled := range []bool{false, true} {
		if filled {
			add(t, log, draft(t, 1, "a", nil))
		}
		id := exampleOf(9).Deal.ID
		_, errLast := log.Last(t.Context(), id)
		_, errFirst := log.First(t.Context(), id)
		_, errHistory := log.History(t.Context(), id)
		for name, err := range map[string]error{"Last": errLast, "First": errFirst, "History": errHistory} {
			if !errors.Is(err, stream.ErrNoDeal) {
				t.Errorf("%s gives %v; want ErrNoDeal", name, err)
			}
		}
		for _, ids := range [][]deal.ID{nil, {id}} {
			if found, err := log.Latest(t.Context(), ids); err != nil || len(found) != 0 {
				t.Errorf("Latest of %d deals that are not there gives %v, %v", len(ids), found, err)
			}
		}
	}
}

func TestFirstAndLast_GiveTheEndsOfTheHistory(t *testing.T) {
	t.Parallel()
	log, _ := newLog(t)
	add(t, log, draft(t, 1, "a", nil))
	for i := range 5 {
		add(t, log, draft(t, uint32(10+i), "other", nil)) // #nosec G115 -- up to 5
		add(t, log, draft(t, 1, fmt.Sprint("b", i), last(t, log, 1)))
	}
	first, err := log.First(t.Context(), exampleOf(1).Deal.ID)
	if err != nil || first.Sequence != 1 || first.Command.ID != "a" {
		t.Errorf("First gives %q at %d, %v", first.Command.ID, first.Sequence, err)
	}
	if s := last(t, log, 1); s.Sequence != 11 || s.Command.ID != "b4" || s.Deal.Revision != 6 {
		t.Errorf("Last gives %q at %d, revision %d", s.Command.ID, s.Sequence, s.Deal.Revision)
	}
}

func TestRead_GivesEveryMessageFromThereToTheEnd(t *testing.T) {
	t.Parallel()
	log, _ := newLog(t)
	read := func(from uint64) (sequences []uint64) {
		err := log.Read(t.Context(), from, func(sequence uint64, subject string, payload []byte) error {
			sequences = append(sequences, sequence)
			e := decode(t, payload)
			if id, err := stream.ParseSubject(subject); err != nil || id != e.Deal.ID {
				t.Errorf("%s at %d: %v", subject, sequence, err)
			}
			return nil
		})
		if err != nil {
			t.Fatalf("from %d: %v", from, err)
		}
		return sequences
	}
	if got := read(1); got != nil {
		t.Errorf("an empty log gives %d", got)
	}
	drafts := make([]stream.Draft, 700)
	for i := range drafts {
		drafts[i] = draft(t, uint32(i), "a", nil) // #nosec G115 -- up to 700
	}
	if err := log.AppendBatch(t.Context(), drafts); err != nil {
		t.Fatal(err)
	}
	for _, from := range []uint64{0, 1, 2, 699, 700, 701, 5000} {
		first := max(from, 1)
		got := read(from)
		for i, sequence := range got {
			if sequence != first+uint64(i) { // #nosec G115 -- never negative
				t.Fatalf("from %d: message %d is %d", from, i, sequence)
			}
		}
		if want := max(0, 701-int(first)); len(got) != want { // #nosec G115 -- small
			t.Errorf("from %d: %d messages; want %d", from, len(got), want)
		}
	}
	enough := errors.New("enough")
	if err := log.Read(t.Context(), 1, func(sequence uint64, _ string, _ []byte) error {
		if sequence == 3 {
			return enough
		}
		return nil
	}); !errors.Is(err, enough) {
		t.Errorf("gives %v; want the error of the reader", err)
	}
}

func TestRead_HaltsAtAGap(t *testing.T) {
	t.Parallel()
	nc := embeddedtest.NATS(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	// A stream that lets messages be deleted plays one with a damaged block.
	s, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: stream.DealsStream, Subjects: []string{"deals.*.*"}, AllowDirect: true})
	if err != nil {
		t.Fatal(err)
	}
	log, err := stream.NewLog(nc)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint32(5) {
		add(t, log, draft(t, n, "a", nil))
	}
	if err := s.DeleteMsg(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	var got []uint64
	err = log.Read(t.Context(), 1, func(sequence uint64, _ string, _ []byte) error { got = append(got, sequence); return nil })
	if err == nil || len(got) != 2 {
		t.Errorf("gives %d and %v; want 1 and 2 and an error", got, err)
	}
}

func TestLog_SaysThatItDoesNotKnowWhenTheServerIsGone(t *testing.T) {
	t.Parallel()
	broker, err := embedded.StartNATS(embedded.NATSConfig{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	nc, err := broker.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	log := ensure(t, nc)
	add(t, log, draft(t, 1, "a", nil))
	broker.Stop()
	for name, act := range map[string]func(ctx context.Context) error{
		"Append": func(ctx context.Context) error { _, err := log.Append(ctx, draft(t, 2, "b", nil)); return err },
		"AppendBatch": func(ctx context.Context) error {
			return log.AppendBatch(ctx, []stream.Draft{draft(t, 3, "c", nil), draft(t, 4, "d", nil)})
		},
		"Latest": func(ctx context.Context) error {
			_, err := log.Latest(ctx, []deal.ID{exampleOf(1).Deal.ID})
			return err
		},
		"Last": func(ctx context.Context) error { _, err := log.Last(ctx, exampleOf(1).Deal.ID); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const inTime, another = 200 * time.Millisecond, 2 * time.Second // the second to look whether it is there
			took := time.Hour
			for range 3 { // a busy machine may be late once
				began := time.Now() //nolint:forbidigo // the broker's silence lasts for real
				ctx, cancel := context.WithTimeout(t.Context(), inTime)
				err := act(ctx)
				cancel()
				if !errors.Is(err, stream.ErrUnknown) || errors.Is(err, stream.ErrConflict) || errors.Is(err, stream.ErrNoDeal) {
					t.Errorf("gives %v; want ErrUnknown", err)
				}
				if took = min(took, time.Since(began)); took <= inTime+another+time.Second { //nolint:forbidigo // as above
					return
				}
			}
			t.Errorf("answers after %v", took)
		})
	}
}
