package registry

import (
	"slices"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/money"
)

// Deal is a deal as the API shows it.
type Deal struct {
	ID                 deal.ID         `json:"id"`
	Status             deal.Status     `json:"status" enum:"pending,active,closing,won,declined,expired,withdrawn,lost,void,disputed"`
	Revision           uint64          `json:"revision" doc:"Rises with every event; the ETag"`
	TermsVersion       uint32          `json:"terms_version" doc:"Rises when value, currency, parties, shares or won_on change; older attestations are void"`
	Title              string          `json:"title"`
	Description        string          `json:"description,omitempty"`
	ExternalRef        string          `json:"external_ref,omitempty"`
	Customer           Customer        `json:"customer"`
	Value              httpapi.Amount  `json:"value"`
	Parties            []Party         `json:"parties"`
	ExpectedOn         *calendar.Date  `json:"expected_on,omitempty"`
	WonOn              *calendar.Date  `json:"won_on,omitempty"`
	RegisteredBy       deal.ID         `json:"registered_by" doc:"A company, or the association whose registrar imported the deal"`
	RegisteredAt       time.Time       `json:"registered_at"`
	UpdatedAt          time.Time       `json:"updated_at"`
	StatusSince        time.Time       `json:"status_since"`
	DueAt              *time.Time      `json:"due_at,omitempty" doc:"When the system moves the deal on if nobody does: it expires, or a closing deal becomes active again"`
	RegisteredAfterWin bool            `json:"registered_after_win,omitempty"`
	Evidence           deal.Evidence   `json:"evidence,omitempty" enum:"parties,registrar" doc:"Who stands for the figures of a won deal"`
	EvidenceReference  string          `json:"evidence_reference,omitempty" doc:"The documents on which a registrar attested"`
	Correction         *Correction     `json:"correction,omitempty" doc:"Other figures for a won deal; the old ones count until every party has attested these"`
	DisputedFrom       deal.Status     `json:"disputed_from,omitempty"`
	Reason             string          `json:"reason,omitempty" doc:"Of the latest decline, loss, refusal, dispute or void"`
	Replaces           *deal.ID        `json:"replaces,omitempty"`
	Exclusions         []DealExclusion `json:"exclusions,omitempty"`
	Moves              []deal.Move     `json:"moves,omitempty" doc:"What you may do with the deal now, as in POST /v1/deals/{id}/{move}, and edit for PATCH. Only when the deal is read: the answer to a change stays what it was when it is sent again"`
}

// Customer is the company that was won.
type Customer struct {
	Name    string `json:"name" minLength:"1" maxLength:"120"`
	Country string `json:"country" minLength:"2" maxLength:"2" example:"DE" doc:"ISO 3166-1 alpha-2"`
	Domain  string `json:"domain,omitempty" maxLength:"253"`
}

// Party is one company's part in a deal, with what it has said.
type Party struct {
	CompanyID     deal.ID        `json:"company_id"`
	Name          string         `json:"name,omitempty" doc:"The company's of today. Only when the deal is read, like moves"`
	Role          deal.PartyRole `json:"role" enum:"lead,delivery,reseller,vendor,advisor,other"`
	Share         httpapi.Amount `json:"share"`
	Member        bool           `json:"member" doc:"Whether it was a member of some association when it entered the deal"`
	AcceptedAt    *time.Time     `json:"accepted_at"`
	AttestedTerms *uint32        `json:"attested_terms" doc:"The terms version that it stands for: of the open correction once it attested that one, else of the terms that count"`
}

// Correction is a proposal of other terms for a won deal.
type Correction struct {
	TermsVersion uint32         `json:"terms_version"`
	ProposedBy   deal.ID        `json:"proposed_by"`
	Value        httpapi.Amount `json:"value"`
	Parties      []Party        `json:"parties"`
	WonOn        *calendar.Date `json:"won_on,omitempty"`
}

// DealExclusion is one association's decision not to count the deal.
type DealExclusion struct {
	AssociationID deal.ID `json:"association_id"`
	Reason        string  `json:"reason"`
}

// viewFor is the deal as it is read by one who acts on it.
func (s *Service) viewFor(d deal.Deal, by deal.Actor) Deal {
	v := viewOf(d)
	v.Moves = movesNow(d, by, s.cfg.Now())
	s.nameParties(v.Parties)
	if v.Correction != nil {
		s.nameParties(v.Correction.Parties)
	}
	return v
}

func (s *Service) nameParties(parties []Party) {
	for i := range parties {
		company, _ := s.cfg.Roster.Company(parties[i].CompanyID)
		parties[i].Name = company.Name
	}
}

// movesNow lists the moves that the actor may make: those of the table that the domain would not refuse as they stand,
// such as a second acceptance. What a request says with a move is not known yet.
func movesNow(d deal.Deal, by deal.Actor, at time.Time) []deal.Move {
	return slices.DeleteFunc(deal.Moves(d, by), func(m deal.Move) bool {
		if !by.LinkOf.IsZero() && !slices.Contains(guestMoves, m) {
			return true
		}
		switch m {
		case deal.Edit, deal.Propose:
			return false
		case deal.Merge: // is decided with both deals in view
			return true
		case deal.Correct:
			_, party := d.Party(by.Company)
			return !party
		default:
			_, err := deal.Decide(d, deal.Command{Move: m, By: by, Reason: "-"}, at)
			return err != nil
		}
	})
}

func viewOf(d deal.Deal) Deal {
	v := Deal{
		ID: d.ID, Status: d.Status, Revision: d.Revision, TermsVersion: d.TermsVersion,
		Title: d.Title, Description: d.Description, ExternalRef: d.ExternalRef,
		Customer: Customer{Name: d.Customer.Name, Country: d.Customer.Country, Domain: d.Customer.Domain},
		Value:    httpapi.AmountOf(d.Value), Parties: viewParties(d, d.Terms), ExpectedOn: d.ExpectedOn, WonOn: d.WonOn,
		RegisteredBy: d.RegisteredBy, RegisteredAt: d.RegisteredAt, UpdatedAt: d.UpdatedAt, StatusSince: d.StatusSince,
		RegisteredAfterWin: d.RegisteredAfterWin, Evidence: d.Evidence, EvidenceReference: d.EvidenceReference,
		DisputedFrom: d.DisputedFrom, Reason: d.Reason, DueAt: dueAt(d),
	}
	if !d.Replaces.IsZero() {
		v.Replaces = &d.Replaces
	}
	if c := d.Correction; c != nil {
		v.Correction = &Correction{
			TermsVersion: c.TermsVersion, ProposedBy: c.ProposedBy, Value: httpapi.AmountOf(c.Terms.Value),
			Parties: viewParties(d, c.Terms), WonOn: c.Terms.WonOn,
		}
	}
	for _, x := range d.Exclusions {
		v.Exclusions = append(v.Exclusions, DealExclusion{AssociationID: x.Association, Reason: x.Reason})
	}
	return v
}

func viewParties(d deal.Deal, t deal.Terms) []Party {
	parties := make([]Party, len(t.Parties))
	for i, p := range t.Parties {
		said, _ := d.Standing(p.Company)
		parties[i] = Party{
			CompanyID: p.Company, Role: p.Role, Member: said.Member, AcceptedAt: said.AcceptedAt,
			Share: httpapi.AmountOf(money.Amount{Minor: p.ShareMinor, Currency: t.Value.Currency}),
		}
		if version := d.Attested(p.Company); version != 0 {
			parties[i].AttestedTerms = &version
		}
	}
	return parties
}
