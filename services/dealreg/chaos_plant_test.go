package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/services/registry"
)

// In a process with this in its environment the tests are a broker on the folder, on the port that brokerPort names.
// brokerSync makes it sync as nats-server does by itself: two minutes after it has acknowledged.
const (
	brokerDir  = "DEALREG_TEST_BROKER_DIR"
	brokerPort = "DEALREG_TEST_BROKER_PORT"
	brokerSync = "DEALREG_TEST_BROKER_SYNC_LATE"
)

// serveBrokerIfAsked is such a process, until it is killed.
func serveBrokerIfAsked() {
	dir := os.Getenv(brokerDir)
	if dir == "" {
		return
	}
	port, err := strconv.Atoi(os.Getenv(brokerPort))
	if err == nil && os.Getenv(brokerSync) != "" {
		err = serveLateSync(dir, port)
	} else if err == nil {
		_, err = embedded.StartNATS(embedded.NATSConfig{Dir: dir, Port: port})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("ready")
	select {}
}

func serveLateSync(dir string, port int) error {
	s, err := server.NewServer(&server.Options{
		Host: embedded.Loopback, Port: port, JetStream: true, StoreDir: dir, JetStreamMaxStore: -1, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return errors.New("the broker does not start")
	}
	return nil
}

// startBroker runs a broker as a process of its own.
func startBroker(t *testing.T, dir string, port int, environment ...string) *process {
	t.Helper()
	cmd := command(t)
	cmd.Env = append(append(os.Environ(), brokerDir+"="+dir, brokerPort+"="+strconv.Itoa(port)), environment...)
	p := spawn(t, cmd, fmt.Sprintf("nats://127.0.0.1:%d", port))
	p.waitFor("(ready)")
	return p
}

// plant is a distributed system: a broker, an engine and every service, each a process that may be killed, stopped and
// started again.
type plant struct {
	*witness
	dir       string
	port      int // of the broker
	wire      *wire
	engine    *embedded.ClickHouse
	processes map[string]*process // services, and the broker
	random    *rand.Rand
}

const (
	brokerName = "broker"
	engineName = "clickhouse"
)

func newPlant(t *testing.T, seed uint64) *plant {
	t.Helper()
	p := &plant{
		witness: newWitness(t), dir: t.TempDir(), processes: map[string]*process{},
		random: rand.New(rand.NewPCG(seed, 0)), // #nosec G404 -- the moments of the faults
	}
	var err error
	if p.port, err = embedded.FreePort(); err != nil {
		t.Fatal(err)
	}
	if p.engine, err = embedded.StartClickHouse(t.Context(), embedded.ClickHouseConfig{Dir: p.engineDir()}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.engine.Stop)
	p.start(brokerName)
	p.wire = newWire(t, fmt.Sprintf("127.0.0.1:%d", p.port))
	p.start(serviceDirectory)
	key := p.processes[serviceDirectory].waitFor(operatorLine)
	for _, service := range allServices {
		if service != serviceDirectory {
			p.start(service)
		}
	}
	p.ready()
	p.populate(key)
	return p
}

func (p *plant) engineDir() string { return filepath.Join(p.dir, "engine") }

// start runs the broker or a service, in place of the one of that name before.
func (p *plant) start(name string) {
	p.t.Helper()
	if name == brokerName {
		p.processes[name] = startBroker(p.t, filepath.Join(p.dir, "nats"), p.port)
		return
	}
	service, _, _ := strings.Cut(name, " ")
	p.processes[name] = launch(p.t, p.args(service)...)
	p.door.put(service, p.processes[name].url)
}

func (p *plant) args(service string) []string {
	broker := p.port
	if service == serviceRegistry {
		broker = p.wire.port
	}
	args := []string{
		"serve", service, "--data", p.dir, "--log-level", "warn",
		"--nats-url", fmt.Sprintf("nats://127.0.0.1:%d", broker), "--clickhouse-dsn", p.engine.DSN(),
	}
	switch service {
	case servicePortal:
		args = append(args, "--api-url", p.door.url())
	case serviceWebhooks:
		args = append(args, "--webhook-allow", "127.0.0.0/8", "--webhook-allow-http")
	case serviceMail: // nobody has an address here: it only follows the log
		args = append(args, "--smtp-url", "smtp://127.0.0.1:9", "--mail-from", "dealreg@example.com")
	}
	return args
}

// ready waits until every service has what it needs.
func (p *plant) ready() {
	p.t.Helper()
	for name, process := range p.processes {
		if name != brokerName {
			ready(p.t, process.url)
		}
	}
}

// signal sends a signal to a process of the plant.
func (p *plant) signal(name string, s syscall.Signal) {
	p.t.Helper()
	pid := 0
	if name == engineName {
		pid = p.enginePID()
	} else {
		pid = p.processes[name].cmd.Process.Pid
	}
	if err := syscall.Kill(pid, s); err != nil {
		p.t.Fatalf("%v to %s: %v", s, name, err)
	}
}

// enginePID is the process that works in the engine's folder. It waits while the engine is being started.
func (p *plant) enginePID() int {
	p.t.Helper()
	late := time.Now().Add(patience)
	for {
		folders, err := filepath.Glob("/proc/[0-9]*/cwd")
		if err != nil || time.Now().After(late) {
			p.t.Fatal("no engine runs: ", err)
		}
		for _, folder := range folders {
			if at, err := os.Readlink(folder); err != nil || at != p.engineDir() { // it may have ended
				continue
			}
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(folder))); err == nil {
				return pid
			}
		}
		if err := pause(p.t.Context(), 10*time.Millisecond); err != nil {
			p.t.Fatal(err)
		}
	}
}

// moment lets up to a third of a second pass: a fault comes at any time.
func (p *plant) moment() {
	_ = pause(p.t.Context(), time.Duration(p.random.IntN(300))*time.Millisecond)
}

// registryOff runs one more registry, in this process, whose clock is off.
func (p *plant) registryOff(by time.Duration) (url string, stop func()) {
	p.t.Helper()
	port, err := embedded.FreePort()
	if err != nil {
		p.t.Fatal(err)
	}
	a := &assembly{log: zap.NewNop(), health: lifecycle.NewHealth(), system: system{
		Data: p.dir, Listen: fmt.Sprintf("127.0.0.1:%d", port), NATSURL: p.processes[brokerName].url, ClickhouseDSN: p.engine.DSN(), Replicas: 1,
	}}
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	for _, step := range []func(context.Context) error{a.openData, a.openNATS, a.openClickHouse, a.openRoster} {
		if err := step(ctx); err != nil {
			p.t.Fatal(err)
		}
	}
	now := func() time.Time { return time.Now().Add(by) }
	a.server = httpapi.New(httpapi.Config{
		Health: a.health, Authenticate: roster.Authenticator{Roster: a.roster, Pepper: a.pepper, Now: now}.Authenticate,
	})
	s, err := registry.New(registry.Config{
		Log: a.log, NATS: a.nc, Roster: a.roster, Store: a.store, Finder: a.house, Health: a.health, Now: now, Pepper: a.pepper, Replicas: 1,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	s.Routes(a.server.API)
	a.parts = append(a.parts, lifecycle.Part{Name: serviceRegistry, Run: s.Run})
	ended := make(chan error, 1)
	go func() { ended <- a.serve(ctx, nil) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			p.t.Error(err)
		}
	})
	p.t.Cleanup(stop)
	return "http://" + a.Listen, stop
}

// needs gives the path of a program. It installs the Debian package when it is missing.
func needs(t *testing.T, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	if os.Geteuid() == 0 {
		out, installErr := exec.CommandContext(t.Context(), "apt-get", "install", "-y", debianPackage).CombinedOutput()
		if path, err = exec.LookPath(program); err == nil {
			return path
		}
		t.Fatalf("this test needs %s, and apt-get install %s fails (%v): %s", program, debianPackage, installErr, out)
	}
	t.Fatalf("this test needs %s: install the package %s", program, debianPackage)
	return ""
}

// asRoot fails the test for everybody else.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("this test mounts a file system: run it as root")
	}
}

// do runs a program to its end.
func do(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput() // also when the test is over
	if err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// wire carries the talk of writers with the broker, and loses of the broker's part what it is told to lose.
type wire struct {
	port            int
	lose            atomic.Int32
	acks, batchAcks atomic.Int64 // so many acknowledgements were lost, and so many of them were those of batches
}

// What a wire loses.
const (
	loseNothing int32 = iota
	loseAcks          // of events
	loseAnswers       // every message
)

func newWire(t *testing.T, broker string) *wire {
	t.Helper()
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	w := &wire{port: port}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := (&net.Dialer{}).DialContext(context.WithoutCancel(t.Context()), "tcp", broker)
			if err != nil {
				_ = client.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(server, client)
				_ = server.Close()
			}()
			go func() {
				_ = w.carry(client, bufio.NewReader(server))
				_ = client.Close()
			}()
		}
	}()
	return w
}

// carry passes on what the broker says, but for the messages that are to be lost.
func (w *wire) carry(client io.Writer, broker *bufio.Reader) error {
	for {
		line, err := broker.ReadBytes('\n')
		if err != nil {
			return err
		}
		frame := line
		if words := bytes.Fields(line); len(words) > 1 && (string(words[0]) == "MSG" || string(words[0]) == "HMSG") {
			size, err := strconv.Atoi(string(words[len(words)-1]))
			if err != nil {
				return err
			}
			body := make([]byte, size+len("\r\n"))
			if _, err := io.ReadFull(broker, body); err != nil {
				return err
			}
			if w.loses(body) {
				continue
			}
			frame = append(line, body...)
		}
		if _, err := client.Write(frame); err != nil {
			return err
		}
	}
}

// loses tells whether the broker's message is to be lost, and counts it then.
func (w *wire) loses(body []byte) bool {
	lose := w.lose.Load()
	if lose == loseNothing {
		return false
	}
	var ack struct {
		Stream   string `json:"stream"`
		Sequence uint64 `json:"seq"`
		Batch    string `json:"batch"`
	}
	if json.Unmarshal(body, &ack) != nil || ack.Stream != stream.DealsStream || ack.Sequence == 0 {
		return lose == loseAnswers
	}
	w.acks.Add(1)
	if ack.Batch != "" {
		w.batchAcks.Add(1)
	}
	return true
}

// hasLost waits until one more is counted.
func (*wire) hasLost(t *testing.T, count *atomic.Int64) {
	t.Helper()
	late := time.Now().Add(patience)
	for before := count.Load(); count.Load() == before; {
		if time.Now().After(late) || pause(t.Context(), time.Millisecond) != nil {
			t.Fatal("nothing was lost that should be")
		}
	}
}
