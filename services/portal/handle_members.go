package portal

import (
	"slices"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

// membersView lists who took part and who did not, as far as the pairs are shown, and how many more there are.
type membersView struct {
	Chapter              *api.Chapter // only its members
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
		chapter, limit := v.r.URL.Query().Get("chapter"), mostMembers
		if chapter != "" {
			limit = 0 // who is in it, is told here
		}
		year, err := v.api.Participation(v.ctx, b.Association.ID, b.Year.Year, b.Sequence, limit)
		if err != nil {
			return err
		}
		if chapter != "" {
			if m.Chapter, err = v.onlyChapter(b, chapter, &year); err != nil {
				return err
			}
		}
		for _, p := range year.TakingPart[:min(mostMembers, len(year.TakingPart))] {
			m.TakingPart = append(m.TakingPart, partaker{p, b.Address + "/pairs?company=" + p.Company.ID.String()})
		}
		m.Others = year.Others[:min(mostMembers, len(year.Others))]
		m.MoreTaking, m.MoreIdle = int64(year.TakingPartCount-len(m.TakingPart)), int64(year.OthersCount-len(m.Others))
		b.Members = &Members{TakingPart: new(year.TakingPartCount), Of: year.TakingPartCount + year.OthersCount}
	}
	b.Page = m
	return v.show("members", v.speech.text("members.title", "year", b.Name()), b)
}

// onlyChapter leaves of the members those who were in the chapter on any day of the year.
func (v *visit) onlyChapter(b *body, id string, year *api.Participation) (*api.Chapter, error) {
	chapters, err := v.api.Chapters(v.ctx, b.Association.ID)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(chapters, func(c api.Chapter) bool { return c.ID.String() == id })
	if at < 0 {
		return nil, errNotFound
	}
	enrolments, err := v.api.Enrolments(v.ctx, b.Association.ID)
	if err != nil {
		return nil, err
	}
	from, to := b.Bounds()
	within := map[deal.ID]bool{}
	for _, e := range enrolments {
		within[e.CompanyID] = e.InChapter(chapters[at].ID, from, to)
	}
	year.TakingPart = slices.DeleteFunc(year.TakingPart, func(p api.Participant) bool { return !within[p.Company.ID] })
	year.Others = slices.DeleteFunc(year.Others, func(n api.Named) bool { return !within[n.ID] })
	year.TakingPartCount, year.OthersCount = len(year.TakingPart), len(year.Others)
	return &chapters[at], nil
}
