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
	ID          deal.ID `json:"id"`
	Status      string  `json:"status"`
	Revision    uint64  `json:"revision"`
	Title       string  `json:"title"`
	Description string  `json:"description"`
	ExternalRef string  `json:"external_ref"`
	Customer    struct {
		Name    string `json:"name"`
		Country string `json:"country"`
	} `json:"customer"`
	Terms
	TermsVersion      uint32         `json:"terms_version"`
	ExpectedOn        *calendar.Date `json:"expected_on"`
	RegisteredBy      deal.ID        `json:"registered_by"`
	RegisteredAt      time.Time      `json:"registered_at"`
	UpdatedAt         time.Time      `json:"updated_at"`
	StatusSince       time.Time      `json:"status_since"`
	DueAt             *time.Time     `json:"due_at"`
	Evidence          string         `json:"evidence"`
	EvidenceReference string         `json:"evidence_reference"`
	Correction        *struct {
		Terms
		TermsVersion uint32  `json:"terms_version"`
		ProposedBy   deal.ID `json:"proposed_by"`
	} `json:"correction"`
	DisputedFrom string   `json:"disputed_from"`
	Reason       string   `json:"reason"`
	Moves        []string `json:"moves"`
}

// Terms are the figures that the parties attest.
type Terms struct {
	Value   Amount         `json:"value"`
	Parties []Party        `json:"parties"`
	WonOn   *calendar.Date `json:"won_on"`
}

// Party is a company's part in a deal, with what it has said.
type Party struct {
	CompanyID     deal.ID    `json:"company_id"`
	Role          string     `json:"role"`
	Share         Amount     `json:"share"`
	AcceptedAt    *time.Time `json:"accepted_at"`
	AttestedTerms *uint32    `json:"attested_terms"`
}

// Deals reads one page of the deals that a query finds, the newest change first.
func (c *Client) Deals(ctx context.Context, query url.Values) (Page[Deal], error) {
	var p Page[Deal]
	return p, c.get(ctx, &p, query, "/v1/deals")
}
