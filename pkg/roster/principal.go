package roster

import "github.com/dealreg/dealreg/pkg/deal"

// Role is what a key or a person may do.
type Role string

// The roles. RoleMember and RoleCompanyAdmin belong to a company; RoleRegistrar and RoleBoard to an association;
// RoleAuditor to one or, without one, to all; RoleOperator to the system. RoleGuest speaks for a company that is no member
// anywhere, on one deal, and has neither key nor invitation: only the link that a registrar issued.
const (
	RoleMember       Role = "member"
	RoleCompanyAdmin Role = "company_admin"
	RoleRegistrar    Role = "registrar"
	RoleBoard        Role = "board"
	RoleAuditor      Role = "auditor"
	RoleOperator     Role = "operator"
	RoleGuest        Role = "guest"
)

// Principal is who acts: the key or the person, its role and what the role is bound to. The zero Principal may do
// nothing.
type Principal struct {
	// KeyID names who acts in limits, in the record of looks and in the log for ever: the key, or the person whose
	// session it is, or the guest's link. A session of a key acts as that key.
	KeyID       deal.ID
	SessionID   deal.ID // zero: the key itself was sent
	Role        Role
	Company     deal.ID // RoleMember, RoleCompanyAdmin, RoleGuest
	Association deal.ID // RoleRegistrar, RoleBoard, RoleAuditor (zero: every association); RoleGuest: whose registrar issued the link
	Deal        deal.ID // RoleGuest: the one deal that there is for it
}

// ActsFor tells whether the principal is a key of this company.
func (p Principal) ActsFor(company deal.ID) bool {
	return (p.Role == RoleMember || p.Role == RoleCompanyAdmin) && !company.IsZero() && p.Company == company
}

// SpeaksFor tells whether the principal may give the company's word on the deal: as a key of the company, or as its guest
// on this deal.
func (p Principal) SpeaksFor(company, on deal.ID) bool {
	return p.ActsFor(company) || p.Role == RoleGuest && !company.IsZero() && p.Company == company && p.Deal == on
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
