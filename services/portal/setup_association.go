package portal

import (
	"net/http"
	"strconv"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/services/portal/api"
)

// setupView is the page of an association's own settings.
type setupView struct {
	head
	Form *form
}

// managed is the association of the address, for who manages it.
func (v *visit) managed() (api.Association, error) {
	id, err := deal.ParseID(v.r.PathValue("association"))
	if err != nil || v.person.Role != roleOperator && (v.person.Role != roleRegistrar || v.person.AssociationID != id) {
		return api.Association{}, errNotFound
	}
	return v.api.Association(v.ctx, id)
}

// associationForm asks for what an association is. For a new one nothing is chosen that would be fixed by mistake but the
// month in which most years begin.
func (v *visit) associationForm(name, does string, a api.Association) *form {
	months := make([]option, 12)
	for i := range months {
		months[i] = option{Value: strconv.Itoa(i + 1), Text: v.speech.text("month." + strconv.Itoa(i+1))}
	}
	zoneOptions := make([]option, len(zones))
	for i, zone := range zones {
		zoneOptions[i] = option{Value: zone}
	}
	var currencies []option
	for _, c := range money.Currencies() {
		currencies = append(currencies, option{Value: string(c), Text: string(c)})
	}
	var disclosures []option
	for _, policy := range []string{"guarded", "strict", "open"} {
		disclosures = append(disclosures, option{policy, v.speech.text("setup.disclosure." + policy), v.speech.text("setup.disclosure." + policy + ".what")})
	}
	if from := v.speech.openFrom(a); from != "" {
		disclosures[len(disclosures)-1].Text += " " + from
	}
	var schedules []option
	for _, schedule := range []string{"monthly", "quarterly", "yearly"} {
		schedules = append(schedules, option{Value: schedule, Text: v.speech.text("setup.schedule." + schedule)})
	}
	return v.form(
		name, does,
		field{Name: "name", Kind: "text", Value: a.Name, Required: true, Max: 200},
		field{Name: "time_zone", Kind: "list", Value: a.TimeZone, Required: true, Options: zoneOptions},
		field{Name: "year_starts_in", Kind: "select", Value: strconv.Itoa(a.YearStartsIn), Required: true, Options: months},
		field{Name: "reporting_currency", Kind: "select", Value: a.ReportingCurrency, Required: true, Options: currencies},
		field{Name: "disclosure", Kind: "radio", Value: a.Disclosure, Options: disclosures},
		field{Name: "release_schedule", Kind: "select", Value: a.ReleaseSchedule, Required: true, Options: schedules},
	)
}

// newAssociation is what the form of a new one begins with.
var newAssociation = api.Association{YearStartsIn: 1, ReportingCurrency: "EUR", Disclosure: "guarded", ReleaseSchedule: "monthly"}

func (v *visit) associationInput() api.AssociationInput {
	in := api.AssociationInput{
		Name: v.sent("name"), TimeZone: v.sent("time_zone"), ReportingCurrency: v.sent("reporting_currency"), Disclosure: v.sent("disclosure"),
		ReleaseSchedule: v.sent("release_schedule"),
	}
	if month, err := strconv.Atoi(v.posted("year_starts_in")); err == nil {
		in.YearStartsIn = &month
	}
	return in
}

// createAssociation is the operator's first step.
func (s *Service) createAssociation(v *visit) error {
	if v.person.Role != roleOperator {
		return errNotFound
	}
	view := &setupView{
		head: head{Kicker: v.speech.text("setup.title"), Heading: v.speech.text("setup.association.title")},
		Form: v.associationForm("association", "create", newAssociation),
	}
	if v.r.Method == http.MethodPost {
		in := v.associationInput()
		a, err := v.api.CreateAssociation(v.ctx, in)
		if err == nil {
			return v.done("setup.done.association", "/a/"+a.ID.String()+"/setup/chapters")
		}
		if !view.Form.typed(v.r.PostForm).blame(err) {
			return err
		}
	}
	v.render(statusOf(view.Form), "setup_form", view.Heading, nil, view)
	return nil
}

// setup shows an association's settings and changes what was changed in the form: a registrar may not send the others.
func (s *Service) setup(v *visit) error {
	if _, err := v.managed(); err != nil {
		return err
	}
	id, err := deal.ParseID(v.r.PathValue("association"))
	if err != nil {
		return errNotFound
	}
	a, tag, err := v.api.TaggedAssociation(v.ctx, id)
	if err != nil {
		return err
	}
	view := &setupView{
		head: head{Kicker: a.Name, Heading: v.speech.text("setup.settings"), Views: v.setupViews(id, viewSetup)},
		Form: v.associationForm("association.change", "change", a),
	}
	if v.r.Method == http.MethodPost {
		err := v.api.ChangeAssociation(v.ctx, id, tag, v.associationInput().Changes(a))
		if err == nil {
			return v.done("form.saved", v.r.URL.Path)
		}
		if !view.Form.typed(v.r.PostForm).blame(err) {
			return err
		}
	}
	v.render(statusOf(view.Form), "setup_form", view.Heading, v.nav(id, "", viewSetup), view)
	return nil
}
