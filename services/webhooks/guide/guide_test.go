// Package guide_test runs the receivers of the guide as a reader would: as processes, against an API on the far side.
package guide_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/embedded"
	"github.com/dealreg/dealreg/pkg/webhook"
	"github.com/dealreg/dealreg/pkg/webhook/webhooktest"
)

// What the API knows. A request for the slow deal waits until it is released.
var (
	missed   = deal.ID{0x0a}
	missed2  = deal.ID{0x0b}
	slow     = deal.ID{0x0c}
	changed  = deal.ID{0x0d}
	changed2 = deal.ID{0x0e}
)

const key = "drk_guide_key"

// api is the far side: it lists two missed deals on two pages, and has every deal at revision 5.
type api struct {
	*httptest.Server
	asked   chan string
	slow    chan struct{}
	release func()
}

func startAPI(t *testing.T) *api {
	t.Helper()
	a := &api{asked: make(chan string, 100), slow: make(chan struct{})}
	a.release = sync.OnceFunc(func() { close(a.slow) })
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+key {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		a.asked <- r.URL.Path + " " + r.URL.Query().Encode()
		id, one := strings.CutPrefix(r.URL.Path, "/v1/deals/")
		switch {
		case id == slow.String():
			<-a.slow
			fallthrough
		case one:
			fmt.Fprintf(w, `{"id":"%s","status":"won","revision":5}`, id)
		case r.URL.Query().Get("cursor") == "":
			fmt.Fprintf(w, `{"items":[{"id":"%s","status":"active","revision":3}],"next_cursor":"more","as_of_sequence":41}`, missed)
		default:
			fmt.Fprintf(w, `{"items":[{"id":"%s","status":"closing","revision":2}],"as_of_sequence":42}`, missed2)
		}
	}))
	t.Cleanup(a.Close)
	t.Cleanup(a.release)
	return a
}

// late is when a test gives up on what has to come.
const late = time.Minute

func (a *api) expect(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-a.asked:
		if got != want {
			t.Errorf("the API was asked for %s instead of %s", got, want)
		}
	case <-time.After(late):
		t.Fatalf("the API was not asked for %s", want)
	}
}

// receiver is a running example.
type receiver struct {
	t     *testing.T
	url   string
	lines chan string
}

// start runs the command as the example that knows the secrets, and waits until it listens.
func start(t *testing.T, folder string, command []string, apiURL string, secrets ...webhook.Secret) *receiver {
	t.Helper()
	port, err := embedded.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	known := make([]string, len(secrets))
	for i, s := range secrets {
		known[i] = s.Reveal()
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "LISTEN="+address, "DEALREG_URL="+apiURL, "DEALREG_KEY="+key, "DEALREG_WEBHOOK_SECRETS="+strings.Join(known, " "))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: %v", command, err)
	}
	r := &receiver{t: t, url: "http://" + address + "/webhooks", lines: make(chan string, 1000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(r.lines)
		for scan := bufio.NewScanner(out); scan.Scan(); {
			r.lines <- scan.Text()
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address); err == nil {
			_ = conn.Close()
			return r
		}
		select {
		case <-ended:
			t.Fatalf("%v ended: %s", command, r.said())
		case <-tick.C:
		}
	}
}

// said is what the example printed that nobody waited for.
func (r *receiver) said() string {
	var all []string
	for line := range r.lines {
		all = append(all, line)
	}
	return strings.Join(all, "\n")
}

func (r *receiver) waitFor(text string) {
	r.t.Helper()
	for giveUp := time.After(late); ; {
		select {
		case line, goesOn := <-r.lines:
			if strings.Contains(line, text) {
				return
			}
			if goesOn {
				continue
			}
		case <-giveUp:
		}
		r.t.Fatalf("it does not say %q", text)
	}
}

// hungUp stands for the status of a receiver that closes the connection instead of reading on.
const hungUp = 0

// deliver sends one attempt, and gives the status of the answer, or hungUp.
func (r *receiver) deliver(header http.Header, body []byte) int {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url, bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header = header.Clone()
	request.Header.Set("Content-Type", webhook.ContentType)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return hungUp
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode
}

// now is the clock that the examples read too.
func now() time.Time {
	return time.Now() //nolint:forbidigo // the examples are processes of their own
}

func won(id deal.ID, revision uint64) webhook.Event {
	return webhook.Deal(deal.Event{Type: deal.EventWon, At: now(), Deal: deal.Deal{ID: id, Revision: revision, Status: deal.Won, TermsVersion: 1}})
}

func signed(t *testing.T, e webhook.Event, at time.Time, by ...webhook.Secret) (http.Header, []byte) {
	t.Helper()
	body, err := e.Body()
	if err != nil {
		t.Fatal(err)
	}
	header, err := webhook.Sign(e.ID, at, body, by...)
	if err != nil {
		t.Fatal(err)
	}
	return header, body
}

// examples are the folders of the guide, and how a reader runs each.
func examples(t *testing.T) map[string][]string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "receiver")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./go").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	webhooktest.NodeModules(t, "node")
	if _, err := exec.LookPath("python3"); err != nil {
		t.Fatalf("%v: the Python receiver needs Python 3.9 or later, on Debian apt-get install python3", err)
	}
	return map[string][]string{"go": {binary}, "node": {"node", "receiver.mjs"}, "python": {"python3", "receiver.py"}}
}

func TestReceivers_TakeEachEventOnceAndNothingElse(t *testing.T) {
	t.Parallel()
	for language, command := range examples(t) {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			far, old, fresh, next := startAPI(t), webhook.NewSecret(), webhook.NewSecret(), webhook.NewSecret()
			r := start(t, language, command, far.URL, old, fresh)

			// What was missed before it started is fetched first.
			for _, want := range []string{"/v1/deals after_sequence=0&limit=200", "/v1/deals after_sequence=0&cursor=more&limit=200"} {
				far.expect(t, want)
			}
			r.waitFor(missed.String() + " is active at revision 3")
			r.waitFor(missed2.String() + " is closing at revision 2")

			for _, c := range []struct {
				name   string
				event  webhook.Event
				by     []webhook.Secret
				late   time.Duration
				change func(h http.Header, body []byte) []byte
				want   int
			}{
				{name: "an event whose deal takes long to fetch", event: won(slow, 5), by: []webhook.Secret{fresh}, want: 204},
				{name: "the same event again", event: won(slow, 5), by: []webhook.Secret{fresh}, want: 204},
				{name: "signed with the old secret", event: won(changed, 5), by: []webhook.Secret{old}, want: 204},
				{name: "signed with two secrets", event: won(changed2, 4), by: []webhook.Secret{next, old}, want: 204},
				{name: "a later event that the fetched revision has already", event: won(changed2, 5), by: []webhook.Secret{fresh}, want: 204},
				{name: "an event of no deal", event: webhook.Test(deal.ID{1}, now()), by: []webhook.Secret{fresh}, want: 204},
				{name: "signed with a secret that nobody knows", event: won(deal.ID{0xff}, 1), by: []webhook.Secret{next}, want: 401},
				{name: "signed six minutes ago", event: won(deal.ID{0xff}, 1), by: []webhook.Secret{fresh}, late: -6 * time.Minute, want: 401},
				{name: "signed in six minutes", event: won(deal.ID{0xff}, 1), by: []webhook.Secret{fresh}, late: 6 * time.Minute, want: 401},
				{name: "another body", event: won(deal.ID{0xff}, 1), by: []webhook.Secret{fresh}, want: 401, change: func(_ http.Header, body []byte) []byte {
					return bytes.Replace(body, []byte("won"), []byte("one"), 1)
				}},
				{name: "another id", event: won(deal.ID{0xff}, 1), by: []webhook.Secret{fresh}, want: 401, change: func(h http.Header, body []byte) []byte {
					h.Set(webhook.HeaderID, "other")
					return body
				}},
				{name: "no signature", event: won(deal.ID{0xff}, 1), by: []webhook.Secret{fresh}, want: 401, change: func(h http.Header, body []byte) []byte {
					h.Del(webhook.HeaderSignature)
					return body
				}},
				{name: "no headers", event: won(deal.ID{0xff}, 1), by: []webhook.Secret{fresh}, want: 401, change: func(h http.Header, body []byte) []byte {
					clear(h)
					return body
				}},
				{name: "a signature of another scheme", event: won(deal.ID{0xff}, 1), by: []webhook.Secret{fresh}, want: 401, change: func(h http.Header, body []byte) []byte {
					h.Set(webhook.HeaderSignature, strings.Replace(h.Get(webhook.HeaderSignature), "v1,", "v0,", 1))
					return body
				}},
				{name: "too much", event: won(deal.ID{0xff}, 1), by: []webhook.Secret{fresh}, want: 413, change: func(_ http.Header, body []byte) []byte {
					return append(body, make([]byte, 65<<10)...)
				}},
			} {
				header, body := signed(t, c.event, now().Add(c.late), c.by...)
				if c.change != nil {
					body = c.change(header, body)
				}
				if got := r.deliver(header, body); got != c.want && (got != hungUp || c.want != 413) {
					t.Errorf("%s: answered %d", c.name, got)
				}
			}

			// All that was answered while the API had not answered once. Then each deal is fetched once, in order.
			far.release()
			for _, id := range []deal.ID{slow, changed, changed2} {
				r.waitFor(id.String() + " is won at revision 5")
				far.expect(t, "/v1/deals/"+id.String()+" ")
			}
			last, body := signed(t, won(deal.ID{0x0f}, 5), now(), fresh)
			if got := r.deliver(last, body); got != 204 {
				t.Errorf("answered %d", got)
			}
			r.waitFor(deal.ID{0x0f}.String() + " is won")
			far.expect(t, "/v1/deals/"+deal.ID{0x0f}.String()+" ")
		})
	}
}
