package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"code.dny.dev/ssrf"
)

const (
	maxAnswerBytes  = 64 << 10
	maxHeaderBytes  = 64 << 10
	maxExcerptBytes = 512

	// The caller's deadline bounds an exchange; these bound what the transport goes on with after a caller has left.
	dialTimeout      = 15 * time.Second
	handshakeTimeout = 15 * time.Second
	idleTimeout      = 30 * time.Second

	// Many endpoints are at the same host, and each may have some exchanges at a time.
	maxIdlePerHost = 32

	userAgent = "dealreg-webhooks/1 (+https://github.com/dealreg/dealreg)"
)

// alwaysSent are the headers of every webhook. Nobody writes to the values.
var alwaysSent = http.Header{
	"Content-Type":    {ContentType},
	"User-Agent":      {userAgent},
	"Accept-Encoding": {"identity"},
	"Idempotency-Key": nil, // for the transport: may be sent again on a new connection; it is not sent
}

// Client carries webhooks to addresses that strangers chose. It is safe for concurrent use.
type Client struct {
	guard     Guard
	guardian  *ssrf.Guardian
	transport *http.Transport
	now       func() time.Time

	open, underWay atomic.Int64 // connections and exchanges
}

// NewClient makes a client that dials what the guard allows and nothing else, whatever a name leads to at that moment.
// It follows no redirect, asks for no compression, reads no proxy from the environment, and speaks TLS 1.2 or later. It keeps
// about maxIdle connections at most for another request, 1 or more, and closes the one that was idle longest first; of those
// of HTTP/2 all at once. The error tells what is wrong with the guard's proxy.
func NewClient(g Guard, maxIdle int) (*Client, error) {
	guardian := g.guardian()
	dialer := &net.Dialer{Timeout: dialTimeout, Resolver: g.Resolver, Control: guardian.Safe}
	transport := &http.Transport{
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: g.Roots},
		TLSHandshakeTimeout:    handshakeTimeout,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderBytes,
		MaxIdleConns:           maxIdle,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		ForceAttemptHTTP2:      true,
	}
	if g.Proxy != nil {
		if (g.Proxy.Scheme != "http" && g.Proxy.Scheme != "https") || g.Proxy.Host == "" {
			return nil, fmt.Errorf("the egress proxy must be http://host:port or https://host:port")
		}
		dialer.Control = nil // the operator chose the proxy, and nothing else is dialled
		transport.Proxy = http.ProxyURL(g.Proxy)
		transport.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
			if answer.StatusCode != http.StatusOK {
				return &proxyError{answer.StatusCode}
			}
			return nil
		}
	}
	if g.Now == nil {
		g.Now = time.Now //nolint:forbidigo // the clock of the running service
	}
	c := &Client{guard: g, guardian: guardian, transport: transport, now: g.Now}
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		// Those of HTTP/2 that are too many the transport forgets, and leaves open until they have been idle for idleTimeout.
		if c.open.Add(1)-c.underWay.Load() > int64(maxIdle) {
			transport.CloseIdleConnections()
		}
		return &counted{conn, sync.OnceFunc(func() { c.open.Add(-1) })}, nil
	}
	return c, nil
}

// counted is an open connection until it is closed.
type counted struct {
	net.Conn
	closed func()
}

func (c *counted) Close() error {
	c.closed()
	return c.Conn.Close()
}

// Open gives the number of connections that are open now, in use or idle.
func (c *Client) Open() int { return int(c.open.Load()) }

// proxyError says that the egress proxy refused to connect.
type proxyError struct{ status int }

func (e *proxyError) Error() string { return fmt.Sprintf("the egress proxy answered %d", e.status) }

// CloseIdle closes the connections that wait for another request.
func (c *Client) CloseIdle() { c.transport.CloseIdleConnections() }

// Post makes one attempt: it sends the body with the headers (of Sign; Post takes the map over and adds its own) and tells
// what came of it. The context's deadline is the deadline of the whole exchange. It never reads more than 64 KB of an answer.
//
// A connection that the receiver closed while it was idle is not held against it: the request is sent again on a new
// one, which is safe because receivers drop what has an id that they know.
func (c *Client) Post(ctx context.Context, address string, header http.Header, body []byte) Result {
	c.underWay.Add(1)
	defer c.underWay.Add(-1)
	u, err := c.guard.checkURL(address, c.guardian)
	if err != nil {
		return Result{Outcome: AddressNotAllowed, Words: "the endpoint's URL is not allowed: " + err.Error()}
	}
	if c.guard.Proxy != nil {
		if err := c.guard.checkName(ctx, u.Hostname(), c.guardian); err != nil {
			return failed(ctx, err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "", bytes.NewReader(body))
	if err != nil {
		return failed(ctx, err)
	}
	request.URL, request.Host = u, u.Host // parsed once
	maps.Copy(header, alwaysSent)
	request.Header = header
	answer, err := c.transport.RoundTrip(request)
	if err != nil {
		return failed(ctx, err)
	}
	defer answer.Body.Close()
	return c.answered(answer)
}

// answered reads as much of the answer as lets the connection be used again, within bounds. The status has decided by
// then, whatever comes of the rest.
func (c *Client) answered(answer *http.Response) Result {
	result := Result{Status: answer.StatusCode}
	result.Outcome, result.Words = judge(answer.StatusCode)
	if answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusServiceUnavailable {
		result.RetryAfter = retryAfter(answer.Header.Get("Retry-After"), c.now())
	}
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return result // the rest is no body: reading it would wait without the context
	}
	if answer.Body == http.NoBody {
		return result
	}
	start := make([]byte, maxExcerptBytes)
	n, err := io.ReadFull(answer.Body, start)
	if err == nil {
		_, _ = io.CopyN(io.Discard, answer.Body, maxAnswerBytes-maxExcerptBytes)
	}
	result.Excerpt = Readable(start[:n])
	return result
}
