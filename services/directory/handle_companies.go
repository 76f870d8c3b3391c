package directory

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
)

// Company is a company as the API shows it. What follows the domain only the company itself, its registrars and the
// operator see.
type Company struct {
	ID        deal.ID    `json:"id"`
	Name      string     `json:"name"`
	Country   string     `json:"country"`
	Domain    string     `json:"domain,omitempty"`
	LEI       string     `json:"lei,omitempty"`
	DUNS      string     `json:"duns,omitempty"`
	GroupID   *deal.ID   `json:"group_id,omitempty" doc:"The company that heads the corporate group; companies of one group count as one contributor"`
	CreatedAt *time.Time `json:"created_at,omitempty"`
}

func (s *Service) showCompany(p roster.Principal, c roster.Company) Company {
	shown := Company{ID: c.ID, Name: c.Name, Country: c.Country, Domain: c.Domain}
	if s.cfg.Roster.MaySeeCompanyWhole(p, c.ID) {
		shown.LEI, shown.DUNS, shown.GroupID, shown.CreatedAt = c.LEI, c.DUNS, &c.GroupID, &c.CreatedAt
	}
	return shown
}

type newCompany struct {
	Name    string   `json:"name" doc:"Legal name, 1-200 characters"`
	Country string   `json:"country" doc:"ISO 3166-1 alpha-2" example:"DE"`
	Domain  string   `json:"domain,omitempty" example:"contoso.example"`
	LEI     string   `json:"lei,omitempty" doc:"20 characters (ISO 17442)"`
	DUNS    string   `json:"duns,omitempty" doc:"9 digits"`
	GroupID *deal.ID `json:"group_id,omitempty" doc:"The company that heads the corporate group; left out for its own"`
}

type companyPatch struct {
	Name    httpapi.Optional[string]  `json:"name,omitempty"`
	Country httpapi.Optional[string]  `json:"country,omitempty"`
	Domain  httpapi.Optional[string]  `json:"domain,omitempty"`
	LEI     httpapi.Optional[string]  `json:"lei,omitempty"`
	DUNS    httpapi.Optional[string]  `json:"duns,omitempty"`
	GroupID httpapi.Optional[deal.ID] `json:"group_id,omitempty" doc:"null makes it head of its own group; registrars only"`
}

func (s *Service) companyRoutes(api huma.API) {
	tags := []string{"Companies"}
	huma.Register(api, huma.Operation{
		OperationID: "create-company", Method: http.MethodPost, Path: "/v1/companies", Tags: tags,
		Summary: "Create a company", DefaultStatus: http.StatusCreated, Errors: []int{http.StatusForbidden, http.StatusConflict},
		Description: "With an Idempotency-Key the same request may be sent again: it answers 200 with the company that the first one made.",
	}, s.createCompany)
	huma.Register(api, huma.Operation{
		OperationID: "list-companies", Method: http.MethodGet, Path: "/v1/companies", Tags: tags,
		Summary: "Find companies by name or domain",
	}, s.listCompanies)
	huma.Register(api, huma.Operation{
		OperationID: "get-company", Method: http.MethodGet, Path: "/v1/companies/{id}", Tags: tags,
		Summary: "Get a company",
	}, s.getCompany)
	huma.Register(api, huma.Operation{
		OperationID: "patch-company", Method: http.MethodPatch, Path: "/v1/companies/{id}", Tags: tags,
		Summary: "Change a company", Errors: []int{http.StatusForbidden, http.StatusConflict},
	}, s.patchCompany)
}

// creations is the name space of the ids of companies that were made with an Idempotency-Key.
var creations = uuid.MustParse("5e0b1c57-9a44-5c9e-8f0e-3c1c0d1f7a62")

func (s *Service) createCompany(ctx context.Context, in *struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"Any text of your choice, new for each company: the same request with the same key makes one company"`
	Body           newCompany
},
) (*httpapi.Created[Company], error) {
	caller := httpapi.Caller(ctx)
	if !s.cfg.Roster.MayCreateCompany(caller) {
		return nil, httpapi.Forbidden("only registrars and the operator create companies: ask the registrar of the association")
	}
	c := roster.Company{
		ID: newID(), Name: in.Body.Name, Country: in.Body.Country, Domain: in.Body.Domain, LEI: in.Body.LEI,
		DUNS: in.Body.DUNS, CreatedAt: s.cfg.Now().UTC(),
	}
	if in.IdempotencyKey != "" {
		c.ID = deal.ID(uuid.NewSHA1(creations, []byte(caller.KeyID.String()+"/"+in.IdempotencyKey)))
		c.RequestHash = hashOf(in.Body)
	}
	if in.Body.GroupID != nil {
		c.GroupID = *in.Body.GroupID
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	done, err := s.takeTurn(ctx)
	if err != nil {
		return nil, answer(err)
	}
	defer done()

	location := "/v1/companies/" + c.ID.String()
	if in.IdempotencyKey != "" {
		first, err := s.store.Company(ctx, c.ID)
		switch {
		case errors.Is(err, roster.ErrNotFound):
		case err != nil:
			return nil, answer(err)
		case first.RequestHash != c.RequestHash:
			return nil, httpapi.KeyUsed()
		default:
			return httpapi.NewReplayed(location, first.Revision, s.showCompany(caller, first)), nil
		}
	}
	if c, err = s.putCompany(ctx, c, roster.Company{}); err != nil {
		return nil, answer(err)
	}
	return httpapi.NewCreated(location, c.Revision, s.showCompany(caller, c)), nil
}

func hashOf(body newCompany) string {
	text, _ := json.Marshal(body) // strings and ids always encode
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// putCompany checks and stores a company in place of before. The caller has the turn.
func (s *Service) putCompany(ctx context.Context, c, before roster.Company) (roster.Company, error) {
	c = c.Clean()
	if err := c.Validate().Err(); err != nil {
		return c, err
	}
	if c.GroupID != before.GroupID {
		if err := s.checkGroup(c).Err(); err != nil {
			return c, err
		}
	}
	if c.Domain != before.Domain && c.Domain != "" {
		if other, taken := s.cfg.Roster.CompanyByDomain(c.Domain); taken && other.ID != c.ID {
			return c, taken409("/domain", "domain", other)
		}
	}
	if c.LEI != before.LEI {
		if other, taken := s.cfg.Roster.CompanyWithLEI(c.LEI); taken && other.ID != c.ID {
			return c, taken409("/lei", "LEI", other)
		}
	}
	var err error
	if c.Revision, err = s.store.PutCompany(ctx, c); err == nil {
		s.wrote(ctx, roster.Companies, c.Revision)
	}
	return c, err
}

func taken409(pointer, what string, other roster.Company) *httpapi.Problem {
	p := httpapi.Conflict("another company has this " + what + ": use that company, or correct the " + what)
	p.Errors = []httpapi.Fault{{Pointer: pointer, Detail: "belongs to company " + other.ID.String() + ": use it, or write another " + what}}
	return p
}

// checkGroup keeps groups flat: a group is named by the company that heads it.
func (s *Service) checkGroup(c roster.Company) deal.Invalid {
	var faults deal.Invalid
	if c.GroupID == c.ID {
		return nil
	}
	head, ok := s.cfg.Roster.Company(c.GroupID)
	switch {
	case !ok:
		faults.Add("/group_id", "no such company: name the company that heads the group, or leave it out")
	case head.GroupID != head.ID:
		faults.Add("/group_id", "that company belongs to a group itself: write the group_id of that company")
	case s.cfg.Roster.GroupSize(c.ID) > 1:
		faults.Add("/group_id", "this company heads a group: move the other companies of its group first")
	}
	return faults
}

func (s *Service) listCompanies(ctx context.Context, in *struct {
	Query string `query:"q" maxLength:"200" doc:"Words of a name or the beginnings of them, or a domain. Case, accents and legal forms do not matter; the best hits come first"`
	httpapi.Paging
},
) (*httpapi.List[Company], error) {
	after, err := in.Position()
	if err != nil {
		return nil, err
	}
	caller := httpapi.Caller(ctx)
	found, next := s.cfg.Roster.SearchCompanies(in.Query, in.Limit, after)
	return httpapi.NewList(mapAll(found, func(c roster.Company) Company { return s.showCompany(caller, c) }), next), nil
}

func (s *Service) getCompany(ctx context.Context, in *struct {
	ID deal.ID `path:"id" doc:"The company"`
},
) (*httpapi.Tagged[Company], error) {
	c, ok := s.cfg.Roster.Company(in.ID)
	if !ok {
		return nil, httpapi.NotFound()
	}
	return httpapi.WithTag(c.Revision, s.showCompany(httpapi.Caller(ctx), c)), nil
}

func (s *Service) patchCompany(ctx context.Context, in *struct {
	ID deal.ID `path:"id" doc:"The company"`
	httpapi.IfMatch
	Body companyPatch
},
) (*httpapi.Tagged[Company], error) {
	caller := httpapi.Caller(ctx)
	if _, ok := s.cfg.Roster.Company(in.ID); !ok {
		return nil, httpapi.NotFound()
	}
	if !s.cfg.Roster.MayChangeCompany(caller, in.ID) {
		return nil, httpapi.Forbidden("only the company's admin, the registrar of its association and the operator may change it")
	}
	if in.Body.GroupID.Sent && !s.cfg.Roster.MaySetGroup(caller, in.ID) {
		return nil, httpapi.Forbidden("only a registrar or the operator sets group_id: leave it out")
	}
	revision, err := in.Revision()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	done, err := s.takeTurn(ctx)
	if err != nil {
		return nil, answer(err)
	}
	defer done()
	before, err := s.store.Company(ctx, in.ID)
	switch {
	case err != nil:
		return nil, answer(err)
	case before.Revision != revision:
		return nil, httpapi.PreconditionFailed(before.Revision)
	}
	c := before
	in.Body.Name.Apply(&c.Name)
	in.Body.Country.Apply(&c.Country)
	in.Body.Domain.Apply(&c.Domain)
	in.Body.LEI.Apply(&c.LEI)
	in.Body.DUNS.Apply(&c.DUNS)
	in.Body.GroupID.Apply(&c.GroupID)
	if c, err = s.putCompany(ctx, c, before); err != nil {
		return nil, answer(err)
	}
	return httpapi.WithTag(c.Revision, s.showCompany(caller, c)), nil
}
