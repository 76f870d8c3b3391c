package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// fault is something that goes wrong while the system is under load. It may last; when it returns the system can go on.
type fault struct {
	name   string
	strike func(p *plant)
}

// survive lets the fault come while deals are registered and won, waits until the system goes on by itself, and checks
// everything that was acknowledged.
func (p *plant) survive(f fault) {
	p.t.Helper()
	began := time.Now()
	end := p.begin()
	defer end()
	p.more(2 * workers)
	p.moment()
	f.strike(p)
	p.more(4 * workers)
	end()
	p.ready()
	p.check()
	p.t.Logf("%-40s %3d changes, %.1f s", f.name, len(p.receipts), time.Since(began).Seconds())
	if p.t.Failed() {
		p.t.Fatal("after: ", f.name)
	}
}

// killed ends a process as kill -9 does, and starts it again.
func killed(name string) fault {
	return fault{"kill -9 of " + name, func(p *plant) {
		p.signal(name, syscall.SIGKILL)
		if name != engineName { // which is started again by the one who watches over it
			<-p.processes[name].ended
			p.moment()
			p.start(name)
		}
	}}
}

// paused stops a process for twelve seconds, longer than anyone waits for an answer.
func paused(name string) fault {
	return fault{"twelve seconds without " + name, func(p *plant) {
		p.signal(name, syscall.SIGSTOP)
		_ = pause(p.t.Context(), 12*time.Second)
		p.signal(name, syscall.SIGCONT)
	}}
}

// killedAt ends the engine when one of its threads makes such a call for the nth time: an insert is a few renames and syncs.
func killedAt(calls string, nth int) fault {
	return fault{fmt.Sprintf("kill -9 of %s at %s %d", engineName, calls, nth), func(p *plant) {
		strace := needs(p.t, "strace", "strace")
		ctx, cancel := context.WithTimeout(p.t.Context(), patience)
		defer cancel()
		pid := p.enginePID()
		out, err := exec.CommandContext(ctx, strace, "-f", "-qq", "-o", "/dev/null", "-p", strconv.Itoa(pid),
			"-e", "trace="+calls, "-e", "inject="+calls+":signal=KILL:when="+strconv.Itoa(nth)).CombinedOutput()
		if _, alive := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); alive == nil || ctx.Err() != nil {
			p.t.Fatalf("strace did not kill the engine: %v %s", err, out)
		}
	}}
}

const (
	renames = "rename,renameat,renameat2"
	syncs   = "fsync,fdatasync"
)

// lost loses what the broker answers the registry, for that long after the first acknowledgement was lost. Until then it
// loses acknowledgements alone: who hears nothing from the log does not come to write to it.
func lost(what string, lose int32, d time.Duration) fault {
	return fault{what + " lost", func(p *plant) {
		p.wire.lose.Store(loseAcks)
		p.wire.hasLost(p.t, &p.wire.acks)
		p.wire.lose.Store(lose)
		_ = pause(p.t.Context(), d)
		p.wire.lose.Store(loseNothing)
	}}
}

// second runs another process of the service beside the first, kills the first and lets the second stay.
func second(service string) fault {
	return fault{"two of " + service, func(p *plant) {
		other := service + " 2"
		p.start(other)
		ready(p.t, p.processes[other].url)
		p.more(10 * workers)
		p.processes[service].kill()
		p.processes[service] = p.processes[other]
		delete(p.processes, other)
	}}
}

// off lets a second registry write whose clock is off.
func off(by time.Duration) fault {
	return fault{fmt.Sprintf("a clock off by %v", by), func(p *plant) {
		here := p.processes[serviceRegistry].url
		there, stop := p.registryOff(by)
		ready(p.t, there)
		p.door.put(serviceRegistry, here, there)
		p.more(20 * workers)
		p.door.put(serviceRegistry, here)
		stop()
	}}
}

// sudden are the faults that are over at once.
func sudden() []fault {
	var all []fault
	for _, name := range append([]string{brokerName, engineName}, allServices...) {
		all = append(all, killed(name))
	}
	for nth := 1; nth <= 3; nth++ {
		all = append(all, killedAt(renames, nth))
	}
	return append(all, killedAt(syncs, 1),
		lost("acknowledgements", loseAcks, time.Second), lost("answers", loseAnswers, 3*time.Second),
		second(serviceAggregator), off(time.Hour), off(-time.Hour))
}

// lasting are the others.
func lasting() []fault {
	return []fault{paused(brokerName), paused(engineName), paused(serviceRegistry), paused(serviceAggregator)}
}

func TestChaos_NothingIsLostOrTwiceAfterAnySuddenFault(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 20261122)
	h := p.hears()
	for _, f := range sudden() {
		p.survive(f)
	}
	h.heardAll(t, p.logEntries())
	p.replayAll()
	if p.backward == 0 {
		t.Error("no deal went from one clock to another")
	}
}

func TestChaos_NothingIsLostOrTwiceWhenAProcessStandsStill(t *testing.T) {
	t.Parallel()
	p := newPlant(t, 20261123)
	for _, f := range lasting() {
		p.survive(f)
	}
	p.replayAll()
}

// The seed and the length of a random run: it ends with the fault during which the seconds are over.
const (
	seedVariable    = "DEALREG_CHAOS_SEED"
	secondsVariable = "DEALREG_CHAOS_SECONDS"
)

func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

func TestChaos_NothingIsLostOrTwiceAtRandom(t *testing.T) {
	t.Parallel()
	seed := number(t, seedVariable, uint64(time.Now().UnixNano())) // #nosec G115 -- any number
	seconds := number(t, secondsVariable, 10)
	t.Logf("%s=%d", seedVariable, seed)
	p := newPlant(t, seed)
	until := time.Now().Add(time.Duration(seconds) * time.Second) // #nosec G115 -- a person's patience
	random := rand.New(rand.NewPCG(seed, 1))                      // #nosec G404 -- the choice of the faults
	faults := append(sudden(), lasting()...)
	for time.Now().Before(until) {
		p.survive(faults[random.IntN(len(faults))])
	}
	p.replayAll()
}
