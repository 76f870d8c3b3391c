package api

import (
	"context"
	"net/url"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

// Amount is a sum of money.
type Amount struct {
	Amount   string `json:"amount"`
	Currency string `json:"currency"`
}

// Deal is a deal as far as the pages show it.
type Deal struct {
	ID       deal.ID `json:"id"`
	Status   string  `json:"status"`
	Title    string  `json:"title"`
	Customer struct {
		Name    string `json:"name"`
		Country string `json:"country"`
	} `json:"customer"`
	Value   Amount `json:"value"`
	Parties []struct {
		CompanyID     deal.ID    `json:"company_id"`
		Role          string     `json:"role"`
		Share         Amount     `json:"share"`
		AcceptedAt    *time.Time `json:"accepted_at"`
		AttestedTerms *uint32    `json:"attested_terms"`
	} `json:"parties"`
	TermsVersion uint32         `json:"terms_version"`
	ExpectedOn   *calendar.Date `json:"expected_on"`
	WonOn        *calendar.Date `json:"won_on"`
	UpdatedAt    time.Time      `json:"updated_at"`
	StatusSince  time.Time      `json:"status_since"`
	DueAt        *time.Time     `json:"due_at"`
	Reason       string         `json:"reason"`
	Moves        []string       `json:"moves"`
}

// Deals reads one page of the deals that a query finds, the newest change first.
func (c *Client) Deals(ctx context.Context, query url.Values) (Page[Deal], error) {
	var p Page[Deal]
	return p, c.get(ctx, &p, query, "/v1/deals")
}
