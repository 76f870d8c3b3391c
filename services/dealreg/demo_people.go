package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
)

// demoPeople are those who may look at the demo in the portal, by what they are; their names are made up. Each belongs to
// an association or a company of the tables, by index.
var demoPeople = []demoPerson{
	{"Board of Harbour Software Partners", roster.RoleBoard, 0, "Hanne Brandt", "hanne.brandt@harbour.example", roster.German},
	{"Its registrar", roster.RoleRegistrar, 0, "Ruben Visser", "ruben.visser@harbour.example", roster.English},
	{"Board of Pacific Channel Council", roster.RoleBoard, 1, "Paula Ito", "paula.ito@pacific.example", roster.English},
	{"Admin of Brückenwerk IT AG", roster.RoleCompanyAdmin, 1, "Bernd Albers", "bernd.albers@brueckenwerk.example", roster.German},
}

type demoPerson struct {
	what        string
	role        roster.Role
	of          int
	name, email string
	language    roster.Language
}

// signInLinks makes a new sign-in link for each of the people, whom it invites when they are not there, and prints it.
func (w *demoWorld) signInLinks(ctx context.Context) error {
	var there httpapi.Page[struct{ ID, Email string }]
	if _, err := w.api.do(ctx, call{method: http.MethodGet, path: "/v1/people", query: url.Values{"limit": {"200"}}, into: &there}); err != nil {
		return err
	}
	ids := map[string]string{}
	for _, p := range there.Items {
		ids[p.Email] = p.ID
	}
	fmt.Print("\nSign in with a link, which works once and for three days; `dealreg demo` makes new ones:\n\n")
	for _, p := range demoPeople {
		id := ids[p.email]
		if id == "" {
			var err error
			if id, err = w.invite(ctx, p); err != nil {
				return err
			}
		}
		var made struct{ Link string }
		_, err := w.api.do(ctx, call{method: http.MethodPost, path: "/v1/people/" + id + "/link", body: map[string]any{}, into: &made})
		if err != nil {
			return err
		}
		fmt.Printf("  %-35s %s/sign-in/%s\n", p.what, w.api.url, made.Link)
	}
	return nil
}

func (w *demoWorld) invite(ctx context.Context, p demoPerson) (id string, err error) {
	body := map[string]any{"name": p.name, "email": p.email, "language": p.language, "role": p.role}
	if p.role != roster.RoleCompanyAdmin {
		body["association_id"] = w.associations[p.of]
		return w.create(ctx, "/v1/people", body)
	}
	var found httpapi.Page[struct{ ID string }]
	query := url.Values{"q": {demoCompanies[p.of].domain}, "limit": {"1"}}
	if _, err := w.api.do(ctx, call{method: http.MethodGet, path: "/v1/companies", query: query, into: &found}); err != nil {
		return "", err
	}
	if len(found.Items) == 0 {
		return "", fmt.Errorf("%s is gone", demoCompanies[p.of].name)
	}
	body["company_id"] = found.Items[0].ID
	return w.create(ctx, "/v1/people", body)
}
