// Package dealtest makes histories of deals for tests and benchmarks, as the registry could have written them, and
// folds them in the most naive way, to check what cleverer code adds up.
//
// Every choice comes from one function, so a history is a function of its choices: of a seed, or of what a property
// test draws and shrinks.
package dealtest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/volume"
)

// Choose gives a number from 0 to n-1. A history of zeros is the simplest one.
type Choose func(n int) int

// Seeded chooses as the seed says.
func Seeded(seed uint64) Choose { return rand.New(rand.NewPCG(seed, seed)).IntN } //nolint:gosec // no secret

// Start is the time before the first event of a history.
var Start = time.Date(2025, 1, 10, 9, 0, 0, 0, time.UTC)

// Workload is a registry of companies that win deals together in two associations. It is not safe for concurrent use.
type Workload struct {
	Associations []volume.Association
	Companies    []deal.ID

	choose Choose
	world  uint32
	at     time.Time
	rates  *money.Table
	deals  []*stream.Stored // the latest event of each deal
	last   uint64           // sequence
}

// NewWorkload gives a registry without deals. The first association reports in EUR from January on, the second one in JPY
// from July on; most companies are in both, one is in none. Nobody publishes rates of SEK before the history does. Two worlds
// share no id.
func NewWorkload(world uint32, choose Choose) *Workload {
	w := &Workload{choose: choose, world: world, at: Start, rates: money.NewTable("test")}
	for i := range uint32(9) {
		w.Companies = append(w.Companies, w.id(1, i))
	}
	chapters := func(association uint32, skip int) map[deal.ID]deal.ID {
		result := map[deal.ID]deal.ID{}
		for i, company := range w.Companies[:8] {
			if i != skip {
				result[company] = w.id(2, association*10+uint32(i%3)) // #nosec G115 -- below 3
			}
		}
		return result
	}
	w.Associations = []volume.Association{
		{ID: w.id(3, 1), Currency: "EUR", YearStartsIn: time.January, Chapters: chapters(1, 2)},
		{ID: w.id(3, 2), Currency: "JPY", YearStartsIn: time.July, Chapters: chapters(2, 5)},
	}
	for day := calendar.New(2024, 1, 2); day < calendar.New(2030, 1, 1); day = day.AddDays(3) {
		if day.Time().Month() != time.May { // a month in which nothing can be converted
			must(w.rates.Put(money.Day{Date: day, Rates: map[money.Currency]string{"USD": "1.0823", "JPY": "161.57"}}))
		}
	}
	return w
}

// group of a company: neighbors are never in the same one, the first and the fourth are.
func (w *Workload) group(company deal.ID) deal.ID {
	if company == w.Companies[3] {
		company = w.Companies[0]
	}
	return company
}

// Next makes the next event of the history, with its payload; its sequence is the number of calls so far.
func (w *Workload) Next() stream.Stored {
	for {
		w.pass()
		if w.choose(50) == 49 { // a missing rate comes
			must(w.rates.Set(calendar.DateOf(w.at, time.UTC), "SEK", "11.2045"))
		}
		var before *stream.Stored
		if len(w.deals) > 0 && w.choose(5) != 0 {
			before = w.deals[w.choose(len(w.deals))]
		}
		if e, decided := w.decide(before); decided {
			return w.append(e, before)
		}
	}
}

// pass lets time pass: weeks at times, but only a second between two events once three years are over, so that a long
// history stays among the rates.
func (w *Workload) pass() {
	switch {
	case w.at.Year() >= Start.Year()+3:
		w.at = w.at.Add(time.Second)
	case w.choose(30) == 29:
		w.at = w.at.AddDate(0, 0, w.choose(20))
	default:
		w.at = w.at.Add(time.Duration(1+w.choose(90)) * time.Minute)
	}
}

func (w *Workload) decide(before *stream.Stored) (deal.Event, bool) {
	current := deal.Deal{}
	if before != nil {
		current = before.Deal
	}
	by := w.actor(current)
	moves := deal.Moves(current, by)
	if before == nil && !by.Company.IsZero() {
		moves = []deal.Move{deal.Register, deal.Import}
	}
	if len(moves) == 0 {
		return deal.Event{}, false
	}
	move := moves[w.choose(len(moves))]
	for _, onward := range []deal.Move{deal.Accept, deal.Propose, deal.Attest} {
		if slices.Contains(moves, onward) && w.choose(6) != 5 {
			move = onward
		}
	}
	e, err := deal.Decide(current, w.command(current, move, by), w.at)
	return e, err == nil
}

// actor is a party most of the time; for a new deal the company that will be its lead, or a registrar.
func (w *Workload) actor(d deal.Deal) deal.Actor {
	who := w.choose(8)
	switch {
	case who == 7 && d.Status != deal.New:
		return deal.Actor{IsSystem: true}
	case who >= 6:
		return deal.Actor{Association: w.Associations[w.choose(2)].ID}
	case d.Status == deal.New:
		return deal.Actor{Company: w.Companies[w.choose(len(w.Companies))]}
	}
	return deal.Actor{Company: d.Standings[w.choose(len(d.Standings))].Company}
}

func (w *Workload) command(d deal.Deal, move deal.Move, by deal.Actor) deal.Command {
	c := deal.Command{
		Move: move, By: by, Today: calendar.DateOf(w.at, time.UTC), Deal: w.id(4, uint32(len(w.deals))), // #nosec G115 -- a test's deals
		Reason: "because", Reference: "contract 7", Members: map[deal.ID]bool{},
	}
	for _, company := range w.Companies[:8] {
		c.Members[company] = true
	}
	if move == deal.Register || move == deal.Import {
		c.Details = &deal.Details{
			Title: fmt.Sprintf("Deal %d", len(w.deals)), Customer: deal.Customer{Name: "Contoso AG", Country: "DE", Domain: "contoso.example"},
		}
		first := slices.Index(w.Companies, by.Company)
		if first < 0 {
			first = w.choose(len(w.Companies))
		}
		var companies []deal.ID
		for i := range 2 + w.choose(3) {
			companies = append(companies, w.Companies[(first+i)%len(w.Companies)])
		}
		c.Terms = w.terms(companies)
	}
	if move == deal.Edit || move == deal.Propose || move == deal.Correct {
		var companies []deal.ID
		for _, p := range d.Parties {
			companies = append(companies, p.Company)
		}
		c.Terms = w.terms(companies)
	}
	return c
}

func (w *Workload) terms(companies []deal.ID) *deal.Terms {
	currency := []money.Currency{"EUR", "USD", "JPY", "SEK"}[w.choose(4)]
	value := int64(1 + w.choose(9_999_999))
	if w.choose(20) == 19 {
		value = money.MaxMinor
	}
	wonOn := calendar.DateOf(w.at, time.UTC).AddDays(-w.choose(400))
	t := &deal.Terms{Value: money.Amount{Minor: value, Currency: currency}, WonOn: &wonOn}
	weights := make([]int64, len(companies))
	for i := range companies {
		weights[i] = int64(w.choose(4))
	}
	weights[0]++ // some share must be above 0
	for i, share := range money.Spread(value, weights) {
		role := deal.Delivery
		if i == 0 {
			role = deal.Lead
		}
		t.Parties = append(t.Parties, deal.Party{Company: companies[i], Group: w.group(companies[i]), Role: role, ShareMinor: share})
	}
	return t
}

// append makes the event of the log.
func (w *Workload) append(e deal.Event, before *stream.Stored) stream.Stored {
	event := stream.Event{Event: e, Command: stream.Command{ID: fmt.Sprintf("key-%d", w.last+1)}}
	if before != nil {
		event.Replaces, event.UnduplicatedReplaces = before.Attributions, before.Unduplicated
	}
	event.Attributions = w.attributions(e, event.Replaces)
	event.Unduplicated = w.unduplicated(event)
	for _, s := range e.Deal.Standings {
		event.Audience.Companies = append(event.Audience.Companies, s.Company)
	}
	event.Audience.Associations = []deal.ID{w.Associations[0].ID, w.Associations[1].ID}
	draft, err := stream.NewDraft(event, before)
	must(err)
	w.last++
	stored := stream.Stored{Sequence: w.last, Payload: draft.Payload, Event: draft.Event}
	if before != nil {
		*before = stored
	} else {
		w.deals = append(w.deals, &stored)
	}
	return stored
}

func (w *Workload) attributions(e deal.Event, before []volume.Attribution) []volume.Attribution {
	switch {
	case e.Deal.Status != deal.Won:
		return nil
	case e.Type == deal.EventExcluded:
		return slices.DeleteFunc(slices.Clone(before), func(a volume.Attribution) bool { return a.Association == e.By.Association })
	case e.Type != deal.EventWon && e.Type != deal.EventCorrected && e.Type != deal.EventRestated:
		return before
	}
	duplicate := w.choose(8) == 7
	var result []volume.Attribution
	for _, association := range w.Associations {
		a, counts := volume.Attribute(e.Deal, association, w.rates)
		if !counts {
			continue
		}
		if duplicate {
			a.AmountMinor, a.Chapters, a.Pairs, a.Quote, a.Withheld = 0, nil, nil, nil, volume.Duplicate
		}
		result = append(result, a)
	}
	return result
}

// unduplicated is what counts in all associations together after the event, which has its attributions. A deal of the
// workload repeats another one everywhere or nowhere.
func (w *Workload) unduplicated(e stream.Event) *volume.Attribution {
	switch {
	case len(e.Attributions) == 0:
		return nil
	case e.Type != deal.EventWon && e.Type != deal.EventCorrected && e.Type != deal.EventRestated && e.Type != deal.EventExcluded:
		return e.UnduplicatedReplaces
	}
	counting := slices.DeleteFunc(slices.Clone(w.Associations), func(association volume.Association) bool {
		return !slices.ContainsFunc(e.Attributions, func(a volume.Attribution) bool { return a.Association == association.ID })
	})
	result, _ := volume.Unduplicated(e.Deal, counting, w.rates)
	if e.Attributions[0].Withheld == volume.Duplicate {
		result.AmountMinor, result.Quote, result.Withheld = 0, nil, volume.Duplicate
	}
	return &result
}

// id gives the n-th ID of a kind in this world.
func (w *Workload) id(kind byte, n uint32) deal.ID {
	result := deal.ID{0: kind, 6: 0x70, 8: 0x80}
	binary.BigEndian.PutUint32(result[2:], w.world)
	binary.BigEndian.PutUint32(result[12:], n)
	return result
}

func must(err error) {
	if err != nil {
		panic(err) // the workload itself is wrong
	}
}
