package warehouse

import (
	"slices"

	"github.com/google/uuid"

	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// companyIDs gives the companies of the standings that the function chooses.
func companyIDs(d *dealregv1.Deal, choose func(*dealregv1.Standing) bool) []uuid.UUID {
	ids := []uuid.UUID{}
	for _, s := range d.GetStandings() {
		if len(s.GetCompanyId()) == 16 && choose(s) {
			ids = append(ids, uuid.UUID(s.GetCompanyId()))
		}
	}
	return ids
}

// joining gives the companies that have a say and are no party: an open correction would take them in.
func joining(d *dealregv1.Deal, parties []uuid.UUID) []uuid.UUID {
	return companyIDs(d, func(s *dealregv1.Standing) bool { return !slices.Contains(parties, uuid.UUID(s.GetCompanyId())) })
}

// waitsFor gives the companies without whose word the deal does not move on: an answer, an attestation of the proposed
// figures or of a correction, or to agree that a won deal be void once another party has.
func waitsFor(d *dealregv1.Deal, parties []uuid.UUID) []uuid.UUID {
	voids := slices.ContainsFunc(d.GetStandings(), (*dealregv1.Standing).GetVoids)
	return companyIDs(d, func(s *dealregv1.Standing) bool {
		switch d.GetStatus() { //nolint:exhaustive // in the others a deal waits for nobody
		case dealregv1.Status_STATUS_PENDING:
			return s.GetAcceptedAt() == nil
		case dealregv1.Status_STATUS_CLOSING:
			return s.GetAttestedTerms() != d.GetTermsVersion()
		case dealregv1.Status_STATUS_WON:
			open := d.GetCorrection()
			return open != nil && s.GetAttestedTerms() != open.GetTermsVersion() || voids && !s.GetVoids() && slices.Contains(parties, uuid.UUID(s.GetCompanyId()))
		}
		return false
	})
}

// roleName gives the role as the API writes it, or nothing when it is unknown.
func roleName(r dealregv1.PartyRole) string {
	if r <= 0 || int(r) >= len(roleNames) {
		return ""
	}
	return roleNames[r]
}

var roleNames = names(dealregv1.PartyRole_name, "PARTY_ROLE_")
