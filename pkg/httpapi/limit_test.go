package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
)

// clock is a time that a test sets.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// limited is a server with one operation, on which each key (its token is one letter) may send as the limit says.
func limited(t *testing.T, limit func(roster.Principal) httpapi.Limit) (ask func(key string) *http.Response, c *clock) {
	t.Helper()
	c = &clock{at: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	server := httpapi.New(httpapi.Config{
		Now: c.now, Limit: limit, Refusals: httpapi.Limit{PerSecond: 0.5, Burst: 2},
		Authenticate: func(token string) (roster.Principal, error) {
			if len(token) != 1 {
				return roster.Principal{}, roster.ErrUnauthenticated
			}
			return roster.Principal{KeyID: deal.ID{token[0]}, Role: roster.RoleMember, Company: deal.ID{2}}, nil
		},
	})
	huma.Register(server.API, huma.Operation{Method: http.MethodGet, Path: "/v1/thing", OperationID: "get-thing"},
		func(context.Context, *struct{}) (*struct{}, error) { return nil, nil })
	web := httptest.NewServer(server.Handler())
	t.Cleanup(web.Close)
	return func(key string) *http.Response {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL+"/v1/thing", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response
	}, c
}

func TestLimit_RefusesWhatAKeySendsBeyondItAndSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	ask, clock := limited(t, func(roster.Principal) httpapi.Limit { return httpapi.Limit{PerSecond: 0.5, Burst: 3} })
	for _, want := range []string{`"key";r=2;t=2`, `"key";r=1;t=4`, `"key";r=0;t=6`} {
		r := ask("a")
		if r.StatusCode != http.StatusNoContent || r.Header.Get("RateLimit") != want || r.Header.Get("RateLimit-Policy") != `"key";q=3;w=6` {
			t.Errorf("%d %v, want RateLimit %s", r.StatusCode, r.Header, want)
		}
	}
	over := ask("a")
	if over.StatusCode != http.StatusTooManyRequests || over.Header.Get("Retry-After") != "2" || over.Header.Get("RateLimit") != `"key";r=0;t=6` ||
		over.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("beyond the limit: %d %v", over.StatusCode, over.Header)
	}
	if other := ask("b"); other.StatusCode != http.StatusNoContent {
		t.Errorf("another key: %d", other.StatusCode)
	}
	clock.pass(2 * time.Second)
	if again := ask("a"); again.StatusCode != http.StatusNoContent {
		t.Errorf("after Retry-After: %d", again.StatusCode)
	}
}

func TestLimit_OfNothingIsNone(t *testing.T) {
	t.Parallel()
	ask, _ := limited(t, func(roster.Principal) httpapi.Limit { return httpapi.Limit{} })
	for range 300 {
		if r := ask("a"); r.StatusCode != http.StatusNoContent || r.Header.Get("RateLimit") != "" {
			t.Fatalf("%d %v", r.StatusCode, r.Header)
		}
	}
}

func TestLimit_OfFailedAuthenticationsNeverStopsAValidKey(t *testing.T) {
	t.Parallel()
	ask, clock := limited(t, nil)
	for i, want := range []int{401, 401, 429} {
		if r := ask("wrong"); r.StatusCode != want || want == 429 && r.Header.Get("Retry-After") != "2" || r.Header.Get("RateLimit") != "" {
			t.Errorf("try %d: %d %v", i, r.StatusCode, r.Header)
		}
	}
	if r := ask("a"); r.StatusCode != http.StatusNoContent || !strings.Contains(r.Header.Get("RateLimit-Policy"), "q=200;w=4") {
		t.Errorf("a valid key: %d %v", r.StatusCode, r.Header)
	}
	clock.pass(2 * time.Second)
	if r := ask("wrong"); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("after Retry-After: %d", r.StatusCode)
	}
}

func TestDefaultLimit_LetsTheOperatorSendMore(t *testing.T) {
	t.Parallel()
	member, operator := httpapi.DefaultLimit(roster.Principal{Role: roster.RoleMember}), httpapi.DefaultLimit(roster.Principal{Role: roster.RoleOperator})
	if member != (httpapi.Limit{PerSecond: 50, Burst: 200}) || operator.PerSecond <= member.PerSecond || operator.Burst <= member.Burst {
		t.Errorf("member %v, operator %v", member, operator)
	}
}
