package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/httpapi"
)

// Whatever stands in a body, the edge takes it or says what is wrong with it: it never fails, and it never repeats what was
// sent, which may be a customer's name in somebody's log.
func FuzzRegistration(f *testing.F) {
	w := newWorldWith(f, awayWarehouse(f))
	pending := w.register("pending", registration(w.a, w.b))
	active := w.move(w.b, w.register("active", registration(w.a, w.b)), "accept", object{}, http.StatusOK)
	routes := []struct {
		key, method, path string
		of                *Deal
	}{
		{w.keys[w.a], http.MethodPost, "/v1/deals", &Deal{Revision: 1}},
		{w.keys[w.a], http.MethodPatch, location(pending.ID), &pending},
		{w.keys[w.a], http.MethodPost, location(active.ID) + "/propose", &active},
		{w.keys[w.b], http.MethodPost, location(active.ID) + "/lose", &active}, // b does not lead, so that it goes on,
	}
	// The companies' ids change with every run: a seed names them by letters.
	ids := strings.NewReplacer("{a}", w.a.String(), "{b}", w.b.String(), "{c}", w.c.String())
	const parties = `"parties":[{"company_id":"{a}","role":"lead","share":{"amount":"900.00","currency":"EUR"}},` +
		`{"company_id":"{b}","share":{"amount":"100.00","currency":"EUR"}}]`
	const value = `"value":{"amount":"1000.00","currency":"EUR"}`
	for _, body := range []string{
		`{"title":"Payroll roll-out","external_ref":"CRM-4711","customer":{"name":"Contoso AG","country":"DE","domain":"contoso.example"},` +
			value + `,"expected_on":"2026-12-15",` + parties + `,"replaces":"{c}"}`,
		`{"title":"Other","description":null,"expected_on":null,` + value + `,` + parties + `}`,
		`{"won_on":"2026-02-30",` + value + `,` + parties + `}`,
		`{"reason":"the customer changed its mind"}`,
		`{"title":1e999,"customer":[],"value":{"amount":-1,"currency":"XXX"},"parties":{},"a":{"a":{"a":null}},"title":"twice"}`,
		"{\"title\":\"\xff\xed\xa0\x80\",\"customer\":{\"name\":\"\\ud800\\u0000\"}}",
		`[`, ``, `null`, `""`, "\x00", `{} {}`,
	} {
		for route := range routes {
			f.Add(byte(route), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, which byte, raw []byte) {
		to := routes[int(which)%len(routes)]
		body := ids.Replace(string(raw))
		key := sha256.Sum256([]byte(body))
		now := *w
		now.t = t
		r := now.send(to.key, to.method, to.path, body,
			"Idempotency-Key", hex.EncodeToString(key[:]), "If-Match", httpapi.ETag(to.of.Revision))
		if r.status >= http.StatusInternalServerError {
			t.Fatalf("%s %s: %d %s", to.method, to.path, r.status, r.text)
		}
		if r.status < http.StatusBadRequest {
			if d := r.deal(t); d.ID == to.of.ID {
				to.of.Revision = d.Revision
			}
			return
		}
		var p httpapi.Problem
		if err := json.Unmarshal([]byte(r.text), &p); err != nil || p.Status != r.status || p.Detail == "" {
			t.Fatalf("%d is no problem document: %v: %s", r.status, err, r.text)
		}
		said := p.Detail // without the pointers, which say where the fault is
		for _, fault := range p.Errors {
			said += "\n" + fault.Detail
		}
		if again := repeats(said, body); again != "" {
			t.Fatalf("%d repeats %q: %s", r.status, again, r.text)
		}
	})
}

// repeats finds a piece of the body in the answer that is too long to be there by chance; names of fields are none.
func repeats(answer, body string) string {
	const long = 12
	pieces := map[string]bool{}
	for i := 0; i+long <= len(answer); i++ {
		pieces[answer[i:i+long]] = true
	}
	for i := 0; i+long <= len(body); i++ {
		if piece := body[i : i+long]; pieces[piece] && piece != "external_ref" {
			return piece
		}
	}
	return ""
}
