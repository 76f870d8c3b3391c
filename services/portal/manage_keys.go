package portal

import (
	"net/http"
	"slices"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/services/portal/api"
)

// keysView is the keys of a company or an association.
type keysView struct {
	head
	Keys    []keyLine
	Revoked int64
	New     *form
}

type keyLine struct {
	api.Key
	Revoke act
}

// Begins is how the key begins, to tell it from others.
func (k keyLine) Begins() string { return "drk_" + k.Prefix + "_\u2026" }

// keys lists the keys of an owner that open something, makes one and revokes them.
func (s *Service) keys(v *visit) error {
	o, err := v.owner(pageKeys)
	if err != nil {
		return err
	}
	view := &keysView{head: head{Kicker: o.Name, Heading: v.speech.text("keys.title"), Views: o.Views}}
	view.New = v.form(
		"key", "make",
		field{Name: "label", Kind: "text", Required: true, Max: 200},
		field{Name: "role", Kind: "radio", Value: o.Roles[len(o.Roles)-1], Options: v.roleOptions(o.Roles)},
	)
	if v.r.Method == http.MethodPost {
		switch v.posted("act") {
		case "make":
			view.New.typed(v.r.PostForm)
			if err := v.makeKey(o); err == nil {
				return nil
			} else if !view.New.blame(err) {
				return err
			}
		case "revoke":
			return v.revokeKey(o)
		default:
			return errNotFound
		}
	}
	all, err := v.api.Keys(v.ctx)
	if err != nil {
		return err
	}
	for _, k := range slices.Backward(all) { // the newest first
		switch {
		case !o.has(k.CompanyID, k.AssociationID):
		case k.RevokedAt != nil:
			view.Revoked++
		default:
			view.Keys = append(view.Keys, keyLine{k, actOf("keys.revoke", "revoke", "key", k.ID)})
		}
	}
	v.render(statusOf(view.New), "keys", view.Heading, o.Nav, view)
	return nil
}

// makeKey makes a key and shows it, this once. The error is the API's.
func (v *visit) makeKey(o owner) error {
	in := api.KeyInput{Role: v.posted("role"), Label: v.posted("label")}
	if !slices.Contains(o.Roles, in.Role) {
		return errNotFound
	}
	in.CompanyID, in.AssociationID = o.scope()
	secret, err := v.api.IssueKey(v.ctx, in)
	if err != nil {
		return err
	}
	return v.showOnce(secretShown{
		Title: v.speech.text("keys.made", "label", in.Label), Label: v.speech.text("keys.secret"), Secret: secret,
		Note: v.speech.text("keys.secret.note"), Next: o.Base + "/keys",
	})
}

func (v *visit) revokeKey(o owner) error {
	id, err := deal.ParseID(v.posted("key"))
	if err != nil {
		return errNotFound
	}
	page := o.Base + "/keys"
	if err := v.api.RevokeKey(v.ctx, id); err != nil {
		return v.refused(err, page)
	}
	return v.done("keys.done.revoked", page)
}
