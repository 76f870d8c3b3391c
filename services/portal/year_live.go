package portal

import (
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/services/portal/api"
)

// How many live pairs a page asks for; the API sums up the rest.
const (
	mostPairs      = 200
	mostOfACompany = 1000
)

// begun is what every page about a year needs. What does not depend on another answer is asked at once.
type begun struct {
	association api.Association
	releases    []api.Release
	months      api.Volume // live
	live        error      // nil: the person may see the live volume
}

func (v *visit) begin(at yearAddress) (*begun, error) {
	b := &begun{live: errNotFound}
	var unknown, unreleased error
	var together errgroup.Group
	together.Go(func() error { b.association, unknown = v.api.Association(v.ctx, at.association); return nil })
	together.Go(func() error { b.releases, unreleased = v.api.Releases(v.ctx, at.association); return nil })
	if at.release == 0 {
		together.Go(func() error {
			b.months, b.live = v.api.Volume(v.ctx, at.association, api.Cut{Year: at.year, By: "month"})
			return nil
		})
	}
	_ = together.Wait() // the errors are kept: not each of them ends the page
	if unknown != nil {
		return nil, unknown
	}
	if unreleased != nil && api.StatusOf(unreleased) != http.StatusNotFound {
		return nil, unreleased
	}
	return b, nil
}

// liveYear reads of the live volume what the view shows, with the same events in every figure. With a company the pairs
// are its own.
func (v *visit) liveYear(b *begun, at yearAddress, company string) (*Year, error) {
	var monthsBefore, chapters, chaptersBefore, pairs api.Volume
	together, ctx := errgroup.WithContext(v.ctx)
	ask := func(into *api.Volume, cut api.Cut) {
		cut.UpTo = b.months.AsOfSequence
		together.Go(func() (err error) {
			*into, err = v.api.Volume(ctx, b.association.ID, cut)
			return err
		})
	}
	compared := b.months.PreviousYear != nil
	if compared {
		ask(&monthsBefore, api.Cut{Year: at.year - 1, By: "month"})
	}
	if at.view == viewYear || at.view == viewChapters {
		ask(&chapters, api.Cut{Year: at.year, By: "chapter"})
		if compared {
			ask(&chaptersBefore, api.Cut{Year: at.year - 1, By: "chapter"})
		}
	}
	switch {
	case at.view == viewYear:
		ask(&pairs, api.Cut{Year: at.year, By: "pair", Limit: mostOnYear})
	case at.view == viewPairs && company != "":
		ask(&pairs, api.Cut{Year: at.year, By: "pair", Limit: mostOfACompany, Company: company})
	case at.view == viewPairs:
		ask(&pairs, api.Cut{Year: at.year, By: "pair", Limit: mostPairs})
	}
	if err := together.Wait(); err != nil {
		return nil, err
	}
	a, months, total := b.association, b.months, b.months
	zone := zoneOf(a)
	y := &Year{
		Association: a, Year: at.year, Zone: zone, Currency: total.Currency, Today: calendar.DateOf(v.s.cfg.Now(), zone),
		Live: true, AsOf: total.AsOf, Sequence: total.AsOfSequence,
		Total: cellOf(total.Total), Attested: &api.Cell{Amount: total.Total.AttestedByParties},
		Missing: &total.Total.UnconvertedDeals, Unread: int64(total.QuarantinedEvents), // #nosec G115 -- a count
	}
	if compared && total.PreviousYear.Deals > 0 {
		before := cellOf(*total.PreviousYear)
		y.Previous = &before
	}
	for i, item := range months.Items {
		m := Month{Month: item.Month, Cell: cellOf(item.Sums)}
		if i < len(monthsBefore.Items) && y.Previous != nil {
			before := cellOf(monthsBefore.Items[i].Sums)
			m.Before = &before
		}
		y.Months = append(y.Months, m)
	}
	for _, item := range chapters.Items {
		if item.Chapter == nil {
			continue
		}
		row := Row{Named: *item.Chapter, Cell: cellOf(item.Sums)}
		for _, earlier := range chaptersBefore.Items {
			if earlier.Chapter != nil && earlier.Chapter.ID == row.ID {
				before := cellOf(earlier.Sums)
				row.Before = &before
			}
		}
		y.Chapters = append(y.Chapters, row)
	}
	for _, item := range pairs.Items {
		if len(item.Companies) == 2 {
			y.Pairs = append(y.Pairs, Pair{A: item.Companies[0], B: item.Companies[1], Cell: cellOf(item.Sums)})
		}
	}
	if pairs.Rest != nil && pairs.Rest.Items > 0 {
		rest := cellOf(pairs.Rest.Sums)
		y.Rest, y.RestPairs = &rest, pairs.Rest.Items
	}
	y.sort()
	if at.view == viewYear {
		y.Members = &Members{TakingPart: &pairs.Companies}
	}
	if !compared {
		return y, v.compareReleased(y)
	}
	return y, nil
}

// compareReleased puts the latest release of the year before, if there is one, beside a live year.
func (v *visit) compareReleased(y *Year) error {
	before, err := v.api.Statement(v.ctx, y.Association.ID, y.Year-1, api.Latest, 1)
	switch {
	case api.StatusOf(err) == http.StatusNotFound:
		return nil
	case err != nil:
		return err
	}
	y.Previous = &before.Total
	y.compareMonths(before.Months)
	y.compareChapters(before.Chapters)
	return nil
}

func (y *Year) sort() {
	slices.SortStableFunc(y.Chapters, func(a, b Row) int { return byAmount(a.Cell, b.Cell) })
	slices.SortStableFunc(y.Pairs, func(a, b Pair) int { return byAmount(a.Cell, b.Cell) })
}

func cellOf(s api.Sums) api.Cell { return api.Cell{Amount: s.Amount, Deals: s.Deals} }

func zoneOf(a api.Association) *time.Location {
	zone, err := time.LoadLocation(a.TimeZone)
	if err != nil {
		return time.UTC
	}
	return zone
}

// year reads what an address asks for: a release, or what is newest of that which the person may see. The API decides:
// whom it shows no live volume gets the latest release.
func (v *visit) year(b *begun, at yearAddress, company string) (y *Year, err error) {
	switch {
	case b.live == nil:
		y, err = v.liveYear(b, at, company)
	case api.StatusOf(b.live) == http.StatusNotFound:
		y, err = v.releasedYear(b.association, at, company)
	default:
		err = b.live
	}
	if err != nil {
		return nil, err
	}
	y.Releases = b.releases
	return y, nil
}
