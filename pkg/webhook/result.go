package webhook

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Outcome is what came of an attempt.
type Outcome string

// The outcomes. Only Delivered is success. Gone asks that no more be sent; every other may be tried again later.
const (
	Delivered          Outcome = "delivered"           // 2xx
	Redirected         Outcome = "redirected"          // 3xx, not followed
	Gone               Outcome = "gone"                // 410
	RateLimited        Outcome = "rate_limited"        // 429
	ClientError        Outcome = "client_error"        // any other 4xx
	ServerError        Outcome = "server_error"        // 5xx
	BadAnswer          Outcome = "bad_answer"          // no HTTP, a status that is no answer, or headers without end
	TimedOut           Outcome = "timed_out"           // no answer before the deadline
	ConnectionRefused  Outcome = "connection_refused"  // nothing listens there
	ConnectionLost     Outcome = "connection_lost"     // reset or closed before the answer
	Unreachable        Outcome = "unreachable"         // no route, or the egress proxy could not or would not connect
	CertificateInvalid Outcome = "certificate_invalid" // expired, for another name, or by nobody known
	TLSFailed          Outcome = "tls_failed"          // no common version, or the other side speaks no TLS
	NameNotFound       Outcome = "name_not_found"      // the name does not exist, or could not be looked up
	AddressNotAllowed  Outcome = "address_not_allowed" // the guard refused the URL, or what its name led to
	Canceled           Outcome = "canceled"            // the caller stopped: whether it arrived is not known

	// Nothing was sent.
	NotTried    Outcome = "not_tried"         // this process may open no more files: it says nothing of the receiver
	NotSigned   Outcome = "not_signed"        // a secret or a header does not open with the operator's key
	WasDisabled Outcome = "endpoint_disabled" // its time for a retry came while the endpoint was disabled
)

// Result is what came of an attempt.
type Result struct {
	Outcome    Outcome
	Words      string        // what happened and what the endpoint's owner can do; nothing in it was sent by the receiver
	Status     int           // of the answer; 0 when there was none
	RetryAfter time.Duration // what a 429 or 503 asked for, 1 s to 24 h; 0 when it asked for nothing that can be read
	Excerpt    string        // the first 512 bytes of the answer as printable text: anything else is written as \n, \x00, \u202e
}

// judge tells what a status means.
func judge(status int) (Outcome, string) {
	switch {
	case status >= 200 && status < 300:
		return Delivered, "delivered: the receiver answered " + strconv.Itoa(status)
	case status == http.StatusGone:
		return Gone, "the receiver answered 410: it wants no more webhooks"
	case status == http.StatusTooManyRequests:
		return RateLimited, "the receiver answered 429: it wants webhooks more slowly; lower the endpoint's rate_per_second"
	case status >= 300 && status < 400:
		return Redirected, fmt.Sprintf("the receiver answered %d, and redirects are not followed: give the endpoint the final URL", status)
	case status >= 400 && status < 500:
		return ClientError, fmt.Sprintf("the receiver refused it with %d: see its log, and the secret it checks the signature with", status)
	case status >= 500 && status < 600:
		return ServerError, fmt.Sprintf("the receiver failed with %d: see its log", status)
	}
	return BadAnswer, fmt.Sprintf("the receiver answered %d, which is no answer to a webhook", status)
}

const (
	leastRetryAfter = time.Second
	mostRetryAfter  = 24 * time.Hour
)

// retryAfter reads the header in both its forms, seconds and a date, and keeps it within bounds. 0: there is nothing to
// read, or it is not in the future.
func retryAfter(text string, now time.Time) time.Duration {
	text = strings.TrimSpace(text)
	var wait time.Duration
	if text != "" && strings.Trim(text, "0123456789") == "" {
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil || seconds > int64(mostRetryAfter/time.Second) {
			return mostRetryAfter
		}
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	if wait <= 0 {
		return 0
	}
	return min(max(wait, leastRetryAfter), mostRetryAfter)
}

// Readable writes bytes that a stranger sent as text that is safe to show anywhere, a terminal too: what cannot be printed
// is written as \n, \x00 or \u202e. A rune that was cut off at the end is left out.
func Readable(raw []byte) string {
	var text strings.Builder
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		switch {
		case r == utf8.RuneError && size == 1 && !utf8.FullRune(raw):
			return text.String()
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&text, `\x%02x`, raw[0])
		case strconv.IsPrint(r):
			text.WriteRune(r)
		default:
			text.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
		raw = raw[size:]
	}
	return text.String()
}
