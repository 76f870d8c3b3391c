package warehouse

import (
	"bytes"

	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// appendStandings fills the columns that say what the parties have to do.
//
// Joining are the companies that have a say and are no party: an open correction would take them in. A deal waits for
// the companies without whose word it does not move on: an answer, an attestation of the proposed figures or of a
// correction, or to agree that a won deal be void once another party has.
func (b *Batch) appendStandings(d *logDeal) {
	voids := false
	for i := range d.standings {
		voids = voids || d.standings[i].voids
	}
	for i := range d.standings {
		s := &d.standings[i]
		if len(s.company) != 16 {
			continue
		}
		isParty := d.terms.has(s.company)
		if !isParty {
			b.joining.values = append(b.joining.values, orZero(s.company))
		}
		if d.waitsFor(s, isParty, voids) {
			b.waitsFor.values = append(b.waitsFor.values, orZero(s.company))
		}
	}
	b.joining.end()
	b.waitsFor.end()
}

func (t *terms) has(company []byte) bool {
	for i := range t.parties {
		if bytes.Equal(t.parties[i].company, company) {
			return true
		}
	}
	return false
}

// waitsFor tells whether the deal waits for the word of one of its companies; voids is whether any agreed that it be void.
func (d *logDeal) waitsFor(s *standing, isParty, voids bool) bool {
	switch dealregv1.Status(d.status) { //nolint:exhaustive // in the others a deal waits for nobody
	case dealregv1.Status_STATUS_PENDING:
		return !s.accepted
	case dealregv1.Status_STATUS_CLOSING:
		return s.attestedTerms != d.termsVersion
	case dealregv1.Status_STATUS_WON:
		return d.correction.present && s.attestedTerms != d.correction.termsVersion || voids && !s.voids && isParty
	}
	return false
}

// roleName gives the role as the API writes it, or nothing when it is unknown.
func roleName(r int32) string {
	if r <= 0 || int(r) >= len(roleNames) {
		return ""
	}
	return roleNames[r]
}

var roleNames = names(dealregv1.PartyRole_name, "PARTY_ROLE_")
