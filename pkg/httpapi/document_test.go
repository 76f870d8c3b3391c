package httpapi_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// responses reads the statuses of an operation out of the served document, each with what it refers to.
func responses(t *testing.T, document, path, method string) map[string]any {
	t.Helper()
	var parsed struct {
		Paths map[string]map[string]struct {
			Responses map[string]any `json:"responses"`
		} `json:"paths"`
	}
	if err := json.Unmarshal([]byte(document), &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed.Paths[path][method].Responses
}

func TestDocument_NamesEveryProblemThatFollowsFromTheOperation(t *testing.T) {
	t.Parallel()
	web, _ := serve(t)
	document := send(t, web, "GET", "/openapi.json", "", "Authorization", "").text
	for _, c := range []struct {
		method, path string
		want         []string
	}{
		{"put", "/things/{id}", []string{"200", "400", "401", "404", "408", "412", "413", "415", "422", "428", "429", "500", "503"}},
		{"get", "/things", []string{"200", "400", "422", "500"}},
		{"put", "/rates", []string{"204", "400", "408", "413", "415", "422", "500"}},
	} {
		got := responses(t, document, c.path, c.method)
		if diff := cmp.Diff(c.want, slices.Sorted(maps.Keys(got))); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", c.method, c.path, diff)
		}
	}
}

func TestDocument_HasAProblemForEachReference(t *testing.T) {
	t.Parallel()
	web, _ := serve(t)
	document := send(t, web, "GET", "/openapi.json", "").text
	var parsed struct {
		Components struct {
			Responses map[string]struct {
				Headers map[string]any
				Content map[string]struct {
					Schema  map[string]string
					Example struct {
						Type   string
						Status int
					}
				}
			}
			Schemas map[string]struct{ AdditionalProperties any }
		}
	}
	if err := json.Unmarshal([]byte(document), &parsed); err != nil {
		t.Fatal(err)
	}
	for status, response := range responses(t, document, "/things/{id}", "put") {
		ref, is := response.(map[string]any)["$ref"].(string)
		if !is {
			continue
		}
		problem := parsed.Components.Responses[strings.TrimPrefix(ref, "#/components/responses/")].Content["application/problem+json"]
		if problem.Schema["$ref"] != "#/components/schemas/Problem" || problem.Example.Type == "" ||
			problem.Example.Status < 400 || !strings.HasPrefix(status, string(rune('0'+problem.Example.Status/100))) {
			t.Errorf("%s refers to %s: %+v", status, ref, problem)
		}
	}
	for name, header := range map[string]string{"Unauthorized": "WWW-Authenticate", "Unavailable": "Retry-After", "PreconditionFailed": "ETag"} {
		if parsed.Components.Responses[name].Headers[header] == nil {
			t.Errorf("%s lacks the header %s", name, header)
		}
	}
	if parsed.Components.Schemas["Thing"].AdditionalProperties != false {
		t.Error("what a request holds is not closed")
	}
	if parsed.Components.Schemas["Problem"].AdditionalProperties != nil {
		t.Error("an answer cannot get a field without breaking clients")
	}
}

func TestServer_RefusesAQueryThatReadsInTwoWays(t *testing.T) {
	t.Parallel()
	web, _ := serve(t)
	for query, want := range map[string]struct {
		status    int
		parameter string
	}{
		"limit=1&limit=2": {http.StatusUnprocessableEntity, "limit"},
		"cursor=%ff":      {http.StatusUnprocessableEntity, "cursor"},
		"%ff=1":           {http.StatusBadRequest, ""},
		"limit=%zz":       {http.StatusBadRequest, ""},
		"limit=1;cursor=": {http.StatusBadRequest, ""},
	} {
		a := send(t, web, "GET", "/things?"+query, "")
		if a.status != want.status || a.problem.Status != want.status {
			t.Errorf("%s: %d %s", query, a.status, a.text)
		}
		if want.parameter != "" && (len(a.problem.Errors) != 1 || a.problem.Errors[0].Parameter != want.parameter) {
			t.Errorf("%s names no parameter: %s", query, a.text)
		}
	}
}
