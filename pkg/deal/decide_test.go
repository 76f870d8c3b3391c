package deal_test

import (
	"slices"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

func TestRegister_AcceptsForTheRegisteringCompanyOnly(t *testing.T) {
	t.Parallel()
	c := command(deal.Register, by(alba))
	c.Terms.WonOn = &today
	e := must(t, deal.Deal{}, c)
	d := e.Deal
	if e.Type != deal.EventRegistered || d.ID != c.Deal || d.Revision != 1 || d.TermsVersion != 1 || d.RegisteredBy != alba || d.RegisteredAt != noon {
		t.Errorf("%+v", e)
	}
	if d.WonOn != nil {
		t.Error("a deal is registered as won")
	}
	if s := standing(t, d, alba); s.AcceptedAt == nil || !s.AcceptedAt.Equal(noon) {
		t.Error("the registering company has not accepted")
	}
	if standing(t, d, bora).AcceptedAt != nil || standing(t, d, cora).AcceptedAt != nil {
		t.Error("others have accepted")
	}
	if !standing(t, d, alba).Member || !standing(t, d, bora).Member || standing(t, d, cora).Member {
		t.Error("members are not who the command says")
	}
}

func TestImport_ByAMemberIsConfirmedLikeAnyOther(t *testing.T) {
	t.Parallel()
	e := must(t, deal.Deal{}, command(deal.Import, by(alba)))
	d := e.Deal
	if d.Status != deal.Closing || !d.RegisteredAfterWin || d.Evidence != "" || !d.ImportedBy.IsZero() || e.Type != deal.EventClosing ||
		!includes(e, deal.EventRegistered, deal.EventAttested) || standing(t, d, alba).AttestedTerms != 1 {
		t.Errorf("%+v", e)
	}
	d = play(t, d, command(deal.Attest, by(bora)))
	if d.Status != deal.Closing {
		t.Errorf("is %s before cora attests", d.Status)
	}
	if d = play(t, d, command(deal.Attest, by(cora))); d.Status != deal.Won || d.Evidence != deal.ByParties {
		t.Errorf("is %s by %s when all have attested", d.Status, d.Evidence)
	}
}

func TestImport_ByARegistrarIsWonOnItsWordAndMarkedSo(t *testing.T) {
	t.Parallel()
	e := must(t, deal.Deal{}, command(deal.Import, registrar))
	d := e.Deal
	if d.Status != deal.Won || d.Evidence != deal.ByRegistrar || d.EvidenceReference != "Archive 12" || d.ImportedBy != registrar.Association ||
		d.RegisteredBy != registrar.Association || !d.RegisteredAfterWin || e.Type != deal.EventWon || !includes(e, deal.EventRegistered) {
		t.Errorf("%+v", e)
	}
	for _, s := range d.Standings {
		if s.AcceptedAt != nil || s.AttestedTerms != 0 {
			t.Errorf("company %s has said something", s.Company)
		}
	}
	// Once every party attests a correction, the figures rest on them.
	d = play(t, d, command(deal.Correct, by(alba)), command(deal.Attest, by(bora)), command(deal.Attest, by(cora)))
	if d.Evidence != deal.ByParties || d.EvidenceReference != "" || d.ImportedBy != registrar.Association {
		t.Errorf("after a correction the evidence is %s, %q, imported by %s", d.Evidence, d.EvidenceReference, d.ImportedBy)
	}
}

func TestAccept_ActivatesWithTheLastAndNotTwice(t *testing.T) {
	t.Parallel()
	d := in(t, deal.Pending)
	e := must(t, d, command(deal.Accept, by(bora)))
	if e.Type != deal.EventAccepted || e.Deal.Status != deal.Pending || len(e.Includes) != 0 {
		t.Errorf("%+v", e)
	}
	wantRefusal(t, e.Deal, command(deal.Accept, by(bora)), "accepted already")
	e = must(t, e.Deal, command(deal.Accept, by(cora)))
	if e.Type != deal.EventActivated || !includes(e, deal.EventAccepted) || e.Deal.Status != deal.Active || !e.Deal.StatusSince.Equal(e.At) {
		t.Errorf("%+v", e)
	}
}

func TestDecline_LeavesTheShareToTheLeadAndAsksAnew(t *testing.T) {
	t.Parallel()
	d := play(t, in(t, deal.Pending), command(deal.Accept, by(bora)))
	e := must(t, d, command(deal.Decline, by(cora)))
	if e.Type != deal.EventDeclined || !includes(e, deal.EventTermsChanged) || e.Deal.Status != deal.Pending || e.Deal.TermsVersion != 2 {
		t.Errorf("%+v", e)
	}
	if lead, _ := e.Deal.Party(bora); lead.ShareMinor != 300 || len(e.Deal.Parties) != 2 || e.Deal.Value.Minor != 400 {
		t.Errorf("the terms are %+v", e.Deal.Terms)
	}
	if _, stays := e.Deal.Standing(cora); stays || len(e.Deal.Standings) != 2 {
		t.Errorf("the standings are %+v", e.Deal.Standings)
	}
	if standing(t, e.Deal, bora).AcceptedAt != nil || standing(t, e.Deal, alba).AcceptedAt == nil {
		t.Error("acceptances of the others are not void, or that of the registering company is")
	}
	if !e.Deal.StatusSince.Equal(d.StatusSince) {
		t.Error("the time for answers starts again")
	}
}

func TestDecline_EndsTheDealWithoutTheLeadOrASecondGroup(t *testing.T) {
	t.Parallel()
	oneGroup := command(deal.Register, by(alba))
	oneGroup.Terms.Parties[1].Group = group(1) // alba and bora are one group, cora the other
	for name, c := range map[string]struct {
		register deal.Command
		declines deal.ID
	}{
		"the lead":       {command(deal.Register, by(alba)), bora},
		"the last group": {oneGroup, cora},
	} {
		d := play(t, deal.Deal{}, c.register)
		e := must(t, d, command(deal.Decline, by(c.declines)))
		if e.Deal.Status != deal.Declined || e.Type != deal.EventDeclined || len(e.Includes) != 0 || e.Deal.TermsVersion != 1 || len(e.Deal.Parties) != 3 {
			t.Errorf("%s: %+v", name, e)
		}
		if e.Deal.Reason == "" {
			t.Errorf("%s: without the reason", name)
		}
	}
}

func TestEdit_TakesCompaniesInWhileTheDealIsPending(t *testing.T) {
	t.Parallel()
	edit := deal.Command{Move: deal.Edit, By: by(alba), Today: today, Terms: three(nil)}
	withDora(edit.Terms)
	e := must(t, in(t, deal.Pending), edit)
	if e.Type != deal.EventTermsChanged || e.Deal.TermsVersion != 2 || standing(t, e.Deal, dora).AcceptedAt != nil {
		t.Errorf("%+v", e)
	}
}

func TestTermsVersion_RisesWithEveryFigureAndNothingElse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(c *deal.Command)
		rises  bool
	}{
		"value":                              {func(c *deal.Command) { c.Terms.Value.Minor++; c.Terms.Parties[0].ShareMinor++ }, true},
		"currency":                           {func(c *deal.Command) { c.Terms.Value.Currency = "CHF" }, true},
		"a role":                             {func(c *deal.Command) { c.Terms.Parties[0].Role = deal.Vendor }, true},
		"shares":                             {func(c *deal.Command) { c.Terms.Parties[0].ShareMinor++; c.Terms.Parties[1].ShareMinor-- }, true},
		"order of the parties":               {func(c *deal.Command) { slices.Reverse(c.Terms.Parties) }, false},
		"nothing":                            {func(*deal.Command) {}, false},
		"details only":                       {func(c *deal.Command) { c.Terms = nil; c.Details = details(); c.Details.Description = "new" }, false},
		"won_on, which only a proposal sets": {func(c *deal.Command) { c.Terms.WonOn = &today }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range []deal.Status{deal.Pending, deal.Active} {
				d := in(t, s)
				edit := deal.Command{Move: deal.Edit, By: by(alba), Today: today, Terms: three(nil)}
				c.change(&edit)
				e := must(t, d, edit)
				want, wantType := d.TermsVersion, deal.EventEdited
				if c.rises {
					want, wantType = want+1, deal.EventTermsChanged
				}
				if e.Deal.TermsVersion != want || e.Type != wantType || e.Deal.WonOn != nil {
					t.Errorf("%s: version %d by %s, won on %v; want version %d by %s", s, e.Deal.TermsVersion, e.Type, e.Deal.WonOn, want, wantType)
				}
			}
		})
	}
}

func TestEdit_OfTermsVoidsAcceptancesWhilePending(t *testing.T) {
	t.Parallel()
	d := play(t, in(t, deal.Pending), command(deal.Accept, by(bora)))
	edit := deal.Command{Move: deal.Edit, By: by(alba), Today: today, Terms: three(nil)}
	if standing(t, play(t, d, edit), bora).AcceptedAt == nil {
		t.Error("an edit that changes nothing voids acceptances")
	}
	edit.Terms.Value.Minor, edit.Terms.Parties[0].ShareMinor = 500, 200
	d = play(t, d, edit)
	if standing(t, d, bora).AcceptedAt != nil || standing(t, d, alba).AcceptedAt == nil {
		t.Error("acceptances of other terms stand")
	}
	if d = play(t, d, command(deal.Accept, by(cora)), command(deal.Accept, by(bora))); d.Status != deal.Active {
		t.Errorf("is %s after all have accepted the new terms", d.Status)
	}
}

func TestEdit_LeavesWhatNamesTheDeal(t *testing.T) {
	t.Parallel()
	c := command(deal.Edit, by(alba))
	c.Details.ExternalRef, c.Details.Replaces = "other", deal.ID{3}
	d := play(t, in(t, deal.Active), c)
	if d.ExternalRef != "CRM-4711" || !d.Replaces.IsZero() || d.Title != c.Details.Title {
		t.Errorf("%+v", d.Details)
	}
}

func TestPropose_AttestsForTheProposerAloneAndCountsFiguresOnce(t *testing.T) {
	t.Parallel()
	active := in(t, deal.Active)
	e := must(t, active, command(deal.Propose, by(cora)))
	if e.Type != deal.EventClosing || !includes(e, deal.EventAttested) || e.Deal.Status != deal.Closing || e.Deal.TermsVersion != 2 {
		t.Errorf("%+v", e) // version 2: won_on is new
	}
	for _, company := range []deal.ID{alba, bora, cora} {
		if got := standing(t, e.Deal, company).AttestedTerms == 2; got != (company == cora) {
			t.Errorf("company %s has attested: %t", company, got)
		}
	}
	refused := play(t, e.Deal, command(deal.Refuse, by(alba)))
	if again := play(t, refused, command(deal.Propose, by(alba))); again.TermsVersion != 2 || standing(t, again, cora).AttestedTerms != 0 {
		t.Errorf("the same figures again are version %d, attested by cora as %d", again.TermsVersion, standing(t, again, cora).AttestedTerms)
	}
	other := command(deal.Propose, by(alba))
	other.Terms.WonOn = new(today - 1)
	if again := play(t, refused, other); again.TermsVersion != 3 {
		t.Errorf("another won_on is version %d; want 3", again.TermsVersion)
	}
}

func TestAttest_WinsWithTheLastPartyAndNotBefore(t *testing.T) {
	t.Parallel()
	d := in(t, deal.Closing)
	wantRefusal(t, d, command(deal.Attest, by(alba)), "attested these terms already")
	e := must(t, d, command(deal.Attest, by(cora)))
	if e.Deal.Status != deal.Closing || e.Type != deal.EventAttested || e.Deal.Evidence != "" {
		t.Errorf("%+v", e)
	}
	e = must(t, e.Deal, command(deal.Attest, by(bora)))
	if e.Deal.Status != deal.Won || e.Type != deal.EventWon || !includes(e, deal.EventAttested) || e.Deal.Evidence != deal.ByParties {
		t.Errorf("%+v", e)
	}
}

func TestRefuseAndExpiry_VoidEveryAttestation(t *testing.T) {
	t.Parallel()
	d := play(t, in(t, deal.Closing), command(deal.Attest, by(cora)))
	due, _ := deal.Due(d)
	for _, c := range []deal.Command{command(deal.Refuse, by(bora)), command(deal.Expire, system)} {
		e, err := deal.Decide(d, c, due)
		if err != nil {
			t.Fatal(err)
		}
		if e.Deal.Status != deal.Active {
			t.Errorf("after %s the deal is %s", c.Move, e.Deal.Status)
		}
		for _, s := range e.Deal.Standings {
			if s.AttestedTerms != 0 || s.AttestedAt != nil {
				t.Errorf("after %s company %s has attested version %d", c.Move, s.Company, s.AttestedTerms)
			}
		}
	}
}

func TestExpire_WaitsForItsTime(t *testing.T) {
	t.Parallel()
	for status, due := range map[deal.Status]func(deal.Deal) time.Time{
		deal.Pending: func(d deal.Deal) time.Time { return d.StatusSince.AddDate(0, 0, 14) },
		deal.Active:  func(d deal.Deal) time.Time { return d.UpdatedAt.AddDate(0, 12, 0) },
		deal.Closing: func(d deal.Deal) time.Time { return d.StatusSince.AddDate(0, 0, 60) },
	} {
		d := in(t, status)
		// An event prolongs the wait of an active deal alone.
		d = play(t, d, map[deal.Status]deal.Command{
			deal.Pending: command(deal.Accept, by(cora)), deal.Active: command(deal.Edit, by(alba)), deal.Closing: command(deal.Attest, by(cora)),
		}[status])
		at, waits := deal.Due(d)
		if !waits || !at.Equal(due(d)) {
			t.Fatalf("%s is due at %s, %t; want %s", status, at, waits, due(d))
		}
		c := command(deal.Expire, system)
		if _, err := deal.Decide(d, c, at.Add(-time.Nanosecond)); err == nil {
			t.Errorf("%s expires early", status)
		}
		if e, err := deal.Decide(d, c, at); err != nil || e.Type != deal.EventExpired {
			t.Errorf("%s does not expire: %v", status, err)
		}
	}
	for _, status := range []deal.Status{deal.New, deal.Won, deal.Void, deal.Disputed, deal.Lost, deal.Declined, deal.Expired, deal.Withdrawn} {
		if _, waits := deal.Due(in(t, status)); waits {
			t.Errorf("%s is due", status)
		}
	}
}

func TestSettle_ReturnsToWhereTheDealWasWithAllThatWasSaid(t *testing.T) {
	t.Parallel()
	before := play(t, in(t, deal.Closing), command(deal.Attest, by(cora)))
	disputed := play(t, before, command(deal.Dispute, registrar))
	if disputed.DisputedFrom != deal.Closing || disputed.Reason == "" {
		t.Errorf("%+v", disputed)
	}
	after := play(t, disputed, command(deal.Settle, registrar))
	if after.Status != deal.Closing || after.DisputedFrom != deal.New || show(t, after.Standings) != show(t, before.Standings) {
		t.Errorf("%+v", after)
	}
	if won := play(t, after, command(deal.Attest, by(bora))); won.Status != deal.Won {
		t.Errorf("is %s when the last party attests", won.Status)
	}
}

func TestCorrect_LetsTheOldFiguresCountUntilAllOldAndNewPartiesAttest(t *testing.T) {
	t.Parallel()
	won := in(t, deal.Won)
	c := command(deal.Correct, by(alba))
	c.Terms = terms(&today, party(1, deal.Lead, 300), party(2, deal.Vendor, 80), party(4, deal.Delivery, 20)) // cora leaves, dora comes
	e := must(t, won, c)
	if e.Type != deal.EventTermsChanged || !includes(e, deal.EventAttested) || e.Deal.Correction.ProposedBy != alba {
		t.Errorf("%+v", e)
	}
	d := e.Deal
	for _, company := range []deal.ID{bora, cora, dora} {
		if show(t, d.Terms) != show(t, won.Terms) || d.TermsVersion != won.TermsVersion || d.Correction == nil || d.Status != deal.Won {
			t.Fatalf("before %s attests the deal is %+v", company, d)
		}
		e = must(t, d, command(deal.Attest, by(company)))
		d = e.Deal
	}
	if e.Type != deal.EventCorrected || !includes(e, deal.EventAttested) || d.Correction != nil || d.TermsVersion != won.TermsVersion+1 ||
		show(t, d.Terms) != show(t, c.Terms) {
		t.Errorf("after all have attested: %+v", e)
	}
	if _, stays := d.Standing(cora); stays || len(d.Standings) != 3 {
		t.Errorf("the standings are %+v", d.Standings)
	}
}

func TestRefuse_DropsTheCorrectionAndItsNewParties(t *testing.T) {
	t.Parallel()
	won := in(t, deal.Won)
	d := correcting(t, withDora)
	e := must(t, d, command(deal.Refuse, by(dora)))
	if e.Type != deal.EventRefused || e.Deal.Correction != nil || show(t, e.Deal.Terms) != show(t, won.Terms) || e.Deal.Status != deal.Won ||
		len(e.Deal.Standings) != 3 || e.Deal.Evidence != deal.ByParties {
		t.Errorf("%+v", e)
	}
	wantRefusal(t, e.Deal, command(deal.Refuse, by(cora)), "no correction is open")
	wantRefusal(t, e.Deal, command(deal.Attest, by(cora)), "no correction is open")
}

func TestAttested_IsTheWordThatStillStands(t *testing.T) {
	t.Parallel()
	open := play(t, correcting(t, withDora), command(deal.Attest, by(bora)))
	imported := play(t, deal.Deal{}, command(deal.Import, registrar), command(deal.Correct, by(alba)))
	for name, c := range map[string]struct {
		deal                   deal.Deal
		alba, bora, cora, dora uint32
	}{
		"nobody yet":            {in(t, deal.Active), 0, 0, 0, 0},
		"proposed":              {in(t, deal.Closing), 2, 0, 0, 0},
		"refused":               {play(t, in(t, deal.Closing), command(deal.Refuse, by(cora))), 0, 0, 0, 0},
		"won":                   {in(t, deal.Won), 2, 2, 2, 0},
		"correction open":       {open, 3, 3, 2, 0},
		"correction refused":    {play(t, open, command(deal.Refuse, by(dora))), 2, 2, 2, 0},
		"correction replaced":   {play(t, open, command(deal.Correct, by(cora))), 2, 2, 4, 0},
		"correction attested":   {play(t, open, command(deal.Attest, by(cora)), command(deal.Attest, by(dora))), 3, 3, 3, 3},
		"of an import":          {imported, 2, 0, 0, 0},
		"of an import, refused": {play(t, imported, command(deal.Refuse, by(bora))), 0, 0, 0, 0},
		"merged with one open":  {play(t, open, command(deal.Merge, registrar)), 2, 2, 2, 0},
		"void":                  {in(t, deal.Void), 2, 2, 2, 0},
	} {
		got := [4]uint32{c.deal.Attested(alba), c.deal.Attested(bora), c.deal.Attested(cora), c.deal.Attested(dora)}
		if want := [4]uint32{c.alba, c.bora, c.cora, c.dora}; got != want {
			t.Errorf("%s: they stand for %v; want %v", name, got, want)
		}
	}
}

// A word for figures that were refused must not count for others that come later.
func TestCorrect_CountsNoAttestationOfAnEarlierCorrection(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]deal.Deal{
		"refused":  play(t, correcting(t, nil), command(deal.Attest, by(bora)), command(deal.Refuse, by(cora))),
		"replaced": play(t, correcting(t, nil), command(deal.Attest, by(bora))),
	} {
		c := command(deal.Correct, by(cora))
		c.Terms.Value.Minor, c.Terms.Parties[2].ShareMinor = 9250, 8800
		d = play(t, d, c)
		for _, company := range []deal.ID{alba, bora} {
			if d.Correction == nil || d.Terms.Value.Minor != 400 {
				t.Fatalf("%s: counts %d before %s attests", name, d.Terms.Value.Minor, company)
			}
			d = play(t, d, command(deal.Attest, by(company)))
		}
		if d.Correction != nil || d.Terms.Value.Minor != 9250 {
			t.Errorf("%s: counts %d when all have attested", name, d.Terms.Value.Minor)
		}
	}
}

func TestCorrect_RefusesFiguresThatCountAlready(t *testing.T) {
	t.Parallel()
	c := command(deal.Correct, by(bora))
	c.Terms = three(&today)
	slices.Reverse(c.Terms.Parties)
	wantRefusal(t, in(t, deal.Won), c, "count already")
}

func TestCorrect_LetsACompanyThatWouldComeInOnlyAttestOrRefuse(t *testing.T) {
	t.Parallel()
	d := correcting(t, withDora)
	for _, move := range []deal.Move{deal.Correct, deal.Annul} {
		wantRefusal(t, d, command(move, by(dora)), string(deal.AnyParty))
	}
	play(t, d, command(deal.Attest, by(dora)))
	play(t, d, command(deal.Refuse, by(dora)))
}

func TestAnnul_VoidsWhenEveryPartyOfTheFiguresInForceAgrees(t *testing.T) {
	t.Parallel()
	d := correcting(t, withDora)
	for _, company := range []deal.ID{alba, cora} {
		e := must(t, d, command(deal.Annul, by(company)))
		if e.Type != deal.EventVoidProposed || e.Deal.Status != deal.Won {
			t.Errorf("%+v", e)
		}
		d = e.Deal
		wantRefusal(t, d, command(deal.Annul, by(company)), "agreed already")
	}
	e := must(t, d, command(deal.Annul, by(bora)))
	if e.Type != deal.EventVoided || !includes(e, deal.EventVoidProposed) || e.Deal.Status != deal.Void || e.Deal.Correction != nil || len(e.Deal.Standings) != 3 {
		t.Errorf("%+v", e)
	}
}

func TestExclude_TakesOneAssociationAtATime(t *testing.T) {
	t.Parallel()
	e := must(t, in(t, deal.Won), command(deal.Exclude, registrar))
	if e.Type != deal.EventExcluded || len(e.Deal.Exclusions) != 1 || e.Deal.Exclusions[0].Association != registrar.Association {
		t.Errorf("%+v", e)
	}
	wantRefusal(t, e.Deal, command(deal.Exclude, registrar), "excluded the deal already")
	other := deal.Actor{Association: deal.ID{0xA6}}
	if d := play(t, e.Deal, command(deal.Exclude, other)); len(d.Exclusions) != 2 {
		t.Errorf("%+v", d.Exclusions)
	}
}

func TestRestate_ChangesNothingOfTheDeal(t *testing.T) {
	t.Parallel()
	won := in(t, deal.Won)
	e := must(t, won, command(deal.Restate, system))
	want := won
	want.Revision, want.UpdatedAt = won.Revision+1, e.At
	if e.Type != deal.EventRestated || show(t, e.Deal) != show(t, want) {
		t.Errorf("%+v", e)
	}
}

func TestApply_TwiceIsOnce(t *testing.T) {
	t.Parallel()
	d := in(t, deal.Active)
	first := must(t, d, command(deal.Edit, by(alba)))
	second := must(t, first.Deal, command(deal.Propose, by(alba)))
	once := deal.Apply(deal.Apply(d, first), second)
	for _, again := range []deal.Event{second, first} {
		if got := deal.Apply(once, again); show(t, got) != show(t, once) {
			t.Errorf("%s again gives %+v", again.Type, got)
		}
	}
	if once.Status != deal.Closing {
		t.Errorf("is %s", once.Status)
	}
}

func TestDecide_AnswersAFeb29FiveYearsLater(t *testing.T) {
	t.Parallel()
	c := command(deal.Import, by(alba))
	c.Today = calendar.New(2028, time.February, 29)
	c.Terms.WonOn = new(calendar.New(2023, time.March, 1))
	play(t, deal.Deal{}, c)
	c.Terms.WonOn = new(calendar.New(2023, time.February, 28))
	wantFault(t, deal.Deal{}, c, "/won_on", "lies before 2023-03-01")
}
