package deal_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
)

// The companies of the examples. In the deals of the examples alba registers, bora leads and cora delivers.
var (
	alba, bora, cora, dora = company(1), company(2), company(3), company(4)
	stranger               = company(99)
	registrar              = deal.Actor{Key: deal.ID{7}, Association: deal.ID{0xA5}}
	system                 = deal.Actor{IsSystem: true}
	noon                   = time.Date(2026, time.November, 22, 12, 0, 0, 0, time.UTC)
	today                  = calendar.New(2026, time.November, 22)
)

// company is the n-th company; its group is group(n).
func company(n byte) deal.ID { return deal.ID{0xC0, 15: n} }
func group(n byte) deal.ID   { return deal.ID{0x60, 15: n} }

func by(company deal.ID) deal.Actor { return deal.Actor{Key: deal.ID{9}, Company: company} }

func party(n byte, role deal.PartyRole, share int64) deal.Party {
	return deal.Party{Company: company(n), Group: group(n), Role: role, ShareMinor: share}
}

func terms(wonOn *calendar.Date, parties ...deal.Party) *deal.Terms {
	var sum int64
	for _, p := range parties {
		sum += p.ShareMinor
	}
	return &deal.Terms{Value: money.Amount{Minor: sum, Currency: "EUR"}, Parties: parties, WonOn: wonOn}
}

func three(wonOn *calendar.Date) *deal.Terms {
	return terms(wonOn, party(1, deal.Reseller, 100), party(2, deal.Lead, 250), party(3, deal.Delivery, 50))
}

func details() *deal.Details {
	return &deal.Details{
		Title: "Payroll roll-out", ExternalRef: "CRM-4711",
		Customer: deal.Customer{Name: "Contoso AG", Country: "DE", Domain: "contoso.example"},
	}
}

var members = map[deal.ID]bool{alba: true, bora: true}

// command makes a valid command of the move, as far as the actor may make it.
func command(move deal.Move, actor deal.Actor) deal.Command {
	c := deal.Command{Move: move, By: actor, Today: today}
	switch move {
	case deal.Register:
		c.Deal, c.Details, c.Terms, c.Members = deal.ID{1}, details(), three(nil), members
	case deal.Import:
		c.Deal, c.Details, c.Terms, c.Members, c.Reference = deal.ID{1}, details(), three(&today), members, "Archive 12"
	case deal.Edit:
		c.Details = details()
		c.Details.Title = "Payroll roll-out, three countries"
	case deal.Propose:
		c.Terms = three(&today)
	case deal.Correct:
		c.Terms, c.Members = three(&today), members
		c.Terms.Value.Minor, c.Terms.Parties[0].ShareMinor = 500, 200
	case deal.Withdraw, deal.Decline, deal.Lose, deal.Refuse, deal.Annul, deal.Dispute, deal.Exclude, deal.Merge:
		c.Reason = "the customer changed its mind"
	case deal.Accept, deal.Attest, deal.Settle, deal.Expire, deal.Restate:
	}
	return c
}

// play decides commands one after the other, each a minute after the one before.
func play(t testing.TB, d deal.Deal, commands ...deal.Command) deal.Deal {
	t.Helper()
	for _, c := range commands {
		d = deal.Apply(d, must(t, d, c))
	}
	return d
}

func must(t testing.TB, d deal.Deal, c deal.Command) deal.Event {
	t.Helper()
	e, err := deal.Decide(d, c, next(d))
	if err != nil {
		t.Fatalf("%s of a deal that is %q: %v", c.Move, d.Status, err)
	}
	return e
}

func next(d deal.Deal) time.Time {
	if d.UpdatedAt.IsZero() {
		return noon
	}
	return d.UpdatedAt.Add(time.Minute)
}

// in gives an example of a deal of the three companies in the status.
func in(t testing.TB, s deal.Status) deal.Deal {
	t.Helper()
	after := func(from deal.Status, commands ...deal.Command) deal.Deal { return play(t, in(t, from), commands...) }
	switch s {
	case deal.New:
		return deal.Deal{}
	case deal.Pending:
		return after(deal.New, command(deal.Register, by(alba)))
	case deal.Active:
		return after(deal.Pending, command(deal.Accept, by(bora)), command(deal.Accept, by(cora)))
	case deal.Closing:
		return after(deal.Active, command(deal.Propose, by(alba)))
	case deal.Won:
		return after(deal.Closing, command(deal.Attest, by(bora)), command(deal.Attest, by(cora)))
	case deal.Declined:
		return after(deal.Pending, command(deal.Decline, by(bora)))
	case deal.Withdrawn:
		return after(deal.Active, command(deal.Withdraw, by(alba)))
	case deal.Lost:
		return after(deal.Active, command(deal.Lose, by(bora)))
	case deal.Disputed:
		return after(deal.Closing, command(deal.Dispute, registrar))
	case deal.Void:
		return after(deal.Won, command(deal.Annul, by(alba)), command(deal.Annul, by(bora)), command(deal.Annul, by(cora)))
	case deal.Expired:
		d := in(t, deal.Pending)
		e, err := deal.Decide(d, command(deal.Expire, system), d.StatusSince.AddDate(0, 0, deal.AnswerDays))
		if err != nil {
			t.Fatal(err)
		}
		return e.Deal
	}
	t.Fatalf("no example of a deal that is %q", s)
	return deal.Deal{}
}

// corrected gives a won deal with an open correction by alba; change alters the terms that it proposes.
func correcting(t testing.TB, change func(*deal.Terms)) deal.Deal {
	t.Helper()
	c := command(deal.Correct, by(alba))
	if change != nil {
		change(c.Terms)
	}
	return play(t, in(t, deal.Won), c)
}

// withDora takes a fourth company in.
func withDora(t *deal.Terms) {
	t.Parties = append(t.Parties, party(4, deal.Advisor, 40))
	t.Value.Minor += 40
}

var statuses = []deal.Status{
	deal.New, deal.Pending, deal.Active, deal.Closing, deal.Won, deal.Declined,
	deal.Expired, deal.Withdrawn, deal.Lost, deal.Void, deal.Disputed,
}

var moves = []deal.Move{
	deal.Register, deal.Import, deal.Edit, deal.Accept, deal.Decline, deal.Withdraw, deal.Lose, deal.Propose, deal.Attest,
	deal.Refuse, deal.Correct, deal.Annul, deal.Dispute, deal.Settle, deal.Exclude, deal.Expire, deal.Restate,
	deal.Merge,
}

// wantRefusal wants a *TransitionError for a reason beyond actor and status, which its text says.
func wantRefusal(t testing.TB, d deal.Deal, c deal.Command, why string) {
	t.Helper()
	var refusal *deal.TransitionError
	if _, err := deal.Decide(d, c, next(d)); !errors.As(err, &refusal) {
		t.Fatalf("%s of a deal that is %q gives %v; want a *TransitionError", c.Move, d.Status, err)
	}
	if refusal.From != d.Status || refusal.Move != c.Move || !strings.Contains(refusal.Error(), why) {
		t.Errorf("%s of a deal that is %q gives %q; want the text to hold %q", c.Move, d.Status, refusal, why)
	}
}

func standing(t testing.TB, d deal.Deal, company deal.ID) deal.Standing {
	t.Helper()
	s, found := d.Standing(company)
	if !found {
		t.Fatalf("company %s has no standing", company)
	}
	return s
}

// show writes the whole value behind all pointers.
func show(t interface{ Fatal(...any) }, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func includes(e deal.Event, types ...deal.EventType) bool { return slices.Equal(e.Includes, types) }
