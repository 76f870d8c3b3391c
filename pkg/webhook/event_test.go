package webhook_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/webhook"
)

func TestBody_IsAThinCloudEvent(t *testing.T) {
	t.Parallel()
	id, other := deal.ID{0: 1, 15: 2}, deal.ID{0: 3}
	at := time.Date(2026, time.November, 22, 10, 30, 0, 120_000_000, time.FixedZone("", 3600))
	won := deal.Event{
		Type: deal.EventWon, Includes: []deal.EventType{deal.EventAttested}, At: at,
		Deal: deal.Deal{ID: id, Revision: 7, Status: deal.Won, TermsVersion: 3},
	}
	const head = `"time":"2026-11-22T09:30:00.12Z","datacontenttype":"application/json","data":`
	for want, e := range map[string]webhook.Event{
		`{"specversion":"1.0","id":"01000000-0000-0000-0000-000000000002:7","source":"/registry","type":"dealreg.deal.won",` + head +
			`{"deal_id":"01000000-0000-0000-0000-000000000002","revision":7,"status":"won","terms_version":3,"includes":["dealreg.deal.attested"]}}`: webhook.Deal(won),
		`{"specversion":"1.0","id":"01000000-0000-0000-0000-000000000002:2026:r4","source":"/reports","type":"dealreg.statement.published",` + head +
			`{"association_id":"01000000-0000-0000-0000-000000000002","year":2026,"release":4}}`: webhook.Statement(id, 2026, 4, at),
		`{"specversion":"1.0","id":"01000000-0000-0000-0000-000000000002:conflict:03000000-0000-0000-0000-000000000000","source":"/registry","type":"dealreg.conflict.flagged",` + head +
			`{"deal_id":"01000000-0000-0000-0000-000000000002","other_id":"03000000-0000-0000-0000-000000000000"}}`: webhook.Conflict(id, other, at),
		`{"specversion":"1.0","id":"01000000-0000-0000-0000-000000000002:disabled:1795339800120","source":"/webhooks","type":"dealreg.endpoint.disabled",` + head +
			`{"endpoint_id":"01000000-0000-0000-0000-000000000002","reason":"it failed"}}`: webhook.Disabled(id, "it failed", at),
		`{"specversion":"1.0","id":"01000000-0000-0000-0000-000000000002:test:1795339800120","source":"/webhooks","type":"dealreg.endpoint.test",` + head +
			`{"endpoint_id":"01000000-0000-0000-0000-000000000002"}}`: webhook.Test(id, at),
	} {
		body, err := e.Body()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(body)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if _, err := webhook.Sign(e.ID, at, body, webhook.NewSecret()); err != nil {
			t.Error(err)
		}
	}
}

// everyEvent is at least one event of each type; for deals one in each status, with everything in the deal that a
// receiver must not get.
func everyEvent(t *testing.T) []webhook.Event {
	t.Helper()
	id, at := deal.ID{9}, sentAt
	events := []webhook.Event{
		webhook.Statement(id, 1990, 1, at), webhook.Conflict(id, deal.ID{8}, at), webhook.Disabled(id, "", at), webhook.Test(id, at),
	}
	wonOn := calendar.Date(20000)
	full := deal.Deal{
		ID: id, Revision: 1 << 40, TermsVersion: 1, Reason: "SECRET", EvidenceReference: "SECRET",
		Details: deal.Details{Title: "SECRET", Description: "SECRET", ExternalRef: "SECRET", Customer: deal.Customer{Name: "SECRET", Country: "SECRET", Domain: "SECRET"}},
		Terms:   deal.Terms{Value: money.Amount{Minor: 777777777, Currency: "SECRET"}, Parties: []deal.Party{{Company: deal.ID{0x77}, ShareMinor: 777777777}}, WonOn: &wonOn},
	}
	for _, kind := range eventTypesOfDeals(t) {
		for _, status := range []deal.Status{
			deal.Pending, deal.Active, deal.Closing, deal.Won, deal.Declined, deal.Expired, deal.Withdrawn, deal.Lost, deal.Void, deal.Disputed,
		} {
			full.Status = status
			events = append(events, webhook.Deal(deal.Event{
				Type: kind, Includes: []deal.EventType{deal.EventTermsChanged, kind}[:len(status)%3], At: at, By: deal.Actor{Key: deal.ID{0x77}}, Deal: full,
			}))
		}
	}
	return events
}

func TestBody_TellsNoCustomerAmountPartyOrPerson(t *testing.T) {
	t.Parallel()
	for _, e := range everyEvent(t) {
		body, err := e.Body()
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"SECRET", "777777777", "77000000-", "2024"} {
			if bytes.Contains(body, []byte(secret)) {
				t.Errorf("%s is in %s", secret, body)
			}
		}
	}
}

// TestSchema_IsThatOfEveryBody asks ajv whether every body is of its type's schema, also when that is closed, so that
// no field is left undescribed; and whether the schema refuses a body of another type, and one that lacks a field.
func TestSchema_IsThatOfEveryBody(t *testing.T) {
	t.Parallel()
	schemas := map[string]map[string]any{}
	for _, e := range webhook.Types() {
		schemas[e.Type] = closed(asJSON(t, e.Schema()))
	}
	type question struct {
		Schema map[string]any `json:"schema"`
		Body   map[string]any `json:"body"`
	}
	var asked []question
	var takes []bool
	ask := func(schema string, body map[string]any, want bool) {
		asked, takes = append(asked, question{schemas[schema], body}), append(takes, want)
	}
	seen := map[string]bool{}
	for _, e := range everyEvent(t) {
		text, err := e.Body()
		if err != nil {
			t.Fatal(err)
		}
		var body map[string]any
		if err := json.Unmarshal(text, &body); err != nil {
			t.Fatal(err)
		}
		ask(e.Type, body, true)
		if seen[e.Type] {
			continue
		}
		seen[e.Type] = true
		for name := range body {
			lacking := maps.Clone(body)
			delete(lacking, name)
			ask(e.Type, lacking, false)
		}
		for name := range body["data"].(map[string]any) {
			lacking, data := maps.Clone(body), maps.Clone(body["data"].(map[string]any))
			delete(data, name)
			lacking["data"] = data
			ask(e.Type, lacking, false)
		}
		for _, other := range webhook.Types() {
			if other.Type != e.Type {
				ask(other.Type, body, false)
			}
		}
	}
	if len(seen) != len(schemas) {
		t.Errorf("%d of %d types were tried", len(seen), len(schemas))
	}
	for i, fault := range node[question, *string](t, "validate.mjs", asked) {
		if takes[i] != (fault == nil) {
			t.Errorf("%v is held against the schema of %v: %s", asked[i].Body, asked[i].Schema["title"], text(fault))
		}
	}
}

func text(s *string) string {
	if s == nil {
		return "taken"
	}
	return *s
}

func asJSON(t *testing.T, v any) map[string]any {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var result map[string]any
	if err := json.Unmarshal(raw, &result); err != nil {
		t.Fatal(err)
	}
	return result
}

// closed refuses in every object what the schema does not name.
func closed(schema map[string]any) map[string]any {
	for _, part := range schema {
		if inner, is := part.(map[string]any); is {
			closed(inner)
		}
	}
	if schema["type"] == "object" {
		schema["additionalProperties"] = false
	}
	return schema
}

func TestContentType_IsThatOfCloudEvents(t *testing.T) {
	t.Parallel()
	if !strings.HasPrefix(webhook.ContentType, "application/cloudevents+json;") {
		t.Error(webhook.ContentType)
	}
}
