package webhook_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/webhook"
)

func ask(t *testing.T, handler http.Handler, path string, answer any) {
	t.Helper()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody))
	if recorder.Code != http.StatusOK {
		t.Fatalf("%s answered %d: %s", path, recorder.Code, recorder.Body)
	}
	if err := json.Unmarshal(recorder.Body.Bytes(), answer); err != nil {
		t.Fatal(err)
	}
}

func TestRoutes_ListTheCatalogueToEveryone(t *testing.T) {
	t.Parallel()
	server := httpapi.New(httpapi.Config{})
	webhook.Routes(server.API)
	var list struct{ Items []webhook.Listed }
	ask(t, server.Handler(), "/v1/event-types", &list)
	if len(list.Items) != len(webhook.Types()) {
		t.Fatalf("%d types", len(list.Items))
	}
	for i, want := range webhook.Types() {
		got := list.Items[i]
		if got.Type != want.Type || got.Description != want.Description || got.Schema["$schema"] != "https://json-schema.org/draft/2020-12/schema" || got.Example["type"] != want.Type {
			t.Errorf("%+v", got)
		}
	}
}

// TestRoutes_DescribeEveryEventInTheDocument follows each reference, and asks ajv whether the example is of the schema.
func TestRoutes_DescribeEveryEventInTheDocument(t *testing.T) {
	t.Parallel()
	server := httpapi.New(httpapi.Config{})
	webhook.Routes(server.API)
	var document struct {
		Webhooks map[string]struct {
			Post struct {
				Summary     string
				Description string
				Parameters  []map[string]string
				RequestBody struct {
					Content map[string]struct {
						Schema  map[string]string
						Example map[string]any
					}
				}
			}
		}
		Components struct {
			Parameters, Schemas map[string]map[string]any
		}
		Tags []struct{ Name string }
	}
	ask(t, server.Handler(), "/openapi.json", &document)
	if len(document.Webhooks) != len(webhook.Types()) {
		t.Errorf("%d webhooks", len(document.Webhooks))
	}
	var questions []map[string]any
	for _, e := range webhook.Types() {
		post := document.Webhooks[e.Type].Post
		if post.Summary != e.Type || post.Description != e.Description {
			t.Errorf("%s: %q, %q", e.Type, post.Summary, post.Description)
		}
		var headers []string
		for _, p := range post.Parameters {
			name, _ := document.Components.Parameters[strings.TrimPrefix(p["$ref"], "#/components/parameters/")]["name"].(string)
			headers = append(headers, name)
		}
		if !slices.Equal(headers, []string{"webhook-id", "webhook-timestamp", "webhook-signature"}) {
			t.Errorf("%s has the headers %v", e.Type, headers)
		}
		body := post.RequestBody.Content["application/cloudevents+json"]
		schema := document.Components.Schemas[strings.TrimPrefix(body.Schema["$ref"], "#/components/schemas/")]
		if schema == nil || body.Example["type"] != e.Type {
			t.Fatalf("%s: %+v", e.Type, body)
		}
		questions = append(questions, map[string]any{"schema": schema, "body": body.Example})
	}
	for i, fault := range node[map[string]any, *string](t, "validate.mjs", questions) {
		if fault != nil {
			t.Errorf("the example of %s: %s", webhook.Types()[i].Type, *fault)
		}
	}
}
