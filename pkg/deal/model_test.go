package deal_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
)

// Whatever is asked of a deal, by whomever and whenever, it does what a plain reading of the rules says: the model below
// knows the rules and nothing of how the package keeps them.
func TestDecide_DoesWhatThePlainRulesSay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var d deal.Deal
		m, at := newModel(), noon
		ask := func(t *rapid.T, c deal.Command) {
			c.Today = calendar.DateOf(at, time.UTC)
			want, allowed := m.foretell(c, at)
			e, err := deal.Decide(d, c, at)
			if allowed != (err == nil) {
				t.Fatalf("%s by %+v of a deal that is %q: the rules allow it: %t; the answer: %v", c.Move, c.By, d.Status, allowed, err)
			}
			if allowed {
				d = deal.Apply(d, e)
				if again := deal.Apply(d, e); show(t, again) != show(t, d) {
					t.Fatalf("%s applied twice is not once", e.Type)
				}
				if e.Type != want {
					t.Fatalf("%s of a deal that is now %q is the event %q, want %q", c.Move, d.Status, e.Type, want)
				}
			}
			m.compare(t, d)
		}
		t.Repeat(map[string]func(*rapid.T){
			"anything": func(t *rapid.T) {
				ask(t, modelCommand(t, m, rapid.SampledFrom(moves).Draw(t, "move"), drawActor(t), at))
			},
			"something apt": func(t *rapid.T) {
				for range rapid.IntRange(1, 9).Draw(t, "times") {
					ask(t, modelCommand(t, m, rapid.SampledFrom(apt[m.status]).Draw(t, "move"), m.someone(t), at))
				}
			},
			"what leads on": func(t *rapid.T) { // each company in turn says the word that the deal waits for
				for _, id := range m.everyone() {
					if move, waits := leadsOn[m.status]; waits {
						ask(t, modelCommand(t, m, move, by(id), at))
					}
				}
			},
			"agreement": func(t *rapid.T) { // each company agrees to what one of them wants for a won deal
				if m.status == deal.Won && rapid.IntRange(0, 9).Draw(t, "void") == 0 {
					for _, id := range m.everyone() {
						ask(t, modelCommand(t, m, deal.Annul, by(id), at))
					}
				} else if m.status == deal.Won {
					ask(t, modelCommand(t, m, deal.Correct, m.someone(t), at))
				}
			},
			"time": func(t *rapid.T) {
				wait := time.Duration(rapid.IntRange(1, 20*24).Draw(t, "hours")) * time.Hour
				if due, some := m.due(); some && rapid.Bool().Draw(t, "to the end of the wait") {
					wait = max(due.Sub(at)-time.Duration(rapid.IntRange(0, 1).Draw(t, "seconds before"))*time.Second, 1)
				}
				at = at.Add(wait)
				ask(t, modelCommand(t, m, deal.Expire, system, at))
			},
			"": func(t *rapid.T) {
				at = at.Add(time.Second)
				if m.over() && rapid.Bool().Draw(t, "another deal") {
					m, d = newModel(), deal.Deal{}
				}
				for tries := 0; m.status == deal.New && tries < 5; tries++ {
					ask(t, modelCommand(t, m, rapid.SampledFrom(apt[m.status]).Draw(t, "move"), m.someone(t), at))
				}
			},
		})
	})
}

var leadsOn = map[deal.Status]deal.Move{deal.Pending: deal.Accept, deal.Active: deal.Propose, deal.Closing: deal.Attest, deal.Won: deal.Attest}

// apt are the moves that somebody may make in a status.
var apt = map[deal.Status][]deal.Move{
	deal.New:      {deal.Register, deal.Register, deal.Register, deal.Import},
	deal.Pending:  {deal.Accept, deal.Accept, deal.Accept, deal.Decline, deal.Edit, deal.Edit, deal.Dispute, deal.Withdraw, deal.Merge},
	deal.Active:   {deal.Propose, deal.Propose, deal.Propose, deal.Edit, deal.Edit, deal.Dispute, deal.Lose, deal.Withdraw, deal.Merge},
	deal.Closing:  {deal.Attest, deal.Attest, deal.Refuse, deal.Refuse, deal.Refuse, deal.Dispute, deal.Lose, deal.Withdraw, deal.Merge},
	deal.Won:      {deal.Correct, deal.Correct, deal.Attest, deal.Attest, deal.Refuse, deal.Annul, deal.Exclude, deal.Restate, deal.Merge},
	deal.Disputed: {deal.Settle},
	deal.Declined: moves, deal.Expired: moves, deal.Withdrawn: moves, deal.Lost: moves, deal.Void: moves,
}

// figures are what companies give their word for.
type figures struct {
	value   money.Amount
	parties map[deal.ID]deal.Party
	wonOn   calendar.Date // 0 for none
}

// model is one deal as the rules have it: who said what to which figures.
type model struct {
	status, cameFrom   deal.Status // cameFrom while it is disputed
	registrant         deal.ID     // the zero ID when a registrar imported it
	now, proposed      figures     // those in force, and those of an open correction
	correcting         bool
	version, openAs    int // the versions of both
	versions           int // given so far
	accepted, agreed   map[deal.ID]bool
	word               map[deal.ID]int // the version that a company attested and did not see refused
	excluded           map[deal.ID]bool
	attestedBy         deal.Evidence
	entered, lastEvent time.Time // when it came to its status
	events             int
}

func newModel() *model {
	return &model{accepted: map[deal.ID]bool{}, agreed: map[deal.ID]bool{}, word: map[deal.ID]int{}, excluded: map[deal.ID]bool{}}
}

func (m *model) over() bool {
	return slices.Contains([]deal.Status{deal.Declined, deal.Expired, deal.Withdrawn, deal.Lost, deal.Void}, m.status)
}

// everyone is each company that may speak, in a fixed order.
func (m *model) everyone() []deal.ID {
	all := maps.Clone(m.now.parties)
	maps.Copy(all, m.proposed.parties)
	return slices.SortedFunc(maps.Keys(all), deal.ID.Compare)
}

func (m *model) someone(t *rapid.T) deal.Actor {
	actors := []deal.Actor{registrar, by(company(1)), by(company(2)), by(m.registrant)}
	for _, id := range m.everyone() {
		actors = append(actors, by(id), by(id))
	}
	return rapid.SampledFrom(actors).Draw(t, "actor")
}

func (m *model) due() (time.Time, bool) {
	const day = 24 * time.Hour
	switch m.status {
	case deal.Pending:
		return m.entered.Add(14 * day), true
	case deal.Closing:
		return m.entered.Add(60 * day), true
	case deal.Active:
		return m.lastEvent.AddDate(1, 0, 0), true
	default:
		return time.Time{}, false
	}
}

// foretell says what the command causes, and brings the model there; or that it is refused.
func (m *model) foretell(c deal.Command, at time.Time) (deal.EventType, bool) {
	before := m.status
	what := m.step(c, at)
	if what == "" {
		return "", false
	}
	m.events++
	m.lastEvent = at
	if m.status != before {
		m.entered = at
	}
	return what, true
}

func (m *model) step(c deal.Command, at time.Time) deal.EventType {
	id, isCompany := c.By.Company, c.By.Company != deal.ID{}
	_, party := m.now.parties[id]
	_, invited := m.proposed.parties[id] // into an open correction
	registrant := isCompany && id == m.registrant
	isRegistrar := c.By.Association != deal.ID{}
	because := c.Reason != ""
	open := m.status == deal.Pending || m.status == deal.Active || m.status == deal.Closing

	switch c.Move {
	case deal.Register:
		f, sound := read(c.Terms)
		if _, in := f.parties[id]; m.status != deal.New || !isCompany || !sound || !in {
			return ""
		}
		f.wonOn = 0
		m.begin(f, id)
		m.status = deal.Pending
		return deal.EventRegistered
	case deal.Import:
		return m.bringIn(c)
	case deal.Edit:
		return m.rewrite(c)

	case deal.Accept:
		if m.status != deal.Pending || !party || registrant || m.accepted[id] {
			return ""
		}
		m.accepted[id] = true
		if len(m.accepted) < len(m.now.parties) {
			return deal.EventAccepted
		}
		m.status = deal.Active
		return deal.EventActivated
	case deal.Decline:
		if m.status != deal.Pending || !party || registrant || !because {
			return ""
		}
		m.leave(id)
		return deal.EventDeclined

	case deal.Withdraw:
		if !open || !registrant {
			return ""
		}
		m.status = deal.Withdrawn
		return deal.EventWithdrawn
	case deal.Lose:
		if m.status != deal.Active && m.status != deal.Closing || !party || m.now.parties[id].Role != deal.Lead || !because {
			return ""
		}
		m.status = deal.Lost
		return deal.EventLost

	case deal.Propose:
		f, sound := read(c.Terms)
		if m.status != deal.Active || !party || !sound || !m.reaches(c, f.wonOn) || !sameKeys(f.parties, m.now.parties) {
			return ""
		}
		m.take(f)
		m.word = map[deal.ID]int{id: m.version}
		m.status = deal.Closing
		return deal.EventClosing
	case deal.Attest:
		return m.attest(id, party, invited)
	case deal.Refuse:
		switch {
		case m.status == deal.Closing && party && because:
			m.status, m.word = deal.Active, map[deal.ID]int{}
		case m.correcting && (party || invited) && because:
			m.dropCorrection()
		default:
			return ""
		}
		return deal.EventRefused
	case deal.Correct:
		f, sound := read(c.Terms)
		if m.status != deal.Won || !party || !sound || !m.reaches(c, f.wonOn) || m.now.equal(f) {
			return ""
		}
		m.versions++
		m.proposed, m.correcting, m.openAs = f, true, m.versions
		m.word[id] = m.openAs
		return deal.EventTermsChanged

	case deal.Annul:
		if m.status != deal.Won || !party || !because || m.agreed[id] {
			return ""
		}
		m.agreed[id] = true
		if len(m.agreed) < len(m.now.parties) {
			return deal.EventVoidProposed
		}
		m.dropCorrection()
		m.status = deal.Void
		return deal.EventVoided
	case deal.Merge:
		if !open && m.status != deal.Won || !isRegistrar || !because {
			return ""
		}
		m.dropCorrection()
		m.status = deal.Void
		return deal.EventVoided
	case deal.Dispute:
		if !open || !isRegistrar || !because {
			return ""
		}
		m.cameFrom, m.status = m.status, deal.Disputed
		return deal.EventDisputed
	case deal.Settle:
		if m.status != deal.Disputed || !isRegistrar {
			return ""
		}
		m.status, m.cameFrom = m.cameFrom, deal.New
		return deal.EventSettled
	case deal.Exclude:
		if m.status != deal.Won || !isRegistrar || !because || m.excluded[c.By.Association] {
			return ""
		}
		m.excluded[c.By.Association] = true
		return deal.EventExcluded

	case deal.Expire:
		due, some := m.due()
		if !some || !c.By.IsSystem || at.Before(due) {
			return ""
		}
		if m.status == deal.Closing {
			m.status, m.word = deal.Active, map[deal.ID]int{}
		} else {
			m.status = deal.Expired
		}
		return deal.EventExpired
	case deal.Restate:
		if m.status != deal.Won || !c.By.IsSystem {
			return ""
		}
		return deal.EventRestated
	}
	return ""
}

func (m *model) begin(f figures, registrant deal.ID) {
	m.now, m.version, m.versions, m.registrant = f, 1, 1, registrant
	if registrant != (deal.ID{}) {
		m.accepted[registrant] = true
	}
}

func (m *model) bringIn(c deal.Command) deal.EventType {
	f, sound := read(c.Terms)
	if m.status != deal.New || !sound || !m.reaches(c, f.wonOn) {
		return ""
	}
	if c.By.Association != (deal.ID{}) {
		if c.Reference == "" {
			return ""
		}
		m.begin(f, deal.ID{})
		m.status, m.attestedBy = deal.Won, deal.ByRegistrar
		return deal.EventWon
	}
	if _, in := f.parties[c.By.Company]; !in {
		return ""
	}
	m.begin(f, c.By.Company)
	m.word[c.By.Company] = 1
	m.status = deal.Closing
	return deal.EventClosing
}

func (m *model) rewrite(c deal.Command) deal.EventType {
	if m.status != deal.Pending && m.status != deal.Active || c.By.Company == (deal.ID{}) || c.By.Company != m.registrant {
		return ""
	}
	if c.Terms == nil {
		return deal.EventEdited
	}
	f, sound := read(c.Terms)
	if _, stays := f.parties[m.registrant]; !sound || !stays {
		return ""
	}
	f.wonOn = m.now.wonOn
	if m.status == deal.Active && !sameKeys(f.parties, m.now.parties) {
		return ""
	}
	if m.now.equal(f) {
		return deal.EventEdited
	}
	m.take(f)
	if m.status == deal.Pending {
		m.accepted = map[deal.ID]bool{m.registrant: true}
	}
	m.forget()
	return deal.EventTermsChanged
}

// leave takes a party out of a pending deal, or ends the deal.
func (m *model) leave(id deal.ID) {
	rest, groups, lead := maps.Clone(m.now.parties), map[deal.ID]bool{}, deal.ID{}
	gone := rest[id]
	delete(rest, id)
	for _, p := range rest {
		groups[p.Group] = true
		if p.Role == deal.Lead {
			lead = p.Company
		}
	}
	if lead == (deal.ID{}) || len(groups) < 2 {
		m.status = deal.Declined
		return
	}
	p := rest[lead]
	p.ShareMinor += gone.ShareMinor
	rest[lead] = p
	m.take(figures{value: m.now.value, parties: rest, wonOn: m.now.wonOn})
	m.accepted = map[deal.ID]bool{m.registrant: true}
}

func (m *model) attest(id deal.ID, party, invited bool) deal.EventType {
	switch {
	case m.status == deal.Closing && party && m.word[id] != m.version:
		m.word[id] = m.version
		if !m.allSaid(m.version, m.now) {
			return deal.EventAttested
		}
		m.status, m.attestedBy = deal.Won, deal.ByParties
		return deal.EventWon
	case m.correcting && (party || invited) && m.word[id] != m.openAs:
		m.word[id] = m.openAs
		if !m.allSaid(m.openAs, m.now, m.proposed) {
			return deal.EventAttested
		}
		m.now, m.version, m.attestedBy = m.proposed, m.openAs, deal.ByParties
		m.agreed = map[deal.ID]bool{}
		m.dropCorrection()
		return deal.EventCorrected
	}
	return ""
}

func (m *model) allSaid(version int, all ...figures) bool {
	for _, f := range all {
		for id := range f.parties {
			if m.word[id] != version {
				return false
			}
		}
	}
	return true
}

func (m *model) dropCorrection() {
	m.correcting, m.proposed = false, figures{}
	m.forget()
}

// forget drops that companies accepted which are no party any more: taken in again, they are asked again.
func (m *model) forget() {
	for id := range m.accepted {
		if _, stays := m.now.parties[id]; !stays {
			delete(m.accepted, id)
		}
	}
}

// take puts figures in force, under a new version if they are others.
func (m *model) take(f figures) {
	if !m.now.equal(f) {
		m.versions++
		m.version = m.versions
	}
	m.now = f
}

// reaches tells whether the actor may name the day: none ahead, five years back for a company, to 1990 for a registrar. The
// day that stands may be named again.
func (m *model) reaches(c deal.Command, day calendar.Date) bool {
	if day == 0 {
		return false
	}
	if m.status != deal.New && day == m.now.wonOn {
		return true
	}
	earliest := c.Today.Time().AddDate(-5, 0, 0)
	if c.By.Association != (deal.ID{}) {
		earliest = time.Date(1990, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	return day <= c.Today && !day.Time().Before(earliest)
}

func (f figures) equal(g figures) bool {
	return f.value == g.value && f.wonOn == g.wonOn && maps.Equal(f.parties, g.parties)
}

func sameKeys(a, b map[deal.ID]deal.Party) bool {
	return slices.Equal(slices.SortedFunc(maps.Keys(a), deal.ID.Compare), slices.SortedFunc(maps.Keys(b), deal.ID.Compare))
}

// read takes the figures as they were sent, and tells whether they are sound.
func read(t *deal.Terms) (figures, bool) {
	f := figures{value: t.Value, parties: map[deal.ID]deal.Party{}}
	if t.WonOn != nil {
		f.wonOn = *t.WonOn
	}
	left, leads, groups, sound := t.Value.Minor, 0, map[deal.ID]bool{}, t.Value.Minor > 0
	for _, p := range t.Parties {
		left -= p.ShareMinor
		sound = sound && p.ShareMinor >= 0
		f.parties[p.Company], groups[p.Group] = p, true
		if p.Role == deal.Lead {
			leads++
		}
	}
	n := len(t.Parties)
	return f, sound && left == 0 && leads == 1 && len(groups) >= 2 && len(f.parties) == n && n >= 2 && n <= 10
}

// compare holds the deal against the model.
func (m *model) compare(t *rapid.T, d deal.Deal) {
	if d.Status != m.status || d.DisputedFrom != m.cameFrom || d.Revision != uint64(m.events) {
		t.Fatalf("the deal is %q (%q before) at revision %d, want %q (%q) at %d", d.Status, d.DisputedFrom, d.Revision, m.status, m.cameFrom, m.events)
	}
	if m.status == deal.New {
		return
	}
	got, _ := read(&d.Terms)
	if !got.equal(m.now) || int(d.TermsVersion) != m.version || d.Evidence != m.attestedBy {
		t.Fatalf("version %d by %q: %+v; want version %d by %q: %+v", d.TermsVersion, d.Evidence, got, m.version, m.attestedBy, m.now)
	}
	if (d.Correction != nil) != m.correcting {
		t.Fatalf("a correction is open: %t, want %t", d.Correction != nil, m.correcting)
	}
	version := m.version
	if m.correcting {
		version = m.openAs
		if open, _ := read(&d.Correction.Terms); !open.equal(m.proposed) || int(d.Correction.TermsVersion) != version {
			t.Fatalf("correction %d: %+v; want %d: %+v", d.Correction.TermsVersion, open, version, m.proposed)
		}
	}
	for _, id := range m.everyone() {
		s, _ := d.Standing(id)
		said := m.status == deal.Closing || m.correcting // else nobody is asked
		if (s.AcceptedAt != nil) != m.accepted[id] || s.Voids != m.agreed[id] || said && (int(s.AttestedTerms) == version) != (m.word[id] == version) {
			t.Fatalf("company %s: %+v; want accepted %t, void %t, attested %d of %d", id, s, m.accepted[id], m.agreed[id], m.word[id], version)
		}
	}
	if len(d.Standings) != len(m.everyone()) || len(d.Exclusions) != len(m.excluded) {
		t.Fatalf("%d standings, %d exclusions; want %d, %d", len(d.Standings), len(d.Exclusions), len(m.everyone()), len(m.excluded))
	}
}

// modelCommand draws what the actor asks: mostly sound, sometimes not.
func modelCommand(t *rapid.T, m *model, move deal.Move, actor deal.Actor, at time.Time) deal.Command {
	c := command(move, actor)
	c.Members = map[deal.ID]bool{company(1): true, company(3): true}
	seldom := func(what string) bool { return rapid.IntRange(0, 14).Draw(t, what) == 0 }
	if seldom("says nothing") {
		c.Reason, c.Reference = "", ""
	}
	if c.Terms == nil && (move != deal.Edit || rapid.Bool().Draw(t, "only words")) {
		return c
	}
	days := calendar.DateOf(at, time.UTC)
	ago := func(years, n int) calendar.Date { return calendar.DateOf(days.Time().AddDate(-years, 0, n), time.UTC) }
	day := rapid.SampledFrom([]calendar.Date{
		days, days, days, ago(0, -1), ago(0, -40), ago(0, 1), ago(5, 0), ago(5, -1), calendar.New(1990, time.January, 1), calendar.New(1989, time.December, 31),
	}).Draw(t, "won on")
	if m.now.wonOn != 0 && rapid.Bool().Draw(t, "the same day") {
		day = m.now.wonOn
	}
	f := &deal.Terms{Value: money.Amount{Currency: "EUR"}, WonOn: &day}
	lead := 0
	switch shape := rapid.IntRange(0, 9).Draw(t, "shape"); {
	case shape < 7 && m.status != deal.New: // the same companies in another order
		for _, id := range slices.SortedFunc(maps.Keys(m.now.parties), deal.ID.Compare) {
			p := m.now.parties[id]
			if shape > 2 {
				p.ShareMinor += int64(rapid.IntRange(0, 2).Draw(t, "more"))
			}
			f.Parties = append(f.Parties, p)
		}
		if shape%2 == 0 {
			slices.Reverse(f.Parties)
		}
	default:
		numbers := rapid.Permutation([]byte{1, 2, 3, 4, 5, 6}).Draw(t, "companies")
		n := rapid.SampledFrom([]int{1, 2, 2, 3, 3, 4, 6}).Draw(t, "parties")
		lead = rapid.IntRange(0, n-1).Draw(t, "lead")
		for i, number := range numbers[:n] {
			p := party(number, deal.Other, int64(rapid.IntRange(0, 50).Draw(t, "share")))
			if i == lead {
				p.Role = deal.Lead
			}
			if number == 6 { // 5 and 6 are one group
				p.Group = group(5)
			}
			f.Parties = append(f.Parties, p)
		}
		if _, in := f.Party(actor.Company); !in && actor.Company != (deal.ID{}) && !seldom("without itself") && actor.Company != company(6) {
			f.Parties[0].Company, f.Parties[0].Group = actor.Company, group(actor.Company[15])
		}
	}
	for _, p := range f.Parties {
		f.Value.Minor += p.ShareMinor
	}
	switch rapid.IntRange(0, 30).Draw(t, "fault") {
	case 1:
		f.Value.Minor++
	case 2:
		f.Parties[0].ShareMinor, f.Parties[len(f.Parties)-1].ShareMinor = f.Value.Minor+1, -1
	case 3:
		f.Parties[0].Role = deal.Lead
	case 4:
		f.Parties[lead].Role = deal.Vendor
	case 5:
		f.Parties = append(f.Parties, f.Parties[0])
		f.Value.Minor += f.Parties[0].ShareMinor
	case 6:
		f.WonOn = nil
	default: // sound
	}
	c.Terms = f
	return c
}
