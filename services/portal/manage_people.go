package portal

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

// peopleView is the people of a company or an association.
type peopleView struct {
	head
	People []personLine
	Invite *form
}

// personLine is a person in the list, with what can be done.
type personLine struct {
	api.Person
	Self   bool
	Change *form
	Acts   []act // done at once
	Remove act
}

// people lists the people of an owner, invites somebody and does what the buttons say.
func (s *Service) people(v *visit) error {
	o, err := v.owner(pagePeople)
	if err != nil {
		return err
	}
	view := &peopleView{head: head{Kicker: o.Name, Heading: v.speech.text("people.title"), Views: o.Views}}
	view.Invite = v.inviteForm(o.Roles)
	var changing *form
	var changed deal.ID
	if v.r.Method == http.MethodPost {
		switch v.posted("act") {
		case "invite":
			view.Invite.typed(v.r.PostForm)
			if err := v.invite(o); err == nil {
				return nil
			} else if !view.Invite.blame(err) {
				return err
			}
		case "change":
			if changed, err = deal.ParseID(v.posted("person")); err != nil {
				return errNotFound
			}
			if err := v.changePerson(o, changed); err == nil {
				return v.done("form.saved", o.Base+"/people")
			} else if changing = v.personForm(o, api.Person{ID: changed}).typed(v.r.PostForm); !changing.blame(err) {
				return err
			}
		default:
			return v.actOnPerson(o)
		}
	}
	all, err := v.api.People(v.ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		if !o.has(p.CompanyID, p.AssociationID) || !slices.Contains(o.Roles, p.Role) {
			continue
		}
		line := personLine{Person: p, Self: p.ID == v.person.PersonID, Change: v.personForm(o, p), Remove: actOf("people.remove", "remove", "person", p.ID)}
		if p.ID == changed {
			line.Change = changing
		}
		if p.DisabledAt == nil {
			line.Acts = append(line.Acts, actOf("people.link", "link", "person", p.ID))
			if !line.Self {
				line.Acts = append(line.Acts, actOf("people.disable", "disable", "person", p.ID))
			}
		} else {
			line.Acts = append(line.Acts, actOf("people.enable", "enable", "person", p.ID))
		}
		view.People = append(view.People, line)
	}
	slices.SortFunc(view.People, func(a, b personLine) int { return cmp.Or(cmp.Compare(a.Name, b.Name), a.ID.Compare(b.ID)) })
	status := statusOf(view.Invite)
	if changing != nil {
		status = http.StatusUnprocessableEntity
	}
	v.render(status, "people", view.Heading, o.Nav, view)
	return nil
}

// inviteForm asks whom to invite, as one of the roles.
func (v *visit) inviteForm(roles []string) *form {
	likely := roles[0]
	if v.person.Role == roleCompanyAdmin {
		likely = roleMember
	}
	fields := []field{
		{Name: "name", Kind: "text", Required: true, Max: 120},
		{Name: "email", Kind: "email", Max: 254},
		{Name: "role", Kind: "radio", Value: likely, Options: v.roleOptions(roles)},
		{Name: "language", Kind: "select", Value: v.speech.Code, Required: true, Options: v.languageOptions()},
	}
	if v.s.cfg.MailOn {
		fields = append(fields, field{Name: "mail", Kind: "check", Value: "true"})
	}
	return v.form("invite", "invite", fields...)
}

// personForm changes one person.
func (v *visit) personForm(o owner, p api.Person) *form {
	f := v.form(
		"person", "change",
		field{Name: "name", Kind: "text", Value: p.Name, Required: true, Max: 120},
		field{Name: "email", Kind: "email", Value: p.Email, Max: 254},
		field{Name: "role", Kind: "radio", Value: p.Role, Options: v.roleOptions(o.Roles)},
	)
	f.Hidden["person"], f.Suffix, f.Quiet = p.ID.String(), p.ID.String(), true
	return f
}

func (v *visit) languageOptions() []option {
	var options []option
	for _, code := range languages {
		options = append(options, option{Value: code, Text: v.s.speech[code].text("language.name")})
	}
	return options
}

// invite makes a person known and shows the link that signs them in. The error is the API's.
func (v *visit) invite(o owner) error {
	in := api.PersonInput{Name: v.sent("name"), Role: v.sent("role"), Language: v.sent("language")}
	if email := v.sent("email"); *email != "" {
		in.Email = email
	}
	if !slices.Contains(o.Roles, *in.Role) {
		return errNotFound
	}
	in.CompanyID, in.AssociationID = o.scope()
	p, err := v.api.Invite(v.ctx, in)
	if err != nil {
		return err
	}
	return v.showLink(o, p, v.posted("mail") != "" && p.Email != "")
}

// showLink makes a link for a person and shows it, this once.
func (v *visit) showLink(o owner, p api.Person, mail bool) error {
	made, err := v.api.LinkPerson(v.ctx, p.ID, mail)
	if err != nil {
		return err
	}
	ends := v.speech.instant(made.ExpiresAt, v.zone())
	shown := secretShown{
		Title: v.speech.text("people.link.title", "name", p.Name), Label: v.speech.text("people.link.label"),
		Secret: v.origin() + "/sign-in/" + made.Link, Note: v.speech.text("people.link.note", "name", p.Name, "until", ends), Next: o.Base + "/people",
	}
	switch {
	case made.Mailed != nil && *made.Mailed:
		shown.More = v.speech.text("people.link.mailed", "email", p.Email)
	case mail:
		shown.More = v.speech.text("people.link.notmailed", "email", p.Email)
	}
	return v.showOnce(shown)
}

// changePerson changes what the form says. The error is the API's.
func (v *visit) changePerson(o owner, id deal.ID) error {
	p, tag, err := v.api.Person(v.ctx, id)
	if err != nil {
		return err
	}
	if !o.has(p.CompanyID, p.AssociationID) || !slices.Contains(o.Roles, v.posted("role")) {
		return errNotFound
	}
	_, err = v.api.ChangePerson(v.ctx, id, tag, api.PersonInput{Name: v.sent("name"), Email: v.sent("email"), Role: v.sent("role")})
	return err
}

// actOnPerson does what a button beside a person says.
func (v *visit) actOnPerson(o owner) error {
	id, err := deal.ParseID(v.posted("person"))
	if err != nil {
		return errNotFound
	}
	p, tag, err := v.api.Person(v.ctx, id)
	if err != nil {
		return err
	}
	if !o.has(p.CompanyID, p.AssociationID) {
		return errNotFound
	}
	page, done, disabled := o.Base+"/people", "", true
	switch v.posted("act") {
	case "link":
		err = v.showLink(o, p, false)
		if err == nil {
			return nil
		}
	case "disable":
		done = "people.done.disabled"
		_, err = v.api.ChangePerson(v.ctx, id, tag, api.PersonInput{Disabled: &disabled})
	case "enable":
		done, disabled = "people.done.enabled", false
		_, err = v.api.ChangePerson(v.ctx, id, tag, api.PersonInput{Disabled: &disabled})
	case "remove":
		done = "people.done.removed"
		err = v.api.ForgetPerson(v.ctx, id)
	default:
		return errNotFound
	}
	if err != nil {
		return v.refused(err, page)
	}
	return v.done(done, page)
}

// origin is the address under which the browser reached this server.
func (v *visit) origin() string {
	scheme := "http"
	if v.s.cfg.SecureCookies {
		scheme = "https"
	}
	return scheme + "://" + v.r.Host
}
