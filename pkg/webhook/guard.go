package webhook

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"code.dny.dev/ssrf"
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

const (
	mostURLBytes  = 2048
	mostHostBytes = 253
	leastFreePort = 1024
)

// What is wrong with an endpoint's URL, in words for the one who gave it.
var (
	errURLForm    = errors.New("write it as https://host/path, at most 2048 characters")
	errURLScheme  = errors.New("it must begin with https://")
	errURLUser    = errors.New("leave out the user and password: the signature tells you that it is from us")
	errURLPart    = errors.New("leave out the part behind #: it is never sent")
	errURLPort    = errors.New("the port must be 443 or from 1024 to 65535")
	errURLHost    = errors.New("the host must be a name of ASCII letters, digits, hyphens and dots (xn--... for others), or an address")
	errURLNumber  = errors.New("write the address as four decimal numbers with dots, such as 192.0.2.1")
	errURLAddress = errors.New("the host is not a public address")
)

// CheckURL tells whether an endpoint may have the URL, as far as can be seen without asking anyone. The error is in words
// for the one who gave it. A name is checked by what it leads to when it is dialled, each time.
func (g Guard) CheckURL(text string) (*url.URL, error) { return g.checkURL(text, g.guardian()) }

func (g Guard) checkURL(text string, guardian *ssrf.Guardian) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || len(text) > mostURLBytes || u.Opaque != "" || u.Host == "" {
		return nil, errURLForm // what url.Parse says repeats the text
	}
	switch {
	case u.Scheme != "https" && (u.Scheme != "http" || !g.AllowHTTP):
		return nil, errURLScheme
	case u.User != nil:
		return nil, errURLUser
	case u.Fragment != "" || strings.Contains(text, "#"):
		return nil, errURLPart
	case !g.allowsPort(u):
		return nil, errURLPort
	}
	if err := checkHost(u.Hostname(), guardian); err != nil {
		return nil, err
	}
	return u, nil
}

func (g Guard) allowsPort(u *url.URL) bool {
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case u.Port() == "":
		return !strings.HasSuffix(u.Host, ":")
	case err != nil:
		return false
	}
	return port == 443 || port >= leastFreePort || (port == 80 && g.AllowHTTP)
}

// checkHost refuses addresses that are not allowed, and hosts that one reader takes for a name and another for an address.
func checkHost(host string, guardian *ssrf.Guardian) error {
	if address, err := netip.ParseAddr(host); err == nil {
		if guardian.SafeAddr(address.Unmap()) != nil {
			return errURLAddress
		}
		return nil
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	switch {
	case name == "" || len(name) > mostHostBytes || strings.Contains(name, "..") || strings.ContainsFunc(name, notInName):
		return errURLHost
	case endsInNumber(name):
		return errURLNumber
	case name == "localhost" || strings.HasSuffix(name, ".localhost"):
		return checkHost("127.0.0.1", guardian)
	}
	return nil
}

func notInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.' && r != '_'
}

// endsInNumber tells whether browsers and the system's resolver would read the name as an IPv4 address: 2130706433,
// 0177.0.0.1, 0x7f.1 and 127.1 are all 127.0.0.1 to one of them. (The WHATWG URL standard has the rule under this name.)
func endsInNumber(name string) bool {
	last := name[strings.LastIndexByte(name, '.')+1:]
	if digits, is := strings.CutPrefix(last, "0x"); is {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// guardian judges addresses; URLs' ports are judged by CheckURL.
func (g Guard) guardian() *ssrf.Guardian {
	var v4, v6 []netip.Prefix
	for _, p := range g.Allow {
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	return ssrf.New(ssrf.WithAnyPort(), ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...))
}

// checkName looks the host up and refuses it when any of its addresses is not allowed: for a proxy, whose own look-up
// may pick any of them.
func (g Guard) checkName(ctx context.Context, host string, guardian *ssrf.Guardian) error {
	resolver := g.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	addresses, err := resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return err
	}
	for _, a := range addresses {
		if err := guardian.SafeAddr(a.Unmap()); err != nil {
			return fmt.Errorf("before the proxy is asked: %w", err)
		}
	}
	return nil
}
