package deal

import (
	"fmt"
	"slices"
	"strings"
)

// Move is what an actor asks of a deal.
type Move string

// The moves.
const (
	Register Move = "register"
	Import   Move = "import" // a deal that was won before it was registered
	Edit     Move = "edit"
	Accept   Move = "accept"
	Decline  Move = "decline"
	Withdraw Move = "withdraw"
	Lose     Move = "lose"
	Propose  Move = "propose"
	Attest   Move = "attest"
	Refuse   Move = "refuse"
	Correct  Move = "correct"
	Annul    Move = "void" // the move to Void
	Dispute  Move = "dispute"
	Settle   Move = "settle"
	Exclude  Move = "exclude"
	Expire   Move = "expire"
	Restate  Move = "restate"
	Merge    Move = "merge" // into the deal that this one repeats
)

// Capacity is the part in which an actor may make a move.
type Capacity string

// The capacities. One actor can hold several: the registering company is a party and mostly the lead.
const (
	Registrant Capacity = "the registering company"
	LeadParty  Capacity = "the lead"
	AnyParty   Capacity = "a party"
	Invited    Capacity = "an invited party"
	Registrar  Capacity = "the registrar"
	System     Capacity = "the system"
)

// Transition is one row of the life of a deal.
type Transition struct {
	From Status
	Move Move
	By   Capacity
	To   Status
	When string // the condition, in words; empty when there is none
}

// life is the whole life of a deal. Nothing happens that is not a row here; the README's diagram is drawn from it.
var life = []Transition{
	{New, Register, Registrant, Pending, "a member company that is a party"},
	{New, Import, Registrant, Closing, "won before it was registered"},
	{New, Import, Registrar, Won, "history, on documents that a reference names"},

	{Pending, Accept, Invited, Pending, "others have not answered"},
	{Pending, Accept, Invited, Active, "every other party has accepted"},
	{Pending, Decline, Invited, Declined, "the lead, or fewer than two groups remain"},
	{Pending, Decline, Invited, Pending, "its share falls to the lead and acceptances are void"},
	{Pending, Expire, System, Expired, "14 days without every answer"},
	{Pending, Edit, Registrant, Pending, "other terms void acceptances"},
	{Pending, Withdraw, Registrant, Withdrawn, ""},
	{Pending, Dispute, Registrar, Disputed, "with a reason"},
	{Pending, Merge, Registrar, Void, "it repeats an earlier deal, with a reason"},

	{Active, Edit, Registrant, Active, "the companies stay the same"},
	{Active, Propose, AnyParty, Closing, "final value, shares and won_on; the proposer attests them"},
	{Active, Withdraw, Registrant, Withdrawn, ""},
	{Active, Lose, LeadParty, Lost, "with a reason"},
	{Active, Expire, System, Expired, "12 months without an event"},
	{Active, Dispute, Registrar, Disputed, "with a reason"},
	{Active, Merge, Registrar, Void, "it repeats an earlier deal, with a reason"},

	{Closing, Attest, AnyParty, Closing, "others have not attested"},
	{Closing, Attest, AnyParty, Won, "every party has attested the same terms"},
	{Closing, Refuse, AnyParty, Active, "with a reason"},
	{Closing, Expire, System, Active, "60 days without every attestation"},
	{Closing, Withdraw, Registrant, Withdrawn, ""},
	{Closing, Lose, LeadParty, Lost, "with a reason"},
	{Closing, Dispute, Registrar, Disputed, "with a reason"},
	{Closing, Merge, Registrar, Void, "it repeats an earlier deal, with a reason"},

	{Won, Correct, AnyParty, Won, "the old figures count until every party has attested the new ones"},
	{Won, Attest, AnyParty, Won, "of an open correction"},
	{Won, Refuse, AnyParty, Won, "of an open correction, with a reason"},
	{Won, Annul, AnyParty, Won, "others have not agreed"},
	{Won, Annul, AnyParty, Void, "every party has agreed"},
	{Won, Exclude, Registrar, Won, "with a reason; only from its own association's figures"},
	{Won, Merge, Registrar, Void, "it repeats an earlier deal, with a reason"},
	{Won, Restate, System, Won, "a rate came, a duplicate was decided, a membership was corrected"},

	{Disputed, Settle, Registrar, Pending, "where it was"},
	{Disputed, Settle, Registrar, Active, "where it was"},
	{Disputed, Settle, Registrar, Closing, "where it was"},
}

// Life gives the rows of the table, in order.
func Life() []Transition { return slices.Clone(life) }

// TransitionError says that a move cannot be made, where the deal stands, and who could make it when.
type TransitionError struct {
	From Status
	Move Move
	By   []Capacity // who could make the move from here; empty when nobody can
	Why  string     // what stands in the way when the actor and the state are right
}

// Error says state, move and who could.
func (e *TransitionError) Error() string {
	state := string(e.From)
	if e.From == New {
		state = "not registered"
	}
	if e.Why != "" {
		return fmt.Sprintf("the deal is %s and %q cannot be made: %s", state, e.Move, e.Why)
	}
	if len(e.By) == 0 {
		return fmt.Sprintf("the deal is %s and nobody can %q it; possible from here: %s", state, e.Move, possible(e.From))
	}
	who := make([]string, len(e.By))
	for i, c := range e.By {
		who[i] = string(c)
	}
	return fmt.Sprintf("the deal is %s and only %s can %q it", state, strings.Join(who, " or "), e.Move)
}

func possible(from Status) string {
	var moves []string
	for _, t := range life {
		text := fmt.Sprintf("%s (by %s)", t.Move, t.By)
		if t.From == from && t.By != System && !slices.Contains(moves, text) {
			moves = append(moves, text)
		}
	}
	if len(moves) == 0 {
		return "nothing, this is final"
	}
	return strings.Join(moves, ", ")
}

// check finds the rows for the move and refuses an actor who holds none of their capacities.
func check(d Deal, move Move, by Actor) error {
	var able []Capacity
	for _, t := range life {
		if t.From != d.Status || t.Move != move {
			continue
		}
		if by.holds(t.By, d) {
			return nil
		}
		if !slices.Contains(able, t.By) {
			able = append(able, t.By)
		}
	}
	return &TransitionError{From: d.Status, Move: move, By: able}
}

// leadsTo tells whether the table has a row for the move from one status to the other.
func leadsTo(from Status, move Move, to Status) bool {
	return slices.ContainsFunc(life, func(t Transition) bool { return t.From == from && t.Move == move && t.To == to })
}

// Moves lists the moves that the actor may make on the deal now, in the order of the table.
func Moves(d Deal, by Actor) []Move {
	var moves []Move
	for _, t := range life {
		if t.From == d.Status && by.holds(t.By, d) && !slices.Contains(moves, t.Move) {
			moves = append(moves, t.Move)
		}
	}
	return moves
}
