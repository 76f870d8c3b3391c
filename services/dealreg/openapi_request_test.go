package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/httpapi"
)

// attempt is one request to an operation; sample makes one that is right in form.
type attempt struct {
	op       *huma.Operation
	key      string
	path     map[string]string
	query    url.Values
	rawQuery string // instead of query
	header   http.Header
	body     []byte
}

func (w *world) sample(op *huma.Operation) *attempt {
	w.samples++
	a := &attempt{op: op, key: w.keys[w.samples%len(w.keys)], path: map[string]string{}, query: url.Values{}, header: http.Header{}}
	for _, p := range op.Parameters {
		switch {
		case p.In == "path":
			thing := p.Name
			if thing == "id" {
				thing = strings.Split(op.Path, "/")[2]
			}
			if a.path[p.Name] = w.ids[thing]; a.path[p.Name] == "" {
				w.t.Fatalf("%s: let settle make one of %s and keep its id", op.OperationID, thing)
			}
		case p.Name == "If-Match":
			a.header.Set(p.Name, `"1"`)
		case p.In == "header":
			a.header.Set(p.Name, "contract-"+op.OperationID)
		case p.Required:
			a.query.Set(p.Name, fmt.Sprint(w.value(p.Schema)))
		}
	}
	if op.RequestBody == nil {
		return a
	}
	if media := op.RequestBody.Content["application/json"]; media != nil {
		a.header.Set("Content-Type", "application/json")
		a.body, _ = json.Marshal(w.value(media.Schema))
		return a
	}
	a.header.Set("Content-Type", slices.Sorted(maps.Keys(op.RequestBody.Content))[0])
	a.body = []byte("Date,USD\n2024-01-02,1.1\n")
	return a
}

// value makes a value of the schema, with no field that may be left out.
func (w *world) value(s *huma.Schema) any {
	if s.Ref != "" {
		s = w.api.Components.Schemas.SchemaFromRef(s.Ref)
	}
	switch {
	case len(s.Examples) > 0:
		return s.Examples[0]
	case len(s.Enum) > 0:
		return s.Enum[0]
	}
	switch s.Type {
	case huma.TypeObject:
		object := map[string]any{}
		for _, name := range s.Required {
			object[name] = w.value(s.Properties[name])
		}
		return object
	case huma.TypeArray:
		items := []any{}
		for n := 0; s.MinItems != nil && n < *s.MinItems; n++ {
			items = append(items, w.value(s.Items))
		}
		return items
	case huma.TypeInteger:
		if s.Minimum != nil {
			return int(*s.Minimum)
		}
		return 1
	case huma.TypeBoolean:
		return true
	}
	if s.MinLength != nil {
		return strings.Repeat("x", *s.MinLength)
	}
	return "x"
}

// contractAnswer is what came back.
type contractAnswer struct {
	status  int
	text    string
	problem httpapi.Problem
}

func (w *world) send(a *attempt) contractAnswer {
	w.t.Helper()
	path := a.op.Path
	for name, value := range a.path {
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	query := a.rawQuery
	if query == "" {
		query = a.query.Encode()
	}
	r, err := http.NewRequestWithContext(w.t.Context(), a.op.Method, w.url, bytes.NewReader(a.body))
	if err != nil {
		w.t.Fatal(err)
	}
	if r.URL, err = url.Parse(w.url + path + "?" + query); err != nil {
		w.t.Fatal(err)
	}
	r.Header = a.header.Clone()
	if a.key != "" {
		r.Header.Set("Authorization", "Bearer "+a.key)
	}
	response, err := w.operator.http.Do(r)
	if err != nil {
		w.t.Fatalf("%s: %v", a.op.OperationID, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	got := contractAnswer{status: response.StatusCode, text: string(text)}
	if response.Header.Get("Content-Type") == "application/problem+json" {
		if err := json.Unmarshal(text, &got.problem); err != nil || got.problem.Status != got.status {
			w.t.Errorf("%s: %d with %s", a.op.OperationID, got.status, text)
		}
	}
	return got
}

// refused sends the attempt and wants a problem with one of the statuses.
func (w *world) refused(what string, a *attempt, statuses ...int) contractAnswer {
	w.t.Helper()
	got := w.send(a)
	if !slices.Contains(statuses, got.status) || got.problem.Status != got.status {
		w.t.Errorf("%s, %s: %d, want a problem with %d: %s", a.op.OperationID, what, got.status, statuses, got.text)
	}
	return got
}

func (a contractAnswer) names(place string) bool {
	return slices.ContainsFunc(a.problem.Errors, func(f httpapi.Fault) bool { return f.Pointer == place || f.Parameter == place })
}
