package directory

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/oidclogin"
	"github.com/dealreg/dealreg/pkg/roster"
)

// Session tells who signs a request.
type Session struct {
	Role          roster.Role     `json:"role" enum:"member,company_admin,registrar,board,auditor,operator,guest"`
	CompanyID     *deal.ID        `json:"company_id,omitempty"`
	AssociationID *deal.ID        `json:"association_id,omitempty" doc:"Of a guest: whose registrar issued the link"`
	DealID        *deal.ID        `json:"deal_id,omitempty" doc:"Of a guest: the one deal on which it speaks for the company"`
	KeyID         *deal.ID        `json:"key_id,omitempty" doc:"The key, or the one that the session was made for"`
	PersonID      *deal.ID        `json:"person_id,omitempty" doc:"The person who signed in; of a guest the link's id"`
	Name          string          `json:"name,omitempty" doc:"Of the person"`
	Language      roster.Language `json:"language,omitempty" enum:"en,de" doc:"Of the person"`
	ExpiresAt     *time.Time      `json:"expires_at,omitempty" doc:"Absent for a key, which lasts until it is revoked"`
}

// NewSession is a session that just began, with its key.
type NewSession struct {
	Session
	Secret string `json:"secret" doc:"The key of the session, for the Authorization header: shown now and never again" example:"drk_..."`
}

type credentials struct {
	Key     string `json:"key,omitempty" maxLength:"200" doc:"A key of POST /v1/keys"`
	Link    string `json:"link,omitempty" maxLength:"200" doc:"The token of a sign-in link, or of a link to one deal: it works once"`
	IDToken string `json:"id_token,omitempty" maxLength:"16384" doc:"An ID token of the OpenID provider"`
	Nonce   string `json:"nonce,omitempty" maxLength:"200" doc:"With id_token: the nonce that the sign-in began with"`
}

func (s *Service) sessionRoutes(api huma.API) {
	tags := []string{"Sessions"}
	huma.Register(api, huma.Operation{
		OperationID: "start-session", Method: http.MethodPost, Path: "/v1/sessions", Tags: tags, Security: httpapi.Public,
		Summary: "Sign in with a key, a sign-in link or an ID token", DefaultStatus: http.StatusCreated,
		Description: "Send exactly one of key, link and id_token. The answer has a key that lasts 12 hours and may do what the key or the person may.",
		Errors:      []int{http.StatusUnauthorized, http.StatusNotFound, http.StatusTooManyRequests, http.StatusServiceUnavailable},
	}, s.startSession)
	huma.Register(api, huma.Operation{
		OperationID: "get-session", Method: http.MethodGet, Path: "/v1/session", Tags: tags,
		Summary: "Tell who signs this request", Metadata: httpapi.ForGuests,
	}, s.getSession)
	huma.Register(api, huma.Operation{
		OperationID: "end-session", Method: http.MethodDelete, Path: "/v1/session", Tags: tags,
		Summary: "Sign out", Errors: []int{http.StatusConflict}, Metadata: httpapi.ForGuests,
	}, s.endSession)
}

// mostSessions is how many sessions a key or a person has at once; the next one ends the oldest.
const mostSessions = 50

// refusedSignIn is the one answer to all credentials that open nothing, whichever part of them is wrong.
const refusedSignIn = "this signs nobody in (any more): check that it is whole and was not used before, or ask your registrar for an invitation"

// unknownToUs is the one answer to all whom a provider vouches for and whom nobody invited.
const unknownToUs = "nobody is known here by this account, or its provider did not verify its e-mail address: ask your registrar for an invitation"

func (s *Service) startSession(ctx context.Context, in *struct{ Body credentials }) (*struct{ Body NewSession }, error) {
	if err := in.Body.check().Err(); err != nil {
		return nil, answer(err)
	}
	if !s.cfg.Roster.IsLoaded() {
		return nil, httpapi.Unavailable("the directory is still being read", nil)
	}
	ctx, cancel := context.WithTimeout(ctx, signInWithin)
	defer cancel()
	owner, err := s.signIn(ctx, in.Body)
	switch {
	case errors.Is(err, roster.ErrUnauthenticated), errors.Is(err, oidclogin.ErrRefused):
		return nil, httpapi.Refused(ctx, refusedSignIn).WithCause(err)
	case errors.Is(err, oidclogin.ErrUnreachable):
		return nil, httpapi.Unavailable("the OpenID provider does not answer", err)
	case err != nil:
		return nil, answer(err)
	}
	owned, _ := s.cfg.Roster.SessionPrincipal(owner)
	if err := httpapi.Admit(ctx, owned); err != nil {
		return nil, err
	}
	if err := s.makeRoom(ctx, owner.Owner()); err != nil {
		return nil, answer(err)
	}
	started, token, err := s.store.StartSession(ctx, newID(), owner, s.cfg.Now(), s.cfg.Pepper)
	if err != nil {
		return nil, answer(err)
	}
	s.wrote(ctx, roster.Sessions, started.Revision)
	principal, _ := s.cfg.Roster.SessionPrincipal(started)
	return &struct{ Body NewSession }{NewSession{s.showSession(principal, &started), token}}, nil
}

// makeRoom ends the oldest sessions of a key or a person that has as many as it may have, so that no holder of one key
// fills the store.
func (s *Service) makeRoom(ctx context.Context, owner deal.ID) error {
	there := s.cfg.Roster.SessionsOf(owner)
	for i := 0; i <= len(there)-mostSessions; i++ {
		if _, err := s.store.EndSession(ctx, there[i]); err != nil {
			return err
		}
	}
	return nil
}

func (c credentials) check() deal.Invalid {
	var faults deal.Invalid
	sent := 0
	for _, one := range []string{c.Key, c.Link, c.IDToken} {
		if one != "" {
			sent++
		}
	}
	if sent != 1 {
		faults.Add("", "write exactly one of key, link and id_token")
	}
	if (c.IDToken == "") != (c.Nonce == "") {
		faults.Add("/nonce", "belongs to id_token: write both, or neither")
	}
	return faults
}

// signIn finds whom the credentials belong to: a session with nothing but its owner.
func (s *Service) signIn(ctx context.Context, c credentials) (roster.Session, error) {
	switch {
	case c.Key != "":
		p, err := roster.Authenticator{Roster: s.cfg.Roster, Pepper: s.cfg.Pepper, Now: s.cfg.Now}.Authenticate(c.Key)
		if err == nil && !p.SessionID.IsZero() {
			err = roster.ErrUnauthenticated // a session makes no other one, or it would never end
		}
		return roster.Session{KeyID: p.KeyID}, err
	case c.Link != "":
		p, err := s.byLink(ctx, c.Link)
		return roster.Session{PersonID: p.ID}, err
	default:
		p, err := s.byIDToken(ctx, c.IDToken, c.Nonce)
		return roster.Session{PersonID: p.ID}, err
	}
}

func (s *Service) byLink(ctx context.Context, token string) (roster.Person, error) {
	p, ok := s.cfg.Roster.PersonWithLink(token)
	if !ok {
		return p, roster.ErrUnauthenticated
	}
	p, err := s.store.UseLink(ctx, p.ID, token, s.cfg.Now(), s.cfg.Pepper)
	if err == nil {
		s.wrote(ctx, roster.People, p.Revision)
	}
	return p, err
}

// byIDToken finds the person whom the provider knows so. Who comes for the first time is found by the address that the
// provider verified, and known from then on by the provider's subject alone.
func (s *Service) byIDToken(ctx context.Context, token, nonce string) (roster.Person, error) {
	if s.cfg.OpenID == nil {
		return roster.Person{}, deal.Invalid{{Pointer: "/id_token", Message: "this system has no OpenID provider: sign in with a link or a key"}}
	}
	who, err := s.cfg.OpenID.Verify(ctx, token, nonce)
	if err != nil {
		return roster.Person{}, err
	}
	subject := roster.Subject{Issuer: who.Issuer, Subject: who.Subject}
	if p, known := s.cfg.Roster.PersonBySubject(subject); known {
		return p, nil
	}
	p, invited := s.cfg.Roster.PersonByEmail(who.Email)
	if !invited {
		return p, httpapi.NotFoundBecause(unknownToUs)
	}
	p, err = s.store.AddSubject(ctx, p.ID, who.Email, subject)
	if errors.Is(err, roster.ErrUnauthenticated) || errors.Is(err, roster.ErrNotFound) {
		return p, httpapi.NotFoundBecause(unknownToUs)
	}
	if err == nil {
		s.wrote(ctx, roster.People, p.Revision)
	}
	return p, err
}

// showSession tells who acts; session is nil for a key.
func (s *Service) showSession(p roster.Principal, session *roster.Session) Session {
	shown := Session{Role: p.Role, CompanyID: some(p.Company), AssociationID: some(p.Association), DealID: some(p.Deal)}
	if session == nil {
		shown.KeyID = &p.KeyID
		return shown
	}
	shown.KeyID, shown.PersonID, shown.ExpiresAt = some(session.KeyID), some(session.PersonID), &session.ExpiresAt
	if person, ok := s.cfg.Roster.Person(session.PersonID); ok {
		shown.Name, shown.Language = person.Name, person.Language
	}
	return shown
}

func (s *Service) getSession(ctx context.Context, _ *struct{}) (*struct{ Body Session }, error) {
	caller := httpapi.Caller(ctx)
	if session, ok := s.cfg.Roster.Session(caller.SessionID); ok {
		return &struct{ Body Session }{s.showSession(caller, &session)}, nil
	}
	return &struct{ Body Session }{s.showSession(caller, nil)}, nil
}

func (s *Service) endSession(ctx context.Context, in *struct {
	Everywhere bool `query:"everywhere" doc:"End all sessions of the same key or person"`
},
) (*struct{}, error) {
	caller := httpapi.Caller(ctx)
	var ending []roster.Session
	if session, ok := s.cfg.Roster.Session(caller.SessionID); ok {
		ending = []roster.Session{session}
	}
	switch {
	case in.Everywhere:
		ending = s.cfg.Roster.SessionsOf(caller.KeyID)
	case caller.SessionID.IsZero():
		return nil, httpapi.Conflict("this is a key and no session: revoke it with DELETE /v1/keys/" + caller.KeyID.String() +
			", or end its sessions with everywhere=true")
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for _, session := range ending {
		revision, err := s.store.EndSession(ctx, session)
		if err != nil {
			return nil, answer(err)
		}
		s.wrote(ctx, roster.Sessions, revision)
	}
	return nil, nil
}
