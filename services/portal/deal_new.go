package portal

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/services/portal/api"
)

const (
	newDealPath = "/deals/new"
	mostFound   = 8 // companies that a search shows
)

// newDealView is the page on which a company registers a deal.
type newDealView struct {
	Form       *dealForm
	Company    string // the own one
	Countries  []country
	Currencies []money.Currency
	Decimal    string
	Action, As string
}

// newDeal shows the form. Its address names it: whatever comes from one address, sent twice, reloaded or reached with the
// back button, is one deal.
func (s *Service) newDeal(v *visit) error {
	if !v.ofCompany() {
		return errNotFound
	}
	key := v.r.URL.Query().Get("form")
	if uuid.Validate(key) != nil {
		v.redirect(newDealPath, url.Values{"form": {uuid.NewString()}})
		return nil
	}
	if posted, there := v.kept(); there {
		f := readDealForm(v.speech, posted)
		f.Resumed = true
		return v.showNewDeal(http.StatusOK, f)
	}
	f := newDealForm(v.speech)
	own, err := v.api.Card(v.ctx, v.person.CompanyID)
	if err != nil {
		return err
	}
	associations, err := v.api.Associations(v.ctx)
	if err != nil {
		return err
	}
	f.Country, f.Currency, f.Rows = own.Country, string(money.EUR), []shareRow{{}}
	if len(associations) > 0 {
		f.Currency = associations[0].ReportingCurrency
	}
	return v.showNewDeal(http.StatusOK, f)
}

func (v *visit) showNewDeal(status int, f *dealForm) error {
	f.OwnGetsRest = true
	if len(f.Rows) == 0 {
		f.Rows = []shareRow{{}}
	}
	if f.Left == "" {
		f.count()
	}
	known := map[deal.ID]string{}
	ids := []deal.ID{v.person.CompanyID}
	for _, row := range f.Rows {
		if id, err := deal.ParseID(row.CompanyID); err == nil {
			ids = append(ids, id)
		}
	}
	if err := v.nameIDs(known, ids); err != nil {
		return err
	}
	for i := range f.Rows {
		row := &f.Rows[i]
		row.Index = i
		id, err := deal.ParseID(row.CompanyID)
		if err != nil {
			row.CompanyID = ""
		} else {
			row.Name = known[id]
		}
	}
	v.render(status, "deal_new", v.speech.text("deals.new.title"), v.companyNav(""), &newDealView{
		Form: f, Company: known[v.person.CompanyID], Countries: v.speech.countries(), Currencies: money.Currencies(), Decimal: v.speech.decimal,
		Action: v.r.URL.RequestURI(), As: v.as(),
	})
	return nil
}

// registerDeal takes the form: registers the deal, or finds and adds partners where a page without scripts asks for that.
func (s *Service) registerDeal(v *visit) error {
	key := v.r.URL.Query().Get("form")
	if !v.ofCompany() || uuid.Validate(key) != nil {
		return errNotFound
	}
	if err := v.r.ParseForm(); err != nil {
		return &api.Error{Status: http.StatusBadRequest}
	}
	f := readDealForm(v.speech, v.r.PostForm)
	do, argument, _ := strings.Cut(v.r.PostForm.Get("do"), ".")
	switch do {
	case "add":
		if len(f.Rows) < mostPartners {
			f.Rows = append(f.Rows, shareRow{})
		}
	case "remove":
		if i, err := strconv.Atoi(argument); err == nil && i < len(f.Rows) && i >= 0 && len(f.Rows) > 1 {
			f.Rows = slices.Delete(f.Rows, i, i+1)
		}
	case "enter": // the key, in any field
		if !f.seeks() {
			return v.register(f, key)
		}
		for i := range f.Rows {
			if f.Rows[i].CompanyID == "" {
				if err := v.find(&f.Rows[i]); err != nil {
					return err
				}
			}
		}
	case "find":
		for i := range f.Rows {
			if strconv.Itoa(i) == argument {
				if err := v.find(&f.Rows[i]); err != nil {
					return err
				}
			}
		}
	default:
		return v.register(f, key)
	}
	return v.showNewDeal(http.StatusOK, f)
}

// seeks tells whether a partner is looked for and not chosen yet.
func (f *dealForm) seeks() bool {
	return slices.ContainsFunc(f.Rows, func(row shareRow) bool { return row.Query != "" && row.CompanyID == "" })
}

// find looks for the companies that a row asks for, without the own one.
func (v *visit) find(row *shareRow) error {
	if row.Query == "" {
		return nil
	}
	found, err := v.api.FindCompanies(v.ctx, row.Query, mostFound+1)
	if err != nil {
		return err
	}
	row.Found = slices.DeleteFunc(found, func(c api.Card) bool { return c.ID == v.person.CompanyID })
	row.Found, row.Looked = row.Found[:min(mostFound, len(row.Found))], true
	return nil
}

func (v *visit) register(f *dealForm, key string) error {
	registration, err := v.registration(f)
	if err != nil {
		return err
	}
	if !f.sound() {
		return v.showNewDeal(http.StatusUnprocessableEntity, f)
	}
	registered, err := v.api.Register(v.ctx, key, registration)
	if err == nil {
		v.redirect("/deals/"+registered.ID.String(), nil)
		return nil
	}
	if keyUsed(err) { // the form has made another deal
		f.notice("deals.new.again")
		fresh := url.Values{"form": {uuid.NewString()}}
		v.r.URL.RawQuery = fresh.Encode()
		return v.showNewDeal(http.StatusConflict, f)
	}
	if !v.told(err, f, "deals.new.forbidden") {
		return err
	}
	return v.showNewDeal(api.StatusOf(err), f)
}

// registration reads the form. A partner that was looked for and not chosen is found, to be chosen.
func (v *visit) registration(f *dealForm) (api.Registration, error) {
	f.OwnGetsRest = true
	var r api.Registration
	f.words("title", f.Title, deal.MaxTitle)
	f.words("customer", f.Customer, deal.MaxCustomerName)
	if f.Country == "" {
		f.bad("country", "deals.fault.choose")
	}
	r.Title, r.Customer.Name, r.Customer.Country = f.Title, f.Customer, f.Country
	r.ExpectedOn = f.day("expected", f.Expected, false)
	if len(f.Rows) == 0 {
		f.Rows = []shareRow{{}}
	}
	value, shares := f.figures()
	r.Value = value
	r.Parties = []api.PartyInput{{CompanyID: v.person.CompanyID}}
	for i := range f.Rows {
		row := &f.Rows[i]
		id, err := deal.ParseID(row.CompanyID)
		if err != nil {
			f.bad("company."+strconv.Itoa(i), "deals.fault.partner")
			if err := v.find(row); err != nil {
				return r, err
			}
		}
		r.Parties = append(r.Parties, api.PartyInput{CompanyID: id})
	}
	for i := range min(len(shares), len(r.Parties)) {
		r.Parties[i].Share = shares[i]
	}
	return r, nil
}

// findPartners answers the script of the form: the same choices that the page shows without it.
func (s *Service) findPartners(v *visit) error {
	index, err := strconv.Atoi(v.r.URL.Query().Get("row"))
	if !v.ofCompany() || err != nil || index < 0 || index >= mostPartners {
		return errNotFound
	}
	row := shareRow{Index: index, Query: strings.TrimSpace(v.r.URL.Query().Get("q"))}
	if err := v.find(&row); err != nil {
		return err
	}
	v.renderPart("deal_new", "choices", row)
	return nil
}

// ofCompany tells whether the person works for a company, which may register deals.
func (v *visit) ofCompany() bool {
	return v.person.Role == roleMember || v.person.Role == roleCompanyAdmin
}

// keyUsed tells whether the Idempotency-Key was used for another request.
func keyUsed(err error) bool {
	for _, fault := range faultsOf(err) {
		if fault.Parameter == "Idempotency-Key" {
			return true
		}
	}
	return false
}

func faultsOf(err error) []api.Fault {
	if problem, ok := asProblem(err); ok {
		return problem.Faults
	}
	return nil
}
