package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/embedded/embeddedtest"
)

// patience is how long a test waits for anything: a machine that others keep busy takes its time.
const patience = 5 * time.Minute

// asDealreg makes the test's own binary behave as the command dealreg.
const asDealreg = "DEALREG_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	embedded.RunEngineIfAsked()
	serveBrokerIfAsked()
	if os.Getenv(asDealreg) != "" {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(embeddedtest.Main(m))
}

// process is a running dealreg command.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	url string

	mu    sync.Mutex
	out   bytes.Buffer // stdout
	err   bytes.Buffer // stderr
	lines chan string  // of stdout
	ended chan struct{}
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), asDealreg+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// launch starts a command that goes on until it is stopped.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	return spawn(t, command(t, append(args, "--listen", address)...), "http://"+address)
}

// spawn starts a process that answers at the url, if it does, and kills it when the test ends.
func spawn(t *testing.T, cmd *exec.Cmd, url string) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, url: url, lines: make(chan string, 1000), ended: make(chan struct{})}
	p.cmd.Stderr = &lockedWriter{mu: &p.mu, to: &p.err}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for scan := bufio.NewScanner(stdout); scan.Scan(); {
			p.mu.Lock()
			p.out.WriteString(scan.Text() + "\n")
			p.mu.Unlock()
			p.lines <- scan.Text()
		}
		_ = p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%v\n%s", cmd.Args[1:], p.errors())
		}
	})
	return p
}

type lockedWriter struct {
	mu *sync.Mutex
	to *bytes.Buffer
}

func (w *lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}

func (p *process) errors() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err.String()
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// waitFor waits for a line of stdout and gives what the expression's group holds.
func (p *process) waitFor(expression string) string {
	p.t.Helper()
	pattern := regexp.MustCompile(expression)
	late := time.After(patience)
	for {
		select {
		case line := <-p.lines:
			if found := pattern.FindStringSubmatch(line); found != nil {
				return found[len(found)-1]
			}
		case <-p.ended:
			p.t.Fatalf("ended before %q: %s", expression, p.errors())
		case <-late:
			p.t.Fatalf("no line %q: %s", expression, p.errors())
		}
	}
}

// kill ends the process and its engine at once, as a cut of power would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// stop asks the process to end, and fails the test when it ends badly, as it does when a part is not done in time.
func (p *process) stop() {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(patience): // its parts stop one after the other
		p.t.Errorf("does not stop: %s", p.errors())
		p.kill()
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("exit code %d: %s", code, p.errors())
	}
}

// result runs a command to its end and gives what it printed and its exit code.
func result(t *testing.T, args ...string) (string, int) {
	t.Helper()
	cmd := command(t, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// up is a system with everything in one process, and its operator's key.
func up(t *testing.T, data string, more ...string) *process {
	t.Helper()
	return launch(t, append([]string{"up", "--data", data, "--log-level", "warn"}, more...)...)
}

const operatorLine = `operator's key.*(drk_\S+)`

func auditIsEqual(t *testing.T, url, key string) {
	t.Helper()
	if out, code := result(t, "audit", "--url", url, "--key", key); code != 0 {
		t.Fatalf("audit: exit %d\n%s", code, out)
	}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
}

func ready(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		err := waitReady(ctx, url) // which gives up sooner
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

// lacks waits until /readyz says that the part is missing.
func (p *process) lacks(part string) {
	p.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(patience); ; <-tick.C {
		response, err := http.Get(p.url + "/readyz")
		if err != nil {
			p.t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil {
			p.t.Fatal(err)
		}
		if response.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(text), `"`+part+`"`) {
			return
		}
		if time.Now().After(late) {
			p.t.Fatalf("/readyz without %s: %d %s", part, response.StatusCode, text)
		}
	}
}
