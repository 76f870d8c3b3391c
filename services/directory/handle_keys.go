package directory

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
)

// Key is a key as the API shows it.
type Key struct {
	ID            deal.ID     `json:"id"`
	Prefix        string      `json:"prefix" doc:"The second part of the key, to tell keys apart"`
	Role          roster.Role `json:"role" enum:"member,company_admin,registrar,board,auditor,operator"`
	CompanyID     *deal.ID    `json:"company_id,omitempty"`
	AssociationID *deal.ID    `json:"association_id,omitempty"`
	Label         string      `json:"label,omitempty"`
	CreatedAt     time.Time   `json:"created_at"`
	RevokedAt     *time.Time  `json:"revoked_at,omitempty"`
	LastUsed      *time.Time  `json:"last_used,omitempty" doc:"To the minute; absent before its first use. A use shows within moments"`
}

// IssuedKey is a new key with its secret.
type IssuedKey struct {
	Key
	Secret string `json:"secret" doc:"The whole key, for the Authorization header: shown now and never again" example:"drk_..."`
}

func (s *Service) showKey(k roster.Key) Key {
	shown := Key{
		ID: k.ID, Prefix: k.Prefix, Role: k.Role, CompanyID: some(k.CompanyID), AssociationID: some(k.AssociationID),
		Label: k.Label, CreatedAt: k.CreatedAt, RevokedAt: k.RevokedAt,
	}
	if at, used := s.cfg.Roster.KeyUsedAt(k.ID); used {
		shown.LastUsed = &at
	}
	return shown
}

type newKey struct {
	Role          roster.Role `json:"role" enum:"member,company_admin,registrar,board,auditor,operator"`
	CompanyID     deal.ID     `json:"company_id,omitempty" doc:"For member and company_admin"`
	AssociationID deal.ID     `json:"association_id,omitempty" doc:"For registrar and board; an auditor without one audits all"`
	Label         string      `json:"label,omitempty" doc:"What it is for, at most 200 characters" example:"CRM connector"`
}

func (s *Service) keyRoutes(api huma.API) {
	tags := []string{"Keys"}
	huma.Register(api, huma.Operation{
		OperationID: "issue-key", Method: http.MethodPost, Path: "/v1/keys", Tags: tags,
		Summary: "Issue a key; its secret is shown once", DefaultStatus: http.StatusCreated, Errors: []int{http.StatusForbidden},
	}, s.issueKey)
	huma.Register(api, huma.Operation{
		OperationID: "list-keys", Method: http.MethodGet, Path: "/v1/keys", Tags: tags,
		Summary: "List the keys that the key may manage, and itself",
	}, s.listKeys)
	huma.Register(api, huma.Operation{
		OperationID: "revoke-key", Method: http.MethodDelete, Path: "/v1/keys/{id}", Tags: tags,
		Summary: "Revoke a key; it opens nothing from now on", Errors: []int{http.StatusConflict},
	}, s.revokeKey)
}

func (s *Service) issueKey(ctx context.Context, in *struct{ Body newKey }) (*httpapi.Created[IssuedKey], error) {
	scope := roster.Scope{Role: in.Body.Role, CompanyID: in.Body.CompanyID, AssociationID: in.Body.AssociationID, Label: in.Body.Label}
	if err := append(scope.Validate(), s.checkScope(ctx, scope)...).Err(); err != nil {
		return nil, answer(err)
	}
	if !s.cfg.Roster.MayIssue(httpapi.Caller(ctx), scope) {
		return nil, httpapi.Forbidden("a company's admin issues its keys, a registrar those of the association and of companies " +
			"that are members of no other one, the operator all: ask one of them")
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	key, token, err := s.store.Issue(ctx, newID(), scope, s.cfg.Now(), s.cfg.Pepper)
	if err != nil {
		return nil, answer(err)
	}
	s.wrote(ctx, roster.Keys, key.Revision)
	return httpapi.NewCreated("/v1/keys/"+key.ID.String(), key.Revision, IssuedKey{s.showKey(key), token}), nil
}

// checkScope finds what a scope names, as far as the caller may know of it.
func (s *Service) checkScope(ctx context.Context, scope roster.Scope) deal.Invalid {
	var faults deal.Invalid
	if _, ok := s.cfg.Roster.Company(scope.CompanyID); !ok && !scope.CompanyID.IsZero() {
		faults.Add("/company_id", "no such company: name one that GET /v1/companies lists")
	}
	if id := scope.AssociationID; !id.IsZero() {
		if _, err := s.association(ctx, id); err != nil {
			faults.Add("/association_id", "no such association: name one that GET /v1/associations lists")
		}
	}
	return faults
}

func (s *Service) listKeys(ctx context.Context, in *struct{ httpapi.Paging }) (*httpapi.List[Key], error) {
	caller := httpapi.Caller(ctx)
	var seen []roster.Key
	for _, k := range s.cfg.Roster.Keys() {
		if s.cfg.Roster.MaySeeKey(caller, k) {
			seen = append(seen, k)
		}
	}
	items, next, err := httpapi.SelectPage(seen, in.Paging, func(k roster.Key) string { return k.ID.String() })
	if err != nil {
		return nil, err
	}
	return httpapi.NewList(mapAll(items, s.showKey), next), nil
}

func (s *Service) revokeKey(ctx context.Context, in *struct {
	ID deal.ID `path:"id" doc:"The key"`
},
) (*struct{}, error) {
	caller := httpapi.Caller(ctx)
	key, ok := s.cfg.Roster.Key(in.ID)
	switch {
	case !ok || !s.cfg.Roster.MaySeeKey(caller, key):
		return nil, httpapi.NotFound()
	case caller.KeyID == key.ID && caller.Role == roster.RoleOperator:
		return nil, httpapi.Conflict("this is the operator's key that signs the request: revoke it with another operator's key, so that one remains")
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	revoked, err := s.store.Revoke(ctx, key, s.cfg.Now())
	if err != nil {
		return nil, answer(err)
	}
	s.wrote(ctx, roster.Keys, revoked.Revision)
	return nil, nil
}
