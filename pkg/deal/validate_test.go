package deal_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
)

// wantFault wants deal.Invalid with a fault of the field whose message holds the remedy.
func wantFault(t *testing.T, d deal.Deal, c deal.Command, pointer, remedy string) {
	t.Helper()
	var faults deal.Invalid
	if _, err := deal.Decide(d, c, next(d)); !errors.As(err, &faults) {
		t.Fatalf("%s gives %v; want deal.Invalid", c.Move, err)
	}
	if !slices.ContainsFunc(faults, func(f deal.FieldError) bool {
		return f.Pointer == pointer && strings.Contains(f.Message, remedy)
	}) {
		t.Errorf("%s gives %v; want a fault of %s that says %q", c.Move, faults, pointer, remedy)
	}
}

func TestRegister_NamesEveryFaultAndItsRemedy(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 2001)
	for name, c := range map[string]struct {
		change          func(d *deal.Details, t *deal.Terms)
		pointer, remedy string
	}{
		"no title":            {func(d *deal.Details, _ *deal.Terms) { d.Title = "" }, "/title", "fill it in"},
		"blank title":         {func(d *deal.Details, _ *deal.Terms) { d.Title = " \t\n" }, "/title", "fill it in"},
		"long title":          {func(d *deal.Details, _ *deal.Terms) { d.Title = long[:2*501] }, "/title", "has 501 characters, at most 500 are allowed: shorten it"},
		"long description":    {func(d *deal.Details, _ *deal.Terms) { d.Description = long }, "/description", "at most 2000"},
		"long reference":      {func(d *deal.Details, _ *deal.Terms) { d.ExternalRef = long[:2*65] }, "/external_ref", "at most 64"},
		"no customer":         {func(d *deal.Details, _ *deal.Terms) { d.Customer.Name = "" }, "/customer/name", "fill it in"},
		"long customer":       {func(d *deal.Details, _ *deal.Terms) { d.Customer.Name = long[:2*121] }, "/customer/name", "at most 120"},
		"control character":   {func(d *deal.Details, _ *deal.Terms) { d.Title = "Pay\x00roll" }, "/title", "remove it"},
		"escape":              {func(d *deal.Details, _ *deal.Terms) { d.Description = "\x1b[2J" }, "/description", "remove it"},
		"C1 control":          {func(d *deal.Details, _ *deal.Terms) { d.Customer.Name = "Contoso\u0085" }, "/customer/name", "remove it"},
		"not UTF-8":           {func(d *deal.Details, _ *deal.Terms) { d.Title = "caf\xe9" }, "/title", "in UTF-8"},
		"reference not UTF-8": {func(d *deal.Details, _ *deal.Terms) { d.ExternalRef = "\xff" }, "/external_ref", "in UTF-8"},
		"expected far away": {func(d *deal.Details, _ *deal.Terms) {
			day := calendar.Last + 1
			d.ExpectedOn = &day
		}, "/expected_on", "outside 1900 to 2299"},

		"no value":       {func(_ *deal.Details, t *deal.Terms) { t.Value.Minor = 0 }, "/value/amount", "more than 0"},
		"negative value": {func(_ *deal.Details, t *deal.Terms) { t.Value.Minor = -400 }, "/value/amount", "more than 0"},
		"huge value":     {func(_ *deal.Details, t *deal.Terms) { t.Value.Minor = money.MaxMinor + 1 }, "/value/amount", "10^15"},
		"no currency":    {func(_ *deal.Details, t *deal.Terms) { t.Value.Currency = "" }, "/value/currency", "such as EUR"},
		"unknown currency and a wrong sum": {func(_ *deal.Details, t *deal.Terms) {
			t.Value = money.Amount{Minor: 1, Currency: "XXX"}
		}, "/value/currency", "such as EUR"},

		"shares below the value": {func(_ *deal.Details, t *deal.Terms) { t.Value.Minor++ }, "/parties", "4.00 in sum, the value is 4.01: the shares must sum to the value exactly"},
		"shares above the value": {func(_ *deal.Details, t *deal.Terms) { t.Value.Minor-- }, "/parties", "4.00 in sum, the value is 3.99"},
		"negative share": {func(_ *deal.Details, t *deal.Terms) {
			t.Parties[0].ShareMinor, t.Parties[1].ShareMinor = -100, 450
		}, "/parties/0/share/amount", "from 0 to 10^15"},
		"huge share":         {func(_ *deal.Details, t *deal.Terms) { t.Parties[2].ShareMinor = money.MaxMinor + 1 }, "/parties/2/share/amount", "from 0 to 10^15"},
		"party twice":        {func(_ *deal.Details, t *deal.Terms) { t.Parties[2].Company = alba }, "/parties/2/company_id", "give each company one entry"},
		"party without name": {func(_ *deal.Details, t *deal.Terms) { t.Parties[2].Company = deal.ID{} }, "/parties/2/company_id", "name the company"},
		"no role":            {func(_ *deal.Details, t *deal.Terms) { t.Parties[0].Role = "" }, "/parties/0/role", "use lead, delivery, reseller, vendor, advisor or other"},
		"no lead":            {func(_ *deal.Details, t *deal.Terms) { t.Parties[1].Role = deal.Other }, "/parties", "has 0 leads: give exactly one party the role lead"},
		"two leads":          {func(_ *deal.Details, t *deal.Terms) { t.Parties[0].Role = deal.Lead }, "/parties", "has 2 leads"},
		"one group": {func(_ *deal.Details, t *deal.Terms) {
			for i := range t.Parties {
				t.Parties[i].Group = group(1)
			}
		}, "/parties", "needs two groups"},
		"one party":      {func(_ *deal.Details, t *deal.Terms) { t.Parties = t.Parties[1:2] }, "/parties", "has 1 parties: a deal has 2 to 10"},
		"no party":       {func(_ *deal.Details, t *deal.Terms) { t.Parties = nil }, "/parties", "has 0 parties"},
		"eleven parties": {func(_ *deal.Details, t *deal.Terms) { addParties(t, 11) }, "/parties", "has 11 parties: a deal has 2 to 10"},
		"not a party":    {func(_ *deal.Details, t *deal.Terms) { t.Parties[0].Company = dora }, "/parties", "add it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, move := range []deal.Move{deal.Register, deal.Import} {
				command := command(move, by(alba))
				c.change(command.Details, command.Terms)
				wantFault(t, deal.Deal{}, command, c.pointer, c.remedy)
			}
		})
	}
}

func addParties(t *deal.Terms, to int) {
	for n := len(t.Parties) + 1; n <= to; n++ {
		t.Parties = append(t.Parties, party(byte(n), deal.Vendor, 0))
	}
}

func TestRegister_TakesWhatIsJustAllowed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(d *deal.Details, t *deal.Terms){
		"longest texts": func(d *deal.Details, _ *deal.Terms) {
			d.Title, d.Description = strings.Repeat("é", 500), strings.Repeat("漢", 2000)
			d.ExternalRef, d.Customer.Name = strings.Repeat("é", 64), strings.Repeat("é", 120)
		},
		"shortest texts": func(d *deal.Details, _ *deal.Terms) {
			*d = deal.Details{Title: "é", Customer: deal.Customer{Name: "é"}}
		},
		"lines":       func(d *deal.Details, _ *deal.Terms) { d.Description = "one\n\ttwo" },
		"ten parties": func(_ *deal.Details, t *deal.Terms) { addParties(t, 10) },
		"zero shares": func(_ *deal.Details, t *deal.Terms) {
			t.Value.Minor, t.Parties[0].ShareMinor, t.Parties[1].ShareMinor, t.Parties[2].ShareMinor = 1, 0, 0, 1
		},
		"largest value": func(_ *deal.Details, t *deal.Terms) {
			t.Value.Minor, t.Parties[1].ShareMinor = money.MaxMinor, money.MaxMinor-150
		},
		"two groups": func(_ *deal.Details, t *deal.Terms) { t.Parties[2].Group = group(1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := command(deal.Register, by(alba))
			change(c.Details, c.Terms)
			play(t, deal.Deal{}, c)
		})
	}
}

func TestRegister_GivesAllFaultsAtOnceInTheOrderOfTheFields(t *testing.T) {
	t.Parallel()
	c := command(deal.Register, by(alba))
	c.Details.Title, c.Details.Customer.Name, c.Terms.Value.Minor = "", "", 0
	c.Terms.Parties[0].Role = "boss"
	_, err := deal.Decide(deal.Deal{}, c, noon)
	var faults deal.Invalid
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	var pointers []string
	for _, f := range faults {
		pointers = append(pointers, f.Pointer)
		if !strings.Contains(err.Error(), f.Pointer+": "+f.Message) {
			t.Errorf("%q leaves out %v", err, f)
		}
	}
	if want := []string{"/title", "/customer/name", "/value/amount", "/parties/0/role", "/parties"}; !slices.Equal(pointers, want) {
		t.Errorf("faults of %q; want %q", pointers, want)
	}
}

func TestWonOn_ReachesBackAsFarAsTheActorMay(t *testing.T) {
	t.Parallel()
	day := calendar.New
	for name, c := range map[string]struct {
		actor   deal.Actor
		wonOn   *calendar.Date
		message string // empty when the day is allowed
	}{
		"today":                         {by(alba), &today, ""},
		"member tomorrow":               {by(alba), new(today + 1), "lies in the future: today is 2026-11-22"},
		"member five years back":        {by(alba), new(day(2021, time.November, 22)), ""},
		"member a day more":             {by(alba), new(day(2021, time.November, 21)), "ask the registrar"},
		"member without a day":          {by(alba), nil, "is missing: name the day on which the deal was won, as in 2026-11-22"},
		"registrar tomorrow":            {registrar, new(today + 1), "lies in the future"},
		"registrar 1990":                {registrar, new(day(1990, time.January, 1)), ""},
		"registrar the day before 1990": {registrar, new(day(1989, time.December, 31)), "lies before 1990-01-01"},
		"registrar without a day":       {registrar, nil, "is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			command := command(deal.Import, c.actor)
			command.Terms.WonOn = c.wonOn
			if c.message == "" {
				play(t, deal.Deal{}, command)
				return
			}
			wantFault(t, deal.Deal{}, command, "/won_on", c.message)
		})
	}
}

func TestWonOn_IsCheckedInProposalsAndCorrections(t *testing.T) {
	t.Parallel()
	for status, move := range map[deal.Status]deal.Move{deal.Active: deal.Propose, deal.Won: deal.Correct} {
		for message, wonOn := range map[string]*calendar.Date{"in the future": new(today + 1), "is missing": nil, "reaches 5 years back": new(today - 2000)} {
			c := command(move, by(cora))
			c.Terms.WonOn = wonOn
			wantFault(t, in(t, status), c, "/won_on", message)
		}
	}
}

func TestWonOn_OfAnOldDealMayStayInACorrection(t *testing.T) {
	t.Parallel()
	c := command(deal.Import, registrar)
	c.Terms.WonOn = new(calendar.New(1995, time.May, 2))
	d := play(t, deal.Deal{}, c)
	shares := command(deal.Correct, by(alba))
	shares.Terms.WonOn = new(*c.Terms.WonOn)
	play(t, d, shares)
	shares.Terms.WonOn = new(calendar.New(1995, time.May, 3))
	wantFault(t, d, shares, "/won_on", "reaches 5 years back")
}

func TestActive_KeepsTheCompaniesThatHaveAccepted(t *testing.T) {
	t.Parallel()
	for _, move := range []deal.Move{deal.Propose, deal.Edit} {
		with, without, other := command(move, by(alba)), command(move, by(alba)), command(move, by(alba))
		with.Terms, without.Terms, other.Terms = three(&today), three(&today), three(&today)
		withDora(with.Terms)
		without.Terms = terms(&today, without.Terms.Parties[:2]...)
		other.Terms.Parties[2].Company = dora
		for _, c := range []deal.Command{with, without, other} {
			wantFault(t, in(t, deal.Active), c, "/parties", "register one that replaces it")
		}
		shares := command(move, by(alba))
		shares.Terms = three(&today)
		shares.Terms.Parties[0].ShareMinor, shares.Terms.Parties[1].ShareMinor = 150, 200
		if e := must(t, in(t, deal.Active), shares); e.Deal.TermsVersion != 2 {
			t.Errorf("%s of other shares leaves version %d; want 2", move, e.Deal.TermsVersion)
		}
	}
}

func TestTerms_AreCheckedInEveryMoveThatBringsThem(t *testing.T) {
	t.Parallel()
	for status, move := range map[deal.Status]deal.Move{deal.Pending: deal.Edit, deal.Active: deal.Propose, deal.Won: deal.Correct} {
		c := command(move, by(alba))
		c.Terms = three(&today)
		c.Terms.Value.Minor++
		wantFault(t, in(t, status), c, "/parties", "must sum to the value exactly")
	}
}

func TestEdit_KeepsTheRegisteringCompanyAParty(t *testing.T) {
	t.Parallel()
	c := command(deal.Edit, by(alba))
	c.Terms = terms(nil, party(2, deal.Lead, 1), party(3, deal.Delivery, 1))
	wantFault(t, in(t, deal.Pending), c, "/parties", "withdraw the deal instead")
}

func TestReason_IsAskedForAndFitsTheLog(t *testing.T) {
	t.Parallel()
	cases := map[deal.Move]struct {
		status deal.Status
		actor  deal.Actor
	}{
		deal.Decline: {deal.Pending, by(cora)}, deal.Lose: {deal.Active, by(bora)}, deal.Refuse: {deal.Closing, by(cora)},
		deal.Annul: {deal.Won, by(cora)}, deal.Dispute: {deal.Active, registrar}, deal.Exclude: {deal.Won, registrar},
		deal.Withdraw: {deal.Pending, by(alba)},
	}
	for move, c := range cases {
		for reason, message := range map[string]string{
			"": "fill it in", " ": "fill it in", strings.Repeat("é", 501): "at most 500", "a\x00b": "remove it", "caf\xe9": "in UTF-8",
		} {
			command := command(move, c.actor)
			command.Reason = reason
			if move == deal.Withdraw && strings.TrimSpace(reason) == "" {
				play(t, in(t, c.status), command) // needs none
				continue
			}
			wantFault(t, in(t, c.status), command, "/reason", message)
		}
		command := command(move, c.actor)
		command.Reason = strings.Repeat("é", 500)
		play(t, in(t, c.status), command)
	}
}

func TestImport_ByARegistrarNamesItsDocuments(t *testing.T) {
	t.Parallel()
	for reference, message := range map[string]string{"": "fill it in", strings.Repeat("é", 501): "at most 500", "\xff": "in UTF-8", "\x07": "remove it"} {
		c := command(deal.Import, registrar)
		c.Reference = reference
		wantFault(t, deal.Deal{}, c, "/reference", message)
	}
}
