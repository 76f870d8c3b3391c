package main

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/webhook"
)

// hearer is a member's receiver of webhooks.
type hearer struct {
	from int // so many events of the log came before it
	mu   sync.Mutex
	ids  map[string]bool
}

// hears makes an endpoint of the first member.
func (p *plant) hears() *hearer {
	p.t.Helper()
	h := &hearer{from: len(p.logEntries()), ids: map[string]bool{}}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ids[r.Header.Get(webhook.HeaderID)] = true
	}))
	p.t.Cleanup(server.Close)
	_, err := newClient(p.processes[serviceWebhooks].url, p.key).do(p.t.Context(), call{method: http.MethodPost, path: "/v1/webhook-endpoints", body: map[string]any{
		"url": server.URL, "event_types": []string{"*"}, "company_id": p.members[0].id, "rate_per_second": 1000,
	}})
	if err != nil {
		p.t.Fatal(err)
	}
	return h
}

// heardAll waits until the receiver has every event of the log since it was made. What a dispatcher had under way when it
// was killed comes again after its AckWait.
func (h *hearer) heardAll(t *testing.T, log [][]byte) {
	t.Helper()
	missing := map[string]bool{}
	for _, payload := range log[h.from:] {
		e, err := stream.Decode(payload)
		if err != nil {
			t.Fatal(err)
		}
		missing[e.ID()] = true
	}
	for late := time.Now().Add(patience); ; {
		h.mu.Lock()
		for id := range missing {
			if h.ids[id] {
				delete(missing, id)
			}
		}
		h.mu.Unlock()
		if len(missing) == 0 {
			return
		}
		if time.Now().After(late) || pause(t.Context(), 50*time.Millisecond) != nil {
			t.Fatalf("%d of %d events were not heard of", len(missing), len(log)-h.from)
		}
	}
}
