package audit

import "fmt"

// Check names what an event was checked for.
type Check string

// The checks, in the order in which an event meets them.
const (
	CheckSequence     Check = "sequence"      // one more than that of the event before, from 1
	CheckPayload      Check = "payload"       // an event of the contract, with a schema and the id of a deal
	CheckSubject      Check = "subject"       // deals.<shard>.<deal id>
	CheckRevision     Check = "revision"      // one more than that of the deal's event before, from 1
	CheckPreviousHash Check = "previous_hash" // SHA-256 of the payload of the deal's event before
	CheckReplaces     Check = "replaces"      // the attributions and the unduplicated of the deal's event before
	CheckTerms        Check = "terms"         // 2-10 different parties whose shares sum to the value
	CheckWonOn        Check = "won_on"        // a won deal has a day between 1900 and 2299
	CheckStatus       Check = "status"        // only a won deal has attributions
	CheckAttested     Check = "attested"      // every party attested the terms that won, or a registrar imported them
	CheckAssociation  Check = "association"   // one attribution each; none when excluded or imported by another
	CheckMonth        Check = "month"         // the first day of won_on's calendar month
	CheckYear         Check = "year"          // fits won_on and one first month for all of the association's deals
	CheckCurrency     Check = "currency"      // one known currency for all of the association's deals
	CheckEvidence     Check = "evidence"      // that of the deal
	CheckWithheld     Check = "withheld"      // nothing counts, and the reason can be true
	CheckRate         Check = "rate"          // converts the deal's currency; of won_on or the seven days before
	CheckAmount       Check = "amount"        // the sum of the members' converted shares
	CheckPairs        Check = "pairs"         // all pairs of the members, who are parties of at least two groups
	CheckChapters     Check = "chapters"      // the members' shares, gathered by chapter
	CheckUnduplicated Check = "unduplicated"  // there when attributions are; the shares of all their members, once each
)

// Finding is one place where the log contradicts its own rules.
type Finding struct {
	Sequence uint64 // of the event at which it shows
	DealID   ID     // zero when the event names none
	Check    Check
	Expected string
	Found    string
}

// String is one line for a person.
func (f Finding) String() string {
	return fmt.Sprintf("event %d, deal %s, %s: expected %s, found %s", f.Sequence, f.DealID, f.Check, f.Expected, f.Found)
}

// fault is a finding before its event is named; nil means sound.
type fault struct {
	check           Check
	expected, found string
}

func faulty(check Check, expected, found any) *fault {
	return &fault{check: check, expected: fmt.Sprint(expected), found: fmt.Sprint(found)}
}
