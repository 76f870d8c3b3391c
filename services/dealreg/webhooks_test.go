package main

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestWebhookFlags_AreReadFromTheCommandLineAndTheFile(t *testing.T) {
	t.Parallel()
	file := writeFile(t, "config.json", `{"webhook-allow": ["10.1.0.0/16", "fd00::/8"], "webhook-allow-http": true}`)
	for name, args := range map[string][]string{
		"command line": {"--webhook-allow", "10.1.0.0/16", "--webhook-allow", "fd00::/8", "--webhook-allow-http"},
		"file":         {"--config", file},
	} {
		out, code := result(t, append([]string{"config", "print"}, args...)...)
		var read webhookFlags
		if err := json.Unmarshal([]byte(out), &read); err != nil || code != 0 {
			t.Fatalf("%s: exit code %d: %s", name, code, out)
		}
		want := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}
		if !slices.Equal(read.WebhookAllow, want) || !read.WebhookAllowHTTP {
			t.Errorf("%s: read %+v", name, read)
		}
	}
	if _, code := result(t, "config", "print", "--webhook-allow", "10.1.0.0"); code != exitWrongUse {
		t.Errorf("a network without its length: exit code %d", code)
	}
}

func TestConfigPrint_ShowsNoPasswordOfAURL(t *testing.T) {
	t.Parallel()
	out, code := result(t, "config", "print", "--nats-url", "nats://me:hidden@a:4222,nats://hidden@b:4222", "--webhook-proxy", "http://me:hidden@proxy:3128",
		"--clickhouse-dsn", "clickhouse://me:hidden@c:9000/dealreg?secure=true&password=hidden&compress=lz4")
	if code != 0 || strings.Contains(out, "hidden") {
		t.Errorf("exit code %d: %s", code, out)
	}
	for _, shown := range []string{"//[secret]@a:4222", "//[secret]@b:4222", "//[secret]@proxy:3128", "@c:9000/dealreg", "compress=lz4"} {
		if !strings.Contains(out, shown) {
			t.Errorf("%s is not shown: %s", shown, out)
		}
	}
}
