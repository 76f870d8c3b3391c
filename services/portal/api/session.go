package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Proof is what a person signs in with: exactly one of a key, a link's token, and an identity token with its nonce.
type Proof struct {
	Key     string `json:"key,omitempty"`
	Link    string `json:"link,omitempty"`
	IDToken string `json:"id_token,omitempty"`
	Nonce   string `json:"nonce,omitempty"`
}

// Session is a key that lasts as long as a person is signed in, and whose it is.
type Session struct {
	Secret        string    `json:"secret"`
	ExpiresAt     time.Time `json:"expires_at"`
	Role          string    `json:"role"`
	CompanyID     deal.ID   `json:"company_id,omitzero"`
	AssociationID deal.ID   `json:"association_id,omitzero"`
	PersonID      deal.ID   `json:"person_id,omitzero"` // zero for a key
	DealID        deal.ID   `json:"deal_id,omitzero"`   // the one that a guest sees
	Name          string    `json:"name,omitempty"`
	Language      string    `json:"language,omitempty"`
}

// SignIn exchanges a proof for a session.
func (c *Client) SignIn(ctx context.Context, proof Proof) (Session, error) {
	var s Session
	response, err := c.send(ctx, http.MethodPost, "/v1/sessions", nil, proof, "application/json")
	if err != nil {
		return s, err
	}
	return s, decode(response, &s)
}

// SignOut revokes the session that the client's key is of, or everywhere all sessions of the same person.
func (c *Client) SignOut(ctx context.Context, everywhere bool) error {
	query := url.Values{}
	if everywhere {
		query.Set("everywhere", "true")
	}
	response, err := c.send(ctx, http.MethodDelete, "/v1/session", query, nil, "application/json")
	if err != nil {
		return err
	}
	return decode(response, nil)
}
