package warehouse

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

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

// decode reads one payload and checks all that a row is made of, so that what it returns can be stored as it is.
func decode(payload []byte) (*dealregv1.DealEvent, error) {
	event := &dealregv1.DealEvent{}
	err := proto.Unmarshal(payload, event)
	// The schema tells first: newer bytes may well break the rules of today.
	if event.GetSchema() > KnownSchema && err == nil {
		return nil, &NewerSchemaError{Schema: event.GetSchema()}
	}
	switch {
	case err != nil:
		return nil, errUndecodable
	case event.GetSchema() == 0:
		return nil, errSchema
	case event.GetRevision() == 0:
		return nil, errRevision
	case !event.GetAt().IsValid() || outside(event.GetAt().GetSeconds()/86400):
		return nil, errTime
	case len(event.GetDealId()) != 16:
		return nil, idError("deal_id")
	}
	if err := checkDeal(event.GetDeal()); err != nil {
		return nil, err
	}
	for _, id := range event.GetAudience().GetAssociationIds() {
		if len(id) != 16 {
			return nil, idError("an association of the audience")
		}
	}
	for _, a := range event.GetReplaces() {
		if err := checkAttribution(a); err != nil {
			return nil, err
		}
	}
	for _, a := range event.GetAttributions() {
		if err := checkAttribution(a); err != nil {
			return nil, err
		}
	}
	for _, a := range []*dealregv1.Attribution{event.GetUnduplicatedReplaces(), event.GetUnduplicated()} {
		if err := checkUnduplicated(a); err != nil {
			return nil, err
		}
	}
	return event, nil
}

func checkDeal(d *dealregv1.Deal) error {
	if statusName(d.GetStatus()) == "" {
		return errStatus
	}
	if len(d.GetRegisteredBy()) != 16 {
		return idError("registered_by")
	}
	for _, p := range d.GetTerms().GetParties() {
		if len(p.GetCompanyId()) != 16 {
			return idError("a party's company_id")
		}
		if n := len(p.GetGroupId()); n != 0 && n != 16 { // none: the company is its own group
			return idError("a party's group_id")
		}
	}
	if outside(int64(d.GetTerms().GetWonOn())) {
		return errDay
	}
	return nil
}

func checkAttribution(a *dealregv1.Attribution) error {
	if id := a.GetAssociationId(); len(id) != 16 || deal.ID(id).IsZero() {
		return idError("an attribution's association_id")
	}
	if err := checkPosted(a); err != nil {
		return err
	}
	var chapters, pairs int64
	for _, c := range a.GetChapters() {
		if n := len(c.GetChapterId()); n != 0 && n != 16 { // none: members without a chapter
			return idError("an attribution's chapter_id")
		}
		chapters += c.GetAmountMinor()
	}
	for _, p := range a.GetPairs() {
		if len(p.GetCompanyA()) != 16 || len(p.GetCompanyB()) != 16 {
			return idError("a company of an attribution's pair")
		}
		pairs += p.GetAmountMinor()
	}
	if a.GetWithheld() == dealregv1.Withheld_WITHHELD_UNSPECIFIED && (chapters != a.GetAmountMinor() || pairs != a.GetAmountMinor()) {
		return errSum
	}
	return nil
}

// checkUnduplicated checks what the deal counts for in all associations together, which may be absent.
func checkUnduplicated(a *dealregv1.Attribution) error {
	if a == nil {
		return nil
	}
	if len(a.GetAssociationId()) > 0 || len(a.GetChapters()) > 0 || len(a.GetPairs()) > 0 || a.GetCurrency() != "EUR" {
		return errTogether
	}
	return checkPosted(a)
}

// checkPosted checks what every entry of an attribution is made of.
func checkPosted(a *dealregv1.Attribution) error {
	if _, known := dealregv1.Withheld_name[int32(a.GetWithheld())]; !known {
		return errWithheld
	}
	if outside(int64(a.GetMonth())) {
		return errDay
	}
	return nil
}

// outside tells whether the day cannot be stored.
func outside(days int64) bool { return days < int64(calendar.First) || days > int64(calendar.Last) }

// statusName gives the status as the API writes it, or nothing when it is unknown.
func statusName(s dealregv1.Status) string {
	if s <= 0 || int(s) >= len(statusNames) {
		return ""
	}
	return statusNames[s]
}

// typeName gives the event's type as the API writes it, without its prefix dealreg.deal. A type that this code does not
// know changes nothing that it counts, and gets a number for a name.
func typeName(t dealregv1.EventType) string {
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
