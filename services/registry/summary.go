package registry

import (
	"fmt"
	"slices"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
)

// who names the actor as a sentence begins, by the names that the roster has now.
func who(r *roster.Roster, a deal.Actor) string {
	switch {
	case a.IsSystem:
		return "The system"
	case !a.Company.IsZero():
		name := "A company that is no longer known"
		if company, known := r.Company(a.Company); known {
			name = company.Name
		}
		if !a.LinkOf.IsZero() {
			name += ", with a link from the registrar,"
		}
		return name
	}
	if association, known := r.Association(a.Association); known {
		return "The registrar of " + association.Name
	}
	return "A registrar"
}

// summary says in one sentence what happened, for people. It names the actor and nobody else, and no figures: those who
// may hear of the event find them in what changed.
func summary(e deal.Event, before deal.Deal, who string) string {
	d := e.Deal
	switch e.Type {
	case deal.EventRegistered:
		return who + " registered the deal and waits for the other parties to accept."
	case deal.EventAccepted:
		return who + " accepted to be a party."
	case deal.EventActivated:
		return who + " accepted to be a party; all have, and the deal is active."
	case deal.EventDeclined:
		if d.Status == deal.Declined {
			return who + " declined to be a party; the deal has ended."
		}
		return who + " declined to be a party and left; its share fell to the lead, and the others are asked again."
	case deal.EventExpired:
		return expired(before.Status)
	case deal.EventWithdrawn:
		return who + " withdrew the deal."
	case deal.EventLost:
		return who + " said that the customer was not won; the deal has ended."
	case deal.EventClosing:
		if slices.Contains(e.Includes, deal.EventRegistered) {
			return who + " entered a deal that was won before and attested its figures; the others are asked to attest them."
		}
		return who + " proposed the final figures and attested them; the others are asked to attest them."
	case deal.EventAttested:
		if d.Status == deal.Won {
			return who + " attested the correction."
		}
		return who + " attested the final figures."
	case deal.EventRefused:
		if d.Status == deal.Won {
			return who + " refused the correction; the figures stay as they were."
		}
		return who + " refused the final figures; the deal is active again."
	case deal.EventWon:
		if slices.Contains(e.Includes, deal.EventRegistered) {
			return who + " entered a deal that was won before, on documents."
		}
		return who + " attested the final figures; the deal is won."
	case deal.EventCorrected:
		return who + " attested the correction; the new figures count."
	case deal.EventTermsChanged:
		return changedTerms(before.Status, who)
	case deal.EventEdited:
		return who + " changed the description of the deal."
	case deal.EventVoidProposed:
		return who + " agreed that the deal be void; it is once every party has."
	case deal.EventVoided:
		if slices.Contains(e.Includes, deal.EventVoidProposed) {
			return who + " agreed that the deal be void; every party has, and it no longer counts."
		}
		return who + " made the deal void, because it repeats another one."
	case deal.EventDisputed:
		return who + " stopped the deal until a question is settled."
	case deal.EventSettled:
		return fmt.Sprintf("%s let the deal go on; it is %s again.", who, d.Status)
	case deal.EventRestated:
		return who + " restated what the deal counts for; its figures stay as they were."
	case deal.EventExcluded:
		return who + " took the deal out of that association's figures."
	}
	return who + " changed the deal."
}

func expired(from deal.Status) string {
	switch from {
	case deal.Pending:
		return fmt.Sprintf("Not every party answered within %d days; the deal has expired.", deal.AnswerDays)
	case deal.Closing:
		return fmt.Sprintf("Not every party attested the final figures within %d days; the deal is active again.", deal.AttestDays)
	case deal.Active:
		return fmt.Sprintf("Nothing happened for %d months; the deal has expired.", deal.IdleMonths)
	case deal.New, deal.Won, deal.Declined, deal.Expired, deal.Withdrawn, deal.Lost, deal.Void, deal.Disputed:
	}
	return "The deal has expired."
}

func changedTerms(from deal.Status, who string) string {
	switch from {
	case deal.Won:
		return who + " proposed a correction and attested it; the old figures count until every party has attested the new ones."
	case deal.Pending:
		return who + " changed the terms; the other parties are asked again."
	case deal.New, deal.Active, deal.Closing, deal.Declined, deal.Expired, deal.Withdrawn, deal.Lost, deal.Void, deal.Disputed:
	}
	return who + " changed the terms."
}

// reasonOf is the reason that was given for this event; empty where none is.
func reasonOf(e deal.Event) string {
	switch e.Type {
	case deal.EventDeclined, deal.EventWithdrawn, deal.EventLost, deal.EventRefused, deal.EventDisputed, deal.EventVoidProposed, deal.EventVoided:
		return e.Deal.Reason
	case deal.EventExcluded:
		for _, x := range e.Deal.Exclusions {
			if x.Association == e.By.Association {
				return x.Reason
			}
		}
	case deal.EventRegistered, deal.EventAccepted, deal.EventActivated, deal.EventExpired, deal.EventClosing, deal.EventAttested, deal.EventWon,
		deal.EventCorrected, deal.EventSettled, deal.EventTermsChanged, deal.EventRestated, deal.EventEdited:
	}
	return ""
}
