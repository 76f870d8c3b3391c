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
func limited(t *testing.T, limit func(roster.Principal) httpapi.Limit) (ask func(key string) (int, http.Header), c *clock) {
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
	return func(key string) (int, http.Header) {
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
		return response.StatusCode, response.Header
	}, c
}

func TestLimit_RefusesWhatAKeySendsBeyondItAndSaysWhenToComeBack(t *testing.T) {
	t.Parallel()
	ask, clock := limited(t, func(roster.Principal) httpapi.Limit { return httpapi.Limit{PerSecond: 0.5, Burst: 3} })
	for _, want := range []string{`"key";r=2;t=2`, `"key";r=1;t=4`, `"key";r=0;t=6`} {
		status, header := ask("a")
		if status != http.StatusNoContent || header.Get("RateLimit") != want || header.Get("RateLimit-Policy") != `"key";q=3;w=6` {
			t.Errorf("%d %v, want RateLimit %s", status, header, want)
		}
	}
	status, header := ask("a")
	if status != http.StatusTooManyRequests || header.Get("Retry-After") != "2" || header.Get("RateLimit") != `"key";r=0;t=6` ||
		header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("beyond the limit: %d %v", status, header)
	}
	if status, _ := ask("b"); status != http.StatusNoContent {
		t.Errorf("another key: %d", status)
	}
	clock.pass(2 * time.Second)
	if status, _ := ask("a"); status != http.StatusNoContent {
		t.Errorf("after Retry-After: %d", status)
	}
}

func TestLimit_OfNothingIsNone(t *testing.T) {
	t.Parallel()
	ask, _ := limited(t, func(roster.Principal) httpapi.Limit { return httpapi.Limit{} })
	for range 300 {
		if status, header := ask("a"); status != http.StatusNoContent || header.Get("RateLimit") != "" {
			t.Fatalf("%d %v", status, header)
		}
	}
}

func TestLimit_OfFailedAuthenticationsNeverStopsAValidKey(t *testing.T) {
	t.Parallel()
	ask, clock := limited(t, nil)
	for i, want := range []int{401, 401, 429} {
		if status, header := ask("wrong"); status != want || want == 429 && header.Get("Retry-After") != "2" || header.Get("RateLimit") != "" {
			t.Errorf("try %d: %d %v", i, status, header)
		}
	}
	if status, header := ask("a"); status != http.StatusNoContent || !strings.Contains(header.Get("RateLimit-Policy"), "q=200;w=4") {
		t.Errorf("a valid key: %d %v", status, header)
	}
	clock.pass(2 * time.Second)
	if status, _ := ask("wrong"); status != http.StatusUnauthorized {
		t.Errorf("after Retry-After: %d", status)
	}
}

func TestDefaultLimit_LetsTheOperatorSendMore(t *testing.T) {
	t.Parallel()
	member, operator := httpapi.DefaultLimit(roster.Principal{Role: roster.RoleMember}), httpapi.DefaultLimit(roster.Principal{Role: roster.RoleOperator})
	if member != (httpapi.Limit{PerSecond: 50, Burst: 200}) || operator.PerSecond <= member.PerSecond || operator.Burst <= member.Burst {
		t.Errorf("member %v, operator %v", member, operator)
	}
}
