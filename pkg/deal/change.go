package deal

import (
	"slices"
	"time"
)

// clone copies what a move may change, so that the deal before stays as it was.
func (d Deal) clone() Deal {
	d.Terms = d.Terms.clone()
	d.Standings = slices.Clone(d.Standings)
	d.Exclusions = slices.Clone(d.Exclusions)
	if d.Correction != nil {
		c := *d.Correction
		c.Terms = c.Terms.clone()
		d.Correction = &c
	}
	return d
}

func (t Terms) clone() Terms {
	t.Parties = slices.Clone(t.Parties)
	if t.WonOn != nil {
		day := *t.WonOn
		t.WonOn = &day
	}
	return t
}

// standing is the place to change what the company has said; the company is a party.
func (d *Deal) standing(company ID) *Standing {
	i := slices.IndexFunc(d.Standings, func(s Standing) bool { return s.Company == company })
	return &d.Standings[i]
}

// changeTerms puts other terms in force, which voids every attestation, and tells whether they differ from the old.
func (d *Deal) changeTerms(t Terms, members map[ID]bool) bool {
	if d.Terms.same(t) {
		return false
	}
	d.setTerms(t, members)
	d.TermsVersion++
	return true
}

// setTerms takes the terms and makes one standing for each party, keeping what a remaining party has said.
func (d *Deal) setTerms(t Terms, members map[ID]bool) {
	d.Terms = t.clone()
	standings := make([]Standing, len(t.Parties))
	for i, p := range t.Parties {
		s, there := d.Standing(p.Company)
		if !there {
			s = Standing{Company: p.Company, Member: members[p.Company]}
		}
		standings[i] = s
	}
	d.Standings = standings
}

// keepStandings drops what companies said that are no party of the terms in force.
func (d *Deal) keepStandings() { d.setTerms(d.Terms, nil) }

// voidAcceptances asks every party but the registering company anew.
func (d *Deal) voidAcceptances() {
	for i := range d.Standings {
		if d.Standings[i].Company != d.RegisteredBy {
			d.Standings[i].AcceptedAt = nil
		}
	}
}

// forgetVoids asks every party anew whether the deal be void: they agreed about other figures.
func (d *Deal) forgetVoids() {
	for i := range d.Standings {
		d.Standings[i].Voids = false
	}
}

func (d *Deal) voidAttestations() {
	for i := range d.Standings {
		d.Standings[i].AttestedTerms, d.Standings[i].AttestedAt = 0, nil
	}
}

// attest records the company's word for the terms that wait for it, the open correction's before those in force, and
// tells whether every party has now given it. A correction waits for the parties of the old terms too.
func (d *Deal) attest(company ID, at time.Time) bool {
	version := d.TermsVersion
	if d.Correction != nil {
		version = d.Correction.TermsVersion
	}
	s := d.standing(company)
	s.AttestedTerms, s.AttestedAt = version, &at
	return !slices.ContainsFunc(d.Standings, func(s Standing) bool { return s.AttestedTerms != version })
}

// Attested is the version of the terms that the company stands for, 0 for none: the open correction's when it has attested
// that one, else what it attested of the terms that count. Its word for a correction that was refused or replaced is gone.
func (d Deal) Attested(company ID) uint32 {
	said, _ := d.Standing(company)
	if said.AttestedTerms <= d.TermsVersion || d.Correction != nil && said.AttestedTerms == d.Correction.TermsVersion {
		return said.AttestedTerms
	}
	// Its last word went to figures that never counted. Before, it gave one for those that do, if the parties stand for them.
	if _, party := d.Terms.Party(company); party && d.Evidence == ByParties {
		return d.TermsVersion
	}
	return 0
}

// unusedTermsVersion is above every version that anyone has attested, so that no word for a correction that was refused
// counts for a later one.
func (d Deal) unusedTermsVersion() uint32 {
	highest := d.TermsVersion
	for _, s := range d.Standings {
		highest = max(highest, s.AttestedTerms)
	}
	return highest + 1
}
