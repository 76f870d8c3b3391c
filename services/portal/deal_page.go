package portal

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

// dealView is the page of one deal.
type dealView struct {
	api.Deal
	Label    string // the status in a word
	Sentence string // who is waited for, or how it ended
	Until    *time.Time
	Parties  []partyLine
	Compare  []compared // figures that wait for attestations, beside those before; empty for none
	Proposer string
	Answers  []partyLine // who has attested them
	May      map[string]bool
	Others   []string // moves that have pages of their own
	Repeats  []repeat
	History  []said
	Notices  []reason
	Key      string
	As       string
	Own      string // the own company's name
}

// partyLine is a party with what it has said.
type partyLine struct {
	Name, Role string
	Share      api.Amount
	Own        bool
	Said       string // the message that says where it stands
	Yes        bool
	On         *time.Time
}

// DayWon is the day that figures name which were attested or wait for that. A deal that is under way again, or ended without
// a win, has none, whatever day was proposed before.
func (d *dealView) DayWon() *calendar.Date {
	switch d.Status {
	case "closing", "won", "disputed", "void":
		return d.WonOn
	}
	return nil
}

// repeat is what was flagged or decided about other deals that may be the same one.
type repeat struct {
	State, Reason string
	Others        []link
}

const mostRepeats = 5 // that are named

// repeats names the deals that may be this one, in one note for all that nobody has decided yet.
func (v *visit) repeats(f dealFacts) ([]repeat, error) {
	var all []repeat
	for _, c := range f.flags[:min(mostRepeats, len(f.flags))] {
		id := c.Deals[0]
		if id == f.deal.ID {
			id = c.Deals[1]
		}
		other, err := v.api.Deal(v.ctx, id)
		if err != nil && api.StatusOf(err) != http.StatusNotFound {
			return nil, err
		}
		to := link{Text: other.Title, Address: "/deals/" + id.String()}
		i := slices.IndexFunc(all, func(r repeat) bool { return r.State == c.State && r.Reason == c.Reason })
		if i < 0 {
			i = len(all)
			all = append(all, repeat{State: c.State, Reason: c.Reason})
		}
		if err == nil {
			all[i].Others = append(all[i].Others, to)
		}
	}
	return all, nil
}

func (s *Service) dealPage(v *visit) error {
	id, err := deal.ParseID(v.r.PathValue("deal"))
	if err != nil {
		return errNotFound
	}
	return v.showDeal(http.StatusOK, id)
}

// dealFacts is what the API says of a deal.
type dealFacts struct {
	deal    api.Deal
	history []api.Event
	flags   []api.Conflict
	names   map[deal.ID]string
}

func (v *visit) dealFacts(id deal.ID) (dealFacts, error) {
	f := dealFacts{names: map[deal.ID]string{}}
	together, ctx := errgroup.WithContext(v.ctx)
	together.Go(func() (err error) {
		f.deal, err = v.api.Deal(ctx, id)
		return err
	})
	together.Go(func() (err error) {
		f.history, err = v.api.History(ctx, id)
		return err
	})
	together.Go(func() (err error) {
		f.flags, err = v.api.Conflicts(ctx, id)
		if status := api.StatusOf(err); status == http.StatusServiceUnavailable || status == http.StatusNotFound {
			return nil // the deal is worth showing while the flags are still being read
		}
		return err
	})
	if err := together.Wait(); err != nil {
		return f, err
	}
	ids := []deal.ID{f.deal.RegisteredBy}
	for _, p := range f.deal.Parties {
		ids = append(ids, p.CompanyID)
	}
	if c := f.deal.Correction; c != nil {
		for _, p := range c.Parties {
			ids = append(ids, p.CompanyID)
		}
	}
	for _, e := range f.history {
		ids = append(ids, e.Actor.CompanyID)
	}
	return f, v.nameIDs(f.names, ids)
}

func (v *visit) showDeal(status int, id deal.ID, notices ...reason) error {
	f, err := v.dealFacts(id)
	if err != nil {
		return err
	}
	d := f.deal
	page := &dealView{
		Deal: d, Label: v.speech.text("deal.status." + d.Status), Until: d.DueAt, Notices: notices, Key: newKey(), As: v.as(),
		Own: f.names[v.person.CompanyID], May: map[string]bool{}, Parties: v.partyLines(f, d.Parties, d.TermsVersion),
	}
	for _, m := range d.Moves {
		page.May[m] = true
	}
	for _, m := range d.Moves {
		beside := m == "decline" && page.May["accept"] || m == "refuse" && page.May["attest"]
		if movePages[m] != asksNothing && !beside {
			page.Others = append(page.Others, m)
		}
	}
	page.Sentence = v.standing(f, page.Parties)
	switch {
	case d.Correction != nil:
		page.Compare = v.compare(f, d.Terms, d.Correction.Terms)
		page.Proposer = f.names[d.Correction.ProposedBy]
		page.Answers = v.partyLines(f, d.Correction.Parties, d.Correction.TermsVersion)
	case d.Status == "closing":
		before, proposer := beforeProposal(d, f.history)
		page.Compare, page.Proposer = v.compare(f, before, d.Terms), f.names[proposer]
		page.Answers = page.Parties
	}
	if page.Repeats, err = v.repeats(f); err != nil {
		return err
	}
	for _, e := range slices.Backward(f.history) {
		page.History = append(page.History, v.tell(e, f.names))
	}
	v.render(status, "deal", d.Title, v.companyNav(""), page)
	return nil
}

func (v *visit) partyLines(f dealFacts, parties []api.Party, version uint32) []partyLine {
	var all []partyLine
	for _, p := range parties {
		l := partyLine{
			Name: f.names[p.CompanyID], Role: p.Role, Share: p.Share, Own: p.CompanyID == v.person.CompanyID, On: p.AcceptedAt,
		}
		attested := p.AttestedTerms != nil && *p.AttestedTerms == version
		// The API names the latest version only: who attested a correction has attested the figures that hold until then too.
		attested = attested || f.deal.Status == "won" && f.deal.Evidence == "parties" && version == f.deal.TermsVersion
		switch {
		case f.deal.Status == "won" && f.deal.Evidence == "registrar" && !attested:
			l.Said, l.On = "deal.said.registrar", nil
		case attested:
			l.Said, l.Yes, l.On = "deal.said.attested", true, nil
		case f.deal.Status == "closing" || f.deal.Status == "won":
			l.Said, l.On = "deal.said.unattested", nil
		case p.AcceptedAt != nil:
			l.Said, l.Yes = "deal.said.accepted", true
		default:
			l.Said = "deal.said.nothing"
		}
		all = append(all, l)
	}
	return all
}

// standing says in a sentence where the deal stands and who is waited for.
func (v *visit) standing(f dealFacts, parties []partyLine) string {
	d := f.deal
	key := "deal.stands." + d.Status
	switch {
	case d.Status == "won" && d.Correction != nil:
		key = "deal.stands.corrected"
		parties = v.partyLines(f, d.Correction.Parties, d.Correction.TermsVersion)
	case d.Status == "won" && d.Evidence == "registrar":
		key = "deal.stands.documents"
	}
	var missing []string
	for _, p := range parties {
		if p.Yes {
			continue
		}
		if p.Own {
			missing = append([]string{v.speech.text("deal.you")}, missing...)
		} else {
			missing = append(missing, p.Name)
		}
	}
	won := ""
	if d.WonOn != nil {
		won = v.speech.date(*d.WonOn)
	}
	return v.speech.text(key, "who", v.speech.and(missing), "day", won, "reference", d.EvidenceReference)
}

// and joins names as a sentence does.
func (s *speech) and(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " " + s.text("deal.and") + " " + names[last]
}

// compared is one figure in two versions.
type compared struct {
	Label, Before, After string
	Change               string // same, other, new or gone
}

// compare sets two versions of the terms side by side.
func (v *visit) compare(f dealFacts, before, after api.Terms) []compared {
	row := func(label, from, to string) compared {
		c := compared{label, from, to, "same"}
		switch {
		case from == to:
		case from == "":
			c.Change = "new"
		case to == "":
			c.Change = "gone"
		default:
			c.Change = "other"
		}
		return c
	}
	amount := func(a api.Amount) string { return v.speech.money(a.Amount, a.Currency) }
	day := func(d *calendar.Date) string {
		if d == nil {
			return ""
		}
		return v.speech.date(*d)
	}
	rows := []compared{
		row(v.speech.text("deal.field.value"), amount(before.Value), amount(after.Value)),
		row(v.speech.text("deal.field.won"), day(before.WonOn), day(after.WonOn)),
	}
	for _, p := range after.Parties {
		rows = append(rows, row(f.names[p.CompanyID], v.shareOf(before, p.CompanyID), amount(p.Share)))
	}
	for _, p := range before.Parties {
		if v.shareOf(after, p.CompanyID) == "" {
			rows = append(rows, row(f.names[p.CompanyID], amount(p.Share), ""))
		}
	}
	return rows
}

func (v *visit) shareOf(t api.Terms, company deal.ID) string {
	for _, p := range t.Parties {
		if p.CompanyID == company {
			return v.speech.money(p.Share.Amount, p.Share.Currency)
		}
	}
	return ""
}

// beforeProposal gives the terms as they were before the figures that wait for attestations were proposed, and by whom.
// Who came in later sees no figures before.
func beforeProposal(d api.Deal, history []api.Event) (api.Terms, deal.ID) {
	before := d.Terms
	for _, e := range slices.Backward(history) {
		if e.Type != "dealreg.deal.closing" {
			continue
		}
		for _, c := range e.Changed {
			into := map[string]any{"value": &before.Value, "parties": &before.Parties, "won_on": &before.WonOn}[c.Field]
			if into == nil {
				continue
			}
			if len(c.From) == 0 {
				c.From = json.RawMessage("null")
			}
			if c.Field == "won_on" {
				before.WonOn = nil
			}
			if c.Field == "parties" {
				before.Parties = nil
			}
			_ = json.Unmarshal(c.From, into) // the API's own terms
		}
		return before, e.Actor.CompanyID
	}
	return before, deal.ID{}
}
