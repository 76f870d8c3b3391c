package webhook

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/httpapi"
)

// tag is the chapter of the API document about webhooks.
const tag = "Webhooks"

// Listed is one type of event as GET /v1/event-types lists it.
type Listed struct {
	Type        string         `json:"type" doc:"The type, as in the body's type and in an endpoint's event_types" example:"dealreg.deal.won"`
	Description string         `json:"description" doc:"When it is sent"`
	Schema      map[string]any `json:"schema" doc:"The JSON Schema (2020-12) of the body. Ignore fields that it does not name"`
	Example     map[string]any `json:"example" doc:"A body"`
}

// Routes registers GET /v1/event-types, which lists the catalogue to everyone, and describes every type in the webhooks of
// the API's document. Call it once for an API.
func Routes(api huma.API) {
	describe(api.OpenAPI())
	type answer struct {
		Body struct {
			Items []Listed `json:"items" nullable:"false"`
		}
	}
	var all answer
	for _, t := range catalogue {
		all.Body.Items = append(all.Body.Items, Listed{t.Type, t.Description, plain(t.Schema()), plain(t.example.envelope())})
	}
	huma.Register(api, huma.Operation{
		OperationID: "list-event-types", Method: http.MethodGet, Path: "/v1/event-types", Tags: []string{tag}, Security: httpapi.Public,
		Summary: "List the types of event that webhooks tell of, each with the schema of its body",
	}, func(context.Context, *struct{}) (*answer, error) { return &all, nil })
}

// describe writes the webhooks of the document: one for each type, with what the types of a family share in components.
func describe(api *huma.OpenAPI) {
	api.Tags = append(api.Tags, &huma.Tag{Name: tag, Description: "What dealreg sends to your endpoints: signed, thin, once or more often, and in no promised order."})
	schemas := api.Components.Schemas.Map()
	if api.Webhooks == nil {
		api.Webhooks = map[string]*huma.PathItem{}
	}
	if api.Components.Parameters == nil {
		api.Components.Parameters = map[string]*huma.Param{}
	}
	var headers []*huma.Param
	for _, h := range []huma.Param{
		{Name: "webhook-id", Description: "The event: the same at every attempt. Drop what you have had", Schema: &huma.Schema{Type: huma.TypeString}},
		{Name: "webhook-timestamp", Description: "The time of the attempt, in seconds since 1970. Refuse what is more than 5 minutes off", Schema: &huma.Schema{Type: huma.TypeInteger}},
		{Name: "webhook-signature", Description: "Signatures of Standard Webhooks 1.0 with spaces between them; one that matches is enough", Schema: &huma.Schema{Type: huma.TypeString}},
	} {
		h.In, h.Required = "header", true
		api.Components.Parameters[h.Name] = &h
		headers = append(headers, &huma.Param{Ref: "#/components/parameters/" + h.Name})
	}
	for _, t := range catalogue {
		if schemas[string(t.family)] == nil {
			schemas[string(t.family)] = bodySchema(t.family, typesOf(t.family)...)
		}
		api.Webhooks[t.Type] = &huma.PathItem{Post: &huma.Operation{
			OperationID: t.Type, Summary: t.Type, Description: t.Description, Tags: []string{tag}, Parameters: headers, Security: httpapi.Public,
			RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
				mediaType: {Schema: &huma.Schema{Ref: "#/components/schemas/" + string(t.family)}, Example: plain(t.example.envelope())},
			}},
			Responses: map[string]*huma.Response{
				"2XX": {Description: "You have it. Answer at once and do the work afterwards"},
				"410": {Description: "Send nothing to this endpoint any more"},
				"429": {Description: "Too fast: say in `Retry-After` when to send it again"},
			},
		}}
	}
}

// plain is v as JSON has it.
func plain(v any) map[string]any {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // what the catalogue holds always encodes
	}
	var result map[string]any
	if err := json.Unmarshal(text, &result); err != nil {
		panic(err)
	}
	return result
}
