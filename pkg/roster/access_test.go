package roster_test

import (
	"testing"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
)

func TestAccess_EachRoleReachesItsOwnOnly(t *testing.T) {
	t.Parallel()
	store, r := rostertest.New(t)
	ctx := within(t)
	mine, other := newID(), newID()
	only, both, none := newID(), newID(), newID()
	for _, m := range []roster.Membership{
		{AssociationID: mine, CompanyID: only}, {AssociationID: mine, CompanyID: both}, {AssociationID: other, CompanyID: both},
	} {
		m.Periods = []roster.Period{{From: 1}}
		revision, err := store.PutMembership(ctx, m)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.WaitFor(ctx, roster.Members, revision); err != nil {
			t.Fatal(err)
		}
	}
	operator := roster.Principal{Role: roster.RoleOperator}
	registrar := roster.Principal{Role: roster.RoleRegistrar, Association: mine}
	board := roster.Principal{Role: roster.RoleBoard, Association: mine}
	auditor := roster.Principal{Role: roster.RoleAuditor}
	auditorOfMine := roster.Principal{Role: roster.RoleAuditor, Association: mine}
	admin := roster.Principal{Role: roster.RoleCompanyAdmin, Company: only}
	member := roster.Principal{Role: roster.RoleMember, Company: only}
	guest := roster.Principal{Role: roster.RoleGuest, Company: only, Association: mine, Deal: newID()}
	nobody := roster.Principal{}

	memberKey := func(id deal.ID) roster.Scope { return roster.Scope{Role: roster.RoleMember, CompanyID: id} }
	for name, c := range map[string]struct {
		may  func(roster.Principal) bool
		want []roster.Principal
	}{
		"see my association":   {func(p roster.Principal) bool { return r.MaySeeAssociation(p, mine) }, []roster.Principal{operator, registrar, board, auditor, auditorOfMine, admin, member}},
		"see the other one":    {func(p roster.Principal) bool { return r.MaySeeAssociation(p, other) }, []roster.Principal{operator, auditor}},
		"see no association":   {func(p roster.Principal) bool { return r.MaySeeAssociation(p, deal.ID{}) }, []roster.Principal{operator, auditor}},
		"see my members":       {func(p roster.Principal) bool { return r.MaySeeMembers(p, mine) }, []roster.Principal{operator, registrar, board, auditor, auditorOfMine}},
		"make companies":       {r.MayCreateCompany, []roster.Principal{operator, registrar}},
		"change a member":      {func(p roster.Principal) bool { return r.MayChangeCompany(p, only) }, []roster.Principal{operator, registrar, admin}},
		"change a new company": {func(p roster.Principal) bool { return r.MayChangeCompany(p, none) }, []roster.Principal{operator, registrar}},
		"change no company": {func(p roster.Principal) bool {
			return p != operator && p != registrar && r.MayChangeCompany(p, deal.ID{})
		}, nil},
		"set a member's group":   {func(p roster.Principal) bool { return r.MaySetGroup(p, only) }, []roster.Principal{operator, registrar}},
		"see a member whole":     {func(p roster.Principal) bool { return r.MaySeeCompanyWhole(p, only) }, []roster.Principal{operator, registrar, admin, member}},
		"issue a member's key":   {func(p roster.Principal) bool { return r.MayIssue(p, memberKey(only)) }, []roster.Principal{operator, registrar, admin}},
		"issue a key of both":    {func(p roster.Principal) bool { return r.MayIssue(p, memberKey(both)) }, []roster.Principal{operator}},
		"issue a stranger's key": {func(p roster.Principal) bool { return r.MayIssue(p, memberKey(none)) }, []roster.Principal{operator}},
		"issue a board key": {func(p roster.Principal) bool {
			return r.MayIssue(p, roster.Scope{Role: roster.RoleBoard, AssociationID: mine})
		}, []roster.Principal{operator, registrar}},
		"issue a foreign board key": {func(p roster.Principal) bool {
			return r.MayIssue(p, roster.Scope{Role: roster.RoleBoard, AssociationID: other})
		}, []roster.Principal{operator}},
		"issue a global auditor's key": {func(p roster.Principal) bool { return r.MayIssue(p, roster.Scope{Role: roster.RoleAuditor}) }, []roster.Principal{operator}},
		"issue an operator's key":      {func(p roster.Principal) bool { return r.MayIssue(p, roster.Scope{Role: roster.RoleOperator}) }, []roster.Principal{operator}},
	} {
		may := map[roster.Principal]bool{}
		for _, p := range c.want {
			may[p] = true
		}
		for _, p := range []roster.Principal{operator, registrar, board, auditor, auditorOfMine, admin, member, guest, nobody} {
			if c.may(p) != may[p] {
				t.Errorf("%s: %+v may: %v", name, p, !may[p])
			}
		}
	}
}
