package deal

import (
	"fmt"
	"slices"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
)

// The times that a deal waits before the system moves it on.
const (
	AnswerDays  = 14 // a pending deal for every acceptance
	AttestDays  = 60 // a closing deal for every attestation
	IdleMonths  = 12 // an active deal for any event
	MemberYears = 5  // how far back a member's won_on may lie
)

// EarliestImport is the first won_on that a registrar may import.
var EarliestImport = calendar.New(1990, time.January, 1)

// Decide answers a command: the one event that it causes, or why not. The errors are Invalid for what the request says
// wrongly and *TransitionError for a move that the deal does not allow. Decide changes nothing in before.
func Decide(before Deal, c Command, at time.Time) (Event, error) {
	if err := check(before, c.Move, c.By); err != nil {
		return Event{}, err
	}
	e := Event{At: at, By: c.By, Deal: before.clone()}
	if err := moves[c.Move](&e, before, c); err != nil {
		return Event{}, err
	}
	after := &e.Deal
	if !leadsTo(before.Status, c.Move, after.Status) {
		return Event{}, fmt.Errorf("the table of moves has no row from %q by %q to %q", before.Status, c.Move, after.Status)
	}
	after.Revision = before.Revision + 1
	after.UpdatedAt = at
	if after.Status != before.Status {
		after.StatusSince = at
	}
	return e, nil
}

// moves says what each move changes. Each entry finds its actor and its row checked.
var moves = map[Move]func(e *Event, before Deal, c Command) error{
	Register: register,
	Import:   importWon,
	Edit:     edit,
	Accept:   accept,
	Decline:  decline,
	Withdraw: func(e *Event, _ Deal, c Command) error { return end(e, Withdrawn, EventWithdrawn, c.Reason, 0) },
	Lose:     func(e *Event, _ Deal, c Command) error { return end(e, Lost, EventLost, c.Reason, 1) },
	Propose:  propose,
	Attest:   attest,
	Refuse:   refuse,
	Correct:  correct,
	Annul:    annul,
	Dispute:  dispute,
	Settle:   settle,
	Exclude:  exclude,
	Expire:   expire,
	Restate:  func(e *Event, _ Deal, _ Command) error { e.Type = EventRestated; return nil },
	Merge:    merge,
}

func register(e *Event, _ Deal, c Command) error {
	if err := begin(e, c); err != nil {
		return err
	}
	e.Type = EventRegistered
	e.Deal.Status = Pending
	e.Deal.Terms.WonOn = nil
	return nil
}

func importWon(e *Event, _ Deal, c Command) error {
	if err := begin(e, c); err != nil {
		return err
	}
	d := &e.Deal
	d.RegisteredAfterWin = true
	if c.By.Association.IsZero() {
		d.Status, e.Type, e.Includes = Closing, EventClosing, []EventType{EventRegistered, EventAttested}
		d.attest(c.By.Company, e.At)
		return nil
	}
	d.Status, e.Type, e.Includes = Won, EventWon, []EventType{EventRegistered}
	d.RegisteredBy, d.ImportedBy = c.By.Association, c.By.Association
	d.Evidence, d.EvidenceReference = ByRegistrar, c.Reference
	return nil
}

// begin fills the new deal from the request and checks it.
func begin(e *Event, c Command) error {
	var faults Invalid
	faults.details(*c.Details)
	faults.terms(*c.Terms)
	if c.Move == Import {
		faults.wonOn(c.Terms.WonOn, nil, c)
	}
	if c.Move == Import && !c.By.Association.IsZero() {
		faults.text("/reference", c.Reference, 1, MaxReference)
	}
	if _, party := c.Terms.Party(c.By.Company); !party && c.By.Association.IsZero() {
		faults.Add("/parties", "your own company is no party: add it, only a party registers a deal")
	}
	if err := faults.Err(); err != nil {
		return err
	}
	d := &e.Deal
	d.ID, d.Details, d.TermsVersion = c.Deal, *c.Details, 1
	d.RegisteredBy, d.RegisteredAt = c.By.Company, e.At
	d.setTerms(*c.Terms, c.Members)
	for i := range d.Standings {
		if d.Standings[i].Company == c.By.Company {
			d.Standings[i].AcceptedAt = &e.At
		}
	}
	return nil
}

func edit(e *Event, before Deal, c Command) error {
	var faults Invalid
	d := &e.Deal
	e.Type = EventEdited
	if c.Details != nil {
		d.Details = *c.Details
		d.Details.ExternalRef, d.Details.Replaces = before.ExternalRef, before.Replaces
		faults.details(d.Details)
	}
	if c.Terms != nil {
		faults.terms(*c.Terms)
		if _, party := c.Terms.Party(before.RegisteredBy); !party {
			faults.Add("/parties", "the registering company must remain a party: withdraw the deal instead")
		} else if before.Status == Active {
			faults.sameCompanies(before.Terms, *c.Terms)
		}
	}
	if err := faults.Err(); err != nil {
		return err
	}
	if c.Terms == nil {
		return nil
	}
	terms := *c.Terms
	terms.WonOn = before.WonOn // a deal is won by a proposal
	if d.changeTerms(terms, c.Members) {
		e.Type = EventTermsChanged
		if before.Status == Pending {
			d.voidAcceptances()
		}
	}
	return nil
}

func accept(e *Event, before Deal, c Command) error {
	if s, _ := before.Standing(c.By.Company); s.AcceptedAt != nil {
		return &TransitionError{From: before.Status, Move: Accept, Why: "your company has accepted already"}
	}
	d := &e.Deal
	d.standing(c.By.Company).AcceptedAt = &e.At
	e.Type = EventAccepted
	if !slices.ContainsFunc(d.Standings, func(s Standing) bool { return s.AcceptedAt == nil }) {
		d.Status, e.Type, e.Includes = Active, EventActivated, []EventType{EventAccepted}
	}
	return nil
}

func decline(e *Event, before Deal, c Command) error {
	if err := end(e, Declined, EventDeclined, c.Reason, 1); err != nil {
		return err
	}
	terms := before.Terms.clone()
	leaving, _ := terms.Party(c.By.Company)
	terms.Parties = slices.DeleteFunc(terms.Parties, func(p Party) bool { return p.Company == leaving.Company })
	if leaving.Role == Lead || terms.groups() < 2 {
		return nil
	}
	for i := range terms.Parties {
		if terms.Parties[i].Role == Lead {
			terms.Parties[i].ShareMinor += leaving.ShareMinor
		}
	}
	d := &e.Deal
	d.Status = before.Status
	d.changeTerms(terms, nil)
	d.voidAcceptances()
	e.Includes = []EventType{EventTermsChanged}
	return nil
}

func propose(e *Event, before Deal, c Command) error {
	var faults Invalid
	faults.terms(*c.Terms)
	faults.wonOn(c.Terms.WonOn, before.WonOn, c)
	faults.sameCompanies(before.Terms, *c.Terms)
	if err := faults.Err(); err != nil {
		return err
	}
	d := &e.Deal
	d.changeTerms(*c.Terms, nil)
	d.Status, e.Type, e.Includes = Closing, EventClosing, []EventType{EventAttested}
	d.attest(c.By.Company, e.At)
	return nil
}

func attest(e *Event, before Deal, c Command) error {
	version := before.TermsVersion
	if before.Status == Won {
		if before.Correction == nil {
			return &TransitionError{From: Won, Move: Attest, Why: "no correction is open"}
		}
		version = before.Correction.TermsVersion
	}
	if s, _ := before.Standing(c.By.Company); s.AttestedTerms == version {
		return &TransitionError{From: before.Status, Move: Attest, Why: "your company has attested these terms already"}
	}
	d := &e.Deal
	e.Type = EventAttested
	if !d.attest(c.By.Company, e.At) {
		return nil
	}
	e.Includes = []EventType{EventAttested}
	if before.Status == Won {
		e.Type = EventCorrected
		d.Terms, d.TermsVersion, d.Correction = before.Correction.Terms.clone(), version, nil
		d.keepStandings()
		d.forgetVoids()
	} else {
		e.Type, d.Status = EventWon, Won
	}
	d.Evidence, d.EvidenceReference = ByParties, ""
	return nil
}

func refuse(e *Event, before Deal, c Command) error {
	if err := needReason(c.Reason); err != nil {
		return err
	}
	if before.Status == Won && before.Correction == nil {
		return &TransitionError{From: Won, Move: Refuse, Why: "no correction is open"}
	}
	d := &e.Deal
	e.Type, d.Reason = EventRefused, c.Reason
	if before.Status == Won {
		d.Correction = nil
		d.keepStandings()
		return nil
	}
	d.Status = Active
	d.voidAttestations()
	return nil
}

func correct(e *Event, before Deal, c Command) error {
	if err := needParty(before, c); err != nil {
		return err
	}
	var faults Invalid
	faults.terms(*c.Terms)
	faults.wonOn(c.Terms.WonOn, before.WonOn, c)
	if err := faults.Err(); err != nil {
		return err
	}
	if before.Terms.same(*c.Terms) {
		return &TransitionError{From: Won, Move: Correct, Why: "these are the figures that count already"}
	}
	d := &e.Deal
	d.keepStandings()
	d.Correction = &Correction{Terms: c.Terms.clone(), TermsVersion: before.unusedTermsVersion(), ProposedBy: c.By.Company}
	for _, p := range c.Terms.Parties {
		if _, there := d.Standing(p.Company); !there {
			d.Standings = append(d.Standings, Standing{Company: p.Company, Member: c.Members[p.Company]})
		}
	}
	e.Type, e.Includes = EventTermsChanged, []EventType{EventAttested}
	d.attest(c.By.Company, e.At)
	return nil
}

func annul(e *Event, before Deal, c Command) error {
	if err := needParty(before, c); err != nil {
		return err
	}
	if err := needReason(c.Reason); err != nil {
		return err
	}
	if s, _ := before.Standing(c.By.Company); s.Voids {
		return &TransitionError{From: Won, Move: Annul, Why: "your company has agreed already"}
	}
	d := &e.Deal
	d.standing(c.By.Company).Voids = true
	e.Type, d.Reason = EventVoidProposed, c.Reason
	for _, p := range d.Terms.Parties {
		if s, _ := d.Standing(p.Company); !s.Voids {
			return nil
		}
	}
	e.Type, e.Includes = EventVoided, []EventType{EventVoidProposed}
	d.Status, d.Correction = Void, nil
	d.keepStandings()
	return nil
}

// merge ends a deal for which another one stands. The reason is for every party of this deal, so it should not tell of
// the other.
func merge(e *Event, _ Deal, c Command) error {
	e.Deal.Correction = nil
	e.Deal.keepStandings()
	return end(e, Void, EventVoided, c.Reason, 1)
}

func dispute(e *Event, before Deal, c Command) error {
	e.Deal.DisputedFrom = before.Status
	return end(e, Disputed, EventDisputed, c.Reason, 1)
}

func settle(e *Event, before Deal, _ Command) error {
	e.Deal.Status, e.Deal.DisputedFrom, e.Type = before.DisputedFrom, New, EventSettled
	return nil
}

func exclude(e *Event, before Deal, c Command) error {
	if err := needReason(c.Reason); err != nil {
		return err
	}
	if slices.ContainsFunc(before.Exclusions, func(x Exclusion) bool { return x.Association == c.By.Association }) {
		return &TransitionError{From: Won, Move: Exclude, Why: "the association has excluded the deal already"}
	}
	e.Type = EventExcluded
	e.Deal.Exclusions = append(e.Deal.Exclusions, Exclusion{Association: c.By.Association, Reason: c.Reason})
	return nil
}

func expire(e *Event, before Deal, _ Command) error {
	due, waits := Due(before)
	if !waits || e.At.Before(due) {
		return &TransitionError{From: before.Status, Move: Expire, Why: "its time has not run out"}
	}
	e.Type = EventExpired
	if before.Status == Closing {
		e.Deal.Status = Active
		e.Deal.voidAttestations()
		return nil
	}
	e.Deal.Status = Expired
	return nil
}

// Due tells when the system moves the deal on if nobody does, and whether it ever will.
func Due(d Deal) (time.Time, bool) {
	switch d.Status {
	case Pending:
		return d.StatusSince.AddDate(0, 0, AnswerDays), true
	case Closing:
		return d.StatusSince.AddDate(0, 0, AttestDays), true
	case Active:
		return d.UpdatedAt.AddDate(0, IdleMonths, 0), true
	case New, Won, Declined, Expired, Withdrawn, Lost, Void, Disputed:
		return time.Time{}, false
	}
	return time.Time{}, false
}

// end moves the deal to the status for a reason of at least shortest characters.
func end(e *Event, to Status, as EventType, reason string, shortest int) error {
	if err := checkReason(reason, shortest); err != nil {
		return err
	}
	e.Deal.Status, e.Deal.Reason, e.Type = to, reason, as
	return nil
}

func needReason(reason string) error { return checkReason(reason, 1) }

func checkReason(reason string, shortest int) error {
	var faults Invalid
	faults.text("/reason", reason, shortest, MaxReason)
	return faults.Err()
}

// needParty refuses a company that an open correction would take in: until then it only attests or refuses.
func needParty(before Deal, c Command) error {
	if _, party := before.Terms.Party(c.By.Company); !party {
		return &TransitionError{From: before.Status, Move: c.Move, By: []Capacity{AnyParty}}
	}
	return nil
}
