package portal

import (
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/services/portal/api"
)

// liveYear reads the year from the live volume, with the same events in every figure.
func (v *visit) liveYear(a api.Association, year int) (*Year, error) {
	total, err := v.api.Volume(v.ctx, a.ID, year, "total", 0)
	if err != nil {
		return nil, err
	}
	var months, monthsBefore, chapters, chaptersBefore, pairs api.Volume
	together, ctx := errgroup.WithContext(v.ctx)
	for _, part := range []struct {
		into *api.Volume
		year int
		by   string
	}{
		{&months, year, "month"},
		{&monthsBefore, year - 1, "month"},
		{&chapters, year, "chapter"},
		{&chaptersBefore, year - 1, "chapter"},
		{&pairs, year, "pair"},
	} {
		together.Go(func() (err error) {
			*part.into, err = v.api.Volume(ctx, a.ID, part.year, part.by, total.AsOfSequence)
			return err
		})
	}
	if err := together.Wait(); err != nil {
		return nil, err
	}
	zone := zoneOf(a)
	y := &Year{
		Association: a, Year: year, Zone: zone, Currency: total.Currency, Today: calendar.DateOf(v.s.cfg.Now(), zone),
		Live: true, AsOf: total.AsOf, Sequence: total.AsOfSequence, ShowPairs: true,
		Total: cellOf(total.Total), Attested: &api.Cell{Amount: total.Total.AttestedByParties},
		Missing: &total.Total.UnconvertedDeals, Unread: int64(total.QuarantinedEvents), // #nosec G115 -- a count
	}
	if total.PreviousYear.Deals > 0 {
		before := cellOf(total.PreviousYear)
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
	y.sort()
	y.Members = &Members{TakingPart: new(len(membersOf(y.Pairs)))}
	return y, nil
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
func (v *visit) year(a api.Association, year, release int) (*Year, error) {
	releases, err := v.api.Releases(v.ctx, a.ID)
	if err != nil && api.StatusOf(err) != http.StatusNotFound {
		return nil, err
	}
	var y *Year
	if release == 0 {
		y, err = v.liveYear(a, year)
	}
	if release != 0 || api.StatusOf(err) == http.StatusNotFound {
		y, err = v.releasedYear(a, year, release)
	}
	if err != nil {
		return nil, err
	}
	y.Releases = releases
	return y, nil
}
