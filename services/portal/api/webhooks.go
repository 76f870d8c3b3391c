package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Endpoint is a receiver of webhooks.
type Endpoint struct {
	ID             deal.ID    `json:"id"`
	CompanyID      deal.ID    `json:"company_id"`     // the owner
	AssociationID  deal.ID    `json:"association_id"` // or this one
	HearsOfDeals   bool       `json:"hears_of_deals"`
	URL            string     `json:"url"`
	EventTypes     []string   `json:"event_types"`
	Description    string     `json:"description"`
	RatePerSecond  float64    `json:"rate_per_second"`
	HeaderNames    []string   `json:"header_names"`
	Ordered        bool       `json:"ordered"`
	Signing        string     `json:"signing"`
	PublicKey      string     `json:"public_key"`
	Enabled        bool       `json:"enabled"`
	DisabledAt     *time.Time `json:"disabled_at"`
	DisabledReason string     `json:"disabled_reason"`
	FailingSince   *time.Time `json:"failing_since"`
	Behind         uint64     `json:"behind"`
	CreatedAt      time.Time  `json:"created_at"`
}

// EndpointSecret is an endpoint with the secret that was just made.
type EndpointSecret struct {
	Endpoint
	Secret        string     `json:"secret"`
	PreviousUntil *time.Time `json:"previous_until"`
}

// EndpointInput makes or changes an endpoint.
type EndpointInput struct {
	URL           string             `json:"url"`
	EventTypes    []string           `json:"event_types"`
	Description   string             `json:"description"`
	RatePerSecond *float64           `json:"rate_per_second,omitempty"`
	Headers       map[string]*string `json:"headers,omitempty"` // those that are set; a change removes one with nil
	Ordered       *bool              `json:"ordered,omitempty"`
	Signing       string             `json:"signing,omitempty"`        // of a new one: shared or pair
	CompanyID     string             `json:"company_id,omitempty"`     // the owner, which only the operator names
	AssociationID string             `json:"association_id,omitempty"` // or this one
}

// Endpoints lists those that the caller may manage, the oldest first.
func (c *Client) Endpoints(ctx context.Context) ([]Endpoint, error) {
	return all[Endpoint](ctx, c, nil, "/v1/webhook-endpoints")
}

// Endpoint reads one endpoint with the tag of its revision.
func (c *Client) Endpoint(ctx context.Context, id deal.ID) (Endpoint, string, error) {
	var e Endpoint
	tag, err := c.tagged(ctx, &e, "/v1/webhook-endpoints/%s", id)
	return e, tag, err
}

// CreateEndpoint makes an endpoint.
func (c *Client) CreateEndpoint(ctx context.Context, in EndpointInput) (EndpointSecret, error) {
	var e EndpointSecret
	return e, c.write(ctx, http.MethodPost, in, &e, nil, "/v1/webhook-endpoints")
}

// ChangeEndpoint changes an endpoint of the tag.
func (c *Client) ChangeEndpoint(ctx context.Context, id deal.ID, tag string, in EndpointInput) error {
	return c.write(ctx, http.MethodPatch, in, nil, ifMatch(tag), "/v1/webhook-endpoints/%s", id)
}

// DisableEndpoint stops what is sent to an endpoint.
func (c *Client) DisableEndpoint(ctx context.Context, id deal.ID, tag string) error {
	return c.write(ctx, http.MethodPatch, map[string]bool{"enabled": false}, nil, ifMatch(tag), "/v1/webhook-endpoints/%s", id)
}

// EnableEndpoint starts it again, and tries at once what fails.
func (c *Client) EnableEndpoint(ctx context.Context, id deal.ID) error {
	return c.write(ctx, http.MethodPost, nil, nil, nil, "/v1/webhook-endpoints/%s/enable", id)
}

// DeleteEndpoint removes an endpoint.
func (c *Client) DeleteEndpoint(ctx context.Context, id deal.ID) error {
	return c.write(ctx, http.MethodDelete, nil, nil, nil, "/v1/webhook-endpoints/%s", id)
}

// RotateSecret makes a new secret.
func (c *Client) RotateSecret(ctx context.Context, id deal.ID) (EndpointSecret, error) {
	var e EndpointSecret
	return e, c.write(ctx, http.MethodPost, nil, &e, nil, "/v1/webhook-endpoints/%s/rotate-secret", id)
}

// TestResult is what came of a test event.
type TestResult struct {
	Outcome string  `json:"outcome"`
	Words   string  `json:"words"`
	Status  int     `json:"status"`
	TookMs  float64 `json:"took_ms"`
	Excerpt string  `json:"excerpt"`
}

// TestEndpoint sends a test event and waits for what comes of it.
func (c *Client) TestEndpoint(ctx context.Context, id deal.ID) (TestResult, error) {
	var r TestResult
	return r, c.write(ctx, http.MethodPost, nil, &r, nil, "/v1/webhook-endpoints/%s/test", id)
}

// Attempt is one try to deliver an event.
type Attempt struct {
	EventID   string    `json:"event_id"`
	EventType string    `json:"event_type"`
	Attempt   int       `json:"attempt"`
	At        time.Time `json:"at"`
	TookMs    float64   `json:"took_ms"`
	Outcome   string    `json:"outcome"`
	Verdict   string    `json:"verdict"`
	Words     string    `json:"words"`
	Status    int       `json:"status"`
	Excerpt   string    `json:"excerpt"`
}

// Attempts reads one page of the attempts that a query finds, the newest first.
func (c *Client) Attempts(ctx context.Context, id deal.ID, query url.Values) (Page[Attempt], error) {
	var p Page[Attempt]
	return p, c.get(ctx, &p, query, "/v1/webhook-endpoints/%s/attempts", id)
}

// ReplayInput says what to send again: exactly one of Since, Event and FailedSince.
type ReplayInput struct {
	Since       *time.Time `json:"since,omitempty"`
	Until       *time.Time `json:"until,omitempty"` // goes with Since
	Event       string     `json:"event,omitempty"`
	FailedSince *time.Time `json:"failed_since,omitempty"`
}

// Replay is how far a replay is.
type Replay struct {
	ID          deal.ID    `json:"id"`
	State       string     `json:"state"`
	Progress    float64    `json:"progress"`
	Delivered   int64      `json:"delivered"`
	Failed      int64      `json:"failed"`
	RequestedAt time.Time  `json:"requested_at"`
	DoneAt      *time.Time `json:"done_at"`
}

// StartReplay sends events again.
func (c *Client) StartReplay(ctx context.Context, endpoint deal.ID, in ReplayInput) (Replay, error) {
	var r Replay
	return r, c.write(ctx, http.MethodPost, in, &r, nil, "/v1/webhook-endpoints/%s/replay", endpoint)
}

// Replay reads how far one is.
func (c *Client) Replay(ctx context.Context, endpoint, id deal.ID) (Replay, error) {
	var r Replay
	return r, c.get(ctx, &r, nil, "/v1/webhook-endpoints/%s/replays/%s", endpoint, id)
}

// EventType is a type of event that endpoints may ask for.
type EventType struct {
	Type        string `json:"type"`
	Description string `json:"description"`
}

// EventTypes lists the types.
func (c *Client) EventTypes(ctx context.Context) ([]EventType, error) {
	var p Page[EventType]
	err := c.get(ctx, &p, nil, "/v1/event-types")
	return p.Items, err
}
