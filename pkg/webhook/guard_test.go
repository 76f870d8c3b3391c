package webhook_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/webhook"
)

func TestCheckURL_TakesPublicHTTPSAddressesOnly(t *testing.T) {
	t.Parallel()
	var (
		public webhook.Guard
		lax    = webhook.Guard{AllowHTTP: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}
	)
	for address, want := range map[string]struct{ public, lax bool }{
		"https://example.com":                   {true, true},
		"https://example.com/hook?a=b":          {true, true},
		"https://EXAMPLE.com.:443/":             {true, true},
		"https://a_b.example.com:8443/":         {true, true},
		"https://xn--mnchen-3ya.example:65535/": {true, true},
		"https://93.184.216.34/":                {true, true},
		"https://[2606:4700::1111]/":            {true, true},
		"HTTPS://example.com/":                  {true, true},
		"http://example.com/":                   {false, true},
		"http://example.com:80/":                {false, true},
		"https://127.0.0.1/":                    {false, true},
		"https://localhost:8443/":               {false, true},
		"https://a.localhost/":                  {false, true},
		"https://[::ffff:127.0.0.1]/":           {false, true},
		"https://[::ffff:7f00:1]/":              {false, true},
		"https://[fd12::1]/":                    {false, true},

		"":                                                 {},
		"example.com":                                      {},
		"//example.com/":                                   {},
		"https:example.com":                                {},
		"https:///hook":                                    {},
		"https://":                                         {},
		"ftp://example.com/":                               {},
		"file:///etc/passwd":                               {},
		"javascript://example.com/":                        {},
		"https://user@example.com/":                        {},
		"https://user:password@example.com/":               {},
		"https://example.com/#part":                        {},
		"https://example.com/#":                            {},
		"https://example.com:/":                            {},
		"https://example.com:0/":                           {},
		"https://example.com:22/":                          {},
		"https://example.com:80/":                          {false, true},
		"https://example.com:1023/":                        {},
		"https://example.com:65536/":                       {},
		"https://example.com:-1/":                          {},
		"https://exa mple.com/":                            {},
		"https://example.com\\@127.0.0.1/":                 {},
		"https://example.com\n/":                           {},
		"https://münchen.example/":                         {},
		"https://１２７.0.0.1/":                               {},
		"https://127。0。0。1/":                               {},
		"https://%31%32%37.0.0.1/":                         {},
		"https://2130706433/":                              {},
		"https://017700000001/":                            {},
		"https://0x7f000001/":                              {},
		"https://0177.0.0.1/":                              {},
		"https://0x7f.0.0.1/":                              {},
		"https://127.1/":                                   {},
		"https://127.0.0.1./":                              {},
		"https://0x/":                                      {},
		"https://1.2.3.4.5/":                               {},
		"https://256.256.256.256/":                         {},
		"https://example..com/":                            {},
		"https://./":                                       {},
		"https://0.0.0.0/":                                 {},
		"https://10.1.2.3/":                                {},
		"https://100.64.0.1/":                              {},
		"https://169.254.169.254/":                         {},
		"https://172.16.0.1/":                              {},
		"https://192.168.0.1/":                             {},
		"https://192.0.2.1/":                               {},
		"https://198.18.0.1/":                              {},
		"https://224.0.0.1/":                               {},
		"https://255.255.255.255/":                         {},
		"https://[::]/":                                    {},
		"https://[::1]/":                                   {},
		"https://[::127.0.0.1]/":                           {},
		"https://[::ffff:10.0.0.1]/":                       {},
		"https://[64:ff9b::127.0.0.1]/":                    {},
		"https://[64:ff9b::808:808]/":                      {},
		"https://[64:ff9b:1::1]/":                          {},
		"https://[2002:7f00:1::]/":                         {},
		"https://[2001:0:7f00:1::]/":                       {},
		"https://[2001:db8::1]/":                           {},
		"https://[fc00::1]/":                               {},
		"https://[fe80::1]/":                               {},
		"https://[fe80::1%25lo]/":                          {},
		"https://[ff02::1]/":                               {},
		"https://[fd12::1%25lo]/":                          {},
		"https://" + strings.Repeat("a", 254):              {},
		"https://example.com/" + strings.Repeat("a", 2048): {},
	} {
		for name, c := range map[string]struct {
			guard webhook.Guard
			takes bool
		}{"public": {public, want.public}, "lax": {lax, want.lax}} {
			u, err := c.guard.CheckURL(address)
			if c.takes != (err == nil) || c.takes != (u != nil) {
				t.Errorf("%s: %q gives %v, %v", name, address, u, err)
			}
		}
	}
}
