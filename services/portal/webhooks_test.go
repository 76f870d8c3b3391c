package portal_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/dealreg/dealreg/services/portal"
	"github.com/dealreg/dealreg/services/portal/api"
)

const (
	theEndpoint  = "0198c2f4-0000-7000-8000-0000000000ee"
	endpointPath = "/webhooks/" + theEndpoint
	disabledAt   = "2026-11-21T10:20:30.123456789Z"
)

// endpointAPI is the far side of HTTP: it has one endpoint and keeps which replays were asked for.
type endpointAPI struct {
	mu      sync.Mutex
	enabled bool
	failing bool
	full    bool // takes no more replays
	replays []string

	attempts string
}

func (b *endpointAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text, _ := io.ReadAll(r.Body)
	path, ofEndpoint := strings.CutPrefix(r.URL.Path, "/v1/webhook-endpoints/"+theEndpoint)
	switch {
	case r.URL.Path == "/v1/sessions":
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"secret":"drk_session","expires_at":"2100-01-01T00:00:00Z","role":"company_admin","company_id":"`+alder+`"}`)
	case r.URL.Path == "/v1/event-types":
		_, _ = io.WriteString(w, `{"items":[{"type":"dealreg.deal.won"},{"type":"dealreg.endpoint.test"}]}`)
	case path == "/attempts":
		_, _ = io.WriteString(w, `{"items":[`+b.attempts+`]}`)
	case ofEndpoint && (path == "" || path == "/enable"):
		b.enabled = b.enabled || path == "/enable"
		since := ""
		if b.failing {
			since = `,"failing_since":"` + disabledAt + `"`
		}
		_, _ = fmt.Fprintf(w, `{"id":%q,"url":"https://crm.example/hook","signing":"shared","rate_per_second":0.5,"enabled":%t,"disabled_at":%q%s}`,
			theEndpoint, b.enabled, disabledAt, since)
	case path == "/replay" && b.full:
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"status":409,"detail":"5 replays to this endpoint are running: wait until one of them is done"}`)
	case path == "/replay":
		b.replays = append(b.replays, string(text))
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprintf(w, `{"id":%q}`, replayID(len(b.replays)))
	case path == "/replays/"+replayID(1):
		_, _ = io.WriteString(w, `{"state":"done","progress":1,"delivered":7,"failed":1}`)
	case path == "/replays/"+replayID(2):
		_, _ = io.WriteString(w, `{"state":"running","progress":0.25,"delivered":20,"failed":2}`)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func replayID(n int) string { return fmt.Sprintf("0198c2f4-0000-7000-8000-%012d", n) }

func newEndpointSite(t *testing.T, b *endpointAPI) *site {
	t.Helper()
	return newSite(t, func(c *portal.Config) {
		c.API = api.New(&url.URL{Scheme: "http", Host: "api"}, api.InProcess{Handler: b})
	}).as("drk_admin")
}

// act presses a button of the page at the address and gives where that leads.
func (s *site) act(address, does string) string {
	s.t.Helper()
	response, text := s.do(http.MethodPost, address, url.Values{"act": {does}})
	if response.StatusCode != http.StatusSeeOther {
		s.t.Fatal(response.StatusCode, text)
	}
	return response.Header.Get("Location")
}

func TestWebhooks_WhatADisabledEndpointMissedIsOfferedWhenItIsEnabled(t *testing.T) {
	t.Parallel()
	b := &endpointAPI{}
	s := newEndpointSite(t, b)
	enabled := s.act(endpointPath, "enable")
	if again := s.act(endpointPath, "enable"); again != enabled {
		t.Errorf("a double click leads to %s instead of %s", again, enabled)
	}
	_, text := s.do(http.MethodGet, enabled, nil)
	for _, want := range []string{"21 November 2026, 10:20 UTC", "Send what it missed"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing: %s", want, text)
		}
	}
	if n := strings.Count(text, `value="2026-11-21T10:20"`); n != 2 {
		t.Errorf("%d replays begin where it was disabled", n)
	}

	b.full = true
	if full := s.act(enabled, "missed"); full != enabled {
		t.Errorf("what was refused leads to %s", full)
	}
	b.full = false
	under := s.act(enabled, "missed")
	var asked []map[string]string
	for _, body := range b.replays {
		var one map[string]string
		if err := json.Unmarshal([]byte(body), &one); err != nil {
			t.Fatal(err)
		}
		asked = append(asked, one)
	}
	want := []map[string]string{{"since": disabledAt}, {"failed_since": disabledAt}}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
	_, text = s.do(http.MethodGet, under, nil)
	for _, want := range []string{"27 delivered, 3 failed", `value="0.25"`, "data-again"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing: %s", want, text)
		}
	}
}

func TestWebhooks_NothingIsOfferedOfAnEndpointThatWasNotDisabledJustNow(t *testing.T) {
	t.Parallel()
	s := newEndpointSite(t, &endpointAPI{enabled: true, failing: true})
	_, text := s.do(http.MethodGet, endpointPath, nil)
	if !strings.Contains(text, `name="act" value="try"`) || strings.Contains(text, `name="act" value="enable"`) {
		t.Error("one that fails is enabled, not tried")
	}
	address := s.act(endpointPath, "try")
	if _, text = s.do(http.MethodGet, address, nil); strings.Contains(text, "Send what it missed") {
		t.Errorf("at %s: %s", address, text)
	}
}

func TestWebhooks_NumbersAreThoseOfTheReadersLanguage(t *testing.T) {
	t.Parallel()
	s := newEndpointSite(t, &endpointAPI{enabled: true, attempts: `{"verdict":"delivered","outcome":"delivered","attempt":2,"at":"2026-11-21T10:20:30Z","took_ms":2303.211}`})
	for language, wants := range map[string][]string{"en": {"<dd>0.5", "attempt 2, 2,304\u00a0ms"}, "de": {"<dd>0,5", "Versuch 2, 2.304\u00a0ms"}} {
		_, text := s.do(http.MethodGet, endpointPath+"?lang="+language, nil)
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing: %s", language, want, text)
			}
		}
	}
}

func TestWebhooks_AnEndpointWithoutAttemptsIsNotToldThatNoneMatches(t *testing.T) {
	t.Parallel()
	s := newEndpointSite(t, &endpointAPI{enabled: true})
	for query, want := range map[string]string{"": "No attempt is listed yet.", "?outcome=gone": "No attempt matches."} {
		if _, text := s.do(http.MethodGet, endpointPath+query, nil); !strings.Contains(text, want) {
			t.Errorf("%q is missing: %s", want, text)
		}
	}
}

func TestWebhooks_TheTypeOfTestsIsNoChoice(t *testing.T) {
	t.Parallel()
	s := newEndpointSite(t, &endpointAPI{enabled: true})
	_, text := s.do(http.MethodGet, endpointPath, nil)
	if !strings.Contains(text, `value="dealreg.deal.won"`) || strings.Contains(text, "dealreg.endpoint.test") {
		t.Error(text)
	}
}
