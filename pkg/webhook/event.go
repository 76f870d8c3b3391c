package webhook

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// ContentType is that of every body: CloudEvents 1.0 in structured mode.
const ContentType = mediaType + "; charset=utf-8"

const mediaType = "application/cloudevents+json"

// The types of event that are about no single deal. Those of deals are DealType of what happened.
const (
	StatementPublished = "dealreg.statement.published"
	ConflictFlagged    = "dealreg.conflict.flagged"
	EndpointDisabled   = "dealreg.endpoint.disabled"
	EndpointTest       = "dealreg.endpoint.test"
)

// DealType is the type of a deal's event, such as dealreg.deal.won.
func DealType(t deal.EventType) string { return "dealreg.deal." + string(t) }

// Event is what one webhook tells: a thin CloudEvent. It names what changed and never a customer, an amount or a person,
// so that whoever receives it has to ask the API for more, with a key that may see it.
type Event struct {
	ID     string // the webhook-id; the same for every endpoint and every attempt
	Type   string // one of Types
	Source string // the part of dealreg that it comes from
	At     time.Time
	Data   any // DealData, StatementData, ConflictData, DisabledData or TestData
}

// DealData is the data of a deal's event.
type DealData struct {
	DealID       deal.ID     `json:"deal_id"`
	Revision     uint64      `json:"revision"`
	Status       deal.Status `json:"status"`
	TermsVersion uint32      `json:"terms_version"`
	Includes     []string    `json:"includes"` // types, never null
}

// StatementData is the data of a published statement.
type StatementData struct {
	AssociationID deal.ID `json:"association_id"`
	Year          int     `json:"year"`
	Release       int     `json:"release"`
}

// ConflictData is the data of a flag that two deals may be one.
type ConflictData struct {
	DealID  deal.ID `json:"deal_id"`
	OtherID deal.ID `json:"other_id"`
}

// DisabledData is the data of an endpoint to which nothing is delivered any more.
type DisabledData struct {
	EndpointID deal.ID `json:"endpoint_id"`
	Reason     string  `json:"reason"`
}

// TestData is the data of an event that an endpoint's owner asked for.
type TestData struct {
	EndpointID deal.ID `json:"endpoint_id"`
}

// Deal is the event of a deal: <deal id>:<revision>.
func Deal(e deal.Event) Event {
	includes := make([]string, len(e.Includes))
	for i, t := range e.Includes {
		includes[i] = DealType(t)
	}
	return Event{
		ID: e.Deal.ID.String() + ":" + strconv.FormatUint(e.Deal.Revision, 10), Type: DealType(e.Type), Source: "/registry", At: e.At,
		Data: DealData{
			DealID: e.Deal.ID, Revision: e.Deal.Revision, Status: e.Deal.Status, TermsVersion: e.Deal.TermsVersion, Includes: includes,
		},
	}
}

// Statement is the event of a published statement: <association id>:<year>:r<release>.
func Statement(association deal.ID, year, release int, at time.Time) Event {
	return Event{
		ID: fmt.Sprintf("%s:%d:r%d", association, year, release), Type: StatementPublished, Source: "/reports", At: at,
		Data: StatementData{AssociationID: association, Year: year, Release: release},
	}
}

// Conflict is the event of a flag: <deal id>:conflict:<other id>, one for each pair of deals.
func Conflict(of, other deal.ID, at time.Time) Event {
	return Event{
		ID: of.String() + ":conflict:" + other.String(), Type: ConflictFlagged, Source: "/registry", At: at,
		Data: ConflictData{DealID: of, OtherID: other},
	}
}

// Disabled is the event that an endpoint was disabled, for the other endpoints of its owner:
// <endpoint id>:disabled:<milliseconds since 1970>. The reason is in words without secrets, at most 500 characters.
func Disabled(endpoint deal.ID, reason string, at time.Time) Event {
	return Event{
		ID: fmt.Sprintf("%s:disabled:%d", endpoint, at.UnixMilli()), Type: EndpointDisabled, Source: "/webhooks", At: at,
		Data: DisabledData{EndpointID: endpoint, Reason: reason},
	}
}

// Test is the event that an owner asked for: <endpoint id>:test:<milliseconds since 1970>.
func Test(endpoint deal.ID, at time.Time) Event {
	return Event{
		ID: fmt.Sprintf("%s:test:%d", endpoint, at.UnixMilli()), Type: EndpointTest, Source: "/webhooks", At: at,
		Data: TestData{EndpointID: endpoint},
	}
}

// Body is the event as it is sent and signed. The same event always gives the same bytes in one release.
func (e Event) Body() ([]byte, error) {
	body, err := json.Marshal(e.envelope())
	if err != nil {
		return nil, fmt.Errorf("encode webhook %s: %w", e.ID, err)
	}
	return body, nil
}

// envelope is a CloudEvent as it is written.
type envelope struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            any       `json:"data"`
}

func (e Event) envelope() envelope {
	return envelope{"1.0", e.ID, e.Source, e.Type, e.At.UTC(), "application/json", e.Data}
}
