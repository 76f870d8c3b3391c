package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// Registration is the body of POST /v1/deals.
type Registration struct {
	Title       string         `json:"title" minLength:"1" maxLength:"500"`
	Description string         `json:"description,omitempty" maxLength:"2000"`
	ExternalRef string         `json:"external_ref,omitempty" maxLength:"64" doc:"Your own number for the deal; unique among your company's deals"`
	Customer    Customer       `json:"customer"`
	Value       httpapi.Amount `json:"value"`
	Parties     []PartyInput   `json:"parties" minItems:"2" maxItems:"10" doc:"The shares sum to the value exactly"`
	ExpectedOn  *calendar.Date `json:"expected_on,omitempty"`
	Replaces    *deal.ID       `json:"replaces,omitempty" doc:"A deal that ended, in place of which this one is registered"`
}

type registerInput struct {
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"128" doc:"Any text of your choice, new for each deal: the same request with the same key gives the same deal"`
	Body Registration
}

// registered is the answer of a registration: 201, or 200 for a replay of the same request.
type registered struct {
	Status   int
	Location string `header:"Location" doc:"The address of the deal" example:"/v1/deals/0198c2f4-5b7e-7cc1-9d0a-4f1e2a3b4c5d"`
	ETag     string `header:"ETag" doc:"The revision, for If-Match" example:"\"1\""`
	Replayed string `header:"Idempotency-Replayed" doc:"true when an earlier request with this key registered the deal"`
	Sequence uint64 `header:"Dealreg-Sequence" doc:"Position of the event in the log: a report with as_of_sequence at least this holds it"`
	Body     Deal
}

func answerRegistered(first stream.Stored, replayed bool) *registered {
	r := &registered{
		Status: http.StatusCreated, Location: location(first.Deal.ID), ETag: httpapi.ETag(first.Deal.Revision), Sequence: first.Sequence,
		Body: viewOf(first.Deal),
	}
	if replayed {
		r.Status, r.Replayed = http.StatusOK, "true"
	}
	return r
}

// register answers POST /v1/deals. It takes the request for a new one, which is nearly always so, and leaves it to the log
// to say that the deal is there: to ask first would cost more than all the rest.
func (s *Service) register(ctx context.Context, in *registerInput) (*registered, error) {
	caller := httpapi.Caller(ctx)
	if caller.Company.IsZero() || !caller.ActsFor(caller.Company) {
		return nil, httpapi.Forbidden("only a key of a company registers a deal; a registrar imports history with POST /v1/imports/deals")
	}
	if err := s.checkOpen(); err != nil {
		return nil, err
	}
	hash, err := requestHash(deal.Register, in.Body)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	id := dealID(caller.Company, in.Body.ExternalRef, in.Key)
	r := request{caller: caller, key: in.Key, hash: hash}

	first, err := s.registerNew(ctx, id, in.Body, r)
	if err == nil {
		return answerRegistered(first, false), nil
	}
	// Whatever stands in the way of a new deal, an earlier request that made it is answered as it was.
	first, lookErr := s.log.First(ctx, id)
	switch {
	case errors.Is(lookErr, stream.ErrNoDeal):
		return nil, s.problem(id, err)
	case lookErr != nil:
		return nil, s.problem(id, lookErr)
	}
	switch {
	case first.Command.ID != in.Key:
		return nil, httpapi.Conflict("external_ref is taken by another deal of your company: its address is in Location").
			WithHeader("Location", location(id))
	case !bytes.Equal(first.Command.RequestHash, hash):
		return nil, httpapi.KeyUsed()
	}
	return answerRegistered(first, true), nil
}

// registerNew checks the request and writes the first event of the deal.
func (s *Service) registerNew(ctx context.Context, id deal.ID, body Registration, r request) (stream.Stored, error) {
	actor := deal.Actor{Key: r.caller.KeyID, Company: r.caller.Company}
	today := s.today(actor)
	if err := s.mayRegister(actor.Company, today); err != nil {
		return stream.Stored{}, err
	}
	var faults deal.Invalid
	details := body.details(&faults)
	terms, err := readTerms(s.cfg.Roster, body.Value, body.Parties, nil, actor.Company)
	if bad, ok := errors.AsType[deal.Invalid](err); ok {
		faults = append(faults, bad...)
	}
	if err := s.checkReplaced(ctx, body.Replaces, r.caller, &faults); err != nil {
		return stream.Stored{}, err
	}
	if len(faults) > 0 {
		return stream.Stored{}, faults
	}
	return s.decide(ctx, deal.Deal{}, deal.Command{
		Move: deal.Register, By: actor, Today: today, Deal: id, Details: &details, Terms: &terms,
	}, nil, r)
}

// checkReplaced refuses a deal that the caller does not know, or that goes on.
func (s *Service) checkReplaced(ctx context.Context, id *deal.ID, caller roster.Principal, faults *deal.Invalid) error {
	if id == nil {
		return nil
	}
	last, err := s.log.Last(ctx, *id)
	known := err == nil
	if known {
		_, known = actorOn(last, caller)
	}
	switch {
	case err != nil && !errors.Is(err, stream.ErrNoDeal):
		return err
	case !known:
		faults.Add("/replaces", "names no deal of your company: leave it out")
	case !last.Deal.Status.Final():
		faults.Add("/replaces", fmt.Sprintf("names a deal that is %s: only a deal that ended is replaced", last.Deal.Status))
	}
	return nil
}

func (b Registration) details(faults *deal.Invalid) deal.Details {
	d := deal.Details{
		Title: b.Title, Description: b.Description, ExternalRef: b.ExternalRef, ExpectedOn: b.ExpectedOn,
		Customer: readCustomer(b.Customer, faults),
	}
	if b.Replaces != nil {
		d.Replaces = *b.Replaces
	}
	return d
}

// readCustomer cleans the customer and checks its country and domain against the lists of the roster.
func readCustomer(c Customer, faults *deal.Invalid) deal.Customer {
	if !roster.IsCountry(c.Country) {
		faults.Add("/customer/country", roster.CountryFault(c.Country))
	}
	if c.Domain != "" && !roster.IsDomain(c.Domain) {
		faults.Add("/customer/domain", "is no domain name: write it as contoso.example")
	}
	return deal.Customer{Name: roster.CleanName(c.Name), Country: c.Country, Domain: c.Domain}
}

// mayRegister refuses a company that is no member anywhere today, or that has not accepted the code of ethics.
func (s *Service) mayRegister(company deal.ID, today calendar.Date) error {
	memberships := s.cfg.Roster.MembershipsOn(company, today)
	for _, period := range memberships {
		if period.MayRegister(today) {
			return nil
		}
	}
	if len(memberships) > 0 {
		return httpapi.Forbidden("your company has not accepted the code of ethics: ask your registrar to record the day on which it did")
	}
	return httpapi.Forbidden(fmt.Sprintf("your company is no member of any association on %s: ask the registrar of yours", today))
}

// members tells which parties are members of some association on the day.
func members(r *roster.Roster, t deal.Terms, day calendar.Date) map[deal.ID]bool {
	result := map[deal.ID]bool{}
	for _, p := range t.Parties {
		result[p.Company] = len(r.MembershipsOn(p.Company, day)) > 0
	}
	return result
}
