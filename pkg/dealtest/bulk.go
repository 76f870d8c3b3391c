package dealtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/volume"
)

// What a Bulk is made of.
const (
	BulkCompanies = 5000
	BulkYears     = 25 // the first one is BulkFirstYear
	BulkFirstYear = 2001
	BulkLastYear  = BulkFirstYear + BulkYears - 1

	bulkChapters = 40
	maxTemplates = 8192
	bulkApart    = 1024 // so many events lie between two of one deal
)

// Bulk is a long history of many deals that is made quickly: some thousands are decided, attributed and encoded as the
// registry does, and all others are copies with an id, a reference and a chain of hashes of their own. Nine of ten are a
// registrar's imports, one event each; the tenth is registered, accepted, closed and attested by two to four companies.
// The same seed and number of deals make the same bytes.
type Bulk struct {
	Associations []volume.Association

	deals, seed uint64
	first       calendar.Date // the earliest day on which a deal is won
	days        int
	begun, step uint64
	rand        *rand.Rand
	rates       *money.Table
	templates   [][]template // the events of a deal
	copies      []int64      // how many deals were begun of each
	open        [bulkApart]openDeal
	opened      int
}

// template is an event and where what differs stands in it: the deal's id, the reference's number, the hash of before.
type template struct {
	payload              []byte
	ids, numbers, hashes []int
}

// openDeal has events to come.
type openDeal struct {
	events   []template // none: there is no deal
	id       deal.ID
	number   []byte
	previous [sha256.Size]byte
}

// The stand-ins in the templates.
var (
	anyDeal = deal.ID{0xd0, 0x0d, 0xfe, 0xed, 0xd0, 0x0d, 0x7e, 0xed, 0x90, 0x0d, 0xfe, 0xed, 0xd0, 0x0d, 0xfe, 0xed}
	anyRef  = []byte("000000000000")
)

// NewBulk makes the history of so many deals, at least one.
func NewBulk(deals int, seed uint64) *Bulk {
	b := newBulk(deals, seed)
	b.first, b.days = calendar.New(BulkFirstYear, 1, 1), BulkYears*365
	b.Associations = []volume.Association{
		{ID: bulkID(3, 1), Currency: "EUR", YearStartsIn: time.January, Chapters: chapters(1, func(i uint32) bool { return i%5 != 4 })},
		{ID: bulkID(3, 2), Currency: "JPY", YearStartsIn: time.July, Chapters: chapters(2, func(i uint32) bool { return i%3 != 0 })},
	}
	b.fill(maxTemplates)
	return b
}

// NewBulkYear makes a history in which all deals are won in one year, in one association of all companies: so many pairs
// as a busy year has, which is why eight times as many deals are no copies.
func NewBulkYear(deals int, seed uint64) *Bulk {
	b := newBulk(deals, seed)
	b.first, b.days = calendar.New(BulkLastYear, 1, 1), 365
	b.Associations = []volume.Association{
		{ID: bulkID(3, 1), Currency: "EUR", YearStartsIn: time.January, Chapters: chapters(1, func(uint32) bool { return true })},
	}
	b.fill(8 * maxTemplates)
	return b
}

func newBulk(deals int, seed uint64) *Bulk {
	b := &Bulk{
		deals: uint64(deals), seed: seed, // #nosec G115 -- not negative
		rand: rand.New(rand.NewPCG(seed, 0)), rates: money.NewTable("test"), //nolint:gosec // no secret
	}
	for day := calendar.New(BulkFirstYear-1, 12, 1); day < calendar.New(BulkFirstYear+BulkYears, 1, 1); day = day.AddDays(3) {
		must(b.rates.Put(money.Day{Date: day, Rates: map[money.Currency]string{"USD": "1.0823", "JPY": "161.57"}}))
	}
	return b
}

// fill decides the deals of which all others are copies.
func (b *Bulk) fill(most int) {
	for uint64(len(b.templates)) < min(b.deals, uint64(most)) { // #nosec G115 -- not negative
		b.templates = append(b.templates, b.history())
	}
	b.copies = make([]int64, len(b.templates))
}

// chapters puts each member into a chapter of the association.
func chapters(association uint32, member func(i uint32) bool) map[deal.ID]deal.ID {
	result := map[deal.ID]deal.ID{}
	for i := range uint32(BulkCompanies) {
		if member(i) {
			result[bulkID(1, i)] = bulkID(2, association*bulkChapters+i%bulkChapters)
		}
	}
	return result
}

// Next gives the next event of the history and its deal, and whether there was one. The payload stays as it is until the
// next call.
func (b *Bulk) Next() (id deal.ID, payload []byte, more bool) {
	for b.begun < b.deals || b.opened > 0 {
		at := &b.open[b.step%bulkApart]
		b.step++
		if len(at.events) == 0 {
			if b.begun == b.deals {
				continue
			}
			*at = b.begin()
			b.opened++
		}
		payload = at.next()
		if len(at.events) == 0 {
			b.opened--
		}
		return at.id, payload, true
	}
	return deal.ID{}, nil, false
}

// Fold adds up what the deals count for at the end of the history, when Next has given the last event: what each deal
// counts for that others are copies of, as Fold finds it, once for each copy.
func (b *Bulk) Fold() map[Key]Sums {
	total := map[Key]Sums{}
	for i, events := range b.templates {
		if b.copies[i] == 0 {
			continue
		}
		e, err := stream.Decode(events[len(events)-1].payload)
		must(err)
		copies := big.NewInt(b.copies[i])
		for key, of := range Fold([]stream.Stored{{Event: e}}) {
			s, there := total[key]
			if !there {
				s = Sums{Amount: new(big.Int), ByParties: new(big.Int)}
			}
			s.Amount.Add(s.Amount, of.Amount.Mul(of.Amount, copies))
			s.ByParties.Add(s.ByParties, of.ByParties.Mul(of.ByParties, copies))
			s.Deals += of.Deals * b.copies[i]
			s.Unconverted += of.Unconverted * b.copies[i]
			total[key] = s
		}
	}
	return total
}

// begin opens the next deal.
func (b *Bulk) begin() openDeal {
	b.begun++
	o := openDeal{number: fmt.Appendf(nil, "%0*d", len(anyRef), b.begun)}
	seeded := sha256.Sum256(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, b.seed), b.begun))
	copy(o.id[:], seeded[:])
	o.id[6], o.id[8] = o.id[6]&0x0f|0x50, o.id[8]&0x3f|0x80
	of := binary.BigEndian.Uint32(seeded[16:]) % uint32(len(b.templates)) // #nosec G115 -- some thousands
	o.events = b.templates[of]
	b.copies[of]++
	return o
}

// next fills the deal's next event in.
func (o *openDeal) next() []byte {
	e := &o.events[0]
	o.events = o.events[1:]
	for _, i := range e.ids {
		copy(e.payload[i:], o.id[:])
	}
	for _, i := range e.numbers {
		copy(e.payload[i:], o.number)
	}
	for _, i := range e.hashes {
		copy(e.payload[i:], o.previous[:])
	}
	if len(o.events) > 0 {
		o.previous = sha256.Sum256(e.payload)
	}
	return e.payload
}

// history makes one deal and what it goes through.
func (b *Bulk) history() []template {
	wonOn := b.first.AddDays(b.rand.IntN(b.days))
	at := wonOn.Time().Add(9*time.Hour + time.Duration(b.rand.IntN(8*3600))*time.Second)
	terms, members := b.terms(wonOn)
	create := deal.Command{
		Move: deal.Import, By: deal.Actor{Association: b.Associations[b.rand.IntN(len(b.Associations))].ID}, Deal: anyDeal, Reference: "contract 7",
		Details: &deal.Details{
			Title: fmt.Sprintf("Payroll roll-out in %d countries", 1+b.rand.IntN(40)), ExternalRef: string(anyRef),
			Customer: deal.Customer{Name: fmt.Sprintf("Contoso %d AG", b.rand.IntN(3000)), Country: "DE", Domain: fmt.Sprintf("contoso%d.example", b.rand.IntN(3000))},
		},
	}
	commands := []deal.Command{create}
	if b.rand.IntN(10) == 0 {
		commands[0].Move, commands[0].By, commands[0].Reference = deal.Register, deal.Actor{Company: terms.Parties[0].Company}, ""
		for _, move := range []deal.Move{deal.Accept, deal.Propose, deal.Attest} {
			for i, p := range terms.Parties {
				if (i == 0) == (move == deal.Propose) {
					commands = append(commands, deal.Command{Move: move, By: deal.Actor{Company: p.Company}})
				}
			}
		}
	}
	var result []template
	var before *stream.Stored
	for i, c := range commands {
		c.Today, c.Terms, c.Members = wonOn, terms, members
		if c.Move == deal.Accept || c.Move == deal.Attest {
			c.Terms = nil
		}
		current := deal.Deal{}
		if before != nil {
			current = before.Deal
		}
		decided, err := deal.Decide(current, c, at.Add(time.Duration(i)*time.Minute))
		must(err)
		before = b.stored(decided, before)
		result = append(result, newTemplate(before))
	}
	return result
}

// stored makes the event of the log.
func (b *Bulk) stored(decided deal.Event, before *stream.Stored) *stream.Stored {
	e := stream.Event{Event: decided, Command: stream.Command{ID: fmt.Sprintf("%s-%d", anyRef, decided.Deal.Revision)}}
	if decided.Deal.Status == deal.Won {
		var counting []volume.Association
		for _, association := range b.Associations {
			if a, counts := volume.Attribute(decided.Deal, association, b.rates); counts {
				e.Attributions, counting = append(e.Attributions, a), append(counting, association)
			}
		}
		if len(counting) > 0 {
			together, _ := volume.Unduplicated(decided.Deal, counting, b.rates)
			e.Unduplicated = &together
		}
	}
	for _, s := range decided.Deal.Standings {
		e.Audience.Companies = append(e.Audience.Companies, s.Company)
	}
	for _, a := range b.Associations {
		e.Audience.Associations = append(e.Audience.Associations, a.ID)
	}
	draft, err := stream.NewDraft(e, before)
	must(err)
	return &stream.Stored{Payload: draft.Payload, Event: draft.Event}
}

func (b *Bulk) terms(wonOn calendar.Date) (*deal.Terms, map[deal.ID]bool) {
	value := int64(math.Pow(10, 5+4*b.rand.Float64()))
	t := &deal.Terms{Value: money.Amount{Minor: value, Currency: []money.Currency{"EUR", "EUR", "USD", "JPY"}[b.rand.IntN(4)]}, WonOn: &wonOn}
	members, weights := map[deal.ID]bool{}, []int64{}
	first := b.rand.IntN(BulkCompanies)
	for i := range 2 + max(0, b.rand.IntN(10)-7) {
		n := uint32((first + i*(1+b.rand.IntN(97))) % BulkCompanies) // #nosec G115 -- below BulkCompanies
		company, group := bulkID(1, n), bulkID(1, n)
		if n%20 == 19 {
			group = bulkID(1, n-1)
		}
		if _, twice := members[company]; twice || i == 1 && t.Parties[0].Group == group {
			return b.terms(wonOn)
		}
		role := deal.Delivery
		if i == 0 {
			role = deal.Lead
		}
		members[company] = slices.ContainsFunc(b.Associations, func(a volume.Association) bool {
			_, is := a.Chapters[company]
			return is
		})
		t.Parties = append(t.Parties, deal.Party{Company: company, Group: group, Role: role})
		weights = append(weights, int64(1+b.rand.IntN(4)))
	}
	for i, share := range money.Spread(value, weights) {
		t.Parties[i].ShareMinor = share
	}
	return t, members
}

func newTemplate(e *stream.Stored) template {
	t := template{payload: bytes.Clone(e.Payload), ids: places(e.Payload, anyDeal[:]), numbers: places(e.Payload, anyRef)}
	if e.PreviousHash != nil {
		t.hashes = places(e.Payload, e.PreviousHash)
	}
	return t
}

// places tells where the part begins in the text.
func places(text, part []byte) (result []int) {
	for from := 0; ; {
		i := bytes.Index(text[from:], part)
		if i < 0 {
			return result
		}
		result, from = append(result, from+i), from+i+len(part)
	}
}

// bulkID gives the n-th id of a kind.
func bulkID(kind byte, n uint32) deal.ID {
	result := deal.ID{0: kind, 1: 0xb0, 6: 0x70, 8: 0x80}
	binary.BigEndian.PutUint32(result[12:], n)
	return result
}
