package audit

import (
	"fmt"
	"math/big"
	"slices"

	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// checkUnduplicated recomputes what the deal counts for in all associations together from its attributions, which are
// sound: the shares of those who are in the pairs of any of them, each once. It gives at most one fault.
//
// An attribution that waits for a rate does not name its members. Where there is one, the check is only that the amount
// is the sum of the shares that are known to count and of some others.
func checkUnduplicated(event *dealregv1.DealEvent) []*fault {
	deal, m := event.GetDeal(), event.GetUnduplicated()
	if present, want := m != nil, len(event.GetAttributions()) > 0; present != want {
		return []*fault{faulty(CheckUnduplicated, fmt.Sprintf("%t, as there are attributions", want), present)}
	}
	if _, hasDay := wonOn(deal); m == nil || !hasDay || checkTerms(deal.GetTerms()) != nil {
		return nil
	}
	x := checkTogether(deal, m)
	if x == nil {
		x = checkMembers(event)
	}
	if x == nil {
		return nil
	}
	return []*fault{x}
}

// checkTogether checks all but the amount.
func checkTogether(deal *dealregv1.Deal, m *dealregv1.Attribution) *fault {
	if len(m.GetAssociationId()) > 0 || len(m.GetChapters()) > 0 || len(m.GetPairs()) > 0 {
		return faulty(CheckUnduplicated, "no association, chapters or pairs", "some")
	}
	if m.GetCurrency() != allCurrency {
		return faulty(CheckCurrency, allCurrency, quote(m.GetCurrency()))
	}
	day, _ := wonOn(deal)
	first, year, _ := firstOfMonth(day)
	if m.GetMonth() != first {
		return faulty(CheckMonth, first, m.GetMonth())
	}
	if int(m.GetYear()) != year {
		return faulty(CheckYear, year, m.GetYear())
	}
	if m.GetEvidence() != deal.GetEvidence() {
		return faulty(CheckEvidence, deal.GetEvidence(), m.GetEvidence())
	}
	return nil
}

// checkMembers compares the amount with the shares of the members, or finds out why there is none.
func checkMembers(event *dealregv1.DealEvent) *fault {
	deal, m := event.GetDeal(), event.GetUnduplicated()
	const duplicate = dealregv1.Withheld_WITHHELD_DUPLICATE
	repeats, waits := true, false
	members := map[ID]bool{}
	for _, a := range event.GetAttributions() {
		repeats = repeats && a.GetWithheld() == duplicate
		waits = waits || a.GetWithheld() == dealregv1.Withheld_WITHHELD_UNCONVERTED
		for _, p := range a.GetPairs() {
			members[ID(p.GetCompanyA())], members[ID(p.GetCompanyB())] = true, true
		}
	}
	if repeats != (m.GetWithheld() == duplicate) {
		return faulty(CheckWithheld, fmt.Sprintf("a duplicate: %t, as every attribution", repeats), int32(m.GetWithheld()))
	}
	if m.GetWithheld() != dealregv1.Withheld_WITHHELD_UNSPECIFIED {
		return checkWithheld(deal, m)
	}
	value, x := convert(deal, m)
	if x != nil {
		return x
	}
	known := new(big.Int)
	var others []*big.Int
	parties, shares := spread(deal.GetTerms(), value)
	for i, p := range parties {
		if members[ID(p.GetCompanyId())] {
			known.Add(known, shares[i])
		} else {
			others = append(others, shares[i])
		}
	}
	if !waits {
		others = nil
	}
	left := new(big.Int).Sub(big.NewInt(m.GetAmountMinor()), known)
	if !slices.ContainsFunc(sumsOfSets(others), func(sum *big.Int) bool { return sum.Cmp(left) == 0 }) {
		return faulty(CheckUnduplicated, fmt.Sprintf("%s, and perhaps shares of %d others", known, len(others)), m.GetAmountMinor())
	}
	return nil
}
