package portal

import (
	"slices"
	"strings"

	"github.com/dealreg/dealreg/services/portal/api"
)

// membersView lists who took part and who did not, as far as the pairs are shown.
type membersView struct {
	TakingPart []partaker
	Others     []api.Named
	Of         int
}

type partaker struct {
	api.Named
	Partners int64
	Address  string // of its pairs
}

func (v *visit) membersPage(b *body) error {
	m := &membersView{}
	if b.Live {
		all, err := v.api.Members(v.ctx, b.Association.ID)
		if err != nil {
			return err
		}
		partners := map[string]int64{}
		for _, p := range b.Pairs {
			partners[p.A.ID.String()]++
			partners[p.B.ID.String()]++
		}
		from, to := b.Bounds()
		for _, member := range all {
			if !member.MemberBetween(from, to) {
				continue
			}
			named := api.Named{ID: member.CompanyID, Name: member.CompanyName}
			if n := partners[named.ID.String()]; n > 0 {
				m.TakingPart = append(m.TakingPart, partaker{named, n, b.Address + "/pairs?company=" + named.ID.String()})
			} else {
				m.Others = append(m.Others, named)
			}
		}
		byName := func(a, b api.Named) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) }
		slices.SortFunc(m.TakingPart, func(a, b partaker) int { return byName(a.Named, b.Named) })
		slices.SortFunc(m.Others, byName)
		m.Of = len(m.TakingPart) + len(m.Others)
		b.Members = &Members{TakingPart: new(len(m.TakingPart)), Of: m.Of}
	}
	b.Page = m
	return v.show("members", v.speech.text("members.title", "year", b.Name()), b)
}
