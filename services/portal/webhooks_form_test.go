package portal

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

func TestEndpointForm_SetsKeepsAndRemovesHeaders(t *testing.T) {
	t.Parallel()
	before := []string{"Authorization", "X-Kept"}
	for typed, want := range map[string]string{
		"Authorization\nX-Kept":                 "",                         // as the form shows it
		"authorization: Bearer a:b\r\nX-Kept\n": "authorization=Bearer a:b", // another value
		"X-Kept\n\n X-New : 1 ":                 "Authorization=nothing X-New=1",
		"":                                      "Authorization=nothing X-Kept=nothing",
		"Authorization\nX-Kept\nX-New":          "fault",
	} {
		v := somebody(t, "en")
		v.r = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(url.Values{"headers": {typed}, "rate_per_second": {"50"}}.Encode()))
		v.r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		was := api.Endpoint{ID: deal.ID{1}, HeaderNames: before}
		f := v.endpointForm("endpoint.change", "change", nil, was, false)
		in := v.endpointInput(f, was)
		var said []string
		for _, name := range slices.Sorted(maps.Keys(in.Headers)) {
			value := "nothing"
			if in.Headers[name] != nil {
				value = *in.Headers[name]
			}
			said = append(said, fmt.Sprintf("%s=%s", name, value))
		}
		got := strings.Join(said, " ")
		if f.Faulty() {
			got = "fault"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", typed, got, want)
		}
		if in.Ordered != nil || in.Signing != "" {
			t.Errorf("a change that was not asked for: %+v", in)
		}
	}
}
