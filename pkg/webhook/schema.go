package webhook

import (
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Schema is the JSON Schema (2020-12) of the type's bodies. It is open: receivers ignore the fields that it does not name.
func (t EventType) Schema() *huma.Schema {
	s := bodySchema(t.family, t.Type)
	s.Extensions = map[string]any{"$schema": "https://json-schema.org/draft/2020-12/schema"}
	s.Title, s.Description = t.Type, t.Description
	return s
}

// bodySchema describes the bodies of the types, which are of one family.
func bodySchema(f family, types ...any) *huma.Schema {
	return object("", map[string]*huma.Schema{
		"specversion":     {Type: huma.TypeString, Enum: []any{"1.0"}, Description: "The version of CloudEvents"},
		"id":              {Type: huma.TypeString, MinLength: new(1), Description: "The event, as in webhook-id: the same each time that it is sent"},
		"source":          {Type: huma.TypeString, MinLength: new(1), Format: "uri-reference", Description: "The part of dealreg that it comes from"},
		"type":            {Type: huma.TypeString, Enum: types, Description: "What happened"},
		"time":            {Type: huma.TypeString, Format: "date-time", Description: "When it happened"},
		"datacontenttype": {Type: huma.TypeString, Enum: []any{"application/json"}, Description: "The form of data"},
		"data":            dataSchema(f),
	})
}

func dataSchema(f family) *huma.Schema {
	switch f {
	case dealFamily:
		return object("Names the deal. GET /v1/deals/{deal_id} tells the rest to those who may see it", map[string]*huma.Schema{
			"deal_id":       id("The deal"),
			"revision":      count("The deal's revision after the event. Whoever has read a higher one has nothing to do"),
			"status":        {Type: huma.TypeString, Enum: statuses, Description: "Where the deal stands after the event"},
			"terms_version": count("Rises when value, currency, parties, shares or won_on change"),
			"includes": {
				Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString, Enum: typesOf(dealFamily)},
				Description: "The weaker things that the same step brought, such as dealreg.deal.attested in a win",
			},
		})
	case statementFamily:
		return object("Names the statement: GET /v1/associations/{association_id}/statements/{year}/{release}", map[string]*huma.Schema{
			"association_id": id("The association"),
			"year":           count("The association's year"),
			"release":        count("The release"),
		})
	case conflictFamily:
		return object("Names the deals: GET /v1/deals/{deal_id}/conflicts", map[string]*huma.Schema{
			"deal_id": id("A deal"), "other_id": id("The deal that may be the same"),
		})
	case disabledFamily:
		return object("Names the endpoint: POST /v1/webhook-endpoints/{endpoint_id}/enable", map[string]*huma.Schema{
			"endpoint_id": id("The endpoint"), "reason": {Type: huma.TypeString, Description: "Why, in words"},
		})
	case testFamily:
		return object("Names the endpoint", map[string]*huma.Schema{"endpoint_id": id("The endpoint under test")})
	}
	panic("webhook: no schema for " + string(f))
}

var statuses = []any{
	deal.Pending, deal.Active, deal.Closing, deal.Won, deal.Declined, deal.Expired, deal.Withdrawn, deal.Lost, deal.Void, deal.Disputed,
}

// typesOf are the types of the family, in the order of the catalogue.
func typesOf(f family) []any {
	var types []any
	for _, t := range catalogue {
		if t.family == f {
			types = append(types, t.Type)
		}
	}
	return types
}

// object has every one of the properties.
func object(description string, properties map[string]*huma.Schema) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeObject, Description: description, Properties: properties}
	for name := range properties {
		s.Required = append(s.Required, name)
	}
	slices.Sort(s.Required)
	return s
}

func id(description string) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "uuid", Description: description}
}

// count is a whole number from 1.
func count(description string) *huma.Schema {
	return &huma.Schema{Type: huma.TypeInteger, Minimum: new(1.0), Description: description}
}
