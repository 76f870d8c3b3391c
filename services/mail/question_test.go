package mail

import (
	"slices"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

func TestAsked_NamesWhoseWordIsMissing(t *testing.T) {
	t.Parallel()
	at, later := time.Unix(1000, 0), time.Unix(2000, 0)
	a, b, c := company(1), company(2), company(3)
	standings := func(said ...deal.Standing) []deal.Standing { return said }
	for name, x := range map[string]struct {
		deal deal.Deal
		want question
	}{
		"pending": {
			deal.Deal{Status: deal.Pending, TermsVersion: 2, StatusSince: at, Standings: standings(deal.Standing{Company: a, AcceptedAt: &at}, deal.Standing{Company: b})},
			question{Kind: kindAccept, Version: 2, Since: at, Companies: []deal.ID{b}},
		},
		"closing": {
			deal.Deal{Status: deal.Closing, TermsVersion: 3, StatusSince: later, Standings: standings(deal.Standing{Company: a, AttestedTerms: 3}, deal.Standing{Company: b, AttestedTerms: 2}, deal.Standing{Company: c})},
			question{Kind: kindAttest, Version: 3, Since: later, Companies: []deal.ID{b, c}},
		},
		"a correction since its proposal": {
			deal.Deal{
				Status: deal.Won, TermsVersion: 1, StatusSince: at, UpdatedAt: time.Unix(3000, 0), Correction: &deal.Correction{TermsVersion: 4, ProposedBy: b},
				Standings: standings(deal.Standing{Company: a, AttestedTerms: 1, AttestedAt: &at}, deal.Standing{Company: b, AttestedTerms: 4, AttestedAt: &later}),
			},
			question{Kind: kindCorrect, Version: 4, Since: later, Companies: []deal.ID{a}},
		},
		"everybody has answered": {deal: deal.Deal{Status: deal.Pending, Standings: standings(deal.Standing{Company: a, AcceptedAt: &at})}},
		"active":                 {deal: deal.Deal{Status: deal.Active, Standings: standings(deal.Standing{Company: a})}},
		"won":                    {deal: deal.Deal{Status: deal.Won, TermsVersion: 1, Standings: standings(deal.Standing{Company: a})}},
		"disputed":               {deal: deal.Deal{Status: deal.Disputed, DisputedFrom: deal.Closing, TermsVersion: 1, Standings: standings(deal.Standing{Company: a})}},
	} {
		got, waits := asked(x.deal)
		if waits != (len(x.want.Companies) > 0) || waits && (!got.same(x.want) || !slices.Equal(got.Companies, x.want.Companies)) {
			t.Errorf("%s: %+v %t, want %+v", name, got, waits, x.want)
		}
	}
}
