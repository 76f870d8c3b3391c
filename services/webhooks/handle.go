package webhooks

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/webhook"
)

const answerWithin = 3 * time.Second // a write that takes longer is answered with 503

// Endpoint is a receiver of webhooks as the API shows it.
type Endpoint struct {
	ID             deal.ID    `json:"id"`
	CompanyID      *deal.ID   `json:"company_id,omitempty" doc:"The owner, when it is a company: the endpoint hears of the company's deals"`
	AssociationID  *deal.ID   `json:"association_id,omitempty" doc:"The owner, when it is an association"`
	HearsOfDeals   bool       `json:"hears_of_deals" doc:"Whether the events of deals are sent here. An endpoint that a board made hears of statements only"`
	URL            string     `json:"url"`
	EventTypes     []string   `json:"event_types" nullable:"false" doc:"Types of GET /v1/event-types, groups such as dealreg.deal.*, or * for all"`
	Description    string     `json:"description,omitempty"`
	RatePerSecond  float64    `json:"rate_per_second" doc:"At most so many webhooks a second"`
	HeaderNames    []string   `json:"header_names" nullable:"false" doc:"The headers that are sent along. Their values are not shown, because they may be secrets"`
	Ordered        bool       `json:"ordered" doc:"Whether an event waits until the one before it has arrived"`
	Signing        signing    `json:"signing" enum:"shared,pair" doc:"shared: HMAC-SHA256 with the secret. pair: ed25519, checked with the public key"`
	PublicKey      string     `json:"public_key,omitempty" doc:"whpk_...: checks the signatures of signing pair"`
	Enabled        bool       `json:"enabled"`
	DisabledAt     *time.Time `json:"disabled_at,omitempty" doc:"When it was disabled last; it stays when the endpoint is enabled again"`
	DisabledReason string     `json:"disabled_reason,omitempty"`
	FailingSince   *time.Time `json:"failing_since,omitempty" doc:"Nothing has arrived since"`
	Behind         uint64     `json:"behind" doc:"Places of the log between what was delivered and the last event that waits; 0 when it keeps up"`
	CreatedAt      time.Time  `json:"created_at"`
}

// SecretShown is an endpoint with what its signatures are checked with.
type SecretShown struct {
	Endpoint
	Secret        string     `json:"secret,omitempty" doc:"whsec_...: shown now and never again. Absent with signing pair, whose public_key is enough"`
	PreviousUntil *time.Time `json:"previous_until,omitempty" doc:"Until then the secret before signs too"`
}

type newEndpoint struct {
	URL           string            `json:"url" doc:"https, to a public address" example:"https://crm.example/hooks/dealreg"`
	EventTypes    []string          `json:"event_types" nullable:"false" example:"[\"dealreg.deal.*\"]"`
	Description   string            `json:"description,omitempty"`
	RatePerSecond float64           `json:"rate_per_second,omitempty" doc:"0.01 to 1000; 50 when left out"`
	Headers       map[string]string `json:"headers,omitempty" doc:"Sent along with every webhook, such as an Authorization of the receiver's own"`
	Ordered       bool              `json:"ordered,omitempty" doc:"Send an event only when the one before it has arrived. One event that the receiver refuses then holds up all others"`
	Signing       signing           `json:"signing,omitempty" enum:"shared,pair" default:"shared"`
	CompanyID     deal.ID           `json:"company_id,omitempty" doc:"The owner; only the operator names it"`
	AssociationID deal.ID           `json:"association_id,omitempty" doc:"The owner; only the operator names it"`
}

type endpointPatch struct {
	URL           httpapi.Optional[string]             `json:"url,omitempty"`
	EventTypes    httpapi.Optional[[]string]           `json:"event_types,omitempty"`
	Description   httpapi.Optional[string]             `json:"description,omitempty"`
	RatePerSecond httpapi.Optional[float64]            `json:"rate_per_second,omitempty"`
	Headers       httpapi.Optional[map[string]*string] `json:"headers,omitempty" doc:"Each header that is named is changed, or removed by null; null in place of the object removes all"`
	Ordered       httpapi.Optional[bool]               `json:"ordered,omitempty"`
	Enabled       httpapi.Optional[bool]               `json:"enabled,omitempty"`
}

// EndpointPath names an endpoint in the path.
type EndpointPath struct {
	ID deal.ID `path:"id" doc:"The endpoint"`
}

// Routes registers the operations.
func (s *Service) Routes(api huma.API) {
	webhook.Routes(api)
	s.endpointRoutes(api)
	s.actionRoutes(api)
	s.attemptRoutes(api)
	s.replayRoutes(api)
}

const endpointsPath = "/v1/webhook-endpoints"

var tags = []string{"Webhooks"}

func (s *Service) endpointRoutes(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "create-webhook-endpoint", Method: http.MethodPost, Path: endpointsPath, Tags: tags,
		Summary: "Create an endpoint; its secret is shown once", DefaultStatus: http.StatusCreated,
		Errors: []int{http.StatusForbidden, http.StatusConflict},
		Description: "A company's admin creates endpoints that hear of the company's deals, a registrar those that hear of the association's " +
			"deals and statements, a board those that hear of its statements. Who may hear of an event is decided when it happens.",
	}, s.createEndpoint)
	huma.Register(api, huma.Operation{
		OperationID: "list-webhook-endpoints", Method: http.MethodGet, Path: endpointsPath, Tags: tags,
		Summary: "List the endpoints that the key may manage, the oldest first",
	}, s.listEndpoints)
	huma.Register(api, huma.Operation{
		OperationID: "get-webhook-endpoint", Method: http.MethodGet, Path: endpointsPath + "/{id}", Tags: tags, Summary: "Get an endpoint",
	}, s.getEndpoint)
	huma.Register(api, huma.Operation{
		OperationID: "patch-webhook-endpoint", Method: http.MethodPatch, Path: endpointsPath + "/{id}", Tags: tags,
		Summary: "Change an endpoint", Description: "With enabled true it does what enable-webhook-endpoint does.",
	}, s.patchEndpoint)
	huma.Register(api, huma.Operation{
		OperationID: "delete-webhook-endpoint", Method: http.MethodDelete, Path: endpointsPath + "/{id}", Tags: tags,
		Summary: "Delete an endpoint; what waits for it is not delivered", DefaultStatus: http.StatusNoContent,
	}, s.deleteEndpoint)
}

// show gives what the owner sees.
func (s *Service) show(e endpoint) Endpoint {
	shown := Endpoint{
		ID: e.ID, CompanyID: some(e.Company), AssociationID: some(e.Association), HearsOfDeals: !e.Company.IsZero() || e.Deals,
		URL: e.URL, EventTypes: append([]string{}, e.EventTypes...), Description: e.Description, RatePerSecond: e.Rate,
		HeaderNames: append([]string{}, slices.Sorted(maps.Keys(e.Headers))...), Ordered: e.Ordered, Signing: e.Signing,
		Enabled: e.Enabled, DisabledAt: e.DisabledAt, DisabledReason: e.DisabledWords, CreatedAt: e.CreatedAt,
	}
	if secrets, err := e.open(s.cfg.Key, s.cfg.Now()); err == nil && len(secrets) > 0 {
		if public, is := secrets[0].Public(); is {
			shown.PublicKey = public.String()
		}
	}
	if f, failing := s.failureOf(e); failing {
		shown.FailingSince = &f.Since
	}
	for _, src := range sources {
		if c, _ := s.cursors.get(gapKey(e.ID, src.stream)); c.open() {
			shown.Behind += c.Through - c.At
		}
	}
	return shown
}

func some(id deal.ID) *deal.ID {
	if id.IsZero() {
		return nil
	}
	return &id
}

// find gives an endpoint that the caller may manage, as the bucket has it: another process may have changed it a moment ago. The
// error is a Problem.
func (s *Service) find(ctx context.Context, id deal.ID) (endpoint, uint64, error) {
	if !s.isOpen() {
		return endpoint{}, 0, httpapi.Unavailable("the endpoints are still being read", nil)
	}
	ask, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if err := s.endpoints.refresh(ask, id.String()); err != nil {
		return endpoint{}, 0, away(err)
	}
	e, revision := s.endpoints.get(id.String())
	if !s.endpoints.has(id.String()) || !e.isManagedBy(httpapi.Caller(ctx)) {
		return endpoint{}, 0, httpapi.NotFound()
	}
	return e, revision, nil
}

func (s *Service) isOpen() bool {
	select {
	case <-s.opened:
		return true
	default:
		return false
	}
}

// owner makes the endpoint's owner of the caller. The error is a Problem.
func owner(p roster.Principal, body newEndpoint) (endpoint, error) {
	e := endpoint{}
	switch p.Role {
	case roster.RoleCompanyAdmin:
		e.Company = p.Company
	case roster.RoleRegistrar:
		e.Association, e.Deals = p.Association, true
	case roster.RoleBoard:
		e.Association = p.Association
	case roster.RoleOperator:
		if body.CompanyID.IsZero() == body.AssociationID.IsZero() {
			return e, httpapi.Invalid(deal.Invalid{{Pointer: "/company_id", Message: "name the owner: either company_id or association_id"}})
		}
		return endpoint{Company: body.CompanyID, Association: body.AssociationID, Deals: !body.AssociationID.IsZero()}, nil
	case roster.RoleMember, roster.RoleAuditor, roster.RoleGuest:
		fallthrough
	default:
		return e, httpapi.Forbidden("a company's admin creates its endpoints, the registrar and the board those of the association: ask one of them")
	}
	if !body.CompanyID.IsZero() && body.CompanyID != e.Company || !body.AssociationID.IsZero() && body.AssociationID != e.Association {
		return e, httpapi.Invalid(deal.Invalid{{Pointer: "/company_id", Message: "the key's own owner: leave company_id and association_id out"}})
	}
	return e, nil
}

func (s *Service) createEndpoint(ctx context.Context, in *struct{ Body newEndpoint }) (*httpapi.Created[SecretShown], error) {
	caller := httpapi.Caller(ctx)
	e, err := owner(caller, in.Body)
	if err != nil {
		return nil, err
	}
	if !s.isOpen() {
		return nil, httpapi.Unavailable("the endpoints are still being read", nil)
	}
	e.ID, e.URL, e.EventTypes, e.Description = deal.ID(uuid.Must(uuid.NewV7())), in.Body.URL, in.Body.EventTypes, in.Body.Description
	e.Rate, e.Ordered, e.Signing = cmp.Or(in.Body.RatePerSecond, standardRate), in.Body.Ordered, cmp.Or(in.Body.Signing, signShared)
	e.Enabled, e.CreatedAt, e.CreatedBy = true, s.cfg.Now().UTC(), caller.KeyID
	headers := map[string]*string{}
	for name, value := range in.Body.Headers {
		headers[name] = &value
	}
	if e, err = s.checked(e, headers); err != nil {
		return nil, err
	}
	if s.endpoints.count(e.ownedAlike) >= maxEndpoints {
		return nil, httpapi.Conflict("there are as many endpoints as one owner may have: delete one of them")
	}
	secret := e.Signing.secret()
	if e, err = e.withSecret(s.cfg.Key, secret, e.CreatedAt); err != nil {
		return nil, httpapi.Internal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	revision, err := s.store(ctx, endpoint{}, e, 0)
	if err != nil {
		return nil, away(err)
	}
	return httpapi.NewCreated(endpointsPath+"/"+e.ID.String(), revision, s.showSecret(e, secret)), nil
}

// store writes what became of an endpoint over the revision, 0 for a new one. Errors are those of mirror.put.
func (s *Service) store(ctx context.Context, was, e endpoint, over uint64) (uint64, error) {
	if e.Ordered && e.Enabled && (!was.Ordered || !was.Enabled) {
		if err := s.startOrder(ctx, e.ID); err != nil {
			return 0, err
		}
	}
	return s.endpoints.put(ctx, e.ID.String(), e, over)
}

// showSecret shows a shared secret, this once.
func (s *Service) showSecret(e endpoint, secret webhook.Secret) SecretShown {
	shown := SecretShown{Endpoint: s.show(e)}
	if _, pair := secret.Public(); !pair {
		shown.Secret = secret.Reveal()
	}
	if len(e.Secrets) > 1 {
		shown.PreviousUntil = e.Secrets[1].Until
	}
	return shown
}

func away(err error) error {
	if errors.Is(err, errChanged) {
		return httpapi.PreconditionFailed(0)
	}
	return httpapi.Unavailable("the store of endpoints does not answer", err)
}

func (s *Service) listEndpoints(ctx context.Context, in *struct{ httpapi.Paging }) (*httpapi.List[Endpoint], error) {
	after, err := in.Position()
	if err != nil {
		return nil, err
	}
	if !s.isOpen() {
		return nil, httpapi.Unavailable("the endpoints are still being read", nil)
	}
	caller := httpapi.Caller(ctx)
	var seen []endpoint
	for key, e := range s.endpoints.all() {
		if key > after && e.isManagedBy(caller) {
			seen = append(seen, e)
		}
	}
	slices.SortFunc(seen, func(a, b endpoint) int { return a.ID.Compare(b.ID) })
	page, next := httpapi.CutPage(seen, in.Limit, func(e endpoint) string { return e.ID.String() })
	shown := make([]Endpoint, len(page))
	for i, e := range page {
		shown[i] = s.show(e)
	}
	return httpapi.NewList(shown, next), nil
}

func (s *Service) getEndpoint(ctx context.Context, in *EndpointPath) (*httpapi.Tagged[Endpoint], error) {
	e, revision, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return httpapi.WithTag(revision, s.show(e)), nil
}

func (s *Service) patchEndpoint(ctx context.Context, in *struct {
	EndpointPath
	httpapi.IfMatch
	Body endpointPatch
},
) (*httpapi.Tagged[Endpoint], error) {
	was, revision, err := s.find(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	read, err := in.Revision()
	if err != nil {
		return nil, err
	}
	if read != revision {
		return nil, httpapi.PreconditionFailed(revision)
	}
	e, err := s.checked(in.Body.apply(was, s.cfg.Now()), in.Body.Headers.Value)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if revision, err = s.store(ctx, was, e, revision); err != nil {
		return nil, away(err)
	}
	if e.Life != was.Life {
		s.startCursors(in.ID)
	}
	return httpapi.WithTag(revision, s.show(e)), nil
}

// checked gives the endpoint with the headers, when there is no fault in it. The error is a Problem.
func (s *Service) checked(e endpoint, headers map[string]*string) (endpoint, error) {
	e, err := e.setHeaders(s.cfg.Key, headers)
	faults, is := errors.AsType[deal.Invalid](err)
	if err != nil && !is {
		return endpoint{}, httpapi.Internal(err)
	}
	if err := append(e.validate(s.cfg.Guard), faults...).Err(); err != nil {
		return endpoint{}, httpapi.FromError(err)
	}
	return e, nil
}

// apply makes the changes but those of single headers.
func (p endpointPatch) apply(e endpoint, now time.Time) endpoint {
	if p.URL.Sent && p.URL.Value != e.URL {
		e.URL = p.URL.Value
		e.Life++
	}
	p.EventTypes.Apply(&e.EventTypes)
	p.Description.Apply(&e.Description)
	p.RatePerSecond.Apply(&e.Rate)
	p.Ordered.Apply(&e.Ordered)
	if p.RatePerSecond.Null {
		e.Rate = standardRate
	}
	if p.Headers.Null {
		e.Headers = nil
	}
	if p.Enabled.Sent && p.Enabled.Value {
		e = e.enable()
	} else if p.Enabled.Sent && e.Enabled {
		e.Enabled, e.DisabledAt, e.DisabledWords = false, new(now.UTC()), byItsOwner
	}
	return e
}

// enable leaves the time at which it was disabled: what came since is replayed from there. The endpoint is tried at once, and
// has its full time again.
func (e endpoint) enable() endpoint {
	e.Enabled, e.DisabledWords = true, ""
	e.Life++
	return e
}

func (s *Service) deleteEndpoint(ctx context.Context, in *EndpointPath) (*struct{}, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for {
		_, revision, err := s.find(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		err = s.endpoints.remove(ctx, in.ID.String(), revision)
		switch {
		case err == nil:
			return nil, nil
		case !errors.Is(err, errChanged):
			return nil, away(err)
		}
	}
}
