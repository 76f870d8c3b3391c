package portal

import (
	"net/http"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

// deskDeal is what a registrar does about one deal, beside the moves on the deal's own page.
type deskDeal struct {
	head
	Deal    string // address of the deal's page
	Flags   []flagLine
	Decided int64
	Links   []dealLinkLine
	New     *form
}

// flagLine is another deal that may be the same one, undecided.
type flagLine struct {
	Other   api.Deal
	Address string
	Decide  *form
}

type dealLinkLine struct {
	api.DealLink
	Company string
	Revoke  act
}

// deskDeal decides flags and issues links with which parties that are no members answer.
func (s *Service) deskDeal(v *visit) error {
	id, err := deal.ParseID(v.r.PathValue("deal"))
	if err != nil || v.person.Role != roleRegistrar && v.person.Role != roleOperator {
		return errNotFound
	}
	d, err := v.api.Deal(v.ctx, id)
	if err != nil {
		return err
	}
	view := &deskDeal{head: head{Kicker: d.Title, Heading: v.speech.text("desk.deal.title")}, Deal: "/deals/" + id.String()}
	names := map[deal.ID]string{}
	if err := v.nameCompanies(names, []api.Deal{d}); err != nil {
		return err
	}
	var parties []option
	for _, p := range d.Parties {
		parties = append(parties, option{Value: p.CompanyID.String(), Text: names[p.CompanyID]})
	}
	view.New = v.dealLinkForm(parties)
	var refused *form
	var about deal.ID
	if v.r.Method == http.MethodPost {
		page := view.Deal + "/registrar"
		switch v.posted("act") {
		case "link":
			made, err := v.api.LinkDeal(v.ctx, id, api.DealLinkInput{CompanyID: v.posted("company_id"), Name: v.posted("name"), Email: v.posted("email")})
			if err == nil {
				return v.showDealLink(made, names, page)
			}
			if !view.New.typed(v.r.PostForm).blame(err) {
				return err
			}
		case "revoke":
			link, err := deal.ParseID(v.posted("link"))
			if err != nil {
				return errNotFound
			}
			if err := v.api.RevokeDealLink(v.ctx, id, link); err != nil {
				return v.refused(err, page)
			}
			return v.done("desk.done.revoked", page)
		case "decide":
			if about, err = deal.ParseID(v.posted("other")); err != nil {
				return errNotFound
			}
			err := v.api.Decide(v.ctx, id, about, v.posted("key"), v.posted("decision"), v.posted("reason"))
			if err == nil {
				return v.done("desk.done.decided", page)
			}
			if refused = v.decideForm(about).typed(v.r.PostForm); !refused.blame(err) {
				return err
			}
		default:
			return errNotFound
		}
	}
	if err := v.deskLists(view, id, names); err != nil {
		return err
	}
	status := statusOf(view.New)
	for i := range view.Flags {
		if refused != nil && view.Flags[i].Other.ID == about {
			view.Flags[i].Decide, status = refused, http.StatusUnprocessableEntity
		}
	}
	v.render(status, "desk_deal", view.Heading, v.deskNav(), view)
	return nil
}

// deskLists reads the flags that nobody has decided, and the links.
func (v *visit) deskLists(view *deskDeal, id deal.ID, names map[deal.ID]string) error {
	flags, err := v.api.Conflicts(v.ctx, id)
	if err != nil {
		return err
	}
	for _, flag := range flags {
		if flag.State != "undecided" {
			view.Decided++
			continue
		}
		other := flag.Deals[0]
		if other == id {
			other = flag.Deals[1]
		}
		d, err := v.api.Deal(v.ctx, other)
		if api.StatusOf(err) == http.StatusNotFound {
			continue // of another registrar
		}
		if err != nil {
			return err
		}
		view.Flags = append(view.Flags, flagLine{Other: d, Address: "/deals/" + other.String(), Decide: v.decideForm(other)})
	}
	links, err := v.api.DealLinks(v.ctx, id)
	if err != nil {
		return err
	}
	for _, l := range links {
		view.Links = append(view.Links, dealLinkLine{l, names[l.CompanyID], actOf("desk.revoke", "revoke", "link", l.ID)})
	}
	return nil
}

func (v *visit) dealLinkForm(parties []option) *form {
	f := v.form(
		"deallink", "link",
		field{Name: "company_id", Kind: "select", Required: true, Options: parties},
		field{Name: "name", Kind: "text", Max: 120},
		field{Name: "email", Kind: "email", Max: 254},
	)
	f.Quiet = true
	return f
}

// decideForm asks whether the deal and another one are the same.
func (v *visit) decideForm(other deal.ID) *form {
	f := v.form(
		"decide", "decide",
		field{Name: "decision", Kind: "radio", Options: []option{
			{"distinct", v.speech.text("decide.distinct"), v.speech.text("decide.distinct.what")},
			{"merged_into", v.speech.text("decide.merged"), v.speech.text("decide.merged.what")},
		}},
		field{Name: "reason", Kind: "area", Required: true, Max: 500},
	)
	f.Suffix, f.Hidden["other"], f.Hidden["key"] = other.String(), other.String(), newKey()
	return f
}

// showDealLink shows a link to a deal, this once.
func (v *visit) showDealLink(made api.DealLink, names map[deal.ID]string, next string) error {
	return v.showOnce(secretShown{
		Title: v.speech.text("deallink.title", "company", names[made.CompanyID]), Label: v.speech.text("deallink.label"),
		Secret: v.origin() + "/sign-in/" + made.Link, Note: v.speech.text("deallink.note", "until", v.speech.instant(made.ExpiresAt, v.zone())), Next: next,
	})
}
