package httpapi

import "github.com/danielgtaylor/huma/v2"

// Streamed describes an answer that is no JSON, for huma.Operation.Responses of an operation whose handler returns a
// huma.StreamResponse with status 200.
func Streamed(mediaType, description string, headers map[string]string) map[string]*huma.Response {
	r := &huma.Response{
		Description: description,
		Content:     map[string]*huma.MediaType{mediaType: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
		Headers:     map[string]*huma.Header{},
	}
	for name, about := range headers {
		r.Headers[name] = &huma.Header{Schema: &huma.Schema{Type: huma.TypeString, Description: about}}
	}
	return map[string]*huma.Response{"200": r}
}
