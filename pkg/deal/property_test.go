package deal_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
)

// Any commands of any actors at any times leave the deal as the rules want it, and leave every earlier deal as it was.
func TestDecide_KeepsItsPromisesWhateverHappens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		life := &workload{words: map[deal.ID]deal.Terms{}, at: noon}
		life.keep(t)
		t.Repeat(map[string]func(*rapid.T){
			"possible": func(t *rapid.T) { // a move that the table offers
				actor := drawActor(t)
				moves := slices.DeleteFunc(deal.Moves(life.deal, actor), func(m deal.Move) bool {
					return ends(m) && rapid.IntRange(0, 9).Draw(t, "keep alive") > 0
				})
				if len(moves) > 0 {
					life.decide(t, drawCommand(t, life.deal, rapid.SampledFrom(moves).Draw(t, "move"), actor))
				}
			},
			"on": func(t *rapid.T) { // one of the parties does what leads to a win
				for _, s := range life.deal.Standings {
					actor := by(s.Company)
					for _, move := range []deal.Move{deal.Accept, deal.Attest, deal.Propose} {
						if slices.Contains(deal.Moves(life.deal, actor), move) && life.decide(t, drawCommand(t, life.deal, move, actor)) {
							return
						}
					}
				}
			},
			"another deal": func(*rapid.T) {
				if life.deal.Status.Final() {
					*life = workload{words: map[deal.ID]deal.Terms{}, at: life.at}
				}
			},
			"any": func(t *rapid.T) {
				life.decide(t, drawCommand(t, life.deal, rapid.SampledFrom(moves).Draw(t, "move"), drawActor(t)))
			},
			"time passes": func(t *rapid.T) {
				hours := rapid.IntRange(1, 24*400).Draw(t, "hours")
				life.at = life.at.Add(time.Duration(hours) * time.Hour)
			},
			"": func(t *rapid.T) { life.check(t) },
		})
	})
}

// workload is one deal with all that it was, and the figures that each company gave its word for last.
type workload struct {
	deal    deal.Deal
	at      time.Time
	words   map[deal.ID]deal.Terms
	history []deal.Deal
	texts   []string // of the history, as it was
}

func (w *workload) keep(t *rapid.T) {
	w.history, w.texts = append(w.history, w.deal), append(w.texts, show(t, w.deal))
}

// decide tells whether the command caused an event.
func (w *workload) decide(t *rapid.T, c deal.Command) bool {
	w.at = w.at.Add(time.Second)
	before := w.deal
	e, err := deal.Decide(before, c, w.at)
	var refusal *deal.TransitionError
	var faults deal.Invalid
	switch {
	case errors.As(err, &refusal):
		if refusal.From != before.Status || refusal.Move != c.Move || refusal.Error() == "" {
			t.Fatalf("%s of %q: %v", c.Move, before.Status, err)
		}
		return false
	case errors.As(err, &faults):
		return false
	case err != nil:
		t.Fatalf("%s of %q: %v", c.Move, before.Status, err)
	}
	after := deal.Apply(before, e)
	if show(t, after) != show(t, e.Deal) || show(t, deal.Apply(after, e)) != show(t, after) {
		t.Fatal("Apply is not the deal after the event, or twice is not once")
	}
	w.deal = after
	w.keep(t)
	w.checkStep(t, before, c, e)
	return true
}

func (w *workload) checkStep(t *rapid.T, before deal.Deal, c deal.Command, e deal.Event) {
	after := e.Deal
	if after.Revision != before.Revision+1 || !after.UpdatedAt.Equal(w.at) || e.Type == "" || before.Status.Final() {
		t.Fatalf("%s of %q gives revision %d after %d of type %q", c.Move, before.Status, after.Revision, before.Revision, e.Type)
	}
	if !slices.ContainsFunc(deal.Life(), func(r deal.Transition) bool {
		return r.From == before.Status && r.Move == c.Move && r.To == after.Status && holds(r.By, c.By, before)
	}) {
		t.Fatalf("%s leads from %q to %q without a row for the actor", c.Move, before.Status, after.Status)
	}
	if since := after.StatusSince; (after.Status != before.Status) != since.Equal(w.at) || after.Status == before.Status && !since.Equal(before.StatusSince) {
		t.Fatalf("%s from %q to %q gives a status since %s", c.Move, before.Status, after.Status, since)
	}
	if before.Status != deal.New {
		if rises := !sameFigures(before.Terms, after.Terms); rises != (after.TermsVersion > before.TermsVersion) || after.TermsVersion < before.TermsVersion {
			t.Fatalf("%s takes version %d to %d, other figures: %t", c.Move, before.TermsVersion, after.TermsVersion, rises)
		}
	}
	w.checkWords(t, before, c, e)
}

// checkWords follows what companies gave their word for, apart from the versions and standings of the deal.
func (w *workload) checkWords(t *rapid.T, before deal.Deal, c deal.Command, e deal.Event) {
	switch c.Move {
	case deal.Propose, deal.Correct:
		w.words[c.By.Company] = *c.Terms
	case deal.Import:
		if !c.By.Company.IsZero() {
			w.words[c.By.Company] = *c.Terms
		}
	case deal.Attest:
		w.words[c.By.Company] = before.Terms
		if before.Correction != nil {
			w.words[c.By.Company] = before.Correction.Terms
		}
	default: // gives no word
	}
	after := e.Deal
	wins := after.Status == deal.Won && before.Status != deal.Won
	changes := before.Status == deal.Won && !sameFigures(before.Terms, after.Terms)
	if !wins && !changes {
		return
	}
	if c.Move == deal.Import {
		if after.Evidence != deal.ByRegistrar || after.ImportedBy != c.By.Association || after.EvidenceReference == "" {
			t.Fatalf("an import counts by %q on %q", after.Evidence, after.EvidenceReference)
		}
		return
	}
	if c.Move != deal.Attest || after.Evidence != deal.ByParties {
		t.Fatalf("%s changes what counts, by %q", c.Move, after.Evidence)
	}
	parties := after.Parties
	if changes {
		parties = append(slices.Clone(parties), before.Parties...)
	}
	for _, p := range parties {
		if word, said := w.words[p.Company]; !said || !sameFigures(word, after.Terms) {
			t.Fatalf("%s counts without the word of %s for it", e.Type, p.Company)
		}
		if s, stays := after.Standing(p.Company); stays && s.AttestedTerms != after.TermsVersion {
			t.Fatalf("%s has attested version %d of %d", p.Company, s.AttestedTerms, after.TermsVersion)
		}
	}
}

func (w *workload) check(t *rapid.T) {
	for i, d := range w.history {
		if show(t, d) != w.texts[i] {
			t.Fatalf("revision %d changed later on", d.Revision)
		}
	}
	d := w.deal
	if d.Status == deal.New {
		return
	}
	checkTerms(t, d.Terms)
	expected := map[deal.ID]bool{}
	for _, p := range d.Parties {
		expected[p.Company] = true
	}
	if c := d.Correction; c != nil {
		checkTerms(t, c.Terms)
		for _, p := range c.Terms.Parties {
			expected[p.Company] = true
		}
		if d.Status != deal.Won || c.TermsVersion <= d.TermsVersion || sameFigures(c.Terms, d.Terms) {
			t.Fatalf("a correction of version %d to a deal that is %s with version %d", c.TermsVersion, d.Status, d.TermsVersion)
		}
	}
	if len(d.Standings) != len(expected) {
		t.Fatalf("%d standings for %d parties", len(d.Standings), len(expected))
	}
	for i, s := range d.Standings {
		if !expected[s.Company] || i < len(d.Parties) && s.Company != d.Parties[i].Company {
			t.Fatalf("standing %d is that of %s", i, s.Company)
		}
	}
	if (d.DisputedFrom != deal.New) != (d.Status == deal.Disputed) {
		t.Fatalf("a deal that is %s would return to %q", d.Status, d.DisputedFrom)
	}
	wasWon := slices.ContainsFunc(w.history, func(before deal.Deal) bool { return before.Status == deal.Won })
	if (d.Evidence != "") != (d.Status == deal.Won || wasWon) {
		t.Fatalf("a deal that is %s has evidence %q", d.Status, d.Evidence)
	}
}

func checkTerms(t *rapid.T, terms deal.Terms) {
	var sum int64
	leads, groups, companies := 0, map[deal.ID]bool{}, map[deal.ID]bool{}
	for _, p := range terms.Parties {
		sum += p.ShareMinor
		groups[p.Group], companies[p.Company] = true, true
		if p.Role == deal.Lead {
			leads++
		}
	}
	n := len(terms.Parties)
	if sum != terms.Value.Minor || n < deal.MinParties || n > deal.MaxParties || len(companies) != n || leads != 1 || len(groups) < 2 {
		t.Fatalf("%d parties of %d companies and %d groups with %d leads share %d of %d", n, len(companies), len(groups), leads, sum, terms.Value.Minor)
	}
}

// sameFigures compares terms as a reader would, apart from the package's own comparison.
func sameFigures(a, b deal.Terms) bool {
	byCompany := func(p, q deal.Party) int { return p.Company.Compare(q.Company) }
	return a.Value == b.Value && (a.WonOn == nil) == (b.WonOn == nil) && (a.WonOn == nil || *a.WonOn == *b.WonOn) &&
		slices.Equal(slices.SortedFunc(slices.Values(a.Parties), byCompany), slices.SortedFunc(slices.Values(b.Parties), byCompany))
}

// holds says in its own way what a capacity means.
func holds(c deal.Capacity, a deal.Actor, d deal.Deal) bool {
	_, party := d.Standing(a.Company)
	isCompany := a.Company != deal.ID{}
	switch c {
	case deal.Registrant:
		return isCompany && (d.Status == deal.New || a.Company == d.RegisteredBy)
	case deal.LeadParty:
		return isCompany && slices.ContainsFunc(d.Parties, func(p deal.Party) bool { return p.Company == a.Company && p.Role == deal.Lead })
	case deal.AnyParty:
		return isCompany && party
	case deal.Invited:
		return isCompany && party && a.Company != d.RegisteredBy
	case deal.Registrar:
		return a.Association != deal.ID{}
	case deal.System:
		return a.IsSystem
	}
	return false
}

func ends(m deal.Move) bool {
	return slices.Contains([]deal.Move{deal.Withdraw, deal.Lose, deal.Decline, deal.Annul, deal.Expire}, m)
}

func drawActor(t *rapid.T) deal.Actor {
	n := rapid.IntRange(1, 9).Draw(t, "actor")
	switch n {
	case 7:
		return system
	case 8:
		return registrar
	case 9:
		return deal.Actor{}
	}
	return by(company(byte(n)))
}

func drawCommand(t *rapid.T, d deal.Deal, move deal.Move, actor deal.Actor) deal.Command {
	c := command(move, actor)
	c.Members = map[deal.ID]bool{company(1): true, company(2): true, company(5): true}
	switch move {
	case deal.Register, deal.Import, deal.Correct:
		c.Terms = drawTerms(t, d)
	case deal.Propose:
		if c.Terms = drawTerms(t, d); rapid.IntRange(0, 9).Draw(t, "other companies") > 0 {
			c.Terms.Parties = slices.Clone(d.Parties)
			c.Terms.Value = d.Value
		}
	case deal.Edit:
		if rapid.Bool().Draw(t, "edit terms") {
			c.Terms = drawTerms(t, d)
		}
	default: // brings no terms
	}
	if rapid.IntRange(0, 19).Draw(t, "without a reason") == 0 {
		c.Reason = ""
	}
	return c
}

// drawTerms draws terms of up to six companies in five groups, which are mostly sound, or those in force.
func drawTerms(t *rapid.T, d deal.Deal) *deal.Terms {
	wonOn := calendar.Date(int32(today) - int32(rapid.IntRange(-1, 3).Draw(t, "days ago"))) // #nosec G115 -- a few days
	if d.Status != deal.New && rapid.IntRange(0, 9).Draw(t, "the same terms") == 0 {
		same := d.Terms
		return &same
	}
	numbers := rapid.Permutation([]int{1, 2, 3, 4, 5, 6}).Draw(t, "companies")
	n := rapid.IntRange(1, 5).Draw(t, "parties")
	if rapid.Bool().Draw(t, "at least two") {
		n = max(n, 2)
	}
	result := &deal.Terms{Value: money.Amount{Currency: "EUR"}, WonOn: &wonOn}
	roles := []deal.PartyRole{deal.Delivery, deal.Reseller, deal.Vendor, deal.Advisor, deal.Other}
	for i, number := range numbers[:n] {
		role := deal.Lead
		if i > 0 {
			role = rapid.SampledFrom(roles).Draw(t, "role")
		}
		p := party(byte(number), role, int64(rapid.IntRange(0, 1000).Draw(t, "share"))) // #nosec G115 -- up to 6
		if number == 6 {
			p.Group = group(5)
		}
		result.Value.Minor += p.ShareMinor
		result.Parties = append(result.Parties, p)
	}
	if rapid.IntRange(0, 19).Draw(t, "a wrong sum") == 0 {
		result.Value.Minor++
	}
	return result
}
