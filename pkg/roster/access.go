package roster

import "github.com/dealreg/dealreg/pkg/deal"

// Who may see and do what in the directory. A caller who may not see a thing is answered as if it did not exist.
//
//	operator       everything
//	registrar      its association, chapters and members; makes companies; keys and people of its association, and
//	               of companies that are in no other one; reads its members' waivers
//	company admin  its company with its keys, people and waivers
//	board, auditor read their association, an auditor without one every association
//	everyone       names, countries and domains of companies, because partners must be found; but a guest nothing

// MaySeeAssociation lets those in who act in it, and companies that are or were its members.
func (r *Roster) MaySeeAssociation(p Principal, association deal.ID) bool {
	if p.IsRegistrarOf(association) || p.IsAuditorOf(association) || p.IsBoardOf(association) {
		return true
	}
	_, member := r.Membership(p.Company, association)
	return member && p.ActsFor(p.Company)
}

// MaySeeMembers lets those see all members who act in the association; a company sees only its own membership.
func (r *Roster) MaySeeMembers(p Principal, association deal.ID) bool {
	return p.IsRegistrarOf(association) || p.IsAuditorOf(association) || p.IsBoardOf(association)
}

// MayCreateCompany is for registrars and the operator.
func (r *Roster) MayCreateCompany(p Principal) bool {
	return p.Role == RoleOperator || p.Role == RoleRegistrar
}

// MayChangeCompany is for the company's admin, for the operator, and for the registrar of an association that it is
// or was a member of, or of any association as long as it is in none.
func (r *Roster) MayChangeCompany(p Principal, company deal.ID) bool {
	return p.Role == RoleCompanyAdmin && p.ActsFor(company) || r.MaySetGroup(p, company)
}

// MaySetGroup is for registrars and the operator, within the companies that they may change.
func (r *Roster) MaySetGroup(p Principal, company deal.ID) bool {
	if p.Role != RoleRegistrar {
		return p.Role == RoleOperator
	}
	memberships := r.Memberships(company)
	_, own := r.Membership(company, p.Association)
	return own || len(memberships) == 0
}

// MaySeeCompanyWhole tells who sees a company's identifiers and group: itself and those who may change it.
func (r *Roster) MaySeeCompanyWhole(p Principal, company deal.ID) bool {
	return p.ActsFor(company) || r.MayChangeCompany(p, company)
}

// MayIssue tells whether the principal may make, see and revoke keys of a scope, and invite, change and forget people. A registrar makes keys of a company
// only while the company is in no other association, whose deals they would open.
func (r *Roster) MayIssue(p Principal, s Scope) bool {
	forCompany := s.Role == RoleMember || s.Role == RoleCompanyAdmin
	switch p.Role {
	case RoleOperator:
		return true
	case RoleCompanyAdmin:
		return forCompany && p.ActsFor(s.CompanyID)
	case RoleRegistrar:
		if forCompany {
			_, own := r.Membership(s.CompanyID, p.Association)
			return own && len(r.Memberships(s.CompanyID)) == 1
		}
		return s.Role != RoleOperator && p.IsRegistrarOf(s.AssociationID)
	case RoleMember, RoleBoard, RoleAuditor, RoleGuest:
	}
	return false
}

// MaySeeKey is for those who may issue it, and for the key itself.
func (r *Roster) MaySeeKey(p Principal, k Key) bool {
	return k.ID == p.KeyID || r.MayIssue(p, k.Scope())
}

// MaySeePerson is for those who may invite the person, and for the person. Nobody invites guests: deals have links.
func (r *Roster) MaySeePerson(p Principal, other Person) bool {
	return other.Role != RoleGuest && (other.ID == p.KeyID || r.MayIssue(p, other.Scope()))
}

// MayWaive is for the company's admin: what a company keeps to itself, nobody else gives away.
func (r *Roster) MayWaive(p Principal, company deal.ID) bool {
	return p.Role == RoleCompanyAdmin && p.ActsFor(company)
}

// MaySeeWaiver is for the company and its partner, and for the association's registrar.
func (r *Roster) MaySeeWaiver(p Principal, k WaiverKey) bool {
	return p.ActsFor(k.Company) || p.ActsFor(k.Partner) || p.IsRegistrarOf(k.Association)
}

// Scope is what the key was made for.
func (k Key) Scope() Scope {
	return Scope{Role: k.Role, CompanyID: k.CompanyID, AssociationID: k.AssociationID, Label: k.Label}
}
