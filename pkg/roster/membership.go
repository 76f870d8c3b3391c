package roster

import (
	"slices"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

// Membership is everything that was ever said about one company in one association.
type Membership struct {
	AssociationID deal.ID  `json:"association_id"`
	CompanyID     deal.ID  `json:"company_id"`
	Periods       []Period `json:"periods"` // by From, never overlapping

	Revision uint64 `json:"-"`
}

// Period is a time in which the company belonged to one chapter.
type Period struct {
	ChapterID        deal.ID        `json:"chapter_id,omitzero"` // zero: the association has no chapters
	From             calendar.Date  `json:"from"`
	To               *calendar.Date `json:"to,omitempty"`                 // the last day; nil: open
	EthicsAcceptedOn *calendar.Date `json:"ethics_accepted_on,omitempty"` // nil: the company may not register deals
}

// Covers tells whether the day lies in the period.
func (p Period) Covers(day calendar.Date) bool {
	return p.From <= day && (p.To == nil || day <= *p.To)
}

// MayRegister tells whether the code of ethics was accepted on or before the day.
func (p Period) MayRegister(day calendar.Date) bool {
	return p.Covers(day) && p.EthicsAcceptedOn != nil && *p.EthicsAcceptedOn <= day
}

// Validate names what is wrong with a period that is told today.
func (p Period) Validate(today calendar.Date) deal.Invalid {
	var faults deal.Invalid
	if p.EthicsAcceptedOn != nil && *p.EthicsAcceptedOn > today {
		faults.Add("/ethics_accepted_on", "in the future: write the day on which the code of ethics was accepted, or leave it out")
	}
	return faults
}

// On is the period that covers the day.
func (m Membership) On(day calendar.Date) (Period, bool) {
	for _, p := range m.Periods {
		if p.Covers(day) {
			return p, true
		}
	}
	return Period{}, false
}

// With is the membership after a period was put into it. A period with the same From is replaced; an open one that
// began before ends on the day before the new one (the move to another chapter). Any other overlap is a fault.
func (m Membership) With(p Period) (Membership, deal.Invalid) {
	var faults deal.Invalid
	if p.To != nil && *p.To < p.From {
		faults.Add("/to", "before from: write a day on or after it, or leave it out")
		return m, faults
	}
	periods := make([]Period, 0, len(m.Periods)+1)
	for _, q := range m.Periods {
		switch {
		case q.From == p.From:
			continue
		case q.From < p.From && q.To == nil:
			end := p.From.AddDays(-1)
			q.To = &end
		case q.From < p.From && *q.To >= p.From:
			faults.Add("/from", "in the middle of a period that ends on "+q.To.String()+": write a later day, or end that period first with its own from, "+q.From.String())
		case q.From > p.From && (p.To == nil || *p.To >= q.From):
			faults.Add("/to", "reaches into the period that begins on "+q.From.String()+": write an earlier day")
		}
		periods = append(periods, q)
	}
	if len(faults) > 0 {
		return m, faults
	}
	periods = append(periods, p)
	slices.SortFunc(periods, func(a, b Period) int { return int(a.From) - int(b.From) })
	m.Periods = periods
	return m, nil
}

// EndedBefore is the membership without the given day and all later ones.
func (m Membership) EndedBefore(day calendar.Date) Membership {
	last := day.AddDays(-1)
	periods := make([]Period, 0, len(m.Periods))
	for _, p := range m.Periods {
		if p.From > last {
			continue
		}
		if p.To == nil || *p.To > last {
			p.To = &last
		}
		periods = append(periods, p)
	}
	m.Periods = periods
	return m
}
