package deal

import (
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
)

// Actor is who gives a command. Exactly one of Company, Association and IsSystem is set.
type Actor struct {
	Key         ID // the key, person or link that signed the request; zero for the system
	Company     ID // acts as a party
	Association ID // acts as its registrar
	IsSystem    bool
	LinkOf      ID // with Company: the association whose registrar issued the link that speaks for it; zero for a key
}

// holds tells whether the actor has the capacity in the deal.
func (a Actor) holds(c Capacity, d Deal) bool {
	_, party := d.Standing(a.Company)
	switch c {
	case Registrant:
		return !a.Company.IsZero() && (d.Status == New || d.RegisteredBy == a.Company)
	case LeadParty:
		return party && d.LeadCompany() == a.Company
	case AnyParty:
		return party
	case Invited:
		return party && d.RegisteredBy != a.Company
	case Registrar:
		return !a.Association.IsZero()
	case System:
		return a.IsSystem
	}
	return false
}

// Command asks for one move. Which of the optional fields a move needs, its comment tells.
type Command struct {
	Move    Move
	By      Actor
	Today   calendar.Date // the day of the act, where the actor is: won_on is not after it
	Deal    ID            // register, import: the new deal's ID
	Details *Details      // register, import; edit: what is not terms
	Terms   *Terms        // register, import, propose, correct; edit: nil leaves them; register and edit ignore won_on
	Members map[ID]bool   // which of the terms' parties are members of some association; with Terms
	Reason  string        // decline, lose, refuse, void, dispute, exclude, merge: 1-500 characters; withdraw: 0-500
	// Reference names the documents of a registrar's import: 1-500 characters.
	Reference string
}

// EventType is what happened, named as in the log and the webhooks.
type EventType string

// The types of event.
const (
	EventRegistered   EventType = "registered"
	EventAccepted     EventType = "accepted"
	EventActivated    EventType = "activated"
	EventDeclined     EventType = "declined"
	EventExpired      EventType = "expired"
	EventWithdrawn    EventType = "withdrawn"
	EventLost         EventType = "lost"
	EventClosing      EventType = "closing"
	EventAttested     EventType = "attested"
	EventRefused      EventType = "refused"
	EventWon          EventType = "won"
	EventCorrected    EventType = "corrected"
	EventVoided       EventType = "voided"
	EventDisputed     EventType = "disputed"
	EventSettled      EventType = "settled"
	EventTermsChanged EventType = "terms_changed"
	EventRestated     EventType = "restated"
	EventExcluded     EventType = "excluded"
	EventEdited       EventType = "edited"
	EventVoidProposed EventType = "void_proposed"
)

// Event is the one outcome of a command: the deal after it, with the strongest type and the weaker ones it includes.
type Event struct {
	Type     EventType
	Includes []EventType
	At       time.Time
	By       Actor
	Deal     Deal // the whole state after the event
}

// Apply is the deal after the event. An event that the deal already contains changes nothing.
func Apply(d Deal, e Event) Deal {
	if e.Deal.Revision <= d.Revision {
		return d
	}
	return e.Deal
}
