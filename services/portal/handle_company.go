package portal

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"golang.org/x/sync/errgroup"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

const (
	mostDeals   = 50 // on one page of a company
	namesAtOnce = 8
)

// companyView is a company's own year: all of it, since it is the company's.
type companyView struct {
	Company api.Named
	Year    int
	Years   []yearLink
	Volume  api.CompanyVolume
	Waiting []dealLine
	Won     []dealLine
	Next    string // address of the next page of won deals
	Later   bool   // this is not the first page
}

// dealLine is a deal in a list, with the names of its parties.
type dealLine struct {
	api.Deal
	Partners []string    // the lead first
	Own      *api.Amount // the share of the company whose page it is
	Task     string      // the message that says what waits
}

func (s *Service) goToCompanyYear(v *visit) error {
	id, err := deal.ParseID(v.r.PathValue("company"))
	if err != nil {
		return errNotFound
	}
	year := s.cfg.Now().UTC().Year()
	if asked := v.r.URL.Query().Get("year"); asked != "" {
		if year, err = strconv.Atoi(asked); err != nil || year < firstYear || year > lastYear {
			return errNotFound
		}
	}
	v.redirect("/c/"+id.String()+"/"+strconv.Itoa(year), url.Values{})
	return nil
}

func (s *Service) companyPage(v *visit) error {
	id, err := deal.ParseID(v.r.PathValue("company"))
	if err != nil {
		return errNotFound
	}
	year, err := strconv.Atoi(v.r.PathValue("year"))
	if err != nil || year < firstYear || year > lastYear {
		return errNotFound
	}
	c := &companyView{Year: year}
	if c.Volume, err = v.api.CompanyVolume(v.ctx, id, year); err != nil {
		return err // also where the company is another one's
	}
	if c.Company, err = v.api.Company(v.ctx, id); err != nil {
		return err
	}
	limit := strconv.Itoa(mostDeals)
	waiting := api.Page[api.Deal]{}
	if v.person.Role != roleOperator {
		if waiting, err = v.api.Deals(v.ctx, url.Values{"waiting": {"true"}, "limit": {limit}}); err != nil {
			return err
		}
	}
	query := url.Values{"company": {id.String()}, "status": {"won"}, "year": {strconv.Itoa(year)}, "limit": {limit}}
	if cursor := v.r.URL.Query().Get("cursor"); cursor != "" {
		query.Set("cursor", cursor)
		c.Later = true
	}
	won, err := v.api.Deals(v.ctx, query)
	if err != nil {
		return err
	}
	if won.NextCursor != "" {
		c.Next = v.r.URL.Path + "?" + url.Values{"cursor": {won.NextCursor}}.Encode()
	}
	known := map[deal.ID]string{id: c.Company.Name}
	for _, a := range c.Volume.Associations {
		for _, item := range a.Items {
			known[item.Partner.ID] = item.Partner.Name
		}
	}
	if err := v.nameCompanies(known, waiting.Items, won.Items); err != nil {
		return err
	}
	c.Waiting, c.Won = lines(waiting.Items, known, id), lines(won.Items, known, id)
	now := s.cfg.Now().UTC().Year()
	for back := range yearsBack {
		c.Years = append(c.Years, yearLink{Year: now - back, Name: strconv.Itoa(now - back), Here: now-back == year})
	}
	if year <= now-yearsBack || year > now {
		c.Years = append(c.Years, yearLink{Year: year, Name: strconv.Itoa(year), Here: true})
	}
	v.render(http.StatusOK, "company", v.speech.text("company.title", "company", c.Company.Name, "year", strconv.Itoa(year)), v.companyNav("year"), c)
	return nil
}

// nameCompanies adds the names of the deals' parties to those that are known.
func (v *visit) nameCompanies(known map[deal.ID]string, lists ...[]api.Deal) error {
	var ids []deal.ID
	for _, list := range lists {
		for _, d := range list {
			for _, p := range d.Parties {
				ids = append(ids, p.CompanyID)
			}
		}
	}
	return v.nameIDs(known, ids)
}

// nameIDs adds the names of companies to those that are known.
func (v *visit) nameIDs(known map[deal.ID]string, ids []deal.ID) error {
	var missing []deal.ID
	for _, id := range ids {
		if _, there := known[id]; !there && !id.IsZero() {
			known[id] = ""
			missing = append(missing, id)
		}
	}
	names := make([]string, len(missing))
	together, ctx := errgroup.WithContext(v.ctx)
	together.SetLimit(namesAtOnce)
	for i, id := range missing {
		together.Go(func() error {
			return name(ctx, v.api, id, &names[i])
		})
	}
	err := together.Wait()
	for i, id := range missing {
		known[id] = names[i]
	}
	return err
}

// name looks a company up; one that is gone keeps its id for a name.
func name(ctx context.Context, c *api.Client, id deal.ID, into *string) error {
	company, err := c.Company(ctx, id)
	if api.StatusOf(err) == http.StatusNotFound {
		*into = id.String()
		return nil
	}
	*into = company.Name
	return err
}

func lines(deals []api.Deal, names map[deal.ID]string, own deal.ID) []dealLine {
	var all []dealLine
	for _, d := range deals {
		l := dealLine{Deal: d, Task: "task." + d.Status}
		for _, p := range d.Parties {
			switch {
			case p.CompanyID == own:
				l.Own = &p.Share
			case p.Role == "lead":
				l.Partners = append([]string{names[p.CompanyID]}, l.Partners...)
			default:
				l.Partners = append(l.Partners, names[p.CompanyID])
			}
		}
		all = append(all, l)
	}
	return all
}
