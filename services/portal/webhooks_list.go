package portal

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

const webhooksPath = "/webhooks"

// endpointsView lists the endpoints that the person manages.
type endpointsView struct {
	head
	Endpoints []endpointLine
	New       *form
}

// endpointLine is an endpoint in the list.
type endpointLine struct {
	api.Endpoint
	Owner string // only where the person manages several owners'
	State string // a key of a message
	Why   reason // it is disabled
}

// secretShown is a secret on the one page that shows it.
type secretShown struct {
	Title, Label, Secret, Note, More, Next string
}

// managesWebhooks are the roles whose endpoints there may be.
var managesWebhooks = []string{roleCompanyAdmin, roleRegistrar, roleBoard, roleOperator}

// webhooks lists the endpoints, and makes one.
func (s *Service) webhooks(v *visit) error {
	if !slices.Contains(managesWebhooks, v.person.Role) {
		return errNotFound
	}
	view := &endpointsView{head: head{Heading: v.speech.text("webhooks.title"), Views: v.ownViews("webhooks")}}
	types, err := v.api.EventTypes(v.ctx)
	if err != nil {
		return err
	}
	view.New = v.endpointForm("endpoint", "create", types, api.Endpoint{EventTypes: []string{"*"}, RatePerSecond: 50}, true)
	if v.r.Method == http.MethodPost {
		_ = v.posted("act") // reads the form
		view.New.typed(v.r.PostForm)
		in := v.endpointInput(view.New, api.Endpoint{})
		if kind, id, named := strings.Cut(v.posted("owner"), ":"); named && kind == "company" {
			in.CompanyID = id
		} else if named {
			in.AssociationID = id
		}
		if !view.New.Faulty() {
			made, err := v.api.CreateEndpoint(v.ctx, in)
			if err == nil {
				return v.showSecret(made, "webhooks.made")
			}
			if !view.New.blame(err) {
				return err
			}
		}
	}
	all, err := v.api.Endpoints(v.ctx)
	if err != nil {
		return err
	}
	names := map[deal.ID]string{}
	for _, e := range all {
		line := v.endpointLine(e)
		if v.person.Role == roleOperator {
			if line.Owner, err = v.ownerName(e, names); err != nil {
				return err
			}
		}
		view.Endpoints = append(view.Endpoints, line)
	}
	v.render(statusOf(view.New), "webhooks", view.Heading, v.ownNav(), view)
	return nil
}

// ownerName names the company or the association that an endpoint belongs to.
func (v *visit) ownerName(e api.Endpoint, known map[deal.ID]string) (string, error) {
	id, is := e.CompanyID, "company"
	if id.IsZero() {
		id, is = e.AssociationID, "association"
	}
	if text, there := known[id]; there {
		return text, nil
	}
	text := id.String()
	if is == "company" {
		if err := name(v.ctx, v.api, id, &text); err != nil {
			return "", err
		}
	} else if a, err := v.api.Association(v.ctx, id); err == nil {
		text = a.Name
	} else if api.StatusOf(err) != http.StatusNotFound {
		return "", err
	}
	known[id] = text
	return text, nil
}

func (v *visit) endpointLine(e api.Endpoint) endpointLine {
	return endpointLine{Endpoint: e, State: stateOf(e), Why: v.reason(e.DisabledReason)}
}

// stateOf is the message that says how an endpoint is.
func stateOf(e api.Endpoint) string {
	switch {
	case !e.Enabled:
		return "webhooks.state.disabled"
	case e.FailingSince != nil:
		return "webhooks.state.failing"
	case e.Behind > 0:
		return "webhooks.state.behind"
	}
	return "webhooks.state.live"
}

// typeOfTests is that of the events which the button for a test sends.
const typeOfTests = "dealreg.endpoint.test"

// endpointForm is the form of an endpoint; a new one of the operator asks for its owner.
func (v *visit) endpointForm(name, does string, types []api.EventType, e api.Endpoint, isNew bool) *form {
	options := []option{
		{Value: "*", Text: v.speech.text("webhooks.types.all")},
		{Value: "dealreg.deal.*", Text: v.speech.text("webhooks.types.deals")},
	}
	for _, t := range types {
		if t.Type == typeOfTests {
			continue // it comes whether it is chosen or not
		}
		options = append(options, option{t.Type, t.Type, v.reason(t.Description).Text})
	}
	for _, own := range e.EventTypes { // a group that an API call asked for
		if !slices.ContainsFunc(options, func(o option) bool { return o.Value == own }) {
			options = append(options, option{Value: own, Text: own})
		}
	}
	fields := []field{
		{Name: "url", Kind: "url", Value: e.URL, Required: true, Max: 2048},
		{Name: "description", Kind: "text", Value: e.Description, Max: 500},
		{Name: "rate_per_second", Kind: "number", Value: strconv.FormatFloat(e.RatePerSecond, 'f', -1, 64), Required: true},
		{Name: "headers", Kind: "area", Value: strings.Join(e.HeaderNames, "\n")},
		{Name: "ordered", Kind: "check", Value: strconv.FormatBool(e.Ordered)},
	}
	if isNew {
		fields = append(fields, field{Name: "signing", Kind: "radio", Value: signings[0], Options: v.signingOptions()})
	}
	fields = append(fields, field{Name: "event_types", Kind: "checks", Chosen: e.EventTypes, Options: options})
	if isNew && v.person.Role == roleOperator {
		fields = append([]field{{Name: "owner", Kind: "list", Required: true, Options: v.owners()}}, fields...)
	}
	return v.form(name, does, fields...)
}

// owners are the associations that the operator may choose; a company is written as company:ID.
func (v *visit) owners() []option {
	var options []option
	associations, err := v.api.Associations(v.ctx)
	if err != nil {
		return nil // the field takes an id all the same
	}
	for _, a := range associations {
		options = append(options, option{Value: "association:" + a.ID.String(), Text: a.Name})
	}
	return options
}

// signings are the ways to sign, the usual one first.
var signings = []string{"shared", "pair"}

func (v *visit) signingOptions() []option {
	var options []option
	for _, way := range signings {
		options = append(options, option{way, v.speech.text("webhooks.signing." + way), v.speech.text("webhooks.signing." + way + ".what")})
	}
	return options
}

// endpointInput reads the form of what is to be an endpoint, or to change it; what cannot be read is a fault of its field.
func (v *visit) endpointInput(f *form, was api.Endpoint) api.EndpointInput {
	in := api.EndpointInput{
		URL: v.posted("url"), Description: v.posted("description"), EventTypes: append([]string{}, v.chosen("event_types")...),
		Headers: v.headers(f, was.HeaderNames),
	}
	if ordered := v.posted("ordered") != ""; ordered != was.Ordered {
		in.Ordered = &ordered
	}
	if was.ID.IsZero() {
		in.Signing = v.posted("signing")
	}
	rate, err := strconv.ParseFloat(strings.Replace(v.posted("rate_per_second"), ",", ".", 1), 64)
	if err != nil {
		f.fault("rate_per_second", v.speech.text("form.nonumber"))
	}
	in.RatePerSecond = &rate
	return in
}

// headers reads lines of a name, a colon and a value. What the endpoint sends along already needs no value, which nobody
// is shown, and stays; what has no line any more is removed.
func (v *visit) headers(f *form, before []string) map[string]*string {
	headers := map[string]*string{}
	for _, name := range before {
		headers[name] = nil
	}
	for line := range strings.Lines(v.posted("headers")) {
		name, value, set := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		i := slices.IndexFunc(before, func(old string) bool { return strings.EqualFold(old, name) })
		if i >= 0 {
			delete(headers, before[i])
		}
		switch {
		case set:
			headers[name] = &value
		case name != "" && i < 0:
			f.fault("headers", v.speech.text("webhooks.headers.novalue", "name", name))
		}
	}
	return headers
}

// showSecret is the one page that shows an endpoint's secret.
func (v *visit) showSecret(e api.EndpointSecret, title string) error {
	shown := secretShown{
		Title: v.speech.text(title), Label: v.speech.text("webhooks.secret"), Secret: e.Secret, Note: v.speech.text("webhooks.secret.note"),
		Next: webhooksPath + "/" + e.ID.String(),
	}
	if e.PreviousUntil != nil {
		shown.Note = v.speech.text("webhooks.secret.rotated", "until", v.speech.instant(*e.PreviousUntil, v.zone()))
	}
	if e.Secret == "" { // signed with a pair of keys
		shown.Label, shown.Secret = v.speech.text("webhooks.publickey"), e.PublicKey
	}
	return v.showOnce(shown)
}

// showOnce shows a secret, which no other page, log or store has.
func (v *visit) showOnce(shown secretShown) error {
	v.render(http.StatusOK, "once", shown.Title, nil, shown)
	return nil
}

// attemptsQuery is what a link to the log of an endpoint keeps.
func attemptsQuery(asked url.Values) url.Values {
	kept := url.Values{}
	for _, name := range []string{"outcome", "event", "since"} {
		if text := strings.TrimSpace(asked.Get(name)); text != "" {
			kept.Set(name, text)
		}
	}
	return kept
}
