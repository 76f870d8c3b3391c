package portal

import (
	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/services/portal/api"
)

// releasedYear reads the year from a release of its statement, with as many of the largest pairs as the view shows. A
// company's own are looked for among all.
func (v *visit) releasedYear(a api.Association, at yearAddress, company string) (*Year, error) {
	year, limit := at.year, 0
	switch {
	case at.view == viewYear:
		limit = mostOnYear
	case at.view != viewPairs:
		limit = 1
	case company == "":
		limit = mostPairs
	}
	st, err := v.api.Statement(v.ctx, a.ID, year, at.release, limit)
	if err != nil {
		return nil, err
	}
	zone := zoneOf(a)
	y := &Year{
		Association: a, Year: year, Zone: zone, Currency: st.Currency, Today: calendar.DateOf(st.PublishedAt, zone),
		Release: st.Release, Policy: st.Policy, Published: st.PublishedAt, Closed: st.Closed, Cause: st.Cause, Reason: st.Reason,
		AsOf: st.AsOf, Sequence: st.AsOfSequence, LogHash: st.LogHash, LeftOut: st.LeftOut,
		Total: st.Total, Attested: st.AttestedByParties,
		Missing: st.Coverage.UnconvertedDeals, Unread: st.Coverage.QuarantinedEvents,
	}
	if st.Members != nil {
		y.Members = &Members{TakingPart: st.Members.TakingPart, Of: st.Members.Of}
	}
	if st.Changes != nil {
		y.Changes = &Changes{Since: st.Changes.SinceRelease, Cell: st.Changes.Cell}
	}
	for _, m := range st.Months {
		y.Months = append(y.Months, Month{Month: m.Month, Cell: m.Cell})
	}
	if st.PreviousYear != nil {
		y.Previous = &st.PreviousYear.Total
		y.compareMonths(st.PreviousYear.Months)
	}
	for _, c := range st.Chapters {
		y.Chapters = append(y.Chapters, Row{Named: c.Chapter, Cell: c.Cell})
	}
	for _, p := range st.Pairs {
		if len(p.Companies) == 2 {
			y.Pairs = append(y.Pairs, Pair{A: p.Companies[0], B: p.Companies[1], Cell: p.Cell})
		}
	}
	if other := st.OtherPairs; other != nil && (other.Hidden || other.Deals > 0) {
		y.Rest = other
	}
	if rest := st.RestOfPairs; rest != nil && rest.Items > 0 {
		y.Rest, y.RestPairs = &api.Cell{Amount: rest.Amount, Deals: rest.Deals}, rest.Items
	}
	y.sort()
	return y, v.chaptersBefore(y, st)
}

// chaptersBefore adds the chapters of the release that the statement compares itself with.
func (v *visit) chaptersBefore(y *Year, st api.Statement) error {
	if st.PreviousYear == nil || len(y.Chapters) == 0 {
		return nil
	}
	earlier, err := v.api.Statement(v.ctx, y.Association.ID, st.PreviousYear.Year, st.PreviousYear.Release, 1)
	if err != nil {
		return err
	}
	y.compareChapters(earlier.Chapters)
	return nil
}

// compareMonths puts those of the year before beside the months.
func (y *Year) compareMonths(before []api.MonthCell) {
	for i := range y.Months {
		for _, m := range before {
			if monthOfYear(m.Month) == monthOfYear(y.Months[i].Month) {
				y.Months[i].Before = &m.Cell
			}
		}
	}
}

// compareChapters puts those of the year before beside the chapters.
func (y *Year) compareChapters(before []api.ChapterCell) {
	for i := range y.Chapters {
		for _, c := range before {
			if c.Chapter.ID == y.Chapters[i].ID {
				y.Chapters[i].Before = &c.Cell
			}
		}
	}
}

// monthOfYear is the 03 of 2026-03.
func monthOfYear(month string) string { return month[max(0, len(month)-2):] }
