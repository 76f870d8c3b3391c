package stream_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dealreg/dealreg/pkg/embedded"
)

// In a process with this in its environment the tests are a broker on the folder, on the port that brokerPort names.
const (
	brokerDir  = "DEALREG_TEST_BROKER_DIR"
	brokerPort = "DEALREG_TEST_BROKER_PORT"
)

// serveBroker is such a process. It ends when the test that started it does, or kills it.
func serveBroker(dir string) {
	port, err := strconv.Atoi(os.Getenv(brokerPort))
	if err == nil {
		_, err = embedded.StartNATS(embedded.NATSConfig{Dir: dir, Port: port})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = os.Stdout.WriteString("ready\n")
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// startBroker runs a broker as a process of its own until kill.
func startBroker(t *testing.T, dir string, port int) (kill func()) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	broker := exec.CommandContext(t.Context(), program) // #nosec G204 -- this program
	broker.Env = append(os.Environ(), brokerDir+"="+dir, brokerPort+"="+strconv.Itoa(port))
	broker.Stderr = os.Stderr
	input, err := broker.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := broker.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := broker.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = broker.Process.Kill()
		_ = input.Close()
		_ = broker.Wait() // it was killed
	})
	t.Cleanup(kill)
	if _, err := bufio.NewReader(output).ReadString('\n'); err != nil {
		t.Fatal("the broker does not start: ", err)
	}
	return kill
}

func TestAppend_LosesNothingAcknowledgedWhenTheBrokerIsKilledAroundBatches(t *testing.T) {
	t.Parallel()
	const kills, writers = 4, 64
	random := rand.New(rand.NewPCG(20261122, 0)) // #nosec G404 -- the moments of the kills
	dir := t.TempDir()
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	acked := map[uint64]string{} // sequence -> payload
	for kill := range uint32(kills) {
		stop := startBroker(t, dir, port)
		nc, err := nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", port), nats.NoReconnect())
		if err != nil {
			t.Fatal(err)
		}
		log := ensure(t, nc)
		var mu sync.Mutex
		var crowd sync.WaitGroup
		before, going := len(acked), make(chan struct{})
		for writer := range uint32(writers) {
			crowd.Go(func() {
				for n := uint32(0); ; n++ {
					d := draft(t, (kill*writers+writer)<<16|n, "a", nil)
					sequence, err := log.Append(t.Context(), d)
					if err != nil {
						return // the broker is gone
					}
					mu.Lock()
					if acked[sequence] = string(d.Payload); len(acked) == before+2*writers {
						close(going)
					}
					mu.Unlock()
				}
			})
		}
		select {
		case <-going:
		case <-time.After(2 * time.Minute):
			t.Fatal("the writers do not go on")
		}
		<-time.After(time.Duration(random.IntN(300)) * time.Millisecond) // the kill comes at any moment
		stop()
		crowd.Wait()
		nc.Close()
	}
	startBroker(t, dir, port)
	nc, err := nats.Connect(fmt.Sprintf("nats://127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	log := ensure(t, nc)
	if err := log.Read(t.Context(), 1, func(sequence uint64, _ string, payload []byte) error {
		if want, was := acked[sequence]; was && want != string(payload) {
			t.Errorf("another event than the acknowledged one is at %d", sequence)
		}
		delete(acked, sequence)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(acked) > 0 {
		t.Errorf("%d acknowledged events are not in the log", len(acked))
	}
	groups, _ := batches(t, nc, lastSequence(t, log))
	if len(groups) < kills {
		t.Errorf("only %d batches were written between the kills", len(groups))
	}
}
