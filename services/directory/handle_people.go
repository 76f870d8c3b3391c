package directory

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
)

// Person is a person as the API shows it, to itself and to those who may invite it.
type Person struct {
	ID            deal.ID         `json:"id"`
	Name          string          `json:"name"`
	Email         string          `json:"email,omitempty"`
	Language      roster.Language `json:"language" enum:"en,de"`
	Role          roster.Role     `json:"role" enum:"member,company_admin,registrar,board,auditor,operator"`
	CompanyID     *deal.ID        `json:"company_id,omitempty"`
	AssociationID *deal.ID        `json:"association_id,omitempty"`
	Subjects      []Subject       `json:"subjects" doc:"How the OpenID provider knows the person: linked at the first sign-in by verified e-mail address"`
	LinkExpiresAt *time.Time      `json:"link_expires_at,omitempty" doc:"Of the sign-in link that was not used yet"`
	CreatedAt     time.Time       `json:"created_at"`
	DisabledAt    *time.Time      `json:"disabled_at,omitempty" doc:"From then on the person cannot sign in"`
	Digest        bool            `json:"digest" doc:"Whether the person gets a weekly mail of how many deals wait for its company"`
	LastUsed      *time.Time      `json:"last_used,omitempty" doc:"When the person was last there, to the minute"`
}

// Subject is a person as one OpenID provider knows it.
type Subject struct {
	Issuer  string `json:"issuer" example:"https://login.contoso.example"`
	Subject string `json:"subject"`
}

func (s *Service) showPerson(p roster.Person) Person {
	shown := Person{
		ID: p.ID, Name: p.Name, Email: p.Email, Language: p.Language, Role: p.Role, CompanyID: some(p.CompanyID), AssociationID: some(p.AssociationID),
		Subjects:  mapAll(p.Subjects, func(s roster.Subject) Subject { return Subject(s) }),
		CreatedAt: p.CreatedAt, DisabledAt: p.DisabledAt, Digest: !p.NoDigest,
	}
	if p.Link != nil && s.cfg.Now().Before(p.Link.ExpiresAt) {
		shown.LinkExpiresAt = &p.Link.ExpiresAt
	}
	if at, used := s.cfg.Roster.KeyUsedAt(p.ID); used {
		shown.LastUsed = &at
	}
	return shown
}

type newPerson struct {
	Name          string          `json:"name" doc:"1-120 characters" example:"Ada Example"`
	Email         string          `json:"email,omitempty" doc:"For the first sign-in with an OpenID provider; one person for each address" example:"ada@contoso.example"`
	Language      roster.Language `json:"language,omitempty" enum:"en,de" doc:"en when left out"`
	Role          roster.Role     `json:"role" enum:"member,company_admin,registrar,board,auditor,operator"`
	CompanyID     deal.ID         `json:"company_id,omitempty" doc:"For member and company_admin"`
	AssociationID deal.ID         `json:"association_id,omitempty" doc:"For registrar and board; an auditor without one audits all"`
}

type personPatch struct {
	Name          httpapi.Optional[string]          `json:"name,omitempty"`
	Email         httpapi.Optional[string]          `json:"email,omitempty"`
	Language      httpapi.Optional[roster.Language] `json:"language,omitempty" doc:"null is en"`
	Role          httpapi.Optional[roster.Role]     `json:"role,omitempty"`
	CompanyID     httpapi.Optional[deal.ID]         `json:"company_id,omitempty"`
	AssociationID httpapi.Optional[deal.ID]         `json:"association_id,omitempty"`
	Disabled      httpapi.Optional[bool]            `json:"disabled,omitempty" doc:"true ends the person's sessions and lets it sign in no more; false lets it again"`
	Digest        httpapi.Optional[bool]            `json:"digest,omitempty" doc:"false switches the weekly mail off; null is true"`
	Subjects      httpapi.Optional[[]Subject]       `json:"subjects,omitempty" doc:"Only null: forgets how the provider knows the person, so that the next sign-in by e-mail address links anew"`
}

// apply changes the person as the patch says.
func (b personPatch) apply(p roster.Person, now time.Time) roster.Person {
	b.Name.Apply(&p.Name)
	b.Email.Apply(&p.Email)
	b.Language.Apply(&p.Language)
	b.Role.Apply(&p.Role)
	b.CompanyID.Apply(&p.CompanyID)
	b.AssociationID.Apply(&p.AssociationID)
	switch {
	case !b.Disabled.Sent:
	case !b.Disabled.Value:
		p.DisabledAt = nil
	case p.DisabledAt == nil:
		at := now.UTC()
		p.DisabledAt = &at
	}
	if b.Digest.Sent {
		p.NoDigest = !b.Digest.Null && !b.Digest.Value
	}
	if b.Subjects.Sent {
		p.Subjects = nil
	}
	return p.Clean()
}

// ownOnly tells whether the patch changes nothing but what people change of themselves: name, language and digest.
func (b personPatch) ownOnly() bool {
	return !b.Email.Sent && !b.Role.Sent && !b.CompanyID.Sent && !b.AssociationID.Sent && !b.Disabled.Sent && !b.Subjects.Sent
}

func (s *Service) peopleRoutes(api huma.API) {
	tags := []string{"People"}
	huma.Register(api, huma.Operation{
		OperationID: "invite-person", Method: http.MethodPost, Path: "/v1/people", Tags: tags,
		Summary: "Invite a person", DefaultStatus: http.StatusCreated, Errors: []int{http.StatusForbidden, http.StatusConflict},
	}, s.invitePerson)
	huma.Register(api, huma.Operation{
		OperationID: "list-people", Method: http.MethodGet, Path: "/v1/people", Tags: tags,
		Summary: "List the people whom the key may invite, and oneself",
	}, s.listPeople)
	huma.Register(api, huma.Operation{
		OperationID: "get-person", Method: http.MethodGet, Path: "/v1/people/{id}", Tags: tags,
		Summary: "Get a person",
	}, s.getPerson)
	huma.Register(api, huma.Operation{
		OperationID: "patch-person", Method: http.MethodPatch, Path: "/v1/people/{id}", Tags: tags,
		Summary: "Change a person; name, language and digest anyone of oneself", Errors: []int{http.StatusForbidden, http.StatusConflict},
	}, s.patchPerson)
	huma.Register(api, huma.Operation{
		OperationID: "forget-person", Method: http.MethodDelete, Path: "/v1/people/{id}", Tags: tags,
		Summary:     "Forget a person",
		Description: "Ends the person's sessions and leaves no name and no address. The log names the person's id for ever, and nothing says any more whose it was.",
		Errors:      []int{http.StatusForbidden},
	}, s.forgetPerson)
	huma.Register(api, huma.Operation{
		OperationID: "link-person", Method: http.MethodPost, Path: "/v1/people/{id}/link", Tags: tags,
		Summary: "Make a link that signs a person in once", DefaultStatus: http.StatusCreated, Errors: []int{http.StatusForbidden, http.StatusConflict},
		Description: "The page /sign-in/{link} of the portal takes it, or POST /v1/sessions. Any earlier link of the person works no more. " +
			"With mail true it also goes to the person's e-mail address; when that fails the link is as good, and the answer says so.",
	}, s.linkPerson)
}

// mayInvite says who may.
const mayInvite = "a company's admin invites its people, a registrar those of the association and of companies " +
	"that are members of no other one, the operator all: ask one of them"

func (s *Service) invitePerson(ctx context.Context, in *struct{ Body newPerson }) (*httpapi.Created[Person], error) {
	p := roster.Person{
		ID: newID(), Name: in.Body.Name, Email: in.Body.Email, Language: in.Body.Language, Role: in.Body.Role,
		CompanyID: in.Body.CompanyID, AssociationID: in.Body.AssociationID, CreatedAt: s.cfg.Now().UTC(),
	}.Clean()
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	p, err := s.putPerson(ctx, p, roster.Person{})
	if err != nil {
		return nil, answer(err)
	}
	return httpapi.NewCreated("/v1/people/"+p.ID.String(), p.Revision, s.showPerson(p)), nil
}

// putPerson checks and stores a person in place of before, when the caller may invite one who may do what it may.
func (s *Service) putPerson(ctx context.Context, p, before roster.Person) (roster.Person, error) {
	if err := append(p.Validate(), s.checkScope(ctx, p.Scope())...).Err(); err != nil {
		return p, err
	}
	if p.Scope() != before.Scope() && !s.cfg.Roster.MayIssue(httpapi.Caller(ctx), p.Scope()) {
		return p, httpapi.Forbidden(mayInvite)
	}
	done, err := s.takeTurn(ctx)
	if err != nil {
		return p, err
	}
	defer done()
	if other, taken := s.cfg.Roster.PersonByEmail(p.Email); taken && other.ID != p.ID && p.DisabledAt == nil {
		problem := httpapi.Conflict("another person has this e-mail address, and an address signs one person in: use another one, or leave it out and send a link")
		problem.Errors = []httpapi.Fault{{Pointer: "/email", Detail: "belongs to another person: write another one, or leave it out"}}
		return p, problem
	}
	if p.Revision, err = s.store.PutPerson(ctx, p); err == nil {
		s.wrote(ctx, roster.People, p.Revision)
	}
	return p, err
}

func (s *Service) listPeople(ctx context.Context, in *struct{ httpapi.Paging }) (*httpapi.List[Person], error) {
	caller := httpapi.Caller(ctx)
	var seen []roster.Person
	for _, p := range s.cfg.Roster.People() {
		if s.cfg.Roster.MaySeePerson(caller, p) {
			seen = append(seen, p)
		}
	}
	items, next, err := httpapi.SelectPage(seen, in.Paging, func(p roster.Person) string { return p.ID.String() })
	if err != nil {
		return nil, err
	}
	return httpapi.NewList(mapAll(items, s.showPerson), next), nil
}

// PersonPath is embedded in the input of operations on one person.
type PersonPath struct {
	ID deal.ID `path:"id" doc:"The person"`
}

// person finds a person whom the caller may see; the error is a Problem.
func (s *Service) person(ctx context.Context, id deal.ID) (roster.Person, error) {
	p, ok := s.cfg.Roster.Person(id)
	if !ok || !s.cfg.Roster.MaySeePerson(httpapi.Caller(ctx), p) {
		return p, httpapi.NotFound()
	}
	return p, nil
}

// invited finds a person whom the caller may invite; the error is a Problem.
func (s *Service) invited(ctx context.Context, id deal.ID) (roster.Person, error) {
	p, err := s.person(ctx, id)
	if err == nil && !s.cfg.Roster.MayIssue(httpapi.Caller(ctx), p.Scope()) {
		err = httpapi.Forbidden(mayInvite)
	}
	return p, err
}

func (s *Service) getPerson(ctx context.Context, in *PersonPath) (*httpapi.Tagged[Person], error) {
	p, err := s.person(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return httpapi.WithTag(p.Revision, s.showPerson(p)), nil
}

func (s *Service) patchPerson(ctx context.Context, in *struct {
	PersonPath
	httpapi.IfMatch
	Body personPatch
},
) (*httpapi.Tagged[Person], error) {
	known, err := s.person(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if !in.Body.ownOnly() && !s.cfg.Roster.MayIssue(httpapi.Caller(ctx), known.Scope()) {
		return nil, httpapi.Forbidden("of yourself you change your name, your language and your digest only; " + mayInvite)
	}
	if !in.Body.Subjects.Null && in.Body.Subjects.Sent {
		return nil, answer(deal.Invalid{{Pointer: "/subjects", Message: "only the provider says how it knows a person: write null to forget it"}})
	}
	revision, err := in.Revision()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	before, err := s.store.Person(ctx, in.ID)
	switch {
	case err != nil:
		return nil, answer(err)
	case before.Revision != revision:
		return nil, httpapi.PreconditionFailed(before.Revision)
	}
	after, err := s.putPerson(ctx, in.Body.apply(before, s.cfg.Now()), before)
	if err != nil {
		return nil, answer(err)
	}
	return httpapi.WithTag(after.Revision, s.showPerson(after)), nil
}

func (s *Service) forgetPerson(ctx context.Context, in *PersonPath) (*struct{}, error) {
	p, err := s.invited(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	revision, err := s.store.ForgetPerson(ctx, p.ID)
	if err != nil {
		return nil, answer(err)
	}
	s.wrote(ctx, roster.People, revision)
	return nil, nil
}

// SignInLink is a new sign-in link.
type SignInLink struct {
	Link      string    `json:"link" doc:"Shown now and never again" example:"drl_..."`
	ExpiresAt time.Time `json:"expires_at"`
	Mailed    *bool     `json:"mailed,omitempty" doc:"Whether the mail server took the mail that was asked for"`
}

func (s *Service) linkPerson(ctx context.Context, in *struct {
	PersonPath
	Body struct {
		ExpiresInHours int  `json:"expires_in_hours,omitempty" minimum:"1" maximum:"168" default:"72"`
		Mail           bool `json:"mail,omitempty" doc:"Send the link to the person's e-mail address"`
	}
},
) (*struct{ Body SignInLink }, error) {
	p, err := s.invited(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if p.DisabledAt != nil {
		return nil, httpapi.Conflict("this person may not sign in: set disabled to false first")
	}
	storing, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	expires := s.cfg.Now().Add(time.Duration(in.Body.ExpiresInHours) * time.Hour)
	p, token, err := s.store.IssueLink(storing, in.ID, expires, s.cfg.Pepper)
	if err != nil {
		return nil, answer(err)
	}
	s.wrote(storing, roster.People, p.Revision)
	made := SignInLink{Link: token, ExpiresAt: p.Link.ExpiresAt}
	if in.Body.Mail {
		made.Mailed = new(s.mailLink(ctx, p, token))
	}
	return &struct{ Body SignInLink }{made}, nil
}

// mailLink sends the link to the person and tells whether the server took it. The token goes into the mail only: a mail
// that waited for its server would have to keep it somewhere.
func (s *Service) mailLink(ctx context.Context, p roster.Person, token string) bool {
	if s.cfg.Mailer == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, mailWithin)
	defer cancel()
	if err := s.cfg.Mailer.SendLink(ctx, p, token, p.Link.ExpiresAt); err != nil {
		s.cfg.Log.Warn("sign-in link not mailed", zap.Stringer("person_id", p.ID), zap.Error(err))
		return false
	}
	return true
}
