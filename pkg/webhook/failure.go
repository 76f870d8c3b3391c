package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"
)

// failed tells why there was no answer. The words never say which address a name led to: whoever asks may be looking for
// what lies in the operator's network.
func failed(ctx context.Context, err error) Result {
	outcome, words := reason(ctx, err)
	return Result{Outcome: outcome, Words: words}
}

func reason(ctx context.Context, err error) (Outcome, string) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return Canceled, "the attempt was stopped before there was an answer"
	}
	for _, known := range []func(error) (Outcome, string){noneLeft, refusedByGuard, failedProxy, failedName, failedCertificate, failedTLS, failedConnection} {
		if outcome, words := known(err); outcome != "" {
			return outcome, words
		}
	}
	if timeout := net.Error(nil); ctx.Err() != nil || (errors.As(err, &timeout) && timeout.Timeout()) {
		return TimedOut, "there was no answer in time: answer at once and do the work afterwards"
	}
	return BadAnswer, "what came back is no HTTP answer, or its headers have no end"
}

// noneLeft sees that this process may open no more files. Of a look-up that failed by it there is the text only, none of
// which comes from outside.
func noneLeft(err error) (Outcome, string) {
	var lookup *net.DNSError
	for _, exhausted := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE} {
		if errors.Is(err, exhausted) || (errors.As(err, &lookup) && strings.Contains(lookup.Err, exhausted.Error())) {
			return NotTried, "the service has no connection left: its operator has to raise the limit of open files"
		}
	}
	return "", ""
}

func refusedByGuard(err error) (Outcome, string) {
	for _, refusal := range []error{ssrf.ErrProhibitedIP, ssrf.ErrProhibitedNetwork, ssrf.ErrProhibitedPort, ssrf.ErrInvalidHostPort} {
		if errors.Is(err, refusal) {
			return AddressNotAllowed, "the name leads to an address that is not public: the operator can allow a network of its own"
		}
	}
	return "", ""
}

func failedProxy(err error) (Outcome, string) {
	if refused, is := errors.AsType[*proxyError](err); is {
		return Unreachable, fmt.Sprintf("the operator's egress proxy answered %d instead of connecting", refused.status)
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "proxyconnect" {
		return Unreachable, "the operator's egress proxy could not be reached"
	}
	return "", ""
}

func failedName(err error) (Outcome, string) {
	var lookup *net.DNSError
	switch {
	case !errors.As(err, &lookup):
		return "", ""
	case lookup.IsNotFound:
		return NameNotFound, "the host's name does not exist"
	}
	return NameNotFound, "the host's name could not be looked up"
}

func failedCertificate(err error) (Outcome, string) {
	if _, is := errors.AsType[*tls.CertificateVerificationError](err); !is {
		return "", ""
	}
	var (
		name    x509.HostnameError
		unknown x509.UnknownAuthorityError
		other   x509.CertificateInvalidError
	)
	why := "it is not valid"
	switch {
	case errors.As(err, &name):
		why = "it is for another name"
	case errors.As(err, &unknown):
		why = "it is signed by nobody known, or an intermediate certificate is missing"
	case errors.As(err, &other) && other.Reason == x509.Expired:
		why = "it has expired or is not valid yet"
	}
	return CertificateInvalid, "the receiver's certificate does not hold: " + why
}

func failedTLS(err error) (Outcome, string) {
	var (
		noTLS tls.RecordHeaderError
		alert *net.OpError
	)
	switch {
	case errors.As(err, &noTLS), errors.Is(err, http.ErrSchemeMismatch):
		return TLSFailed, "the receiver does not speak TLS on that port"
	case errors.As(err, &alert) && (alert.Op == "remote error" || alert.Op == "local error"), strings.HasPrefix(err.Error(), "tls: "):
		return TLSFailed, "there is no agreement on TLS: the receiver needs TLS 1.2 or later, and must ask for no certificate"
	}
	return "", ""
}

func failedConnection(err error) (Outcome, string) {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return ConnectionRefused, "nothing listens on that host and port"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return Unreachable, "there is no way to the host's network"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		strings.Contains(err.Error(), "stream error: "), strings.Contains(err.Error(), "http2: "): // whose types are not exported
		return ConnectionLost, "the receiver closed the connection without an answer"
	}
	return "", ""
}
