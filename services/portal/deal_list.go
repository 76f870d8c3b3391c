package portal

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

const (
	mostWaiting = 20 // deals on the first page that wait for somebody
	mostLatest  = 10
	mostListed  = 30
)

// statuses are those that a list can be narrowed to, in the order of a deal's life.
var statuses = []string{"pending", "active", "closing", "won", "disputed", "declined", "withdrawn", "lost", "expired", "void"}

// dealsHome is the first page of a company's person: what waits for them, then what they may do.
type dealsHome struct {
	Company         string
	Waiting, Latest []dealLine
	MoreWaiting     bool
}

func (s *Service) dealsHome(v *visit) error {
	var h dealsHome
	var waiting, latest api.Page[api.Deal]
	together, ctx := errgroup.WithContext(v.ctx)
	together.Go(func() (err error) {
		waiting, err = v.api.Deals(ctx, url.Values{"waiting": {"true"}, "limit": {strconv.Itoa(mostWaiting)}})
		return err
	})
	together.Go(func() (err error) {
		latest, err = v.api.Deals(ctx, url.Values{"limit": {strconv.Itoa(mostLatest)}})
		return err
	})
	if err := together.Wait(); err != nil {
		return err
	}
	known := map[deal.ID]string{v.person.CompanyID: ""}
	if err := v.nameCompanies(known, waiting.Items, latest.Items); err != nil {
		return err
	}
	if err := name(v.ctx, v.api, v.person.CompanyID, &h.Company); err != nil {
		return err
	}
	h.Waiting, h.Latest = lines(waiting.Items, known, v.person.CompanyID), stateLines(latest.Items, known, v.person.CompanyID)
	h.MoreWaiting = waiting.NextCursor != ""
	v.render(http.StatusOK, "deals_home", v.speech.text("deals.home.title"), v.companyNav("home"), h)
	return nil
}

// stateLines are deals with where they stand, instead of what they ask for.
func stateLines(deals []api.Deal, names map[deal.ID]string, own deal.ID) []dealLine {
	all := lines(deals, names, own)
	for i := range all {
		all[i].Task = "deal.status." + all[i].Status
		if all[i].Deal.Status != "pending" && all[i].Deal.Status != "closing" {
			all[i].DueAt = nil
		}
	}
	return all
}

// dealList is the page of all deals that somebody may see, narrowed by what the address asks for.
type dealList struct {
	Status, Query   string
	Year            int
	Statuses        []string
	Years           []int
	Lines           []dealLine
	Next            string
	Narrowed, Later bool
	MayRegister     bool
}

func (s *Service) deals(v *visit) error {
	asked := v.r.URL.Query()
	l := &dealList{
		Status: asked.Get("status"), Query: strings.TrimSpace(asked.Get("q")), Statuses: statuses, MayRegister: v.ofCompany(),
	}
	query := url.Values{"limit": {strconv.Itoa(mostListed)}}
	if l.Status == "waiting" {
		query.Set("waiting", "true")
	} else if l.Status != "" {
		query.Set("status", l.Status)
	}
	if l.Query != "" {
		query.Set("q", l.Query)
	}
	if text := asked.Get("year"); text != "" {
		year, err := strconv.Atoi(text)
		if err != nil || year < firstYear || year > lastYear {
			return errNotFound
		}
		l.Year = year
		query.Set("year", text)
	}
	if cursor := asked.Get("cursor"); cursor != "" {
		query.Set("cursor", cursor)
		l.Later = true
	}
	page, err := v.api.Deals(v.ctx, query)
	if err != nil {
		return err
	}
	known := map[deal.ID]string{}
	if err := v.nameCompanies(known, page.Items); err != nil {
		return err
	}
	l.Lines = stateLines(page.Items, known, v.person.CompanyID)
	l.Narrowed = l.Status != "" || l.Query != "" || l.Year != 0
	now := s.cfg.Now().UTC().Year()
	for back := range yearsBack {
		l.Years = append(l.Years, now-back)
	}
	if page.NextCursor != "" {
		asked.Set("cursor", page.NextCursor)
		l.Next = "/deals?" + asked.Encode()
	}
	v.render(http.StatusOK, "deals", v.speech.text("deals.list.title"), v.companyNav("deals"), l)
	return nil
}

// companyNav is the way between the pages of a company's person; others have their own.
func (v *visit) companyNav(here string) []link {
	if !v.ofCompany() {
		return nil
	}
	return []link{
		{Text: v.speech.text("deals.nav.home"), Address: "/", Here: here == "home"},
		{Text: v.speech.text("deals.nav.all"), Address: "/deals", Here: here == "deals"},
		{Text: v.speech.text("deals.nav.year"), Address: "/c/" + v.person.CompanyID.String(), Here: here == "year"},
		{Text: v.speech.text("import.nav"), Address: importPath, Here: here == viewImport},
		{Text: v.speech.text("manage.nav.company"), Address: v.companyHome(), Here: here == "manage"},
	}
}
