package audit

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"

	"github.com/dealreg/dealreg/pkg/money"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// maxRateAgeDays is how long before won_on a rate may have been published.
const maxRateAgeDays = 7

// checkAttributions recomputes what the event says that its deal counts for: at most one fault for each attribution,
// the first one met, because the others would follow from it.
func (f *fold) checkAttributions(event *dealregv1.DealEvent) []*fault {
	deal := event.GetDeal()
	var faults []*fault
	seen := map[ID]bool{}
	_, hasDay := wonOn(deal)
	for _, m := range event.GetAttributions() {
		id, ok := toID(m.GetAssociationId())
		if !ok || id.isAll() || seen[id] {
			faults = append(faults, faulty(CheckAssociation, "one attribution for each association", "one twice, or one without an id"))
			continue
		}
		seen[id] = true
		x := f.checkCurrency(id, m)
		// Without a day or sound terms, which have a finding of their own, there is nothing to compute from.
		if x == nil && hasDay && checkTerms(deal.GetTerms()) == nil {
			x = f.checkAttribution(id, deal, m)
		}
		if x != nil {
			faults = append(faults, x)
		}
	}
	return faults
}

// checkCurrency meets every attribution, since the ledger counts in the first currency that an association shows.
func (f *fold) checkCurrency(id ID, m *dealregv1.Attribution) *fault {
	c := m.GetCurrency()
	a := f.ledger.associations[id]
	switch {
	case !money.Currency(c).Known():
		return faulty(CheckCurrency, "a currency", quote(c))
	case a == nil:
		f.ledger.associations[id] = newAssociation(c)
	case a.currency != c:
		return faulty(CheckCurrency, a.currency, c)
	}
	return nil
}

func (f *fold) checkAttribution(id ID, deal *dealregv1.Deal, m *dealregv1.Attribution) *fault {
	if x := checkPlace(id, deal); x != nil {
		return x
	}
	if x := f.checkYear(id, deal, m); x != nil {
		return x
	}
	if m.GetEvidence() != deal.GetEvidence() {
		return faulty(CheckEvidence, deal.GetEvidence(), m.GetEvidence())
	}
	if m.GetWithheld() != dealregv1.Withheld_WITHHELD_UNSPECIFIED {
		return checkWithheld(deal, m)
	}
	value, x := convert(deal, m)
	if x != nil {
		return x
	}
	return checkFigures(deal, m, value)
}

// checkPlace refuses an association that has no part in the deal.
func checkPlace(id ID, deal *dealregv1.Deal) *fault {
	if by := deal.GetImportedBy(); len(by) > 0 && !bytes.Equal(by, id[:]) {
		return faulty(CheckAssociation, "only the association that imported the deal", id)
	}
	for _, e := range deal.GetExclusions() {
		if bytes.Equal(e.GetAssociationId(), id[:]) {
			return faulty(CheckAssociation, "no association that excluded the deal", id)
		}
	}
	return nil
}

// checkYear narrows down the month in which the association's years start: a year that is named as won_on's own
// starts in won_on's month or before, one that is named as the year before starts later.
func (f *fold) checkYear(id ID, deal *dealregv1.Deal, m *dealregv1.Attribution) *fault {
	day, _ := wonOn(deal)
	first, year, month := firstOfMonth(day)
	if m.GetMonth() != first {
		return faulty(CheckMonth, first, m.GetMonth())
	}
	a := f.ledger.associations[id]
	earliest, latest := a.earliest, a.latest
	switch int(m.GetYear()) {
	case year:
		latest = min(latest, int(month))
	case year - 1:
		earliest = max(earliest, int(month)+1)
	default:
		return faulty(CheckYear, fmt.Sprintf("%d or %d", year-1, year), m.GetYear())
	}
	if earliest > latest {
		return faulty(CheckYear, fmt.Sprintf("a year that starts in one of the months %d to %d", a.earliest, a.latest), m.GetYear())
	}
	a.earliest, a.latest = earliest, latest
	return nil
}

func checkWithheld(deal *dealregv1.Deal, m *dealregv1.Attribution) *fault {
	switch m.GetWithheld() {
	case dealregv1.Withheld_WITHHELD_UNCONVERTED:
		if m.GetCurrency() == deal.GetTerms().GetCurrency() || m.GetRate() != nil {
			return faulty(CheckWithheld, "a deal that has no rate and needs one", "one that has or does not")
		}
	case dealregv1.Withheld_WITHHELD_DUPLICATE:
	default:
		return faulty(CheckWithheld, "a reason of the contract", int32(m.GetWithheld()))
	}
	if m.GetAmountMinor() != 0 || len(m.GetChapters()) > 0 || len(m.GetPairs()) > 0 {
		return faulty(CheckWithheld, "nothing that counts", fmt.Sprintf("%d, %d chapters, %d pairs",
			m.GetAmountMinor(), len(m.GetChapters()), len(m.GetPairs())))
	}
	return nil
}

// convert gives the deal's value in the attribution's currency, by the rate in the event.
func convert(deal *dealregv1.Deal, m *dealregv1.Attribution) (*big.Int, *fault) {
	terms, rate := deal.GetTerms(), m.GetRate()
	value := big.NewInt(terms.GetValueMinor())
	if terms.GetCurrency() == m.GetCurrency() {
		if rate != nil {
			return nil, faulty(CheckRate, "none, the deal is in the reporting currency", "one")
		}
		return value, nil
	}
	day, _ := wonOn(deal)
	if rate.GetFromCurrency() != terms.GetCurrency() || rate.GetToCurrency() != m.GetCurrency() {
		return nil, faulty(CheckRate, terms.GetCurrency()+" to "+m.GetCurrency(),
			quote(rate.GetFromCurrency())+" to "+quote(rate.GetToCurrency()))
	}
	if age := int64(day) - int64(rate.GetDate()); age < 0 || age > maxRateAgeDays {
		return nil, faulty(CheckRate, "a day at most 7 before won_on", fmt.Sprintf("%d days before", age))
	}
	from, okFrom := parseRate(rate.GetFromCurrency(), rate.GetFromPerEur())
	to, okTo := parseRate(rate.GetToCurrency(), rate.GetToPerEur())
	if !okFrom || !okTo {
		return nil, faulty(CheckRate, "two decimals above 0, and 1 for EUR", quote(rate.GetFromPerEur())+" and "+quote(rate.GetToPerEur()))
	}
	exact := new(big.Rat).SetInt(value)
	exact.Quo(exact, unit(terms.GetCurrency()))
	exact.Quo(exact, from)
	exact.Mul(exact, to)
	exact.Mul(exact, unit(m.GetCurrency()))
	return halfUp(exact), nil
}

// checkFigures spreads the converted value over the parties and compares what the members' parts add up to.
func checkFigures(deal *dealregv1.Deal, m *dealregv1.Attribution, value *big.Int) *fault {
	parties, shares := spread(deal.GetTerms(), value)
	found, x := pairsOf(m)
	if x != nil {
		return x
	}
	inPairs := map[ID]bool{}
	for p := range found {
		inPairs[p.A], inPairs[p.B] = true, true
	}
	var members []ID
	var counted []*big.Int
	groups := map[string]bool{}
	amount := new(big.Int)
	for i, p := range parties {
		if id := ID(p.GetCompanyId()); inPairs[id] {
			members, counted = append(members, id), append(counted, shares[i])
			groups[string(p.GetGroupId())] = true
			amount.Add(amount, shares[i])
		}
	}
	if len(members) != len(inPairs) || len(groups) < 2 {
		return faulty(CheckPairs, "parties of at least two groups", fmt.Sprintf("%d companies, %d of them parties, of %d groups",
			len(inPairs), len(members), len(groups)))
	}
	if amount.Cmp(big.NewInt(m.GetAmountMinor())) != 0 {
		return faulty(CheckAmount, amount, m.GetAmountMinor())
	}
	if x := checkPairs(members, counted, amount, found); x != nil {
		return x
	}
	return checkChapters(m, counted, amount)
}

// spread gives the parties in the order of their ids, each with its part of the converted value.
func spread(terms *dealregv1.Terms, value *big.Int) ([]*dealregv1.Party, []*big.Int) {
	parties := slices.Clone(terms.GetParties())
	slices.SortFunc(parties, func(p, q *dealregv1.Party) int { return bytes.Compare(p.GetCompanyId(), q.GetCompanyId()) })
	exact := make([]*big.Rat, len(parties))
	for i, p := range parties {
		exact[i] = new(big.Rat).SetFrac(big.NewInt(p.GetShareMinor()), big.NewInt(terms.GetValueMinor()))
		exact[i].Mul(exact[i], new(big.Rat).SetInt(value))
	}
	return parties, largestRemainder(exact, value)
}

// pairsOf gathers the pairs, which may stand in any order.
func pairsOf(m *dealregv1.Attribution) (map[Item]int64, *fault) {
	pairs := map[Item]int64{}
	for _, p := range m.GetPairs() {
		a, okA := toID(p.GetCompanyA())
		b, okB := toID(p.GetCompanyB())
		if !okA || !okB || bytes.Compare(a[:], b[:]) >= 0 {
			return nil, faulty(CheckPairs, "two companies, the lesser id first", "other ids")
		}
		if _, twice := pairs[Item{A: a, B: b}]; twice {
			return nil, faulty(CheckPairs, "each pair once", fmt.Sprintf("%s and %s twice", a, b))
		}
		pairs[Item{A: a, B: b}] = p.GetAmountMinor()
	}
	return pairs, nil
}

// checkPairs gives each pair of the m members (s_i + s_j)/(m-1).
func checkPairs(members []ID, shares []*big.Int, amount *big.Int, found map[Item]int64) *fault {
	var pairs []Item
	var exact []*big.Rat
	for i := range members {
		for j := i + 1; j < len(members); j++ {
			pairs = append(pairs, Item{A: members[i], B: members[j]})
			both := new(big.Int).Add(shares[i], shares[j])
			exact = append(exact, new(big.Rat).SetFrac(both, big.NewInt(int64(len(members)-1))))
		}
	}
	if len(pairs) != len(found) {
		return faulty(CheckPairs, fmt.Sprintf("%d pairs of %d members", len(pairs), len(members)), len(found))
	}
	for i, part := range largestRemainder(exact, amount) {
		if got := found[pairs[i]]; part.Cmp(big.NewInt(got)) != 0 {
			return faulty(CheckPairs, fmt.Sprintf("%s for %s and %s", part, pairs[i].A, pairs[i].B), got)
		}
	}
	return nil
}

// checkChapters cannot know who is in which chapter, which the log does not say; so it asks that the members can be
// placed in the chapters at all, every chapter having one.
func checkChapters(m *dealregv1.Attribution, shares []*big.Int, amount *big.Int) *fault {
	sum := new(big.Int)
	seen := map[ID]bool{}
	for _, c := range m.GetChapters() {
		id, ok := chapterID(c)
		if !ok || seen[id] {
			return faulty(CheckChapters, "each chapter once", "one twice, or one with an id that is none")
		}
		seen[id] = true
		sum.Add(sum, big.NewInt(c.GetAmountMinor()))
	}
	if sum.Cmp(amount) != 0 {
		return faulty(CheckChapters, fmt.Sprintf("a sum of %s", amount), sum)
	}
	if len(m.GetChapters()) > len(shares) {
		return faulty(CheckChapters, fmt.Sprintf("at most %d chapters", len(shares)), len(m.GetChapters()))
	}
	// Each bit of placed is one member; reachable holds the sets of members that the chapters so far may have.
	everyone := 1<<len(shares) - 1
	sums := sumsOfSets(shares)
	reachable := map[int]bool{0: true}
	for _, c := range m.GetChapters() {
		want := big.NewInt(c.GetAmountMinor())
		next := map[int]bool{}
		for placed := range reachable {
			free := everyone &^ placed
			for some := free; some > 0; some = (some - 1) & free {
				if sums[some].Cmp(want) == 0 {
					next[placed|some] = true
				}
			}
		}
		reachable = next
	}
	if !reachable[everyone] {
		return faulty(CheckChapters, "the shares of the members in each chapter", "amounts that no members add up to")
	}
	return nil
}

// sumsOfSets gives the sum of each set of shares, a set being the bits of its index. There are at most ten shares.
func sumsOfSets(shares []*big.Int) []*big.Int {
	sums := []*big.Int{new(big.Int)}
	for _, s := range shares {
		for _, without := range sums {
			sums = append(sums, new(big.Int).Add(without, s))
		}
	}
	return sums
}
