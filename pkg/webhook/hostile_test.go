package webhook_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/webhook"
	"github.com/dealreg/dealreg/pkg/webhook/webhooktest"
)

// loopback lets tests dial their own receivers.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// quiet is the log of servers whose clients misbehave on purpose.
var quiet = log.New(io.Discard, "", 0)

// soon is a deadline for what must run into it whatever came before, dripping for what must run into it behind a handshake
// and the start of an answer, and late for what must not run into it.
const (
	soon     = 300 * time.Millisecond
	dripping = 5 * time.Second
	late     = 30 * time.Second
)

// maxIdle is how many connections a client keeps.
const maxIdle = 3

// receiver is an HTTPS server for example.com and 127.0.0.1, and a guard that trusts its certificate.
func receiver(t *testing.T, handler http.HandlerFunc, adjust func(*httptest.Server)) (*httptest.Server, webhook.Guard) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = quiet
	if adjust != nil {
		adjust(server)
	}
	server.StartTLS()
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return server, webhook.Guard{Allow: loopback, Roots: roots, Now: func() time.Time { return sentAt }}
}

func post(t *testing.T, g webhook.Guard, address string, within time.Duration) webhook.Result {
	t.Helper()
	client, err := webhook.NewClient(g, maxIdle)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdle)
	return postWith(t, client, address, within)
}

func postWith(t *testing.T, client *webhook.Client, address string, within time.Duration) webhook.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	result := client.Post(ctx, address, signed(t, "deal:1", sentAt, body, webhook.NewSecret()), body)
	for _, told := range []string{"127.0.0.1", "169.254", "told by the receiver", address} {
		if strings.Contains(result.Words, told) {
			t.Errorf("the words tell %q: %s", told, result.Words)
		}
	}
	if result.Words == "" || len(result.Excerpt) > 4*512 {
		t.Errorf("%+v", result)
	}
	return result
}

func TestPost_SendsWhatWasSigned(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			var got *http.Request
			var came []byte
			server, guard := receiver(t, func(w http.ResponseWriter, r *http.Request) {
				got = r
				came, _ = io.ReadAll(r.Body)
				_, _ = io.WriteString(w, "thanks")
			}, func(s *httptest.Server) { s.EnableHTTP2 = protocol == "HTTP/2.0" })
			result := post(t, guard, server.URL+"/hook?tenant=1", late)
			if result.Outcome != webhook.Delivered || result.Status != 200 || result.Excerpt != "thanks" {
				t.Fatalf("%+v", result)
			}
			if got.Proto != protocol || got.Method != http.MethodPost || got.RequestURI != "/hook?tenant=1" || !bytes.Equal(came, body) || got.ContentLength != int64(len(body)) {
				t.Errorf("%s %s %s with %s", got.Proto, got.Method, got.RequestURI, came)
			}
			for name, want := range map[string]string{
				"Content-Type": webhook.ContentType, "Accept-Encoding": "identity", "Webhook-Id": "deal:1", "Webhook-Timestamp": "1795339800",
			} {
				if got.Header.Get(name) != want {
					t.Errorf("%s: %q", name, got.Header.Get(name))
				}
			}
			for name := range got.Header {
				switch name {
				case "Content-Type", "Content-Length", "Accept-Encoding", "User-Agent", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature":
				default:
					t.Errorf("the header %s was sent too", name)
				}
			}
		})
	}
}

func TestPost_TellsWhatTheStatusMeans(t *testing.T) {
	t.Parallel()
	var followed atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	t.Cleanup(elsewhere.Close)
	for _, c := range []struct {
		status     int
		header     string
		value      string
		want       webhook.Outcome
		retryAfter time.Duration
	}{
		{200, "", "", webhook.Delivered, 0},
		{201, "Location", elsewhere.URL, webhook.Delivered, 0},
		{204, "", "", webhook.Delivered, 0},
		{299, "Retry-After", "60", webhook.Delivered, 0},
		{301, "Location", "http://169.254.169.254/latest/meta-data/", webhook.Redirected, 0},
		{302, "Location", elsewhere.URL, webhook.Redirected, 0},
		{307, "Location", elsewhere.URL, webhook.Redirected, 0},
		{308, "Location", elsewhere.URL, webhook.Redirected, 0},
		{304, "", "", webhook.Redirected, 0},
		{400, "", "", webhook.ClientError, 0},
		{401, "", "", webhook.ClientError, 0},
		{404, "", "", webhook.ClientError, 0},
		{407, "", "", webhook.ClientError, 0},
		{410, "", "", webhook.Gone, 0},
		{429, "", "", webhook.RateLimited, 0},
		{429, "Retry-After", "120", webhook.RateLimited, 2 * time.Minute},
		{429, "Retry-After", " 7 ", webhook.RateLimited, 7 * time.Second},
		{429, "Retry-After", "Sun, 22 Nov 2026 09:31:00 GMT", webhook.RateLimited, time.Minute - 999},
		{429, "Retry-After", "Sunday, 22-Nov-26 09:31:00 GMT", webhook.RateLimited, time.Minute - 999},
		{429, "Retry-After", "Sun, 22 Nov 2026 09:30:00 GMT", webhook.RateLimited, 0},
		{429, "Retry-After", "Sat, 21 Nov 2026 09:30:00 GMT", webhook.RateLimited, 0},
		{429, "Retry-After", "Mon, 22 Nov 2060 09:30:00 GMT", webhook.RateLimited, 24 * time.Hour},
		{429, "Retry-After", "86401", webhook.RateLimited, 24 * time.Hour},
		{429, "Retry-After", "99999999999999999999999999", webhook.RateLimited, 24 * time.Hour},
		{429, "Retry-After", "0", webhook.RateLimited, 0},
		{429, "Retry-After", "-5", webhook.RateLimited, 0},
		{429, "Retry-After", "1.5", webhook.RateLimited, 0},
		{429, "Retry-After", "soon", webhook.RateLimited, 0},
		{500, "Retry-After", "60", webhook.ServerError, 0},
		{503, "Retry-After", "60", webhook.ServerError, time.Minute},
		{599, "", "", webhook.ServerError, 0},
		{600, "", "", webhook.BadAnswer, 0},
		{999, "", "", webhook.BadAnswer, 0},
	} {
		t.Run(fmt.Sprintf("%d %s %s", c.status, c.header, c.value), func(t *testing.T) {
			t.Parallel()
			server, guard := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set(c.header, c.value)
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, "told by the receiver")
			}, nil)
			result := post(t, guard, server.URL, late)
			if result.Outcome != c.want || result.Status != c.status || result.RetryAfter != c.retryAfter {
				t.Errorf("%+v", result)
			}
		})
	}
	t.Cleanup(func() {
		if n := followed.Load(); n != 0 {
			t.Errorf("%d redirects were followed", n)
		}
	})
}

func TestPost_ReadsAnAnswerOnlyAsFarAsItNeeds(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	bomb := &bytes.Buffer{}
	packed := gzip.NewWriter(bomb)
	for range 64 {
		_, _ = packed.Write(make([]byte, len(chunk)))
	}
	_ = packed.Close()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		within  time.Duration
		excerpt string
	}{
		"a gigabyte": {func(w http.ResponseWriter, r *http.Request) {
			for sent.Load() < 1<<30 {
				n, err := w.Write(chunk)
				sent.Add(int64(n))
				if err != nil {
					return
				}
			}
		}, late, strings.Repeat("0123456789abcdef", 32)},
		"a bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}, late, `\x1f\x8b`},
		"a drip": {func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for {
				if _, err := io.WriteString(w, "."); err != nil || http.NewResponseController(w).Flush() != nil {
					return
				}
				select {
				case <-tick.C:
				case <-r.Context().Done():
					return
				}
			}
		}, dripping, "."},
		"an answer cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "so far")
		}, late, "so far"},
		"control characters": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "\x1b[2Ja\x00\r\nb\u202e\xffü")
		}, late, `\x1b[2Ja\x00\r\nb\u202e\xffü`},
		"a rune cut off": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("a", 511)+"€")
		}, late, strings.Repeat("a", 511)},
	} {
		for _, version := range []string{"1", "2"} {
			t.Run(name+" over HTTP/"+version, func(t *testing.T) {
				t.Parallel()
				server, guard := receiver(t, c.handler, func(s *httptest.Server) { s.EnableHTTP2 = version == "2" })
				result := post(t, guard, server.URL, c.within)
				if result.Outcome != webhook.Delivered || !strings.HasPrefix(result.Excerpt, c.excerpt) {
					t.Errorf("%+v", result)
				}
			})
		}
	}
	t.Cleanup(func() {
		if n := sent.Load(); n > 64<<20 {
			t.Errorf("%d bytes of a gigabyte were taken", n) // what the systems' buffers hold, twice
		}
	})
}

// raw serves each connection with bytes that no HTTP server would send. It ends when the test does.
func raw(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return listener.Addr().String()
}

// request reads one request from the connection.
func request(conn net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

// say answers the request with the text, and waits until the other side has had enough.
func say(text string) func(net.Conn) {
	return func(conn net.Conn) {
		request(conn)
		_, _ = io.WriteString(conn, text)
		_, _ = io.Copy(io.Discard, conn)
	}
}

// forEver answers with the start, and then with the rest again and again.
func forEver(start, rest string) func(net.Conn) {
	return func(conn net.Conn) {
		request(conn)
		_, err := io.WriteString(conn, start)
		for err == nil {
			_, err = io.WriteString(conn, rest)
		}
	}
}

func TestPost_TellsWhyThereWasNoAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		address string
		within  time.Duration
		want    webhook.Outcome
	}{
		"silence":             {"http://" + raw(t, say("")), soon, webhook.TimedOut},
		"half a header":       {"http://" + raw(t, say("HTTP/1.1 200 OK\r\nX-")), soon, webhook.TimedOut},
		"silence before TLS":  {"https://" + raw(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }), soon, webhook.TimedOut},
		"refused":             {"https://" + closedPort(t), late, webhook.ConnectionRefused},
		"reset":               {"http://" + raw(t, reset), late, webhook.ConnectionLost},
		"reset before TLS":    {"https://" + raw(t, reset), late, webhook.ConnectionLost},
		"closed":              {"http://" + raw(t, request), late, webhook.ConnectionLost},
		"another protocol":    {"http://" + raw(t, say("SSH-2.0-OpenSSH_9.2\r\n")), late, webhook.BadAnswer},
		"no TLS":              {"https://" + raw(t, say("HTTP/1.1 400 Bad Request\r\n\r\n")), late, webhook.TLSFailed},
		"headers without end": {"http://" + raw(t, forEver("HTTP/1.1 200 OK\r\n", "X-A: "+strings.Repeat("a", 1000)+"\r\n")), late, webhook.BadAnswer},
		"one endless header":  {"http://" + raw(t, forEver("HTTP/1.1 200 OK\r\nX-A: ", strings.Repeat("a", 1000))), late, webhook.BadAnswer},
		"wait without end":    {"http://" + raw(t, forEver("", "HTTP/1.1 100 Continue\r\n\r\n")), late, webhook.BadAnswer},
		"another conversation": {
			"http://" + raw(t, say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")), late, webhook.BadAnswer,
		},
		"unknown name": {"https://nowhere.test/", late, webhook.NameNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := post(t, webhook.Guard{Allow: loopback, AllowHTTP: true, Resolver: webhooktest.Names(nil)}, c.address, c.within)
			if result.Outcome != c.want || result.Excerpt != "" {
				t.Errorf("%+v", result)
			}
		})
	}
}

func reset(conn net.Conn) {
	_, _ = conn.Read(make([]byte, 1))
	_ = conn.(*net.TCPConn).SetLinger(0)
}

func TestPost_TakesNoCertificateThatDoesNotHold(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		host   string
		tls    *tls.Config
		adjust func(*webhook.Guard)
		want   webhook.Outcome
		words  string
	}{
		"right":                  {host: "example.com", want: webhook.Delivered, words: "200"},
		"for another name":       {host: "other.test", want: webhook.CertificateInvalid, words: "another name"},
		"signed by itself":       {host: "example.com", adjust: func(g *webhook.Guard) { g.Roots = x509.NewCertPool() }, want: webhook.CertificateInvalid, words: "nobody known"},
		"TLS 1.1":                {host: "example.com", tls: &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, want: webhook.TLSFailed, words: "TLS 1.2"},
		"asks for a certificate": {host: "example.com", tls: &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12}, want: webhook.TLSFailed, words: "no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, guard := receiver(t, func(http.ResponseWriter, *http.Request) {}, func(s *httptest.Server) { s.TLS = c.tls })
			guard.Resolver = webhooktest.Names(map[string][]string{"example.com": {"127.0.0.1"}, "other.test": {"127.0.0.1"}})
			if c.adjust != nil {
				c.adjust(&guard)
			}
			_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
			result := post(t, guard, "https://"+c.host+":"+port, late)
			if result.Outcome != c.want || !strings.Contains(result.Words, c.words) {
				t.Errorf("%+v", result)
			}
		})
	}
}

func TestPost_DialsNoAddressThatIsNotPublicWhateverItsNameIs(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "100.64.0.1", "169.254.169.254", "172.31.255.255", "192.0.0.1", "192.168.1.1",
		"198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1",
		"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1", "fc00::1", "fe80::1", "fec0::1", "ff02::1",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			guard := webhook.Guard{Resolver: webhooktest.Names(map[string][]string{"innocent.test": {address}})}
			if result := post(t, guard, "https://innocent.test/", late); result.Outcome != webhook.AddressNotAllowed {
				t.Errorf("%+v", result)
			}
			guard.Proxy = &url.URL{Scheme: "http", Host: closedPort(t)}
			if result := post(t, guard, "https://innocent.test/", late); result.Outcome != webhook.AddressNotAllowed {
				t.Errorf("through a proxy: %+v", result)
			}
		})
	}
}

// closedPort is an address on which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// TestPost_DialsWhatItChecked lets a name lead to a public address when it is looked up, and to this machine when it
// is dialled a moment later.
func TestPost_DialsWhatItChecked(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	server, guard := receiver(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) }, nil)
	guard.Allow = nil
	guard.Resolver = webhooktest.Names(map[string][]string{"example.com": {"93.184.216.34", "127.0.0.1"}})
	first, err := guard.Resolver.LookupNetIP(t.Context(), "ip4", "example.com")
	if err != nil || first[0].Unmap() != netip.MustParseAddr("93.184.216.34") {
		t.Fatalf("the name leads to %v: %v", first, err)
	}
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	if result := post(t, guard, "https://example.com:"+port, late); result.Outcome != webhook.AddressNotAllowed {
		t.Errorf("%+v", result)
	}
	guard.Allow = loopback
	if result := post(t, guard, "https://example.com:"+port, late); result.Outcome != webhook.Delivered || reached.Load() != 1 {
		t.Errorf("the test proves nothing, the name leads nowhere: %+v, reached %d times", result, reached.Load())
	}
}

func TestPost_AsksTheGuardAboutTheURLEachTime(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"http://example.com/", "https://2130706433/", "https://0177.0.0.1/", "https://0x7f.1/", "https://[::ffff:127.0.0.1]/", "https://user@example.com/", "::",
	} {
		if result := post(t, webhook.Guard{}, address, late); result.Outcome != webhook.AddressNotAllowed {
			t.Errorf("%s: %+v", address, result)
		}
	}
}

func TestPost_TellsThatTheCallerStopped(t *testing.T) {
	t.Parallel()
	client, err := webhook.NewClient(webhook.Guard{Allow: loopback, AllowHTTP: true}, maxIdle)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	address := raw(t, func(conn net.Conn) {
		request(conn)
		stop()
		_, _ = io.Copy(io.Discard, conn)
	})
	if result := client.Post(ctx, "http://"+address, http.Header{}, body); result.Outcome != webhook.Canceled {
		t.Errorf("%+v", result)
	}
}

// TestPost_ForgivesAConnectionThatWasClosedWhileIdle answers once on each connection and closes it at the next request.
func TestPost_ForgivesAConnectionThatWasClosedWhileIdle(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	address := raw(t, func(conn net.Conn) {
		connections.Add(1)
		request(conn)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		_, _ = conn.Read(make([]byte, 1))
	})
	client, err := webhook.NewClient(webhook.Guard{Allow: loopback, AllowHTTP: true}, maxIdle)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	for range 3 {
		if result := postWith(t, client, "http://"+address, late); result.Outcome != webhook.Delivered {
			t.Errorf("%+v", result)
		}
	}
	if n := connections.Load(); n != 3 {
		t.Errorf("%d connections", n)
	}
}

// TestPost_UsesAConnectionAgainUnlessItsAnswerIsTooLong tells by the connections how much of an answer was read: one whose
// answer was not read to its end cannot be used again.
func TestPost_UsesAConnectionAgainUnlessItsAnswerIsTooLong(t *testing.T) {
	t.Parallel()
	const posts = 5
	for _, c := range []struct{ answer, connections int }{{60 << 10, 1}, {65 << 10, posts}, {200 << 10, posts}} {
		t.Run(fmt.Sprintf("%d bytes", c.answer), func(t *testing.T) {
			t.Parallel()
			var connections atomic.Int32
			server, guard := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write(make([]byte, c.answer))
			}, func(s *httptest.Server) {
				s.EnableHTTP2 = false
				s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
					if state == http.StateNew {
						connections.Add(1)
					}
				}
			})
			client, err := webhook.NewClient(guard, maxIdle)
			if err != nil {
				t.Fatal(err)
			}
			defer client.CloseIdle()
			for range posts {
				if result := postWith(t, client, server.URL, late); result.Outcome != webhook.Delivered {
					t.Errorf("%+v", result)
				}
			}
			if n := int(connections.Load()); n != c.connections {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func TestPost_TakesNoProxyFromTheEnvironment(t *testing.T) { //nolint:paralleltest // it changes the environment
	for _, name := range []string{"HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"} {
		t.Setenv(name, "http://"+closedPort(t))
	}
	server, guard := receiver(t, func(http.ResponseWriter, *http.Request) {}, nil)
	guard.Resolver = webhooktest.Names(map[string][]string{"example.com": {"127.0.0.1"}})
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	if result := post(t, guard, "https://example.com:"+port, late); result.Outcome != webhook.Delivered {
		t.Errorf("%+v", result)
	}
}

func TestPost_GoesThroughTheEgressProxy(t *testing.T) {
	t.Parallel()
	server, guard := receiver(t, func(http.ResponseWriter, *http.Request) {}, nil)
	guard.Resolver = webhooktest.Names(map[string][]string{"example.com": {"127.0.0.1"}})
	var asked []string
	answer := http.StatusOK
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.Host)
		if answer != http.StatusOK {
			w.WriteHeader(answer)
			return
		}
		tunnel(t, w, server.Listener.Addr().String())
	}))
	t.Cleanup(proxy.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	guard.Proxy, _ = url.Parse(proxy.URL)

	if result := post(t, guard, "https://example.com:"+port, late); result.Outcome != webhook.Delivered {
		t.Errorf("%+v", result)
	}
	answer = http.StatusForbidden
	if result := post(t, guard, "https://example.com:"+port, late); result.Outcome != webhook.Unreachable || !strings.Contains(result.Words, "proxy answered 403") {
		t.Errorf("%+v", result)
	}
	if len(asked) != 2 || asked[0] != "CONNECT example.com:"+port {
		t.Errorf("the proxy was asked %v", asked)
	}
	guard.Allow = nil
	if result := post(t, guard, "https://example.com:"+port, late); result.Outcome != webhook.AddressNotAllowed || len(asked) != 2 {
		t.Errorf("%+v, the proxy was asked %v", result, asked)
	}
	guard.Allow, guard.Proxy = loopback, &url.URL{Scheme: "http", Host: closedPort(t)}
	if result := post(t, guard, "https://example.com:"+port, late); result.Outcome != webhook.Unreachable || !strings.Contains(result.Words, "proxy could not be reached") {
		t.Errorf("%+v", result)
	}
}

// tunnel connects the two sides of a CONNECT until one of them ends.
func tunnel(t *testing.T, w http.ResponseWriter, to string) {
	upstream, err := net.Dial("tcp", to)
	if err != nil {
		t.Error(err)
		return
	}
	defer upstream.Close()
	client, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer client.Close()
	_, _ = io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() {
		_, _ = io.Copy(upstream, client)
		_ = upstream.Close()
	}()
	_, _ = io.Copy(client, upstream)
}

func TestNewClient_RefusesAProxyThatItCannotUse(t *testing.T) {
	t.Parallel()
	for _, proxy := range []url.URL{{Scheme: "socks5", Host: "127.0.0.1:1"}, {Scheme: "http"}, {Host: "127.0.0.1:1"}} {
		if _, err := webhook.NewClient(webhook.Guard{Proxy: &proxy}, maxIdle); err == nil {
			t.Errorf("%+v was taken", proxy)
		}
	}
}

func TestClient_KeepsFewIdleConnectionsHoweverManyReceiversThereAre(t *testing.T) {
	t.Parallel()
	for _, version := range []int{1, 2} {
		t.Run(fmt.Sprint("HTTP/", version), func(t *testing.T) {
			t.Parallel()
			roots := x509.NewCertPool()
			client, err := webhook.NewClient(webhook.Guard{Allow: loopback, Roots: roots}, maxIdle)
			if err != nil {
				t.Fatal(err)
			}
			for range 5 * maxIdle {
				server, _ := receiver(t, func(w http.ResponseWriter, r *http.Request) {
					if r.ProtoMajor != version {
						w.WriteHeader(http.StatusHTTPVersionNotSupported)
					}
				}, func(s *httptest.Server) { s.EnableHTTP2 = version == 2 })
				roots.AddCert(server.Certificate())
				if result := postWith(t, client, server.URL, late); result.Outcome != webhook.Delivered {
					t.Errorf("%+v", result)
				}
				if n := client.Open(); n > 2*maxIdle { // some are being closed
					t.Fatalf("%d connections are open", n)
				}
			}
		})
	}
}

// noneLeft tells a child process of this test to use up what it may open.
const noneLeft = "DEALREG_TEST_WEBHOOK_NONE_LEFT"

func TestPost_BlamesNoReceiverForTheLimitOfOpenFiles(t *testing.T) {
	t.Parallel()
	if os.Getenv(noneLeft) == "" {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), noneLeft+"=1")
		if out, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	guard := webhook.Guard{Allow: loopback, AllowHTTP: true, Resolver: &net.Resolver{PreferGo: true}}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: 64}); err != nil {
		t.Fatal(err)
	}
	var files []*os.File
	for {
		file, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		files = append(files, file)
	}
	for _, address := range []string{server.URL, "http://example.com:8080"} {
		if result := post(t, guard, address, late); result.Outcome != webhook.NotTried {
			t.Errorf("%s: %+v", address, result)
		}
	}
	for _, file := range files {
		_ = file.Close()
	}
	if result := post(t, guard, server.URL, late); result.Outcome != webhook.Delivered {
		t.Errorf("%+v", result)
	}
}
