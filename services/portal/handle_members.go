package portal

import "github.com/dealreg/dealreg/services/portal/api"

// membersView lists who took part and who did not, as far as the pairs are shown, and how many more there are.
type membersView struct {
	TakingPart           []partaker
	Others               []api.Named
	MoreTaking, MoreIdle int64
}

// mostMembers is how many of each kind are listed. Those who have the most partners come first.
const mostMembers = 500

type partaker struct {
	api.Participant
	Address string // of its pairs
}

func (v *visit) membersPage(b *body) error {
	m := &membersView{}
	if b.Live {
		year, err := v.api.Participation(v.ctx, b.Association.ID, b.Year.Year, b.Sequence)
		if err != nil {
			return err
		}
		for _, p := range year.TakingPart[:min(mostMembers, len(year.TakingPart))] {
			m.TakingPart = append(m.TakingPart, partaker{p, b.Address + "/pairs?company=" + p.Company.ID.String()})
		}
		m.Others = year.Others[:min(mostMembers, len(year.Others))]
		m.MoreTaking, m.MoreIdle = int64(len(year.TakingPart)-len(m.TakingPart)), int64(len(year.Others)-len(m.Others))
		b.Members = &Members{TakingPart: new(len(year.TakingPart)), Of: len(year.TakingPart) + len(year.Others)}
	}
	b.Page = m
	return v.show("members", v.speech.text("members.title", "year", b.Name()), b)
}
