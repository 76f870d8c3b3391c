package portal

import (
	"net/http"
	"strconv"

	"github.com/dealreg/dealreg/services/portal/api"
)

const publishPath = "/a/{association}/publish"

// publishView is the page on which a registrar publishes a release.
type publishView struct {
	head
	Releases []api.Release
	Currency string
	Base     string
	Form     *form
}

// publish makes a release of a year.
func (s *Service) publish(v *visit) error {
	a, err := v.managed()
	if err != nil {
		return err
	}
	view := &publishView{
		head: head{Kicker: a.Name, Heading: v.speech.text("publish.title"), Views: v.setupViews(a.ID, pagePublish)},
		Base: "/a/" + a.ID.String(), Currency: a.ReportingCurrency, Form: v.publishForm(v.currentYear(a)),
	}
	if v.r.Method == http.MethodPost {
		view.Form.typed(v.r.PostForm)
		if year, err := strconv.Atoi(v.posted("year")); err != nil {
			view.Form.fault("year", v.speech.text("form.nonumber"))
		} else if made, err := v.api.Publish(v.ctx, a.ID, v.posted("key"), year, v.posted("reason")); err == nil {
			return v.done("publish.done", view.Base+"/"+strconv.Itoa(made.Year)+"/r"+strconv.Itoa(made.Release))
		} else if !view.Form.blame(err) {
			return err
		}
	}
	if view.Releases, err = v.api.Releases(v.ctx, a.ID); err != nil {
		return err
	}
	view.Releases = view.Releases[:min(mostReleases, len(view.Releases))]
	v.render(statusOf(view.Form), "desk_publish", view.Heading, v.nav(a.ID, "", viewSetup), view)
	return nil
}

const mostReleases = 12 // that the page lists

func (v *visit) publishForm(year int) *form {
	f := v.form(
		"publish", "publish",
		field{Name: "year", Kind: "number", Value: strconv.Itoa(year), Required: true},
		field{Name: "reason", Kind: "area", Max: 500},
	)
	f.Hidden["key"] = newKey()
	return f
}
