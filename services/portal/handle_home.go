package portal

import (
	"net/http"
	"net/url"

	"github.com/dealreg/dealreg/services/portal/api"
)

// The roles whose first pages differ, as the API names them.
const (
	roleMember       = "member"
	roleCompanyAdmin = "company_admin"
	roleRegistrar    = "registrar"
	roleBoard        = "board"
	roleOperator     = "operator"
	roleGuest        = "guest"
	roleAuditor      = "auditor"
)

// homeView lists associations, for those who work for several.
type homeView struct{ Associations []api.Association }

// home takes everybody to where their work is.
func (s *Service) home(v *visit) error {
	switch v.person.Role {
	case roleMember, roleCompanyAdmin:
		return s.dealsHome(v)
	case roleGuest:
		v.redirect("/deals/"+v.person.DealID.String(), nil)
		return nil
	case roleRegistrar:
		v.redirect("/a/"+v.person.AssociationID.String()+"/desk", url.Values{})
		return nil
	case roleBoard:
		v.redirect("/a/"+v.person.AssociationID.String(), url.Values{})
		return nil
	case roleOperator:
		return s.operatorHome(v)
	}
	associations, err := v.api.Associations(v.ctx)
	if err != nil {
		return err
	}
	v.render(http.StatusOK, "home", v.speech.text("home.title"), nil, homeView{associations})
	return nil
}
