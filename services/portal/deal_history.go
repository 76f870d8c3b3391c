package portal

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

// said is one event of a deal in a sentence.
type said struct {
	On       time.Time
	Sentence string
	Reason   string
}

// tell says what happened. Each kind of event has a sentence, some have several.
func (v *visit) tell(e api.Event, names map[deal.ID]string) said {
	who := v.speech.text("deal.history.registrar")
	switch {
	case e.Actor.CompanyID != deal.ID{}:
		who = names[e.Actor.CompanyID]
	case e.Actor.Role == "system":
		who = v.speech.text("deal.history.system")
	}
	return said{On: e.Time, Sentence: v.speech.text("deal.history."+kindOf(e), "who", who), Reason: e.Reason}
}

// kindOf names the sentence of an event.
func kindOf(e api.Event) string {
	kind := strings.TrimPrefix(e.Type, "dealreg.deal.")
	includes := func(other string) bool { return slices.Contains(e.Includes, "dealreg.deal."+other) }
	switch {
	case kind == "declined" && e.Status != "declined":
		return "left"
	case kind == "closing" && includes("registered"), kind == "won" && includes("registered"):
		return kind + ".import"
	case (kind == "attested" || kind == "refused" || kind == "terms_changed") && e.Status == "won":
		return kind + ".correction"
	case kind == "voided" && !includes("void_proposed"):
		return "merged"
	case kind == "expired":
		return "expired." + statusBefore(e)
	}
	return kind
}

// statusBefore is the deal's status before the event.
func statusBefore(e api.Event) string {
	for _, c := range e.Changed {
		var status string
		if c.Field == "status" && json.Unmarshal(c.From, &status) == nil {
			return status
		}
	}
	return ""
}
