package api

import (
	"context"
	"net/http"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Person is somebody who signs in.
type Person struct {
	ID            deal.ID    `json:"id"`
	Name          string     `json:"name"`
	Email         string     `json:"email"`
	Language      string     `json:"language"`
	Role          string     `json:"role"`
	CompanyID     deal.ID    `json:"company_id"`
	AssociationID deal.ID    `json:"association_id"`
	Digest        *bool      `json:"digest"` // nil where the system sends no mail
	LinkExpiresAt *time.Time `json:"link_expires_at"`
	DisabledAt    *time.Time `json:"disabled_at"`
	LastUsed      *time.Time `json:"last_used"`
}

// PersonInput invites or changes a person. What is nil stays.
type PersonInput struct {
	Name          *string `json:"name,omitempty"`
	Email         *string `json:"email,omitempty"`
	Language      *string `json:"language,omitempty"`
	Role          *string `json:"role,omitempty"`
	CompanyID     string  `json:"company_id,omitempty"`
	AssociationID string  `json:"association_id,omitempty"`
	Digest        *bool   `json:"digest,omitempty"`
	Disabled      *bool   `json:"disabled,omitempty"`
}

// People lists those whom the caller may invite, and the caller.
func (c *Client) People(ctx context.Context) ([]Person, error) {
	return all[Person](ctx, c, nil, "/v1/people")
}

// Person reads one person with the tag of its revision.
func (c *Client) Person(ctx context.Context, id deal.ID) (Person, string, error) {
	var p Person
	tag, err := c.tagged(ctx, &p, "/v1/people/%s", id)
	return p, tag, err
}

// Invite makes a person known.
func (c *Client) Invite(ctx context.Context, in PersonInput) (Person, error) {
	var p Person
	return p, c.write(ctx, http.MethodPost, in, &p, nil, "/v1/people")
}

// ChangePerson changes a person of the tag.
func (c *Client) ChangePerson(ctx context.Context, id deal.ID, tag string, in PersonInput) (Person, error) {
	var p Person
	return p, c.write(ctx, http.MethodPatch, in, &p, ifMatch(tag), "/v1/people/%s", id)
}

// ForgetPerson removes a person.
func (c *Client) ForgetPerson(ctx context.Context, id deal.ID) error {
	return c.write(ctx, http.MethodDelete, nil, nil, nil, "/v1/people/%s", id)
}

// SignInLink signs a person in once.
type SignInLink struct {
	Link      string    `json:"link"`
	ExpiresAt time.Time `json:"expires_at"`
	Mailed    *bool     `json:"mailed"` // nil: nobody asked for a mail
}

// LinkPerson makes a link for a person, and mails it when asked to.
func (c *Client) LinkPerson(ctx context.Context, id deal.ID, mail bool) (SignInLink, error) {
	var l SignInLink
	body := map[string]bool{}
	if mail {
		body["mail"] = true
	}
	return l, c.write(ctx, http.MethodPost, body, &l, nil, "/v1/people/%s/link", id)
}

// Key is a key of the API.
type Key struct {
	ID            deal.ID    `json:"id"`
	Prefix        string     `json:"prefix"`
	Role          string     `json:"role"`
	CompanyID     deal.ID    `json:"company_id"`
	AssociationID deal.ID    `json:"association_id"`
	Label         string     `json:"label"`
	CreatedAt     time.Time  `json:"created_at"`
	RevokedAt     *time.Time `json:"revoked_at"`
	LastUsed      *time.Time `json:"last_used"`
}

// KeyInput makes a key.
type KeyInput struct {
	Role          string `json:"role"`
	CompanyID     string `json:"company_id,omitempty"`
	AssociationID string `json:"association_id,omitempty"`
	Label         string `json:"label,omitempty"`
}

// Keys lists those that the caller may manage, revoked ones too.
func (c *Client) Keys(ctx context.Context) ([]Key, error) {
	return all[Key](ctx, c, nil, "/v1/keys")
}

// IssueKey makes a key and gives its secret.
func (c *Client) IssueKey(ctx context.Context, in KeyInput) (secret string, err error) {
	var k struct {
		Secret string `json:"secret"`
	}
	err = c.write(ctx, http.MethodPost, in, &k, nil, "/v1/keys")
	return k.Secret, err
}

// RevokeKey ends a key.
func (c *Client) RevokeKey(ctx context.Context, id deal.ID) error {
	return c.write(ctx, http.MethodDelete, nil, nil, nil, "/v1/keys/%s", id)
}

// Waiver is what a company and one partner said about being shown as a pair.
type Waiver struct {
	AssociationID  deal.ID    `json:"association_id"`
	PartnerID      deal.ID    `json:"partner_id"`
	PartnerName    string     `json:"partner_name"`
	GivenAt        *time.Time `json:"given_at"`
	PartnerGivenAt *time.Time `json:"partner_given_at"`
	InForce        bool       `json:"in_force"`
}

// Waivers lists what a company and its partners waived.
func (c *Client) Waivers(ctx context.Context, company deal.ID) ([]Waiver, error) {
	return all[Waiver](ctx, c, nil, "/v1/companies/%s/waivers", company)
}

// GiveWaiver lets the association show the pair, when the partner gives it too.
func (c *Client) GiveWaiver(ctx context.Context, company, association, partner deal.ID) error {
	return c.write(ctx, http.MethodPut, nil, nil, nil, "/v1/companies/%s/waivers/%s/%s", company, association, partner)
}

// WithdrawWaiver takes it back.
func (c *Client) WithdrawWaiver(ctx context.Context, company, association, partner deal.ID) error {
	return c.write(ctx, http.MethodDelete, nil, nil, nil, "/v1/companies/%s/waivers/%s/%s", company, association, partner)
}
