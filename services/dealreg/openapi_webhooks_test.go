package main

import (
	"net/http"
	"time"
)

// webhooks makes endpoints of the association and does with them what can be done. Nothing listens where they point.
func (w *world) webhooks() {
	w.t.Helper()
	do := func(c call) http.Header {
		w.t.Helper()
		return w.do(w.operator, c)
	}
	var made struct{ ID string }
	for range 2 {
		do(call{method: http.MethodPost, path: "/v1/webhook-endpoints", into: &made, body: map[string]any{
			"url": "https://receiver.invalid/hook", "event_types": []string{"dealreg.deal.*"}, "association_id": w.ids["associations"],
		}})
		if w.ids["webhook-endpoints"] != "" {
			do(call{method: http.MethodDelete, path: "/v1/webhook-endpoints/" + w.ids["webhook-endpoints"]})
		}
		w.ids["webhook-endpoints"] = made.ID
	}
	one := "/v1/webhook-endpoints/" + made.ID
	for _, path := range []string{"/v1/event-types", "/v1/webhook-endpoints", one + "/attempts"} {
		do(call{method: http.MethodGet, path: path})
	}
	header := do(call{method: http.MethodGet, path: one})
	do(call{method: http.MethodPatch, path: one, body: map[string]any{"ordered": true}, header: map[string]string{"If-Match": header.Get("ETag")}})
	for _, act := range []string{"/test", "/rotate-secret", "/enable"} {
		do(call{method: http.MethodPost, path: one + act})
	}
	var replay struct{ ID string }
	do(call{method: http.MethodPost, path: one + "/replay", body: map[string]any{"since": time.Now().Add(-time.Hour)}, into: &replay})
	w.ids["replay"] = replay.ID
	do(call{method: http.MethodGet, path: one + "/replays/" + replay.ID})
}
