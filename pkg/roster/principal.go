package roster

import "github.com/dealreg/dealreg/pkg/deal"

// Role is what a key or a person may do.
type Role string

// The roles. RoleMember and RoleCompanyAdmin belong to a company; RoleRegistrar and RoleBoard to an association;
// RoleAuditor to one or, without one, to all; RoleOperator to the system.
const (
	RoleMember       Role = "member"
	RoleCompanyAdmin Role = "company_admin"
	RoleRegistrar    Role = "registrar"
	RoleBoard        Role = "board"
	RoleAuditor      Role = "auditor"
	RoleOperator     Role = "operator"
)

// Principal is who acts: the key or the person, its role and what the role is bound to. The zero Principal may do
// nothing.
type Principal struct {
	// KeyID names who acts in limits, in the record of looks and in the log for ever: the key, or the person whose
	// session it is. A session of a key acts as that key.
	KeyID       deal.ID
	SessionID   deal.ID // zero: the key itself was sent
	Role        Role
	Company     deal.ID // RoleMember, RoleCompanyAdmin
	Association deal.ID // RoleRegistrar, RoleBoard, RoleAuditor (zero: every association)
}

// ActsFor tells whether the principal is a key of this company.
func (p Principal) ActsFor(company deal.ID) bool {
	return (p.Role == RoleMember || p.Role == RoleCompanyAdmin) && !company.IsZero() && p.Company == company
}

// IsRegistrarOf tells whether the principal may do what the association's registrar may: its registrar, or the
// operator in every association.
func (p Principal) IsRegistrarOf(association deal.ID) bool {
	return p.Role == RoleOperator ||
		p.Role == RoleRegistrar && !association.IsZero() && p.Association == association
}

// IsAuditorOf tells whether the principal may read the association's part of the log to audit it.
func (p Principal) IsAuditorOf(association deal.ID) bool {
	return p.Role == RoleOperator ||
		p.Role == RoleAuditor && (p.Association.IsZero() || p.Association == association)
}

// IsBoardOf tells whether the principal is a key of the association's board.
func (p Principal) IsBoardOf(association deal.ID) bool {
	return p.Role == RoleBoard && !association.IsZero() && p.Association == association
}
