package audit

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/dealreg/dealreg/pkg/money"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// The days of the calendar, 1900-01-01 to 2299-12-31 in days since 1970-01-01, and the years that hold them: an
// association's year may be named after the calendar year before.
const (
	minDay, maxDay   = -25567, 120529
	minYear, maxYear = 1899, 2299
)

const (
	minParties, maxParties = 2, 10
	maxValueMinor          = 1_000_000_000_000_000
)

// checkChain compares the event with the deal's event before it. Behind a wrong revision the events are no
// neighbours, and nothing else is compared.
func checkChain(event *dealregv1.DealEvent, last before) []*fault {
	if want := last.revision + 1; event.GetRevision() != want {
		return []*fault{faulty(CheckRevision, want, event.GetRevision())}
	}
	var faults []*fault
	var hash []byte
	if last.revision > 0 {
		hash = last.hash[:]
	}
	if !bytes.Equal(event.GetPreviousHash(), hash) {
		faults = append(faults, faulty(CheckPreviousHash, shortHex(hash), shortHex(event.GetPreviousHash())))
	}
	same := func(a, b *dealregv1.Attribution) bool { return proto.Equal(a, b) }
	was := last.counted()
	if want := was.GetAttributions(); !slices.EqualFunc(event.GetReplaces(), want, same) {
		faults = append(faults, faulty(CheckReplaces,
			fmt.Sprintf("the %d attributions of revision %d", len(want), last.revision),
			fmt.Sprintf("%d others", len(event.GetReplaces()))))
	}
	if !same(event.GetUnduplicatedReplaces(), was.GetUnduplicated()) {
		faults = append(faults, faulty(CheckReplaces, fmt.Sprintf("the unduplicated of revision %d", last.revision), "another"))
	}
	return faults
}

func shortHex(b []byte) string {
	if len(b) == 0 {
		return "none"
	}
	return hex.EncodeToString(b[:min(len(b), 32)])
}

// checkDeal checks what every event of the deal must hold. wasWon tells whether the event before left it won.
func checkDeal(event *dealregv1.DealEvent, wasWon bool) []*fault {
	var faults []*fault
	deal := event.GetDeal()
	terms := []*dealregv1.Terms{deal.GetTerms()}
	if c := deal.GetCorrection(); c != nil {
		terms = append(terms, c.GetTerms())
	}
	for _, t := range terms {
		if x := checkTerms(t); x != nil {
			faults = append(faults, x)
		}
	}
	if deal.GetStatus() != dealregv1.Status_STATUS_WON {
		if n := len(event.GetAttributions()); n > 0 {
			faults = append(faults, faulty(CheckStatus, "no attributions unless won", fmt.Sprintf("%d of a deal in status %d", n, deal.GetStatus())))
		}
		return faults
	}
	if day, ok := wonOn(deal); !ok {
		faults = append(faults, faulty(CheckWonOn, "a day between 1900 and 2299", day))
	}
	decides := event.GetType() == dealregv1.EventType_EVENT_TYPE_WON || event.GetType() == dealregv1.EventType_EVENT_TYPE_CORRECTED
	if decides || !wasWon {
		if x := checkAttested(deal); x != nil {
			faults = append(faults, x)
		}
	}
	return faults
}

// wonOn gives the day in days since 1970-01-01, and whether it is one of the calendar.
func wonOn(deal *dealregv1.Deal) (int32, bool) {
	t := deal.GetTerms()
	if t == nil || t.WonOn == nil {
		return 0, false
	}
	return t.GetWonOn(), minDay <= t.GetWonOn() && t.GetWonOn() <= maxDay
}

// firstOfMonth gives the first day of the day's calendar month, with its year and month.
func firstOfMonth(day int32) (first int32, year int, month time.Month) {
	year, month, of := time.Unix(int64(day)*24*60*60, 0).UTC().Date()
	return day - int32(of-1), year, month // #nosec G115 -- a day of a month is at most 31
}

func checkTerms(t *dealregv1.Terms) *fault {
	parties := t.GetParties()
	if n := len(parties); n < minParties || n > maxParties {
		return faulty(CheckTerms, "2 to 10 parties", n)
	}
	if v := t.GetValueMinor(); v < 1 || v > maxValueMinor {
		return faulty(CheckTerms, "a value of 1 to 10^15 minor units", v)
	}
	if c := t.GetCurrency(); !money.Currency(c).Known() {
		return faulty(CheckTerms, "a currency", quote(c))
	}
	seen := map[ID]bool{}
	sum := new(big.Int)
	for _, p := range parties {
		id, ok := toID(p.GetCompanyId())
		if !ok || seen[id] {
			return faulty(CheckTerms, "different companies", "a party twice, or one without an id")
		}
		seen[id] = true
		if p.GetShareMinor() < 0 {
			return faulty(CheckTerms, "shares of at least 0", p.GetShareMinor())
		}
		sum.Add(sum, big.NewInt(p.GetShareMinor()))
	}
	if sum.Cmp(big.NewInt(t.GetValueMinor())) != 0 {
		return faulty(CheckTerms, fmt.Sprintf("shares that sum to %d", t.GetValueMinor()), sum)
	}
	return nil
}

// checkAttested tells who stands for figures that have just begun to count: every party, by attesting this very
// version of the terms, or the registrar of the association that imported the deal.
func checkAttested(deal *dealregv1.Deal) *fault {
	switch deal.GetEvidence() {
	case dealregv1.Evidence_EVIDENCE_REGISTRAR:
		if len(deal.GetImportedBy()) == 0 {
			return faulty(CheckAttested, "an import by a registrar", "none")
		}
		return nil
	case dealregv1.Evidence_EVIDENCE_PARTIES:
		for _, p := range deal.GetTerms().GetParties() {
			attested := slices.ContainsFunc(deal.GetStandings(), func(s *dealregv1.Standing) bool {
				return bytes.Equal(s.GetCompanyId(), p.GetCompanyId()) && s.GetAttestedTerms() == deal.GetTermsVersion()
			})
			if !attested || deal.GetTermsVersion() == 0 {
				return faulty(CheckAttested, fmt.Sprintf("terms %d attested by every party", deal.GetTermsVersion()), "a party that has not")
			}
		}
		return nil
	default:
		return faulty(CheckAttested, "evidence of the parties or a registrar", deal.GetEvidence())
	}
}
