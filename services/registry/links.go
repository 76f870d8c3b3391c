package registry

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// A party that is a member nowhere has no key. The registrar of an association that the deal belongs to gives it a link,
// which works once: whoever signs in with it is a guest, speaks for that company on that deal and meets nothing else. The
// event of such a word names the link and the association whose registrar issued it.

// guestMoves are the moves that a guest may make: those that answer the others, and none that changes terms.
var guestMoves = []deal.Move{deal.Accept, deal.Decline, deal.Attest, deal.Refuse}

// DealLink is a link to one deal, without its token.
type DealLink struct {
	ID            deal.ID   `json:"id" doc:"Who acts, in looks and in the log"`
	CompanyID     deal.ID   `json:"company_id" doc:"The party for which the link speaks"`
	AssociationID deal.ID   `json:"association_id" doc:"Whose registrar issued it"`
	Name          string    `json:"name,omitempty"`
	Email         string    `json:"email,omitempty"`
	CreatedAt     time.Time `json:"created_at"`
	ExpiresAt     time.Time `json:"expires_at" doc:"Until then it may be exchanged for a session of 12 hours"`
	Used          bool      `json:"used" doc:"It was exchanged for a session"`
}

// NewDealLink is a link that was just issued.
type NewDealLink struct {
	DealLink
	Link string `json:"link" doc:"For POST /v1/sessions. Shown now and never again" example:"drl_..."`
}

// LinkRequest is the body of POST /v1/deals/{id}/links.
type LinkRequest struct {
	CompanyID      deal.ID `json:"company_id" doc:"A party of the deal that is a member of no association"`
	Name           string  `json:"name,omitempty" maxLength:"120" doc:"Of the person who gets the link; forgotten with it"`
	Email          string  `json:"email,omitempty" maxLength:"254" doc:"Of that person; forgotten with the link" example:"ada@contoso.example"`
	ExpiresInHours int     `json:"expires_in_hours,omitempty" minimum:"1" maximum:"336" default:"168"`
}

type linkInput struct {
	ID     deal.ID `path:"id" doc:"The deal"`
	LinkID deal.ID `path:"link_id" doc:"The link"`
}

const (
	linksRoute = dealRoute + "/links"
	linkRoute  = linksRoute + "/{link_id}"
)

const mayIssueLinks = "the registrar of an association that the deal belongs to issues and revokes links: ask it"

func (s *Service) linkRoutes(api huma.API) {
	issue := operation(http.MethodPost, linksRoute, "issue-deal-link", "Issue a link with which a party that is no member speaks (registrar)",
		http.StatusCreated, http.StatusForbidden, http.StatusConflict)
	issue.Description = "The link is exchanged once, at POST /v1/sessions, for a session that may read this deal and its history, accept, decline, attest and " +
		"refuse for the company, and nothing else anywhere. It ends when the deal does, when the link is revoked, and after 12 hours. Any earlier link " +
		"of yours for the company on this deal works no more."
	huma.Register(api, issue, s.issueLink)
	huma.Register(api, operation(http.MethodGet, linksRoute, "list-deal-links", "List the links to a deal (registrar)", 0, http.StatusForbidden), s.listLinks)
	huma.Register(api, operation(http.MethodDelete, linkRoute, "revoke-deal-link", "Revoke a link to a deal and end its session (registrar)", 0,
		http.StatusForbidden), s.revokeLink)
}

// issueLink answers POST /v1/deals/{id}/links.
func (s *Service) issueLink(ctx context.Context, in *struct {
	ID   deal.ID `path:"id" doc:"The deal"`
	Body LinkRequest
},
) (*struct{ Body NewDealLink }, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	last, by, err := s.registrarOn(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := s.needsLink(last.Deal, in.Body); err != nil { // it may tell how the deal stands
		if unrecorded := s.looked(ctx, linksRoute, last); unrecorded != nil {
			return nil, unrecorded
		}
		return nil, err
	}
	now := s.cfg.Now()
	guest, token := roster.NewGuest(roster.Person{
		ID: deal.ID(uuid.Must(uuid.NewV7())), CompanyID: in.Body.CompanyID, AssociationID: by.Association, DealID: in.ID,
		Name: in.Body.Name, Email: in.Body.Email, CreatedAt: now.UTC(),
	}, now.Add(time.Duration(in.Body.ExpiresInHours)*time.Hour), s.cfg.Pepper)
	if err := s.lookedAtLink(ctx, linksRoute, guest); err != nil {
		return nil, err
	}
	for _, earlier := range s.cfg.Roster.Guests(in.ID) {
		if earlier.CompanyID == guest.CompanyID && earlier.AssociationID == guest.AssociationID {
			if err := s.forgetGuest(ctx, earlier.ID); err != nil {
				return nil, err
			}
		}
	}
	revision, err := s.cfg.Store.PutPerson(ctx, guest)
	if err != nil {
		return nil, noDirectory(err)
	}
	s.wrotePerson(ctx, revision)
	s.cfg.Log.Info("link issued", zap.Stringer("deal", in.ID), zap.Stringer("link", guest.ID), zap.Stringer("key", by.Key))
	return &struct{ Body NewDealLink }{NewDealLink{viewOfLink(guest), token}}, nil
}

// needsLink refuses a link to a company that has nothing to say on the deal, or keys of its own to say it.
func (s *Service) needsLink(d deal.Deal, r LinkRequest) error {
	var faults deal.Invalid
	today := calendar.DateOf(s.cfg.Now(), time.UTC)
	if _, party := d.Standing(r.CompanyID); !party {
		faults.Add("/company_id", "is no party of the deal: name a party that is a member of no association")
	} else if len(s.cfg.Roster.MembershipsOn(r.CompanyID, today)) > 0 {
		faults.Add("/company_id", "is a member of an association, so its own people speak for it: ask its admin, or invite one with POST /v1/people")
	}
	if r.Email != "" && !roster.IsEmail(r.Email) {
		faults.Add("/email", "is no e-mail address: write it as ada@contoso.example, or leave it out")
	}
	switch {
	case len(faults) > 0:
		return httpapi.Invalid(faults)
	case d.Status.Final():
		return httpapi.Conflict(fmt.Sprintf("the deal is %s: there is nothing left to say on it", d.Status))
	}
	return nil
}

// listLinks answers GET /v1/deals/{id}/links.
func (s *Service) listLinks(ctx context.Context, in *dealListInput) (*httpapi.List[DealLink], error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	last, _, err := s.registrarOn(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if err := s.looked(ctx, linksRoute, last); err != nil {
		return nil, err
	}
	var links []DealLink
	for _, g := range s.cfg.Roster.Guests(in.ID) {
		if httpapi.Caller(ctx).IsRegistrarOf(g.AssociationID) {
			links = append(links, viewOfLink(g))
		}
	}
	page, next, err := httpapi.SelectPage(links, in.Paging, func(l DealLink) string { return l.ID.String() })
	if err != nil {
		return nil, err
	}
	return httpapi.NewList(page, next), nil
}

// revokeLink answers DELETE /v1/deals/{id}/links/{link_id}.
func (s *Service) revokeLink(ctx context.Context, in *linkInput) (*struct{}, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if _, _, err := s.registrarOn(ctx, in.ID); err != nil {
		return nil, err
	}
	guest, there := s.cfg.Roster.Person(in.LinkID)
	if !there || guest.DealID != in.ID || !httpapi.Caller(ctx).IsRegistrarOf(guest.AssociationID) {
		return nil, httpapi.NotFound()
	}
	if err := s.lookedAtLink(ctx, linkRoute, guest); err != nil {
		return nil, err
	}
	return nil, s.forgetGuest(ctx, guest.ID)
}

// registrarOn is the deal, and the caller as a registrar whom it concerns. The error is a Problem.
func (s *Service) registrarOn(ctx context.Context, id deal.ID) (last stream.Stored, by deal.Actor, err error) {
	if err := s.checkOpen(); err != nil {
		return last, by, err
	}
	if last, err = s.log.Last(ctx, id); err != nil {
		return last, by, s.problem(id, err)
	}
	by, sees := actorOn(last, httpapi.Caller(ctx))
	switch {
	case !sees:
		return last, by, httpapi.NotFound()
	case by.Association.IsZero():
		return last, by, httpapi.Forbidden(mayIssueLinks)
	}
	return last, by, nil
}

// lookedAtLink records, in the records of the association that issues it, what is done with the link.
func (s *Service) lookedAtLink(ctx context.Context, route string, guest roster.Person) error {
	look := s.newLook(httpapi.Caller(ctx), route)
	look.AssociationID, look.DealIDs, look.LinkID = &guest.AssociationID, []deal.ID{guest.DealID}, &guest.ID
	return s.record(ctx, guest.AssociationID.String(), *look)
}

// forgetGuest ends the link and its session: the session is nobody's any more.
func (s *Service) forgetGuest(ctx context.Context, id deal.ID) error {
	revision, err := s.cfg.Store.ForgetPerson(ctx, id)
	if err != nil {
		return noDirectory(err)
	}
	s.wrotePerson(ctx, revision)
	return nil
}

func noDirectory(err error) error {
	return httpapi.Unavailable("the directory's store does not answer", err)
}

// wrotePerson waits a moment until this process knows what was written, which stands whatever happens here.
func (s *Service) wrotePerson(ctx context.Context, revision uint64) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	_ = s.cfg.Roster.WaitFor(ctx, roster.People, revision)
}

func viewOfLink(g roster.Person) DealLink {
	return DealLink{
		ID: g.ID, CompanyID: g.CompanyID, AssociationID: g.AssociationID, Name: g.Name, Email: g.Email, CreatedAt: g.CreatedAt,
		ExpiresAt: g.ForgetAt.Add(-roster.SessionLasts), Used: g.Link == nil,
	}
}
