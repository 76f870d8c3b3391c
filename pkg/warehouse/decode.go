package warehouse

import (
	"errors"
	"fmt"
	"strings"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// KnownSchema is the newest version of the log's contract that this code reads.
const KnownSchema = 1

// NewerSchemaError says that an event follows a contract that this code does not know. Only newer code can read it.
type NewerSchemaError struct {
	Sequence uint64
	Schema   uint32
}

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("the event at sequence %d has schema %d and this version reads up to %d: install a newer dealreg",
		e.Sequence, e.Schema, KnownSchema)
}

// Why an event is poison. The reasons hold nothing of the event.
var (
	errUndecodable = errors.New("the payload is no DealEvent")
	errSchema      = errors.New("schema is 0")
	errRevision    = errors.New("revision is 0")
	errTime        = errors.New("at is missing or out of range")
	errStatus      = errors.New("status is unknown")
	errWithheld    = errors.New("withheld is unknown")
	errDay         = errors.New("a day is out of range")
	errSum         = errors.New("chapters or pairs do not sum to the association's amount")
	errTogether    = errors.New("unduplicated has an association, chapters, pairs or another currency than EUR")
)

type idError string

func (e idError) Error() string { return string(e) + " is not 16 bytes, or all of them are 0" }

// decode reads one payload, in place of what e held, and checks all that a row is made of, so that it can be stored as it
// is. The error says why it cannot.
func (e *logEvent) decode(payload []byte) error {
	e.reset()
	sound := e.parse(payload)
	// The schema tells first: newer bytes may well break the rules of today.
	if e.schema > KnownSchema && sound {
		return &NewerSchemaError{Schema: e.schema}
	}
	switch {
	case !sound:
		return errUndecodable
	case e.schema == 0:
		return errSchema
	case e.revision == 0:
		return errRevision
	case !e.at.valid() || outside(e.at.seconds/86400):
		return errTime
	case len(e.dealID) != 16:
		return idError("deal_id")
	}
	if err := e.deal.check(); err != nil {
		return err
	}
	for _, id := range e.associations {
		if len(id) != 16 {
			return idError("an association of the audience")
		}
	}
	for _, list := range [...][]attribution{e.replaces, e.attributions} {
		for i := range list {
			if err := list[i].check(); err != nil {
				return err
			}
		}
	}
	for _, list := range [...][]attribution{e.unduplicatedReplaces, e.unduplicated} {
		for i := range list {
			if err := list[i].checkUnduplicated(); err != nil {
				return err
			}
		}
	}
	return nil
}

// valid tells whether it is a time between the years 1 and 9999, as protobuf demands.
func (t *timestamp) valid() bool {
	const first, last = -62135596800, 253402300799
	return t.present && first <= t.seconds && t.seconds <= last && 0 <= t.nanos && t.nanos < 1e9
}

func (d *logDeal) check() error {
	if statusName(d.status) == "" {
		return errStatus
	}
	if len(d.registeredBy) != 16 {
		return idError("registered_by")
	}
	for i := range d.terms.parties {
		p := &d.terms.parties[i]
		if len(p.company) != 16 {
			return idError("a party's company_id")
		}
		if n := len(p.group); n != 0 && n != 16 { // none: the company is its own group
			return idError("a party's group_id")
		}
	}
	if outside(int64(d.terms.wonOn)) {
		return errDay
	}
	return nil
}

func (a *attribution) check() error {
	if len(a.association) != 16 || deal.ID(a.association).IsZero() {
		return idError("an attribution's association_id")
	}
	if err := a.checkPosted(); err != nil {
		return err
	}
	var chapters, pairs int64
	for _, c := range a.chapters {
		if n := len(c.a); n != 0 && n != 16 { // none: members without a chapter
			return idError("an attribution's chapter_id")
		}
		chapters += c.amountMinor
	}
	for _, p := range a.pairs {
		if len(p.a) != 16 || len(p.b) != 16 {
			return idError("a company of an attribution's pair")
		}
		pairs += p.amountMinor
	}
	counts := dealregv1.Withheld(a.withheld) == dealregv1.Withheld_WITHHELD_UNSPECIFIED
	if counts && (chapters != a.amountMinor || pairs != a.amountMinor) {
		return errSum
	}
	return nil
}

// checkUnduplicated checks what the deal counts for in all associations together.
func (a *attribution) checkUnduplicated() error {
	if len(a.association) > 0 || len(a.chapters) > 0 || len(a.pairs) > 0 || string(a.currency) != "EUR" {
		return errTogether
	}
	return a.checkPosted()
}

// checkPosted checks what every entry of an attribution is made of.
func (a *attribution) checkPosted() error {
	if _, known := dealregv1.Withheld_name[a.withheld]; !known {
		return errWithheld
	}
	if outside(int64(a.month)) {
		return errDay
	}
	return nil
}

// outside tells whether the day cannot be stored.
func outside(days int64) bool { return days < int64(calendar.First) || days > int64(calendar.Last) }

// statusName gives the status as the API writes it, or nothing when it is unknown.
func statusName(s int32) string {
	if s <= 0 || int(s) >= len(statusNames) {
		return ""
	}
	return statusNames[s]
}

// typeName gives the event's type as the API writes it, without its prefix dealreg.deal. A type that this code does not
// know changes nothing that it counts, and gets a number for a name.
func typeName(t int32) string {
	if t < 0 || int(t) >= len(typeNames) {
		return fmt.Sprintf("type_%d", t)
	}
	return typeNames[t]
}

var (
	statusNames = names(dealregv1.Status_name, "STATUS_")
	typeNames   = names(dealregv1.EventType_name, "EVENT_TYPE_")
)

func names(byNumber map[int32]string, prefix string) []string {
	result := make([]string, len(byNumber))
	for number, name := range byNumber {
		result[number] = strings.ToLower(strings.TrimPrefix(name, prefix))
	}
	return result
}
