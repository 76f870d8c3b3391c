package httpapi_test

import (
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// scalarScript is the SHA-512 of dist/browser/standalone.js in the npm package that deployments/tools/scalar names.
const scalarScript = "tU3J4euEo5lXIMy42HF4KUTdundzAMuHoOw2Z0WquNAbdigLVdAyOGPJJoCmhiSNVRnSgfNqbB1VdiIfNATEMg=="

func TestDocs_ServesTheScriptOfThePinnedPackage(t *testing.T) {
	t.Parallel()
	packed, err := os.Open("docs/scalar.js.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha512.New()
	if _, err := io.Copy(sum, unpacked); err != nil {
		t.Fatal(err)
	}
	if got := base64.StdEncoding.EncodeToString(sum.Sum(nil)); got != scalarScript {
		t.Errorf("scalar.js has the hash %s: run `task docs`, and write the hash here when the version changed", got)
	}
}

func TestDocs_LoadsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	web, _ := serve(t)
	page := send(t, web, "GET", "/docs", "", "Authorization", "")
	if page.status != http.StatusOK || page.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", page.status, page.header)
	}
	start := send(t, web, "GET", "/docs/start.js", "", "Authorization", "")
	if host := regexp.MustCompile(`(?i)https?:|(?:src|href)="//`).FindString(page.text + start.text); host != "" {
		t.Errorf("the page or its script names another host: %s", host)
	}
	for _, want := range []string{"url: '/openapi.json'", "withDefaultFonts: false", "telemetry: false", "agent: { disabled: true }", "mcp: { disabled: true }"} {
		if !strings.Contains(start.text, want) {
			t.Errorf("start.js lacks %s", want)
		}
	}
	loaded := regexp.MustCompile(`(?:src|href)="(/?docs/[^"]+)"`).FindAllStringSubmatch(page.text, -1)
	if len(loaded) != 2 || strings.Contains(page.text, "<script>") || strings.Contains(page.text, "style=") {
		t.Errorf("the page loads %v, or has scripts or styles in it", loaded)
	}
	for _, m := range loaded {
		address := "/" + strings.TrimPrefix(m[1], "/")
		a := send(t, web, "GET", address, "", "Authorization", "", "Accept-Encoding", "identity")
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "text/javascript; charset=utf-8" || a.header.Get("Content-Encoding") != "" || a.text == "" {
			t.Errorf("%s: %d %v", address, a.status, a.header)
		}
		packed := send(t, web, "GET", address, "", "Accept-Encoding", "gzip")
		if scalar := strings.Contains(address, "scalar"); (packed.header.Get("Content-Encoding") == "gzip") != scalar {
			t.Errorf("%s: Content-Encoding %q", address, packed.header.Get("Content-Encoding"))
		}
		again := send(t, web, "GET", address, "", "If-None-Match", a.header.Get("ETag"))
		if again.status != http.StatusNotModified || again.text != "" {
			t.Errorf("%s again: %d", address, again.status)
		}
	}
}

func TestDocs_LetsNoOtherOriginIn(t *testing.T) {
	t.Parallel()
	web, _ := serve(t)
	page := send(t, web, "GET", "/docs", "", "Authorization", "")
	policy := map[string]string{}
	for part := range strings.SplitSeq(page.header.Get("Content-Security-Policy"), "; ") {
		name, sources, _ := strings.Cut(part, " ")
		policy[name] = sources
	}
	for name, want := range map[string]string{
		"default-src": "'none'", "script-src": "'self'", "connect-src": "'self'", "style-src": "'self' 'unsafe-inline'",
		"img-src": "'self' data:", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
	} {
		if policy[name] != want {
			t.Errorf("%s is %q, want %q", name, policy[name], want)
		}
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache",
	} {
		if got := page.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
