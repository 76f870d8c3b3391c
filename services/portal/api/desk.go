package api

import (
	"context"
	"net/http"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Decide says of two deals that were flagged whether they are one (merged_into) or two (distinct). The same decision under
// the same key is made once.
func (c *Client) Decide(ctx context.Context, id, other deal.ID, key, decision, reason string) error {
	body := map[string]string{"decision": decision, "reason": reason}
	return c.write(ctx, http.MethodPost, body, nil, []string{"Idempotency-Key", key}, "/v1/deals/%s/conflicts/%s/decide", id, other)
}

// DealLink lets somebody speak for a party that is no member.
type DealLink struct {
	ID        deal.ID   `json:"id"`
	CompanyID deal.ID   `json:"company_id"`
	Name      string    `json:"name"`
	Email     string    `json:"email"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	Used      bool      `json:"used"`
	Link      string    `json:"link"` // of a new one only
}

// DealLinkInput makes a link for a party.
type DealLinkInput struct {
	CompanyID string `json:"company_id"`
	Name      string `json:"name,omitempty"`
	Email     string `json:"email,omitempty"`
}

// DealLinks lists the links to a deal.
func (c *Client) DealLinks(ctx context.Context, id deal.ID) ([]DealLink, error) {
	return all[DealLink](ctx, c, nil, "/v1/deals/%s/links", id)
}

// LinkDeal makes one.
func (c *Client) LinkDeal(ctx context.Context, id deal.ID, in DealLinkInput) (DealLink, error) {
	var l DealLink
	return l, c.write(ctx, http.MethodPost, in, &l, nil, "/v1/deals/%s/links", id)
}

// RevokeDealLink ends one, and its session.
func (c *Client) RevokeDealLink(ctx context.Context, id, link deal.ID) error {
	return c.write(ctx, http.MethodDelete, nil, nil, nil, "/v1/deals/%s/links/%s", id, link)
}
