package roster

import (
	"cmp"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Key is the record of an API key.
type Key struct {
	ID deal.ID `json:"id"`
	sealed
	Role          Role       `json:"role"`
	CompanyID     deal.ID    `json:"company_id,omitzero"`
	AssociationID deal.ID    `json:"association_id,omitzero"`
	Label         string     `json:"label,omitempty"` // 0-200 characters
	CreatedAt     time.Time  `json:"created_at"`
	RevokedAt     *time.Time `json:"revoked_at,omitempty"`

	Revision uint64 `json:"-"`
	slot     string // its entry in the bucket; empty for the prefix
}

// Scope is what a key is made for.
type Scope struct {
	Role          Role
	CompanyID     deal.ID
	AssociationID deal.ID
	Label         string
}

// Validate names every fault of a scope with its field and the remedy.
func (s Scope) Validate() deal.Invalid {
	var faults deal.Invalid
	if s.Label != "" {
		checkName(&faults, "/label", s.Label, 200)
	}
	needsCompany, mayHaveAssociation, needsAssociation := false, false, false
	switch s.Role {
	case RoleMember, RoleCompanyAdmin:
		needsCompany = true
	case RoleRegistrar, RoleBoard:
		needsAssociation, mayHaveAssociation = true, true
	case RoleAuditor:
		mayHaveAssociation = true
	case RoleOperator:
	default: // nor RoleGuest: a registrar issues a link on a deal
		faults.Add("/role", "not a role: write member, company_admin, registrar, board, auditor or operator")
		return faults
	}
	if needsCompany && s.CompanyID.IsZero() {
		faults.Add("/company_id", "missing: name the company that this role acts for")
	}
	if !needsCompany && !s.CompanyID.IsZero() {
		faults.Add("/company_id", "this role acts for no company: remove it")
	}
	if needsAssociation && s.AssociationID.IsZero() {
		faults.Add("/association_id", "missing: name the association that this role acts in")
	}
	if !mayHaveAssociation && !s.AssociationID.IsZero() {
		faults.Add("/association_id", "this role acts in no single association: remove it")
	}
	return faults
}

// entry is the key's place in the bucket.
func (k Key) entry() string { return cmp.Or(k.slot, k.Prefix) }

// Principal is who acts with the key.
func (k Key) Principal() Principal {
	return Principal{KeyID: k.ID, Role: k.Role, Company: k.CompanyID, Association: k.AssociationID}
}

// issue makes a key and its token.
func issue(id deal.ID, s Scope, at time.Time, pepper []byte) (Key, string) {
	token, kept := newToken(kindKey, pepper)
	return Key{
		ID: id, sealed: kept, Role: s.Role, CompanyID: s.CompanyID,
		AssociationID: s.AssociationID, Label: CleanName(s.Label), CreatedAt: at.UTC(), slot: kept.Prefix,
	}, token
}
