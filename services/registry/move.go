package registry

import (
	"context"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
)

// The bodies of the moves. Each move takes one of them.
type (
	// Bare is the body of accept, attest and settle: there is nothing to say.
	Bare struct{}
	// Why is the body of decline, lose, refuse, void and dispute.
	Why struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
	// Exclusion is the body of exclude.
	Exclusion struct {
		Reason        string   `json:"reason" minLength:"1" maxLength:"500"`
		AssociationID *deal.ID `json:"association_id,omitempty" doc:"Whose figures the deal leaves; the operator names it where the deal belongs to several"`
	}
	// MaybeWhy is the body of withdraw.
	MaybeWhy struct {
		Reason string `json:"reason,omitempty" maxLength:"500"`
	}
	// Figures is the body of propose and correct: the final figures, which every party then attests. What is left
	// out stays as it is.
	Figures struct {
		Value   *httpapi.Amount `json:"value,omitempty"`
		Parties []PartyInput    `json:"parties,omitempty" minItems:"2" maxItems:"10" doc:"All parties with their final shares, which sum to the value exactly"`
		WonOn   *calendar.Date  `json:"won_on,omitempty" doc:"The day on which the deal was won"`
	}
)

// moveBody is what a body adds to the command of its move.
type moveBody interface {
	fill(s *Service, d deal.Deal, c *deal.Command) error
}

func (*Bare) fill(*Service, deal.Deal, *deal.Command) error { return nil }

func (b *Why) fill(_ *Service, _ deal.Deal, c *deal.Command) error {
	c.Reason = b.Reason
	return nil
}

func (b *Exclusion) fill(_ *Service, _ deal.Deal, c *deal.Command) error {
	c.Reason = b.Reason
	return nil
}

func (b *Exclusion) association() *deal.ID { return b.AssociationID }

func (b *MaybeWhy) fill(_ *Service, _ deal.Deal, c *deal.Command) error {
	c.Reason = b.Reason
	return nil
}

func (b *Figures) fill(s *Service, d deal.Deal, c *deal.Command) error {
	return s.fillTerms(b.Value, b.Parties, b.WonOn, d, c)
}

// fillTerms gives the command the deal's terms with what the request says otherwise.
func (s *Service) fillTerms(value *httpapi.Amount, parties []PartyInput, wonOn *calendar.Date, d deal.Deal, c *deal.Command) error {
	v, p := inputOf(d.Terms)
	if value != nil {
		v = *value
	}
	if len(parties) > 0 {
		p = parties
	}
	if wonOn == nil {
		wonOn = d.WonOn
	}
	terms, err := readTerms(s.cfg.Roster, v, p, wonOn, d.LeadCompany())
	if err != nil {
		return err
	}
	c.Terms = &terms
	return nil
}

type moveInput[B any] struct {
	ID deal.ID `path:"id" doc:"The deal"`
	httpapi.IfMatch
	Key  string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"128" doc:"Any text of your choice, new for each move: the same request with the same key is done once"`
	Body B
}

// moved is the answer of a move.
type moved struct {
	ETag     string `header:"ETag" doc:"The revision, for If-Match" example:"\"7\""`
	Replayed string `header:"Idempotency-Replayed" doc:"true when an earlier request with this key made the move"`
	Sequence uint64 `header:"Dealreg-Sequence" doc:"Position of the event in the log: a report with as_of_sequence at least this holds it"`
	Body     Deal
}

func answerMoved(a answer) *moved {
	m := &moved{ETag: httpapi.ETag(a.Deal.Revision), Sequence: a.Sequence, Body: viewOf(a.Deal)}
	if a.replayed {
		m.Replayed = "true"
	}
	return m
}

// move makes the handler of POST /v1/deals/{id}/{move}.
func move[B any, P interface {
	*B
	moveBody
}](s *Service, name deal.Move) func(context.Context, *moveInput[B]) (*moved, error) {
	return func(ctx context.Context, in *moveInput[B]) (*moved, error) {
		revision, err := in.Revision()
		if err != nil {
			return nil, err
		}
		hash, err := requestHash(name, in.Body)
		if err != nil {
			return nil, err
		}
		r := request{caller: httpapi.Caller(ctx), route: dealRoute + "/" + string(name), key: in.Key, hash: hash}
		r.act, _ = any(&in.Body).(ofOneAssociation)
		a, err := s.change(ctx, in.ID, revision, r,
			func(d deal.Deal) (deal.Command, error) {
				c := deal.Command{Move: name}
				return c, P(&in.Body).fill(s, d, &c)
			})
		if err != nil {
			return nil, err
		}
		return answerMoved(a), nil
	}
}

// DealPatch is the body of PATCH /v1/deals/{id}, a merge patch (RFC 7396).
type DealPatch struct {
	Title       *string                          `json:"title,omitempty" minLength:"1" maxLength:"500"`
	Description httpapi.Optional[string]         `json:"description,omitempty"`
	ExpectedOn  httpapi.Optional[*calendar.Date] `json:"expected_on,omitempty"`
	Value       *httpapi.Amount                  `json:"value,omitempty" doc:"Terms change while the deal is pending or active"`
	Parties     []PartyInput                     `json:"parties,omitempty" minItems:"2" maxItems:"10" doc:"All parties with their shares; the same companies once the deal is active"`
}

type patchInput struct {
	ID deal.ID `path:"id" doc:"The deal"`
	httpapi.IfMatch
	Body DealPatch
}

// patch answers PATCH /v1/deals/{id}.
func (s *Service) patch(ctx context.Context, in *patchInput) (*moved, error) {
	revision, err := in.Revision()
	if err != nil {
		return nil, err
	}
	b := in.Body
	a, err := s.change(ctx, in.ID, revision, request{caller: httpapi.Caller(ctx), route: dealRoute}, func(d deal.Deal) (deal.Command, error) {
		details := d.Details
		if b.Title != nil {
			details.Title = *b.Title
		}
		b.Description.Apply(&details.Description)
		b.ExpectedOn.Apply(&details.ExpectedOn)
		c := deal.Command{Move: deal.Edit, Details: &details}
		if b.Value == nil && len(b.Parties) == 0 {
			return c, nil
		}
		return c, s.fillTerms(b.Value, b.Parties, nil, d, &c)
	})
	if err != nil {
		return nil, err
	}
	return answerMoved(a), nil
}
