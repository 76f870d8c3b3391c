package main

import (
	"net/http"
	"testing"

	"github.com/dealreg/dealreg/services/aggregator"
)

func TestRebuild_KilledInTheMiddleGoesOnAndTheAuditAgrees(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p := up(t, data, "--demo")
	key := p.waitFor(operatorLine)
	p.waitFor(`(drl_\S+)`) // the demo's last lines
	start := call{method: http.MethodPost, path: "/v1/rebuilds", body: map[string]any{}}
	for range 2 {
		var r aggregator.RebuildReport
		start.into = &r
		if _, err := newClient(p.url, key).do(t.Context(), start); err != nil || r.State != aggregator.RebuildRunning {
			t.Fatalf("got %+v, %v", r, err)
		}
		p.kill()
		p = up(t, data)
		ready(t, p.url)
		var again aggregator.RebuildReport
		if _, err := newClient(p.url, key).do(t.Context(), call{method: http.MethodGet, path: "/v1/rebuilds/" + r.ID.String(), into: &again}); err != nil {
			t.Fatalf("the rebuild is forgotten: %v", err)
		}
	}
	out, code := result(t, "rebuild", "--url", p.url, "--key", key)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	contains(t, out, "rebuilt up to event")
	auditIsEqual(t, p.url, key)
	out, code = result(t, "rebuild", "--url", p.url, "--key", key, "--from", "1000000000")
	if code != exitFailed {
		t.Errorf("exit %d", code)
	}
	contains(t, out, "/from", "the log ends at")
	p.stop()
}

func TestRebuild_ShowsTheRateAndWhatIsLeft(t *testing.T) {
	t.Parallel()
	r := aggregator.RebuildReport{Position: 40_000, LastSequence: 100_000, EventsPerSecond: 500}
	if got, want := progressOf(r), "rebuild: event 40000 of 100000, 500 a second"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
	r.SecondsLeft = new(120.5)
	if got, want := progressOf(r), "rebuild: event 40000 of 100000, 500 a second, 2m0s left"; got != want {
		t.Errorf("%q; want %q", got, want)
	}
}
