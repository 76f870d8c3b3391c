package webhook

import (
	"context"
	"net/http"
	"time"
)

// Client carries webhooks to addresses that strangers chose. It is safe for concurrent use.
type Client struct{}

// NewClient makes a client that dials what the guard allows and nothing else, whatever a name resolves to at that moment.
// It follows no redirect, asks for no compression, reads no proxy from the environment, speaks TLS 1.2 or later.
func NewClient(g Guard) (*Client, error) { return &Client{}, nil }

// Post makes one attempt: it sends the body with the headers (of Sign; Content-Type is set) and tells what came of it. The
// context's deadline is the deadline of the whole exchange. It never reads more than 64 KB of an answer.
func (c *Client) Post(ctx context.Context, url string, header http.Header, body []byte) Result {
	return Result{}
}

// CloseIdle closes the connections that wait for another request.
func (c *Client) CloseIdle() {}

// Outcome is what came of an attempt.
type Outcome string

// The outcomes. Only Delivered is success; Gone asks that no more be sent; every other may be tried again later.
const (
	Delivered          Outcome = "delivered"           // 2xx
	Redirected         Outcome = "redirected"          // 3xx, not followed
	Gone               Outcome = "gone"                // 410
	RateLimited        Outcome = "rate_limited"        // 429
	ClientError        Outcome = "client_error"        // any other 4xx
	ServerError        Outcome = "server_error"        // 5xx
	BadAnswer          Outcome = "bad_answer"          // no HTTP, a status outside of 200-599, or headers without end
	TimedOut           Outcome = "timed_out"           // no answer before the deadline
	ConnectionRefused  Outcome = "connection_refused"  // nothing listens there
	ConnectionLost     Outcome = "connection_lost"     // reset or closed before the answer
	Unreachable        Outcome = "unreachable"         // no route, or the proxy could not reach it
	CertificateInvalid Outcome = "certificate_invalid" // expired, for another name, or by nobody known
	TLSFailed          Outcome = "tls_failed"          // no common version, or the other side speaks no TLS
	NameNotFound       Outcome = "name_not_found"      // the name does not exist, or could not be looked up
	AddressNotAllowed  Outcome = "address_not_allowed" // the guard refused it
	Canceled           Outcome = "canceled"            // the caller stopped; nothing is known
)

// Result is what came of an attempt.
type Result struct {
	Outcome    Outcome
	Words      string        // what happened and what the receiver's owner can do, without anything that the receiver sent
	Status     int           // of the answer; 0 when there was none
	RetryAfter time.Duration // what a 429 or 503 asked for, 1 s to 24 h; 0 when it asked for nothing that can be read
	Excerpt    string        // how the answer begins: at most 512 bytes, valid UTF-8, control characters escaped
}
