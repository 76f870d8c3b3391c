package portal

import (
	"encoding/json"
	"net/http"

	"github.com/dealreg/dealreg/services/portal/api"
)

const mePath = "/me"

// meView is what people change of themselves.
type meView struct {
	head
	Form *form
}

// me shows and changes the person's own settings. A key is nobody, and has none.
func (s *Service) me(v *visit) error {
	if v.person.PersonID.IsZero() {
		return errNotFound
	}
	p, tag, err := v.api.Person(v.ctx, v.person.PersonID)
	if err != nil {
		return err
	}
	fields := []field{
		{Name: "name", Kind: "text", Value: p.Name, Required: true, Max: 120},
		{Name: "language", Kind: "select", Value: p.Language, Required: true, Options: v.languageOptions()},
	}
	if p.Digest != nil && !p.CompanyID.IsZero() {
		digest := field{Name: "digest", Kind: "check"}
		if *p.Digest {
			digest.Value = "true"
		}
		fields = append(fields, digest)
	}
	view := &meView{head: head{Kicker: v.speech.text("role." + p.Role), Heading: v.speech.text("me.title")}, Form: v.form("me", "change", fields...)}
	if v.r.Method == http.MethodPost {
		in := api.PersonInput{Name: v.sent("name"), Language: v.sent("language")}
		if p.Digest != nil && !p.CompanyID.IsZero() {
			wanted := v.posted("digest") != ""
			in.Digest = &wanted
		}
		changed, err := v.api.ChangePerson(v.ctx, p.ID, tag, in)
		if err == nil {
			if err := v.remember(changed); err != nil {
				return err
			}
			return v.done("form.saved", mePath)
		}
		if !view.Form.typed(v.r.PostForm).blame(err) {
			return err
		}
	}
	v.render(statusOf(view.Form), "me", view.Heading, v.ownNav(), view)
	return nil
}

// remember lets the session go on under the person's new name, in the new language.
func (v *visit) remember(p api.Person) error {
	v.person.Name, v.person.Language = p.Name, p.Language
	text, err := json.Marshal(v.person) // #nosec G117 -- the session's store seals it
	if err != nil {
		return err
	}
	v.s.sessions.Put(v.ctx, sessionPerson, string(text))
	v.s.sessions.Put(v.ctx, sessionLanguage, p.Language)
	return nil
}
