package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/audit"
	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/services/registry"
)

// onUp gives a system in one process, under a witness.
func onUp(t *testing.T, data string, more ...string) (*witness, *process) {
	t.Helper()
	w := newWitness(t)
	p := up(t, data, more...)
	w.door.put("", p.url)
	key := p.waitFor(operatorLine)
	p.waitFor(`(is up)`)
	w.populate(key)
	return w, p
}

func TestChaos_GoesOnWhenTheDiskHasRoomAgain(t *testing.T) {
	t.Parallel()
	const room = "size=1g"
	disk := memoryDisk(t, room)
	w, p := onUp(t, filepath.Join(disk, "data"))
	end := w.begin()
	defer end()
	w.more(2 * workers)

	shrink(t, disk)
	said := p.says(`"nats":"[^"]*full`)
	before := w.kept()
	do(t, "mount", "-o", "remount,"+room, disk)
	began := time.Now()
	w.more(4 * workers)
	t.Logf("%d changes until %s; goes on after %.1f s", before, said, time.Since(began).Seconds())
	end()
	ready(t, p.url)
	w.check()
}

// memoryDisk is the folder of a file system in memory.
func memoryDisk(t *testing.T, room string) string {
	t.Helper()
	asRoot(t)
	disk := t.TempDir()
	do(t, "mount", "-t", "tmpfs", "-o", room, "dealreg", disk)
	t.Cleanup(func() { do(t, "umount", "-l", disk) }) // the engine may live for another moment
	return disk
}

// shrink leaves a file system in memory no room. What is written meanwhile may take what it wanted to leave.
func shrink(t *testing.T, disk string) {
	t.Helper()
	for slack := uint64(64 << 10); slack < 64<<20; slack *= 2 {
		var now syscall.Statfs_t
		if err := syscall.Statfs(disk, &now); err != nil {
			t.Fatal(err)
		}
		size := (now.Blocks-now.Bfree)*uint64(now.Bsize) + slack // #nosec G115 -- 4096
		if exec.Command("mount", "-o", fmt.Sprintf("remount,size=%d", size), disk).Run() == nil {
			return
		}
	}
	t.Fatal("the file system does not shrink")
}

// readiness is what /readyz answers.
func (p *process) readiness() string {
	p.t.Helper()
	response, err := http.Get(p.url + "/readyz")
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// TestChaos_NamesAFlippedBitAndNeverGoesOnWrong flips one bit of one event in the broker's store, with and without the
// broker's index and the projection, which may be lost with it: without both nothing but the end that was remembered tells
// how far the log went. A registry without a projection beside it is as careful.
func TestChaos_NamesAFlippedBitAndNeverGoesOnWrong(t *testing.T) {
	t.Parallel()
	sound := t.TempDir()
	w, p := onUp(t, sound)
	end := w.begin()
	w.more(60 * workers)
	end()
	w.check()
	payloads := w.logEntries()
	p.stop()

	damaged := func(t *testing.T, sequence int, lost ...string) (data string) {
		data = filepath.Join(t.TempDir(), "data")
		do(t, "cp", "-a", sound, data)
		flip(t, data, payloads[sequence-1])
		for _, name := range lost {
			do(t, "find", data, "-name", name, "-prune", "-exec", "rm", "-r", "{}", "+")
		}
		return data
	}
	events := map[string]int{"the only event of a deal": 3, "an event among others": len(payloads) / 2, "the last event": len(payloads)}
	for _, lost := range [][]string{nil, {"index.db"}, {"clickhouse"}, {"index.db", "clickhouse"}} {
		for what, sequence := range events {
			t.Run(fmt.Sprintf("%s, without %s", what, strings.Join(lost, " and ")), func(t *testing.T) {
				w.meetsDamage(t, up(t, damaged(t, sequence, lost...)), uint64(sequence)) // #nosec G115 -- some hundred
			})
		}
	}
	for what, sequence := range events {
		t.Run(what+", without index.db, met by a registry alone", func(t *testing.T) {
			data := damaged(t, sequence, "index.db")
			port, err := embedded.FreePort()
			if err != nil {
				t.Fatal(err)
			}
			broker := startBroker(t, filepath.Join(data, "nats"), port)
			alone := launch(t, "serve", serviceRegistry, "--data", data, "--log-level", "error",
				"--nats-url", broker.url, "--clickhouse-dsn", embeddedtest.ClickHouse(t))
			w.meetsDamage(t, alone, uint64(sequence)) // #nosec G115 -- some hundred
		})
	}
}

// TestChaos_ClosesARunningRegistryWhoseLogComesBackShorter: the broker alone is killed and started again, on a store that lost
// its end; the registry runs all the while under load, and would give the sequences to other events. Then it is killed as well
// and meets the same log without a projection.
func TestChaos_ClosesARunningRegistryWhoseLogComesBackShorter(t *testing.T) {
	t.Parallel()
	data, brokerData := t.TempDir(), t.TempDir()
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	broker := startBroker(t, filepath.Join(brokerData, "nats"), port)
	w, p := onUp(t, data, "--nats-url", broker.url)
	payloads := w.logEntries()
	nc, err := nats.Connect(broker.url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	remembered(t, nc, len(payloads))

	load := w.knock()
	load.until(t, &load.registered)
	broker.kill()
	flip(t, brokerData, payloads[len(payloads)-1])
	do(t, "find", brokerData, "-name", "index.db", "-delete")
	load.until(t, &load.refused) // nobody waits for the broker that was killed any more
	broker = startBroker(t, filepath.Join(brokerData, "nats"), port)

	lost := fmt.Sprintf("the log ends at %d but had sequence", len(payloads)-1)
	p.says(`"log":"` + lost)
	_, err = w.members[0].keys[0].once(t.Context(), call{
		method: http.MethodPost, path: "/v1/deals", body: w.registration("late", 0, 0), header: map[string]string{"Idempotency-Key": "late"},
	})
	if problem, answered := errors.AsType[*problemError](err); !answered || problem.Status != http.StatusServiceUnavailable || !strings.Contains(problem.Error(), lost) {
		t.Errorf("a registration gets %v", err)
	}
	load.end()
	if last := lastOf(t, broker.url); last != len(payloads)-1 {
		t.Errorf("the log goes on to %d", last)
	}

	p.kill()
	keys := t.TempDir()
	do(t, "cp", filepath.Join(data, "pepper"), filepath.Join(data, "webhook.key"), keys)
	w.meetsDamage(t, up(t, keys, "--nats-url", broker.url), uint64(len(payloads))) // #nosec G115 -- some
	if last := lastOf(t, broker.url); last != len(payloads)-1 {
		t.Errorf("the log goes on to %d", last)
	}
}

// knocking is load that hardly waits before it tries again.
type knocking struct {
	end                 func()
	registered, refused atomic.Int64
}

// knock lets the workers register deals until end.
func (w *witness) knock() *knocking {
	ctx, stop := context.WithCancel(w.t.Context())
	load := &knocking{}
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for n := 0; ctx.Err() == nil; {
				_, err := w.members[0].keys[worker].once(ctx, call{
					method: http.MethodPost, path: "/v1/deals", body: w.registration("knock", worker, n),
					header: map[string]string{"Idempotency-Key": fmt.Sprintf("knock-%d-%d", worker, n)},
				})
				if err == nil {
					n++
					load.registered.Add(1)
				} else {
					load.refused.Add(1)
					_ = pause(ctx, time.Millisecond)
				}
			}
		})
	}
	load.end = func() { stop(); group.Wait() }
	w.t.Cleanup(load.end)
	return load
}

// until waits until it came to the count some more times for each worker.
func (*knocking) until(t *testing.T, count *atomic.Int64) {
	t.Helper()
	late := time.Now().Add(patience)
	for want := count.Load() + 4*workers; count.Load() < want; {
		if time.Now().After(late) || pause(t.Context(), time.Millisecond) != nil {
			t.Fatal("the load does not go on")
		}
	}
}

// remembered waits until it is remembered that the log reaches to the sequence.
func remembered(t *testing.T, nc *nats.Conn, sequence int) {
	t.Helper()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ends, err := js.KeyValue(t.Context(), stream.EndsBucket)
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := ends.Watch(t.Context(), stream.DealsStream)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = watcher.Stop() }()
	late := time.After(patience)
	for {
		select {
		case entry := <-watcher.Updates():
			var end stream.End
			if entry != nil && json.Unmarshal(entry.Value(), &end) == nil && end.Sequence == uint64(sequence) { // #nosec G115 -- some
				return
			}
		case <-late:
			t.Fatalf("the end at %d is not remembered", sequence)
		}
	}
}

// lastOf is the log's last sequence at the broker; 0 when the broker has no log any more.
func lastOf(t *testing.T, url string) int {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	log, err := stream.NewLog(nc)
	if err != nil {
		t.Fatal(err)
	}
	last, err := log.LastSequence(t.Context())
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Fatal(err)
	}
	return int(last) // #nosec G115 -- some hundred
}

// flip changes one bit of the event in the store of the log.
func flip(t *testing.T, data string, payload []byte) {
	t.Helper()
	blocks, err := filepath.Glob(filepath.Join(data, "nats", "jetstream", "*", "streams", "DEALS", "msgs", "*.blk"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range blocks {
		block, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(block, payload); at >= 0 {
			block[at+len(payload)/2] ^= 1
			if err := os.WriteFile(path, block, 0o600); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no block of %v holds the event", blocks)
}

// meetsDamage holds a system on damaged data to this: it names the damage in /readyz and takes no change; what it still
// answers is true; the audit does not call it sound.
func (w *witness) meetsDamage(t *testing.T, p *process, damaged uint64) {
	w.door.put("", p.url)
	said := p.says(fmt.Sprintf(`the (log skips from sequence|log ends at|event at sequence) (%d|%d)\b`, damaged-1, damaged))
	for _, r := range w.receipts {
		var body json.RawMessage
		r.call.into = &body
		header, err := r.by.once(t.Context(), r.call)
		problem, answered := errors.AsType[*problemError](err)
		switch {
		case answered && (problem.Status == http.StatusServiceUnavailable || problem.Status == http.StatusTooManyRequests):
		case err != nil:
			t.Errorf("%s, acknowledged as sequence %d: %v", r.call.path, r.sequence, err)
		case header.Get("Idempotency-Replayed") != "true" || !bytes.Equal(body, r.body):
			t.Errorf("%s, acknowledged as sequence %d, gets sequence %s", r.call.path, r.sequence, header.Get("Dealreg-Sequence"))
		}
	}
	w.reads(t)
	code, err := audit.Run(t.Context(), audit.Config{URL: p.url, Key: w.key, Patience: time.Second})
	if code != audit.CouldNotTell {
		t.Errorf("audit: exit %d: %v", code, err)
	}
	t.Log(said)
}

// reads asks for every deal and its history. What cannot be read is told as such: never as a deal that is not there, and
// never as a shorter history.
func (w *witness) reads(t *testing.T) {
	t.Helper()
	revisions := map[string]uint64{}
	for _, r := range w.receipts {
		var d registry.Deal
		if err := json.Unmarshal(r.body, &d); err != nil {
			t.Fatal(err)
		}
		revisions[d.ID.String()] = max(revisions[d.ID.String()], d.Revision)
	}
	unread, operator := 0, newClient(w.door.url(), w.key)
	for id, revision := range revisions {
		var events struct{ Items []json.RawMessage }
		_, err := operator.once(t.Context(), call{method: http.MethodGet, path: "/v1/deals/" + id + "/events", into: &events})
		problem, answered := errors.AsType[*problemError](err)
		switch {
		case answered && problem.Status == http.StatusServiceUnavailable:
			unread++
		case err != nil || uint64(len(events.Items)) != revision:
			t.Errorf("deal %s, acknowledged with %d events, has %d: %v", id, revision, len(events.Items), err)
		}
	}
	t.Logf("%d of %d deals cannot be read", unread, len(revisions))
}

// says waits until /readyz matches the expression.
func (p *process) says(expression string) string {
	p.t.Helper()
	pattern := regexp.MustCompile(expression)
	for late := time.Now().Add(patience); ; {
		text := p.readiness()
		if pattern.MatchString(text) {
			return text
		}
		if time.Now().After(late) {
			p.t.Fatalf("/readyz without %q: %s", expression, text)
		}
		_ = pause(p.t.Context(), 20*time.Millisecond)
	}
}
