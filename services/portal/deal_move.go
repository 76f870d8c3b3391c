package portal

import (
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

// The kinds of pages that moves have: none for a move that says nothing, a reason, or figures.
const (
	asksNothing = iota
	asksReason
	asksMaybeReason
	asksFigures
)

var movePages = map[string]int{
	"accept": asksNothing, "attest": asksNothing, "settle": asksNothing,
	"decline": asksReason, "lose": asksReason, "refuse": asksReason, "void": asksReason, "dispute": asksReason, "exclude": asksReason,
	"withdraw": asksMaybeReason,
	"propose":  asksFigures, "correct": asksFigures, "edit": asksFigures,
}

// moveView is the page of one move.
type moveView struct {
	Deal    api.Deal
	Move    string
	Form    *dealForm
	As      string
	Figures bool
	Needed  bool // the reason
	Today   calendar.Date
	Decimal string
}

func newKey() string { return uuid.NewString() }

// movePage shows what a move asks for. A move that asks for nothing, and one that the person may not make now, is answered
// by the deal as it stands.
func (s *Service) movePage(v *visit) error {
	id, err := deal.ParseID(v.r.PathValue("deal"))
	move := v.r.PathValue("move")
	kind, known := movePages[move]
	if err != nil || !known {
		return errNotFound
	}
	d, err := v.api.Deal(v.ctx, id)
	if err != nil {
		return err
	}
	if kind == asksNothing || !slices.Contains(d.Moves, move) {
		v.redirect("/deals/"+id.String(), nil)
		return nil
	}
	if posted, there := v.kept(); there {
		f := readDealForm(v.speech, posted)
		f.Resumed = true
		return v.showMove(http.StatusOK, d, move, f)
	}
	f := newDealForm(v.speech)
	f.fill(d, move)
	return v.showMove(http.StatusOK, d, move, f)
}

// fill begins a form with what the deal says.
func (f *dealForm) fill(d api.Deal, move string) {
	f.Key, f.Revision, f.Title = newKey(), d.Revision, d.Title
	terms := d.Terms
	if d.Correction != nil && move == "correct" {
		terms = d.Correction.Terms
	}
	f.Value, f.Currency = f.speech.typed(terms.Value), terms.Value.Currency
	if terms.WonOn != nil {
		f.Won = terms.WonOn.String()
	}
	if d.ExpectedOn != nil {
		f.Expected = d.ExpectedOn.String()
	}
	for i, p := range terms.Parties {
		f.Rows = append(f.Rows, shareRow{Index: i, CompanyID: p.CompanyID.String(), Role: p.Role, Share: f.speech.typed(p.Share)})
	}
}

func (v *visit) showMove(status int, d api.Deal, move string, f *dealForm) error {
	kind := movePages[move]
	if kind == asksFigures {
		known, ids := map[deal.ID]string{}, []deal.ID{}
		for _, row := range f.Rows {
			if id, err := deal.ParseID(row.CompanyID); err == nil {
				ids = append(ids, id)
			}
		}
		if err := v.nameIDs(known, ids); err != nil {
			return err
		}
		for i := range f.Rows {
			id, _ := deal.ParseID(f.Rows[i].CompanyID) // the API refuses what names no company
			f.Rows[i].Name = known[id]
		}
		if f.Left == "" {
			f.count()
		}
	}
	v.render(status, "deal_move", v.speech.text("deal.move."+move+".title"), v.companyNav(""), &moveView{
		Deal: d, Move: move, Form: f, As: v.as(), Figures: kind == asksFigures, Needed: kind == asksReason,
		Today: calendar.DateOf(v.s.cfg.Now(), time.UTC), Decimal: v.speech.decimal,
	})
	return nil
}

// move makes a move, and shows the deal as it is then.
func (s *Service) move(v *visit) error {
	id, err := deal.ParseID(v.r.PathValue("deal"))
	move := v.r.PathValue("move")
	kind, known := movePages[move]
	if err != nil || !known {
		return errNotFound
	}
	if err := v.r.ParseForm(); err != nil {
		return &api.Error{Status: http.StatusBadRequest}
	}
	f := readDealForm(v.speech, v.r.PostForm)
	body, edit := f.body(move, kind)
	if f.sound() {
		if move == "edit" {
			_, err = v.api.Edit(v.ctx, id, f.Revision, edit)
		} else {
			_, err = v.api.Move(v.ctx, id, move, f.Key, f.Revision, body)
		}
		if err == nil {
			v.redirect("/deals/"+id.String(), nil)
			return nil
		}
		if !v.told(err, f, "deals.notice.conflict") {
			return err
		}
	}
	status := http.StatusUnprocessableEntity
	if err != nil {
		status = api.StatusOf(err)
	}
	d, err := v.api.Deal(v.ctx, id)
	if err != nil {
		return err
	}
	if kind == asksNothing || !slices.Contains(d.Moves, move) {
		return v.showDeal(status, id, f.Notices...)
	}
	if f.Revision != d.Revision { // what was typed stands beside the deal as it is now, for another try
		f.Key, f.Revision = newKey(), d.Revision
	}
	return v.showMove(status, d, move, f)
}

// body is what the API is told.
func (f *dealForm) body(move string, kind int) (body any, edit api.Edit) {
	switch kind {
	case asksReason:
		f.words("reason", f.Reason, deal.MaxReason)
		return api.Why{Reason: f.Reason}, edit
	case asksMaybeReason:
		if f.Reason != "" {
			f.words("reason", f.Reason, deal.MaxReason)
		}
		return api.Why{Reason: f.Reason}, edit
	case asksFigures:
		value, shares := f.figures()
		figures := api.Figures{Value: &value}
		for i := range min(len(shares), len(f.Rows)) {
			id, _ := deal.ParseID(f.Rows[i].CompanyID) // the API refuses what names no company
			figures.Parties = append(figures.Parties, api.PartyInput{CompanyID: id, Role: f.Rows[i].Role, Share: shares[i]})
		}
		if move == "edit" {
			f.words("title", f.Title, deal.MaxTitle)
			return nil, api.Edit{Title: f.Title, ExpectedOn: f.day("expected", f.Expected, false), Figures: figures}
		}
		figures.WonOn = f.day("won", f.Won, true)
		return figures, edit
	}
	return struct{}{}, edit
}
