package portal

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

const (
	firstYear, lastYear = 1900, 2299
	yearsBack           = 5  // that the year picker offers where no release says more
	mostOnYear          = 10 // chapters and pairs on the year's own page, which is printed on two sheets
	mostInTable         = 100
)

// The views of a year.
const (
	viewYear     = ""
	viewChapters = "chapters"
	viewPairs    = "pairs"
	viewMembers  = "members"
)

// yearAddress is what the address of a page about a year says.
type yearAddress struct {
	association deal.ID
	year        int
	release     int // 0: what is newest
	view        string
}

// addressOf reads the path. Anything that no link of ours says is not found.
func addressOf(value func(name string) string) (yearAddress, error) {
	var a yearAddress
	var err error
	if a.association, err = deal.ParseID(value("association")); err != nil {
		return a, errNotFound
	}
	if a.year, err = strconv.Atoi(value("year")); err != nil || a.year < firstYear || a.year > lastYear {
		return a, errNotFound
	}
	a.view = value("view")
	release := value("release")
	if release == "" && strings.HasPrefix(a.view, "r") {
		release, a.view = a.view, viewYear
	}
	if number, found := strings.CutPrefix(release, "r"); found {
		if a.release, err = strconv.Atoi(number); err != nil || a.release < 1 {
			return a, errNotFound
		}
	} else if release != "" {
		return a, errNotFound
	}
	return a, nil
}

func (a yearAddress) path(view string) string {
	path := "/a/" + a.association.String() + "/" + strconv.Itoa(a.year)
	if a.release > 0 {
		path += "/r" + strconv.Itoa(a.release)
	}
	if view != viewYear {
		path += "/" + view
	}
	return path
}

// yearPage answers every address about a year.
func (s *Service) yearPage(v *visit) error {
	at, err := addressOf(v.r.PathValue)
	if err != nil {
		return err
	}
	switch at.view {
	case viewYear, viewChapters, viewPairs, viewMembers:
	default:
		return v.export(at)
	}
	known, err := v.begin(at)
	if err != nil {
		return err
	}
	y, err := v.year(known, at, v.r.URL.Query().Get("company"))
	if api.StatusOf(err) == errNotFound.Status && at.release == 0 {
		return v.noRelease(known, at) // the association is there, and this year has no figures yet
	}
	if err != nil {
		return err
	}
	b := v.body(y, at)
	switch at.view {
	case viewChapters:
		return v.show("chapters", v.speech.text("chapters.title", "year", y.Name()), b)
	case viewPairs:
		return v.pairsPage(b)
	case viewMembers:
		return v.membersPage(b)
	}
	return v.show("year", v.speech.text("year.title", "year", y.Name()), b)
}

// body is what the pages about a year show.
type body struct {
	*Year
	Growth    *Growth
	Address   string // of the year's page
	View      string
	Years     []yearLink
	Statement []link // the releases of this year
	Chart     any    // of the months

	TopChapters  []Row
	RestChapters *api.Cell
	TopPairs     []Pair
	OtherPairs   *api.Cell
	Files        []link // of the figures that are shown
	Page         any    // what only one view shows
}

// roomOnSecond is how many lines of chapters, pairs and reasons leave room on the second printed sheet for the table of
// the months.
const roomOnSecond = 6

// SecondIsShort tells whether the table of the months goes to the second printed sheet, because little else is on it.
func (b *body) SecondIsShort() bool {
	lines := len(b.TopChapters) + len(b.Reason)/80
	if len(b.TopPairs) > 0 {
		lines += 2 + 2*len(b.TopPairs) // with their heading, and two lines for two names
	}
	return len(b.Months) > 0 && lines <= roomOnSecond
}

type yearLink struct {
	Year int
	Name string
	Here bool
}

func (v *visit) body(y *Year, at yearAddress) *body {
	b := &body{Year: y, Growth: y.Growth(), Address: at.path(viewYear), View: at.view}
	b.TopChapters, b.RestChapters = largest(y.Chapters, mostOnYear, func(r Row) api.Cell { return r.Cell })
	b.TopPairs, b.OtherPairs = largest(y.Pairs, mostOnYear, func(p Pair) api.Cell { return p.Cell })
	if y.Rest != nil { // what the API sums up itself
		b.OtherPairs = sumOf(b.OtherPairs, *y.Rest)
	}
	b.Years = v.years(y.Association, y.Year, y.Releases, y.Live)
	for _, r := range y.Releases {
		if r.Year != y.Year {
			continue
		}
		b.Statement = append(b.Statement, link{
			Text:    v.speech.text("release.line", "release", r.Release, "date", v.speech.day(r.PublishedAt.In(y.Zone))),
			Address: yearAddress{y.Association.ID, y.Year, r.Release, viewYear}.path(viewYear), Here: r.Release == y.Release,
		})
	}
	b.Files, b.Chart = v.files(y, at.view), v.monthsChart(y)
	return b
}

// years are those that the picker offers, the newest first.
func (v *visit) years(a api.Association, shown int, releases []api.Release, live bool) []yearLink {
	years := []int{shown}
	for _, r := range releases {
		years = append(years, r.Year)
	}
	if live || a.Disclosure == policyOpen { // perhaps not yet in the year that is shown
		now := v.currentYear(a)
		for back := range yearsBack {
			years = append(years, now-back)
		}
	}
	slices.SortFunc(years, func(a, b int) int { return cmp.Compare(b, a) })
	var links []yearLink
	for _, year := range slices.Compact(years) {
		links = append(links, yearLink{Year: year, Name: yearName(year, a.YearStartsIn), Here: year == shown})
	}
	return links
}

func (v *visit) currentYear(a api.Association) int {
	return calendar.YearOf(calendar.DateOf(v.s.cfg.Now(), zoneOf(a)), time.Month(max(1, a.YearStartsIn)))
}

// show renders a page about a year.
func (v *visit) show(name, title string, b *body) error {
	v.render(200, name, title+" \u2013 "+b.Association.Name, v.nav(b.Association.ID, b.Address, b.View), b)
	return nil
}

// nav is the way between the views of a year. base is the address of the year's page; empty on the desk.
func (v *visit) nav(association deal.ID, base, here string) []link {
	home := "/a/" + association.String()
	if base == "" {
		base = home
	}
	links := []link{{Text: v.speech.text("nav.year"), Address: base, Here: here == viewYear}}
	if base != home {
		for _, view := range []string{viewChapters, viewPairs, viewMembers} {
			links = append(links, link{Text: v.speech.text("nav." + view), Address: base + "/" + view, Here: here == view})
		}
	}
	if v.person.Role == roleRegistrar || v.person.Role == roleOperator {
		links = append(links, link{Text: v.speech.text("nav.desk"), Address: home + "/desk", Here: here == viewDesk},
			link{Text: v.speech.text("manage.nav.setup"), Address: home + "/setup", Here: here == viewSetup})
	}
	if v.person.Role == roleRegistrar {
		links = append(links, link{Text: v.speech.text("import.nav"), Address: importPath, Here: here == viewImport})
	}
	return links
}

// goToYear answers the year picker, and the association's own address with the newest year that has something to show.
func (s *Service) goToYear(v *visit) error {
	id, err := deal.ParseID(v.r.PathValue("association"))
	if err != nil {
		return errNotFound
	}
	association, err := v.api.Association(v.ctx, id)
	if err != nil {
		return err
	}
	query := v.r.URL.Query()
	at := yearAddress{association: id}
	if asked := query.Get("year"); asked != "" {
		if at.year, err = strconv.Atoi(asked); err != nil {
			return errNotFound
		}
	} else if at.year, err = v.newestYear(association); err != nil {
		return err
	}
	view := query.Get("view")
	if view != viewChapters && view != viewPairs && view != viewMembers {
		view = viewYear
	}
	v.redirect(at.path(view), url.Values{})
	return nil
}

// newestYear is the current year for who sees it live or a release of it, else the newest year that has a release, if any.
func (v *visit) newestYear(a api.Association) (int, error) {
	now := v.currentYear(a)
	releases, err := v.api.Releases(v.ctx, a.ID)
	if err != nil && api.StatusOf(err) != http.StatusNotFound {
		return 0, err
	}
	if len(releases) == 0 {
		return now, nil
	}
	newest := slices.MaxFunc(releases, func(x, y api.Release) int { return cmp.Compare(x.Year, y.Year) }).Year
	if newest == now {
		return now, nil
	}
	_, err = v.api.Volume(v.ctx, a.ID, api.Cut{Year: now, By: "total"})
	if api.StatusOf(err) == http.StatusNotFound {
		return newest, nil
	}
	return now, err
}

// noRelease says that nothing was published for a year, and what was.
func (v *visit) noRelease(known *begun, at yearAddress) error {
	b := &body{
		Year:    &Year{Association: known.association, Year: at.year},
		Address: at.path(viewYear), View: at.view, Years: v.years(known.association, at.year, known.releases, false),
	}
	return v.show("unpublished", v.speech.text("year.title", "year", b.Name()), b)
}

// monthsChart is the data of the bars; nil where there is none to draw: no month shows an amount.
func (v *visit) monthsChart(y *Year) any {
	type series struct {
		Name   string    `json:"name"`
		Values []*string `json:"values"`
		Texts  []string  `json:"texts"`
	}
	before, now := series{Name: y.NameBefore()}, series{Name: y.Name()}
	bars := false
	fill := func(s *series, c *api.Cell) {
		if c == nil || c.Hidden {
			s.Values, s.Texts = append(s.Values, nil), append(s.Texts, v.speech.text("cell.hidden"))
			return
		}
		bars = bars || strings.Trim(c.Amount, "0.") != ""
		s.Values, s.Texts = append(s.Values, &c.Amount), append(s.Texts, v.speech.money(c.Amount, y.Currency))
	}
	var months, initials []string
	var hidden []bool
	for i := range y.Months {
		m := &y.Months[i]
		name := v.speech.shortMonth(m.Month)
		months, initials = append(months, name), append(initials, string([]rune(name)[:1]))
		hidden = append(hidden, m.Cell.Hidden)
		fill(&before, m.Before)
		fill(&now, &m.Cell)
	}
	if !bars {
		return nil
	}
	shown := []series{now}
	if y.MonthsBefore() {
		shown = []series{before, now}
	}
	return map[string]any{
		"hidden": hidden, "hiddenText": v.speech.text("cell.hidden.short"),
		"description": v.speech.text("months.description", "year", y.Name(), "before", y.NameBefore(), "currency", y.Currency),
		"language":    v.speech.Code, "months": months, "initials": initials, "series": shown,
	}
}
