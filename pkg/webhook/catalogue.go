package webhook

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// EventType is one entry of the catalogue.
type EventType struct {
	Type        string
	Description string // when it is sent, in a sentence

	family  family
	example Event
}

// family is a group of types whose bodies have one form.
type family string

// The families, named as in the API document.
const (
	dealFamily      family = "DealWebhook"
	statementFamily family = "StatementWebhook"
	conflictFamily  family = "ConflictWebhook"
	disabledFamily  family = "EndpointDisabledWebhook"
	testFamily      family = "EndpointTestWebhook"
)

var catalogue = []EventType{
	ofDeal(deal.EventRegistered, deal.Pending, "A deal was registered. Its other parties are asked to accept it."),
	ofDeal(deal.EventAccepted, deal.Pending, "A party accepted, and others have not answered yet."),
	ofDeal(deal.EventActivated, deal.Active, "The last party accepted: the deal is active.", deal.EventAccepted),
	ofDeal(deal.EventDeclined, deal.Declined, "A party declined. The deal ends, or goes on without it and asks the others anew: see status."),
	ofDeal(deal.EventExpired, deal.Expired, "Time ran out. The deal ends, or returns from closing to active: see status."),
	ofDeal(deal.EventWithdrawn, deal.Withdrawn, "The registering company withdrew the deal."),
	ofDeal(deal.EventLost, deal.Lost, "The lead reported the deal as lost."),
	ofDeal(deal.EventClosing, deal.Closing, "A party proposed the final figures. Every party is asked to attest them.", deal.EventAttested),
	ofDeal(deal.EventAttested, deal.Closing, "A party attested the figures, and others have not yet."),
	ofDeal(deal.EventRefused, deal.Active, "A party refused the proposed figures. Those of a won deal count as before."),
	ofDeal(deal.EventWon, deal.Won, "Every party attested, or a registrar imported the deal on documents: it is won and counts.", deal.EventAttested),
	ofDeal(deal.EventCorrected, deal.Won, "Every party attested the correction of a won deal: the new figures count.", deal.EventAttested),
	ofDeal(deal.EventVoided, deal.Void, "Every party agreed that the won deal be void, or it repeats another one: it counts no more.", deal.EventVoidProposed),
	ofDeal(deal.EventDisputed, deal.Disputed, "A registrar halted the deal."),
	ofDeal(deal.EventSettled, deal.Active, "A registrar settled the dispute: the deal is where it was."),
	ofDeal(deal.EventTermsChanged, deal.Active, "The figures or the parties changed, or a correction of a won deal was proposed. Earlier attestations are void."),
	ofDeal(deal.EventRestated, deal.Won, "What the deal counts for changed by itself: a rate came, a repeat was decided, a membership was corrected."),
	ofDeal(deal.EventExcluded, deal.Won, "A registrar took the deal out of an association's figures."),
	ofDeal(deal.EventEdited, deal.Active, "The title, the description or another detail changed; the figures did not."),
	ofDeal(deal.EventVoidProposed, deal.Won, "A party agrees that the won deal be void. Every other party is asked."),
	{
		ConflictFlagged, "Two deals of one customer may be the same. Sent to the companies in both.",
		conflictFamily, Conflict(exampleDeal, exampleOther, exampleTime),
	},
	{
		StatementPublished, "A statement of an association's year was published.",
		statementFamily, Statement(exampleAssociation, 2026, 3, exampleTime),
	},
	{
		EndpointDisabled, "Deliveries to one of your endpoints failed for too long and have stopped. Sent to your other endpoints.",
		disabledFamily, Disabled(exampleEndpoint, "no attempt succeeded for five days", exampleTime),
	},
	{
		EndpointTest, "You asked for a test. It goes to the endpoint under test, whatever types that takes.",
		testFamily, Test(exampleEndpoint, exampleTime),
	},
}

func ofDeal(t deal.EventType, after deal.Status, description string, includes ...deal.EventType) EventType {
	return EventType{DealType(t), description, dealFamily, Deal(deal.Event{
		Type: t, Includes: includes, At: exampleTime, Deal: deal.Deal{ID: exampleDeal, Revision: 4, Status: after, TermsVersion: 1},
	})}
}

// What the examples are about.
var (
	exampleTime        = time.Date(2026, time.November, 22, 9, 30, 0, 0, time.UTC)
	exampleDeal        = deal.ID{0x01, 0x98, 0xc2, 0xf4, 0x5b, 0x7e, 0x7c, 0xc1, 0x9d, 0x0a, 0x4f, 0x1e, 0x2a, 0x3b, 0x4c, 0x5d}
	exampleOther       = deal.ID{0x01, 0x98, 0xc2, 0xf4, 0x5b, 0x7e, 0x7c, 0xc1, 0x9d, 0x0a, 0x4f, 0x1e, 0x2a, 0x3b, 0x4c, 0x5e}
	exampleAssociation = deal.ID{0x01, 0x98, 0xc2, 0xf4, 0x00, 0x10, 0x7a, 0x00, 0x80, 0x01, 0x4f, 0x1e, 0x2a, 0x3b, 0x4c, 0x01}
	exampleEndpoint    = deal.ID{0x01, 0x98, 0xc2, 0xf4, 0x00, 0x20, 0x7a, 0x00, 0x80, 0x02, 0x4f, 0x1e, 0x2a, 0x3b, 0x4c, 0x02}
)

// Types is the catalogue: every type of event that is ever sent, those of deals first.
func Types() []EventType { return slices.Clone(catalogue) }

// CheckPatterns tells whether each pattern names something that can happen: a type of the catalogue, a group of them
// such as dealreg.deal.*, or * for all, those that come later too. The error names the first that does not.
func CheckPatterns(patterns []string) error {
	for _, p := range patterns {
		if !slices.ContainsFunc(catalogue, func(t EventType) bool { return matches(p, t.Type) }) {
			return fmt.Errorf("%q is no type of event: take one of GET /v1/event-types, a group such as dealreg.deal.*, or *", p)
		}
	}
	return nil
}

// Matches tells whether one of the patterns takes the type. No patterns take nothing.
func Matches(patterns []string, eventType string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, eventType) })
}

func matches(pattern, eventType string) bool {
	if group, is := strings.CutSuffix(pattern, "*"); is && (group == "" || strings.HasSuffix(group, ".")) {
		return strings.HasPrefix(eventType, group)
	}
	return pattern == eventType
}
