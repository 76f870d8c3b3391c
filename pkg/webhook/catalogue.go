package webhook

import (
	"github.com/danielgtaylor/huma/v2"
)

// EventType is one entry of the catalogue.
type EventType struct {
	Type        string       `json:"type" doc:"The event's type"`
	Description string       `json:"description" doc:"When it is sent"`
	Schema      *huma.Schema `json:"schema" doc:"The JSON Schema (2020-12) of the body"`
}

// Types is the catalogue: every type of event that is ever sent, those of deals first.
func Types() []EventType { return nil }

// CheckPatterns tells whether each pattern names something that can happen: a type of the catalogue, a group of them
// such as dealreg.deal.*, or * for all, those that come later too. The error names the first that does not.
func CheckPatterns(patterns []string) error { return nil }

// Matches tells whether one of the patterns takes the type. No patterns take nothing.
func Matches(patterns []string, eventType string) bool { return false }

// Routes registers GET /v1/event-types, and describes every event in the document's webhooks.
func Routes(api huma.API) {}
