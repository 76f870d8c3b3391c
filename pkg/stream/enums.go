package stream

import (
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/volume"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// enum ties the words of the domain to the numbers of the log. An unknown number reads as the zero word.
type enum[W comparable, N ~int32] struct {
	numbers map[W]N
	words   map[N]W
}

func newEnum[W comparable, N ~int32](numbers map[W]N) enum[W, N] {
	words := make(map[N]W, len(numbers))
	for w, n := range numbers {
		words[n] = w
	}
	return enum[W, N]{numbers: numbers, words: words}
}

func (e enum[W, N]) number(w W) N { return e.numbers[w] }
func (e enum[W, N]) name(n N) W   { return e.words[n] }

var eventTypes = newEnum(map[deal.EventType]dealregv1.EventType{
	deal.EventRegistered:   dealregv1.EventType_EVENT_TYPE_REGISTERED,
	deal.EventAccepted:     dealregv1.EventType_EVENT_TYPE_ACCEPTED,
	deal.EventActivated:    dealregv1.EventType_EVENT_TYPE_ACTIVATED,
	deal.EventDeclined:     dealregv1.EventType_EVENT_TYPE_DECLINED,
	deal.EventExpired:      dealregv1.EventType_EVENT_TYPE_EXPIRED,
	deal.EventWithdrawn:    dealregv1.EventType_EVENT_TYPE_WITHDRAWN,
	deal.EventLost:         dealregv1.EventType_EVENT_TYPE_LOST,
	deal.EventClosing:      dealregv1.EventType_EVENT_TYPE_CLOSING,
	deal.EventAttested:     dealregv1.EventType_EVENT_TYPE_ATTESTED,
	deal.EventRefused:      dealregv1.EventType_EVENT_TYPE_REFUSED,
	deal.EventWon:          dealregv1.EventType_EVENT_TYPE_WON,
	deal.EventCorrected:    dealregv1.EventType_EVENT_TYPE_CORRECTED,
	deal.EventVoided:       dealregv1.EventType_EVENT_TYPE_VOIDED,
	deal.EventDisputed:     dealregv1.EventType_EVENT_TYPE_DISPUTED,
	deal.EventSettled:      dealregv1.EventType_EVENT_TYPE_SETTLED,
	deal.EventTermsChanged: dealregv1.EventType_EVENT_TYPE_TERMS_CHANGED,
	deal.EventRestated:     dealregv1.EventType_EVENT_TYPE_RESTATED,
	deal.EventExcluded:     dealregv1.EventType_EVENT_TYPE_EXCLUDED,
	deal.EventEdited:       dealregv1.EventType_EVENT_TYPE_EDITED,
	deal.EventVoidProposed: dealregv1.EventType_EVENT_TYPE_VOID_PROPOSED,
})

var statuses = newEnum(map[deal.Status]dealregv1.Status{
	deal.New:       dealregv1.Status_STATUS_UNSPECIFIED,
	deal.Pending:   dealregv1.Status_STATUS_PENDING,
	deal.Active:    dealregv1.Status_STATUS_ACTIVE,
	deal.Closing:   dealregv1.Status_STATUS_CLOSING,
	deal.Won:       dealregv1.Status_STATUS_WON,
	deal.Declined:  dealregv1.Status_STATUS_DECLINED,
	deal.Expired:   dealregv1.Status_STATUS_EXPIRED,
	deal.Withdrawn: dealregv1.Status_STATUS_WITHDRAWN,
	deal.Lost:      dealregv1.Status_STATUS_LOST,
	deal.Void:      dealregv1.Status_STATUS_VOID,
	deal.Disputed:  dealregv1.Status_STATUS_DISPUTED,
})

var partyRoles = newEnum(map[deal.PartyRole]dealregv1.PartyRole{
	deal.Lead:     dealregv1.PartyRole_PARTY_ROLE_LEAD,
	deal.Delivery: dealregv1.PartyRole_PARTY_ROLE_DELIVERY,
	deal.Reseller: dealregv1.PartyRole_PARTY_ROLE_RESELLER,
	deal.Vendor:   dealregv1.PartyRole_PARTY_ROLE_VENDOR,
	deal.Advisor:  dealregv1.PartyRole_PARTY_ROLE_ADVISOR,
	deal.Other:    dealregv1.PartyRole_PARTY_ROLE_OTHER,
})

var evidences = newEnum(map[deal.Evidence]dealregv1.Evidence{
	deal.ByParties:   dealregv1.Evidence_EVIDENCE_PARTIES,
	deal.ByRegistrar: dealregv1.Evidence_EVIDENCE_REGISTRAR,
})

var withhelds = newEnum(map[volume.Withheld]dealregv1.Withheld{
	volume.Nothing:     dealregv1.Withheld_WITHHELD_UNSPECIFIED,
	volume.Unconverted: dealregv1.Withheld_WITHHELD_UNCONVERTED,
	volume.Duplicate:   dealregv1.Withheld_WITHHELD_DUPLICATE,
})
