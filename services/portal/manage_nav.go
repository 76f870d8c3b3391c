package portal

import (
	"slices"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

const viewSetup = "setup"

// The pages of management, as messages and addresses name them.
const (
	pagePeople   = "people"
	pageKeys     = "keys"
	pageWaivers  = "waivers"
	pageWebhooks = "webhooks"
	pageChapters = "chapters"
	pageMembers  = "members"
	pagePublish  = "publish"
)

// menu is what everybody finds below their name.
func (v *visit) menu() []link {
	var links []link
	if !v.person.PersonID.IsZero() {
		links = append(links, link{Text: v.speech.text("manage.nav.me"), Address: mePath})
	}
	if slices.Contains(managesWebhooks, v.person.Role) {
		links = append(links, link{Text: v.speech.text("manage.nav.webhooks"), Address: webhooksPath})
	}
	return links
}

// ownNav is the way between the pages of whom the person works for.
func (v *visit) ownNav() []link {
	switch v.person.Role {
	case roleMember, roleCompanyAdmin:
		return v.companyNav("manage")
	case roleRegistrar, roleBoard:
		return v.nav(v.person.AssociationID, "", viewSetup)
	}
	return nil
}

// deskNav is that of the registrar's desk.
func (v *visit) deskNav() []link {
	if v.person.Role != roleRegistrar {
		return nil
	}
	return v.nav(v.person.AssociationID, "", viewDesk)
}

// ownViews are the pages of management of whom the person works for.
func (v *visit) ownViews(here string) []link {
	switch v.person.Role {
	case roleMember, roleCompanyAdmin:
		return v.companyViews(v.person.CompanyID, here)
	case roleRegistrar:
		return v.setupViews(v.person.AssociationID, here)
	}
	return nil
}

// companyViews are the pages on which a company is managed. Its members see only what is theirs to see.
func (v *visit) companyViews(company deal.ID, here string) []link {
	pages := []string{pagePeople, pageKeys, pageWaivers}
	if v.person.Role == roleCompanyAdmin {
		pages = append(pages, pageWebhooks)
	}
	if v.person.Role == roleMember {
		pages = []string{pageWaivers}
	}
	return v.views("/c/"+company.String(), pages, here)
}

// setupViews are the pages on which an association is managed.
func (v *visit) setupViews(association deal.ID, here string) []link {
	base := "/a/" + association.String()
	links := []link{{Text: v.speech.text("setup.settings"), Address: base + "/setup", Here: here == viewSetup}}
	links = append(links, v.views(base+"/setup", []string{pageChapters, pageMembers}, here)...)
	pages := []string{pagePeople, pageKeys, pagePublish}
	if v.person.Role == roleRegistrar {
		pages = append(pages, pageWebhooks)
	}
	return append(links, v.views(base, pages, here)...)
}

func (v *visit) views(base string, pages []string, here string) []link {
	var links []link
	for _, page := range pages {
		address := base + "/" + page
		if page == pageWebhooks {
			address = webhooksPath
		}
		links = append(links, link{Text: v.speech.text("manage.nav." + page), Address: address, Here: here == page})
	}
	return links
}

// owner is whose people and keys a page shows: a company or an association.
type owner struct {
	Company, Association deal.ID
	Name, Base           string
	Roles                []string // that its people and keys may have
	Nav, Views           []link
}

// owner reads from the address whose page it is. Whoever may not manage it finds nothing.
func (v *visit) owner(here string) (owner, error) {
	if text := v.r.PathValue("company"); text != "" {
		id, err := deal.ParseID(text)
		if err != nil || v.person.Role != roleCompanyAdmin && v.person.Role != roleRegistrar && v.person.Role != roleOperator ||
			v.person.Role == roleCompanyAdmin && v.person.CompanyID != id {
			return owner{}, errNotFound
		}
		company, err := v.api.Company(v.ctx, id)
		o := owner{
			Company: id, Name: company.Name, Base: "/c/" + id.String(), Roles: []string{roleCompanyAdmin, roleMember}, Nav: v.ownNav(),
			Views: v.companyViews(id, here),
		}
		if v.person.Role != roleCompanyAdmin {
			o.Views = v.views(o.Base, []string{pagePeople, pageKeys}, here)
		}
		return o, err
	}
	a, err := v.managed()
	if err != nil {
		return owner{}, err
	}
	return owner{
		Association: a.ID, Name: a.Name, Base: "/a/" + a.ID.String(), Roles: []string{roleRegistrar, roleBoard, roleAuditor},
		Nav: v.nav(a.ID, "", viewSetup), Views: v.setupViews(a.ID, here),
	}, nil
}

// has tells whether somebody or something of this scope is the owner's.
func (o owner) has(company, association deal.ID) bool {
	return company == o.Company && association == o.Association
}

// scope are the two ids as the API takes them, one of them empty.
func (o owner) scope() (company, association string) {
	if o.Company.IsZero() {
		return "", o.Association.String()
	}
	return o.Company.String(), ""
}

// roleOptions are the owner's roles, with what each may do.
func (v *visit) roleOptions(roles []string) []option {
	var options []option
	for _, role := range roles {
		options = append(options, option{role, v.speech.text("role." + role), v.speech.text("manage.role." + role)})
	}
	return options
}

// today is the day that it is for an association.
func (v *visit) today(a api.Association) calendar.Date {
	return calendar.DateOf(v.s.cfg.Now(), zoneOf(a))
}

// companyHome is the first of the company's pages of management that the person sees.
func (v *visit) companyHome() string {
	return v.companyViews(v.person.CompanyID, "")[0].Address
}
