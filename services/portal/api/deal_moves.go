package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

// Registration is a deal that a company registers.
type Registration struct {
	Title    string `json:"title"`
	Customer struct {
		Name    string `json:"name"`
		Country string `json:"country"`
	} `json:"customer"`
	Value      Amount         `json:"value"`
	Parties    []PartyInput   `json:"parties"`
	ExpectedOn *calendar.Date `json:"expected_on,omitempty"`
}

// PartyInput is a party of a request. Without a role the API gives one.
type PartyInput struct {
	CompanyID deal.ID `json:"company_id"`
	Role      string  `json:"role,omitempty"`
	Share     Amount  `json:"share"`
}

// Figures are the terms of a request.
type Figures struct {
	Value   *Amount        `json:"value,omitempty"`
	Parties []PartyInput   `json:"parties,omitempty"`
	WonOn   *calendar.Date `json:"won_on,omitempty"`
}

// Edit changes what describes a deal, and its terms.
type Edit struct {
	Title      string         `json:"title"`
	ExpectedOn *calendar.Date `json:"expected_on"`
	Figures
}

// Why is the body of a move that gives a reason.
type Why struct {
	Reason string `json:"reason,omitempty"`
}

// Register registers a deal. The same registration under the same key gives the same deal.
func (c *Client) Register(ctx context.Context, key string, r Registration) (Deal, error) {
	return c.change(ctx, http.MethodPost, "/v1/deals", r, "Idempotency-Key", key)
}

// Move makes a move on the deal of that revision. The same move under the same key is made once.
func (c *Client) Move(ctx context.Context, id deal.ID, move, key string, revision uint64, body any) (Deal, error) {
	return c.change(ctx, http.MethodPost, address("/v1/deals/%s/%s", []any{id, move}), body,
		"Idempotency-Key", key, "If-Match", etag(revision))
}

// Edit changes the deal of that revision.
func (c *Client) Edit(ctx context.Context, id deal.ID, revision uint64, e Edit) (Deal, error) {
	return c.change(ctx, http.MethodPatch, address("/v1/deals/%s", []any{id}), e, "If-Match", etag(revision))
}

func (c *Client) change(ctx context.Context, method, path string, body any, header ...string) (Deal, error) {
	var d Deal
	response, err := c.send(ctx, method, path, nil, body, "application/json", header...)
	if err != nil {
		return d, err
	}
	return d, decode(response, &d)
}

func etag(revision uint64) string { return `"` + strconv.FormatUint(revision, 10) + `"` }

// Deal reads one deal, with the moves that the caller may make.
func (c *Client) Deal(ctx context.Context, id deal.ID) (Deal, error) {
	var d Deal
	return d, c.get(ctx, &d, nil, "/v1/deals/%s", id)
}

// Event is one event of a deal's history.
type Event struct {
	Type     string    `json:"type"`
	Includes []string  `json:"includes"`
	Time     time.Time `json:"time"`
	Revision uint64    `json:"revision"`
	Status   string    `json:"status"`
	Reason   string    `json:"reason"`
	Actor    struct {
		Role          string  `json:"role"`
		CompanyID     deal.ID `json:"company_id"`
		AssociationID deal.ID `json:"association_id"`
	} `json:"actor"`
	Changed []Change `json:"changed"`
}

// Change is one field of the deal before and after an event.
type Change struct {
	Field string          `json:"field"`
	From  json.RawMessage `json:"from"` // empty where the deal had no such field
	To    json.RawMessage `json:"to"`
}

// History reads a deal's events, the first one first.
func (c *Client) History(ctx context.Context, id deal.ID) ([]Event, error) {
	return all[Event](ctx, c, nil, "/v1/deals/%s/events", id)
}

// Conflict is a flag that two deals may be one.
type Conflict struct {
	Deals  [2]deal.ID `json:"deals"`
	State  string     `json:"state"`
	Reason string     `json:"reason"`
}

// Conflicts reads the flags of a deal that the caller may know of.
func (c *Client) Conflicts(ctx context.Context, id deal.ID) ([]Conflict, error) {
	return all[Conflict](ctx, c, nil, "/v1/deals/%s/conflicts", id)
}

// Card is what everybody may know of a company.
type Card struct {
	Named
	Country string `json:"country"`
	Domain  string `json:"domain"`
}

// Card reads one company.
func (c *Client) Card(ctx context.Context, id deal.ID) (Card, error) {
	var card Card
	return card, c.get(ctx, &card, nil, "/v1/companies/%s", id)
}

// FindCompanies finds up to limit companies by words of their names or by domain, the best hits first.
func (c *Client) FindCompanies(ctx context.Context, words string, limit int) ([]Card, error) {
	var p Page[Card]
	err := c.get(ctx, &p, url.Values{"q": {words}, "limit": {strconv.Itoa(limit)}}, "/v1/companies")
	return p.Items, err
}
