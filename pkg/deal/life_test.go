package deal_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/dealreg/dealreg/pkg/deal"
)

var update = flag.Bool("update", false, "write the golden files")

// row names a transition in the examples.
type row struct {
	from deal.Status
	move deal.Move
	by   deal.Capacity
	to   deal.Status
}

func TestDecide_ReachesEveryRowOfTheLife(t *testing.T) {
	t.Parallel()
	type example func(t *testing.T) (deal.Deal, deal.Command)
	simple := func(from deal.Status, move deal.Move, actor deal.Actor) example {
		return func(t *testing.T) (deal.Deal, deal.Command) { return in(t, from), command(move, actor) }
	}
	after := func(from deal.Status, before, c deal.Command) example {
		return func(t *testing.T) (deal.Deal, deal.Command) { return play(t, in(t, from), before), c }
	}
	examples := map[row]example{
		{deal.New, deal.Register, deal.Registrant, deal.Pending}: simple(deal.New, deal.Register, by(alba)),
		{deal.New, deal.Import, deal.Registrant, deal.Closing}:   simple(deal.New, deal.Import, by(alba)),
		{deal.New, deal.Import, deal.Registrar, deal.Won}:        simple(deal.New, deal.Import, registrar),

		{deal.Pending, deal.Accept, deal.Invited, deal.Pending}:        simple(deal.Pending, deal.Accept, by(bora)),
		{deal.Pending, deal.Accept, deal.Invited, deal.Active}:         after(deal.Pending, command(deal.Accept, by(cora)), command(deal.Accept, by(bora))),
		{deal.Pending, deal.Decline, deal.Invited, deal.Declined}:      simple(deal.Pending, deal.Decline, by(bora)),
		{deal.Pending, deal.Decline, deal.Invited, deal.Pending}:       simple(deal.Pending, deal.Decline, by(cora)),
		{deal.Pending, deal.Expire, deal.System, deal.Expired}:         simple(deal.Pending, deal.Expire, system),
		{deal.Pending, deal.Edit, deal.Registrant, deal.Pending}:       simple(deal.Pending, deal.Edit, by(alba)),
		{deal.Pending, deal.Withdraw, deal.Registrant, deal.Withdrawn}: simple(deal.Pending, deal.Withdraw, by(alba)),
		{deal.Pending, deal.Dispute, deal.Registrar, deal.Disputed}:    simple(deal.Pending, deal.Dispute, registrar),
		{deal.Pending, deal.Merge, deal.Registrar, deal.Void}:          simple(deal.Pending, deal.Merge, registrar),

		{deal.Active, deal.Edit, deal.Registrant, deal.Active}:        simple(deal.Active, deal.Edit, by(alba)),
		{deal.Active, deal.Propose, deal.AnyParty, deal.Closing}:      simple(deal.Active, deal.Propose, by(cora)),
		{deal.Active, deal.Withdraw, deal.Registrant, deal.Withdrawn}: simple(deal.Active, deal.Withdraw, by(alba)),
		{deal.Active, deal.Lose, deal.LeadParty, deal.Lost}:           simple(deal.Active, deal.Lose, by(bora)),
		{deal.Active, deal.Expire, deal.System, deal.Expired}:         simple(deal.Active, deal.Expire, system),
		{deal.Active, deal.Dispute, deal.Registrar, deal.Disputed}:    simple(deal.Active, deal.Dispute, registrar),
		{deal.Active, deal.Merge, deal.Registrar, deal.Void}:          simple(deal.Active, deal.Merge, registrar),

		{deal.Closing, deal.Attest, deal.AnyParty, deal.Closing}:       simple(deal.Closing, deal.Attest, by(bora)),
		{deal.Closing, deal.Attest, deal.AnyParty, deal.Won}:           after(deal.Closing, command(deal.Attest, by(bora)), command(deal.Attest, by(cora))),
		{deal.Closing, deal.Refuse, deal.AnyParty, deal.Active}:        simple(deal.Closing, deal.Refuse, by(cora)),
		{deal.Closing, deal.Expire, deal.System, deal.Active}:          simple(deal.Closing, deal.Expire, system),
		{deal.Closing, deal.Withdraw, deal.Registrant, deal.Withdrawn}: simple(deal.Closing, deal.Withdraw, by(alba)),
		{deal.Closing, deal.Lose, deal.LeadParty, deal.Lost}:           simple(deal.Closing, deal.Lose, by(bora)),
		{deal.Closing, deal.Dispute, deal.Registrar, deal.Disputed}:    simple(deal.Closing, deal.Dispute, registrar),
		{deal.Closing, deal.Merge, deal.Registrar, deal.Void}:          simple(deal.Closing, deal.Merge, registrar),

		{deal.Won, deal.Correct, deal.AnyParty, deal.Won}:  simple(deal.Won, deal.Correct, by(cora)),
		{deal.Won, deal.Attest, deal.AnyParty, deal.Won}:   after(deal.Won, command(deal.Correct, by(alba)), command(deal.Attest, by(bora))),
		{deal.Won, deal.Refuse, deal.AnyParty, deal.Won}:   after(deal.Won, command(deal.Correct, by(alba)), command(deal.Refuse, by(bora))),
		{deal.Won, deal.Annul, deal.AnyParty, deal.Won}:    simple(deal.Won, deal.Annul, by(cora)),
		{deal.Won, deal.Exclude, deal.Registrar, deal.Won}: simple(deal.Won, deal.Exclude, registrar),
		{deal.Won, deal.Restate, deal.System, deal.Won}:    simple(deal.Won, deal.Restate, system),
		{deal.Won, deal.Merge, deal.Registrar, deal.Void}:  simple(deal.Won, deal.Merge, registrar),
		{deal.Won, deal.Annul, deal.AnyParty, deal.Void}: func(t *testing.T) (deal.Deal, deal.Command) {
			return play(t, in(t, deal.Won), command(deal.Annul, by(alba)), command(deal.Annul, by(cora))), command(deal.Annul, by(bora))
		},

		{deal.Disputed, deal.Settle, deal.Registrar, deal.Pending}: func(t *testing.T) (deal.Deal, deal.Command) {
			return play(t, in(t, deal.Pending), command(deal.Dispute, registrar)), command(deal.Settle, registrar)
		},
		{deal.Disputed, deal.Settle, deal.Registrar, deal.Active}: func(t *testing.T) (deal.Deal, deal.Command) {
			return play(t, in(t, deal.Active), command(deal.Dispute, registrar)), command(deal.Settle, registrar)
		},
		{deal.Disputed, deal.Settle, deal.Registrar, deal.Closing}: simple(deal.Disputed, deal.Settle, registrar),
	}
	for _, r := range deal.Life() {
		name := fmt.Sprintf("%s from %q by %s to %s", r.Move, r.From, r.By, r.To)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			give, found := examples[row{r.From, r.Move, r.By, r.To}]
			if !found {
				t.Fatal("has no example")
			}
			before, c := give(t)
			at := next(before)
			if c.Move == deal.Expire {
				at, _ = deal.Due(before)
			}
			if !slices.Contains(deal.Moves(before, c.By), c.Move) {
				t.Errorf("Moves gives %q without the move", deal.Moves(before, c.By))
			}
			e, err := deal.Decide(before, c, at)
			if err != nil {
				t.Fatal(err)
			}
			if before.Status != r.From || e.Deal.Status != r.To {
				t.Errorf("the example leads from %q to %q", before.Status, e.Deal.Status)
			}
		})
	}
	if len(examples) != len(deal.Life()) {
		t.Errorf("%d examples for %d rows", len(examples), len(deal.Life()))
	}
}

func TestDecide_RefusesEveryMoveThatIsNoRow(t *testing.T) {
	t.Parallel()
	actors := map[string]deal.Actor{
		"registrant": by(alba), "lead": by(bora), "party": by(cora), "stranger": by(stranger),
		"registrar": registrar, "system": system, "nobody": {},
	}
	capacities := map[string][]deal.Capacity{
		"registrant": {deal.Registrant, deal.AnyParty},
		"lead":       {deal.LeadParty, deal.AnyParty, deal.Invited},
		"party":      {deal.AnyParty, deal.Invited},
		"registrar":  {deal.Registrar},
		"system":     {deal.System},
	}
	for _, from := range statuses {
		for _, move := range moves {
			for name, actor := range actors {
				held := capacities[name]
				if from == deal.New && !actor.Company.IsZero() {
					held = []deal.Capacity{deal.Registrant} // there are no parties yet
				}
				var able []deal.Capacity
				for _, r := range deal.Life() {
					if r.From == from && r.Move == move && !slices.Contains(able, r.By) {
						able = append(able, r.By)
					}
				}
				legal := slices.ContainsFunc(able, func(c deal.Capacity) bool { return slices.Contains(held, c) })
				before := in(t, from)
				_, err := deal.Decide(before, command(move, actor), next(before))
				var refusal *deal.TransitionError
				if legal {
					if errors.As(err, &refusal) && refusal.Why == "" {
						t.Errorf("%s by the %s of a deal that is %q is refused: %v", move, name, from, err)
					}
					continue
				}
				if !errors.As(err, &refusal) {
					t.Errorf("%s by the %s of a deal that is %q gives %v; want a *TransitionError", move, name, from, err)
					continue
				}
				wantText(t, refusal, from, move, able)
				if slices.Contains(deal.Moves(before, actor), move) {
					t.Errorf("Moves offers %s to the %s of a deal that is %q", move, name, from)
				}
			}
		}
	}
}

func wantText(t *testing.T, got *deal.TransitionError, from deal.Status, move deal.Move, able []deal.Capacity) {
	t.Helper()
	if got.From != from || got.Move != move || !slices.Equal(got.By, able) {
		t.Errorf("the error says %q, %q and %q; want %q, %q and %q", got.From, got.Move, got.By, from, move, able)
	}
	state := string(from)
	if from == deal.New {
		state = "not registered"
	}
	want := []string{"the deal is " + state, `"` + string(move) + `"`}
	for _, c := range able {
		want = append(want, string(c))
	}
	if len(able) == 0 {
		want = append(want, "nobody")
	}
	if from.Final() {
		want = append(want, "final")
	}
	for _, text := range want {
		if !strings.Contains(got.Error(), text) {
			t.Errorf("%q does not say %q", got, text)
		}
	}
}

func TestFinal_HasNoRowAndEveryOtherStatusHas(t *testing.T) {
	t.Parallel()
	for _, s := range statuses {
		leaves := slices.ContainsFunc(deal.Life(), func(r deal.Transition) bool { return r.From == s })
		if s.Final() == leaves {
			t.Errorf("%q: Final is %t and the table has a row from it: %t", s, s.Final(), leaves)
		}
	}
}

func TestLife_IsACopy(t *testing.T) {
	t.Parallel()
	deal.Life()[0].To = deal.Void
	if deal.Life()[0].To != deal.Pending {
		t.Error("a caller can change the table")
	}
}

func TestDiagram_IsTheOneInTheReadme(t *testing.T) {
	t.Parallel()
	const path, begin, end = "../../README.md", "<!-- life -->\n", "<!-- /life -->"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(text), begin)
	got, after, ended := strings.Cut(rest, end)
	if !begun || !ended {
		t.Fatalf("the README has no place %q ... %q for the diagram", begin, end)
	}
	want := "```mermaid\n" + deal.Diagram() + "```\n"
	if *update {
		if err := os.WriteFile(path, []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != want {
		t.Errorf("the table was changed: run go test ./pkg/deal -update and look at the difference\n%s", want)
	}
}

func TestDiagram_HasOneArrowForEachPairOfStatuses(t *testing.T) {
	t.Parallel()
	diagram := deal.Diagram()
	for _, r := range deal.Life() {
		from := string(r.From)
		if r.From == deal.New {
			from = "[*]"
		}
		arrow := fmt.Sprintf("    %s --> %s: ", from, r.To)
		_, rest, found := strings.Cut(diagram, arrow)
		label, _, _ := strings.Cut(rest, "\n")
		if !found || strings.Count(diagram, arrow) != 1 || !strings.Contains(label, fmt.Sprintf("%s by %s", r.Move, r.By)) {
			t.Errorf("%q has not one arrow that names %s by %s", arrow, r.Move, r.By)
		}
	}
}
