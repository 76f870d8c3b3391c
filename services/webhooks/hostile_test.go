package webhooks_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dealreg/dealreg/services/webhooks"
)

// secretTail is what a receiver's answer ends with: nobody may ever read it here.
const secretTail = "SENTINEL-of-the-receiver"

// TestHostile_ReceiversGetTheRightOutcomeAndKeepTheirAnswers sends one event to each kind of receiver that there is.
func TestHostile_ReceiversGetTheRightOutcomeAndKeepTheirAnswers(t *testing.T) {
	t.Parallel()
	var visited atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited.Add(1) }))
	defer inside.Close()
	secure := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited.Add(1) }))
	defer secure.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	forever, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	hang := func(r *http.Request) {
		select {
		case <-forever.Done():
		case <-r.Context().Done():
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(code)
			_, _ = rw.Write([]byte("begins so\n" + strings.Repeat(".", 600) + secretTail))
		}
	}
	bomb := gzipBomb(t)
	type receiver struct {
		url     string // or
		answer  http.HandlerFunc
		outcome string
		verdict string
	}
	receivers := map[string]receiver{
		"200":       {answer: status(200), outcome: "delivered", verdict: "delivered"},
		"204":       {answer: func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(204) }, outcome: "delivered", verdict: "delivered"},
		"404":       {answer: status(404), outcome: "client_error"},
		"410":       {answer: status(410), outcome: "gone"},
		"429":       {answer: status(429), outcome: "rate_limited"},
		"500":       {answer: status(500), outcome: "server_error"},
		"no answer": {answer: func(_ http.ResponseWriter, r *http.Request) { hang(r) }, outcome: "timed_out"},
		"redirect": {answer: func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, "http://169.254.169.254/latest/meta-data/", http.StatusTemporaryRedirect)
		}, outcome: "redirected"},
		"redirect inside": {answer: func(rw http.ResponseWriter, r *http.Request) {
			http.Redirect(rw, r, inside.URL, http.StatusFound)
		}, outcome: "redirected"},
		"slow drip": {answer: func(rw http.ResponseWriter, r *http.Request) {
			rw.WriteHeader(500)
			for r.Context().Err() == nil {
				if _, err := rw.Write([]byte(".")); err != nil || http.NewResponseController(rw).Flush() != nil {
					return
				}
				select {
				case <-time.After(50 * time.Millisecond):
				case <-forever.Done():
					return
				}
			}
		}, outcome: "server_error"},
		"endless body": {answer: func(rw http.ResponseWriter, _ *http.Request) {
			rw.WriteHeader(500)
			page := []byte(strings.Repeat("x", 1<<20))
			for range 1024 {
				if _, err := rw.Write(page); err != nil {
					return
				}
			}
		}, outcome: "server_error"},
		"gzip bomb": {answer: func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Encoding", "gzip")
			_, _ = rw.Write(bomb)
		}, outcome: "delivered", verdict: "delivered"},
		"reset": {answer: func(rw http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(rw).Hijack()
			if err != nil {
				return
			}
			_ = conn.(*net.TCPConn).SetLinger(0)
			_ = conn.Close()
		}, outcome: "connection_lost"},
		"nobody there":      {url: closed.URL, outcome: "connection_refused"},
		"wrong certificate": {url: secure.URL, outcome: "certificate_invalid"},
		"no such name":      {url: "http://receiver.invalid/", outcome: "name_not_found"},
	}
	w := newWorld(t, func(cfg *webhooks.Config) {
		cfg.Deadline = 5 * time.Second
		cfg.Schedule = []time.Duration{} // one attempt each
	})
	t.Cleanup(stop) // before the servers close
	type made struct{ key, id, event string }
	all := map[string]made{}
	for name, rc := range receivers {
		company, key := w.companyAdmin()
		url := rc.url
		if rc.answer != nil {
			server := httptest.NewServer(rc.answer)
			t.Cleanup(server.Close)
			url = server.URL
		}
		id, _ := w.endpoint(key, url, nil)
		all[name] = made{key: key, id: id, event: w.happen(1, company)[0]}
	}
	t.Cleanup(stop)
	for name, m := range all {
		want := receivers[name]
		found := w.attempts(m.key, m.id, "", func(a []object) bool { return len(a) > 0 })[0]
		verdict := want.verdict
		if verdict == "" {
			verdict = "failed"
		}
		words, _ := found["words"].(string)
		excerpt, _ := found["excerpt"].(string)
		if found["outcome"] != want.outcome || found["verdict"] != verdict || words == "" || found["event_id"] != m.event {
			t.Errorf("%s: %v", name, found)
		}
		if len(excerpt) > 4*512 || strings.Contains(excerpt, secretTail) || strings.Contains(words, secretTail) {
			t.Errorf("%s keeps %d bytes of the answer", name, len(excerpt))
		}
		if shown := w.must(200, m.key, "GET", endpoints+"/"+m.id, nil); shown["enabled"] != (name != "410") {
			t.Errorf("%s: enabled is %v", name, shown["enabled"])
		}
	}
	if visited.Load() > 0 {
		t.Error("a redirect was followed, or a certificate of nobody was taken")
	}
}

// gzipBomb is a megabyte that becomes a gigabyte.
func gzipBomb(t *testing.T) []byte {
	t.Helper()
	var bomb bytes.Buffer
	zip, err := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	page := make([]byte, 1<<20)
	for range 1024 {
		if _, err := zip.Write(page); err != nil {
			t.Fatal(err)
		}
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return bomb.Bytes()
}

func TestHostile_AddressesAreRefusedWhenTheyAreGivenAndWhenTheyAreDialled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *webhooks.Config) {
		cfg.Guard.Allow = nil
		cfg.Schedule = []time.Duration{}
	})
	_, key := w.companyAdmin()
	for _, url := range []string{
		"http://127.0.0.1/", "http://10.0.0.1/", "http://169.254.169.254/latest/", "http://[::1]/", "http://[::ffff:10.0.0.1]/",
		"http://[64:ff9b::a00:1]/", "http://2130706433/", "http://0177.0.0.1/", "http://0x7f.1/", "http://127.1/", "http://localhost/",
		"ftp://example.com/", "http://user:pass@example.com/", "http://example.com/#x", "http://example.com:22/", "http://", "x", "",
	} {
		if status, answer, _ := w.do(key, "POST", endpoints, object{"url": url, "event_types": []string{"*"}}); status != 422 {
			t.Errorf("%q: %d %v", url, status, answer)
		}
	}
}

func TestRetryAfter_IsWaitedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	company, key := w.companyAdmin()
	times := make(chan time.Time, 10)
	var n atomic.Int32
	rc := newReceiver(t, func(rw http.ResponseWriter, _ *http.Request, _ []byte) {
		times <- now()
		if n.Add(1) == 1 {
			rw.Header().Set("Retry-After", "1")
			rw.WriteHeader(http.StatusTooManyRequests)
		}
	})
	w.endpoint(key, rc.URL, nil)
	events := w.happen(1, company)
	rc.await(t, events...)
	if first, second := <-times, <-times; second.Sub(first) < time.Second {
		t.Errorf("tried again after %v", second.Sub(first))
	}
	more := w.happen(3, company)
	rc.await(t, more...)
	rc.once(t, slices.Concat(events, more)...)
}

// TestRetryAfter_BeginsWithTheAnswer answers half an hour after it was asked, and looks at the events that come then.
func TestRetryAfter_BeginsWithTheAnswer(t *testing.T) {
	t.Parallel()
	var forward func(time.Duration)
	w := newWorld(t, func(cfg *webhooks.Config) { forward = movable(cfg) })
	company, key := w.companyAdmin()
	var answered atomic.Bool
	rc := newReceiver(t, func(rw http.ResponseWriter, _ *http.Request, _ []byte) {
		if !answered.Swap(true) {
			forward(30 * time.Minute)
			rw.Header().Set("Retry-After", "1200")
			rw.WriteHeader(http.StatusTooManyRequests)
		}
	})
	id, _ := w.endpoint(key, rc.URL, nil)
	w.happen(1, company)
	w.attempts(key, id, "outcome=rate_limited", func(a []object) bool { return len(a) == 1 })
	events := w.happen(5, company)
	w.until("in the gap", func() bool {
		c := w.cursor(id)
		return len(rc.all()) > 0 || c.At < c.Through
	})
	if n := len(rc.all()); n > 0 {
		t.Fatalf("%d events came while the receiver had asked to be left alone", n)
	}
	forward(20 * time.Minute)
	rc.await(t, events...)
}

func TestDisabled_AfterDaysWithoutASuccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *webhooks.Config) { patient(cfg); cfg.DisableAfter = time.Second })
	company, key := w.companyAdmin()
	rc := newReceiver(t, func(rw http.ResponseWriter, _ *http.Request, _ []byte) { rw.WriteHeader(500) })
	id, _ := w.endpoint(key, rc.URL, nil)
	w.happen(1, company)
	var shown object
	w.until("disabled", func() bool {
		shown = w.must(200, key, "GET", endpoints+"/"+id, nil)
		return shown["enabled"] == false
	})
	if reason, _ := shown["disabled_reason"].(string); !strings.Contains(reason, "every delivery has failed since") {
		t.Errorf("disabled because %q", reason)
	}
}
