package stream

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/volume"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// Schema is the version of the log's contract that this code writes, and the newest that it reads.
const Schema = 1

// Event is one message of the log: what happened, the request behind it, who may hear of it, and what the deal counts
// for after it and before it.
type Event struct {
	deal.Event
	Command      Command
	PreviousHash []byte // of the deal's event before; nil in the first
	Audience     Audience
	Attributions []volume.Attribution
	Replaces     []volume.Attribution
	// What the deal counts for in all associations together, after the event and before it; nil for nothing.
	Unduplicated, UnduplicatedReplaces *volume.Attribution
}

// Command ties an event to the request that caused it.
type Command struct {
	ID          string // its Idempotency-Key
	RequestHash []byte // SHA-256 of its meaning
}

// Audience is who may hear of an event.
type Audience struct {
	Companies    []deal.ID
	Associations []deal.ID
}

// ID is the event's name in CloudEvents and webhooks: <deal id>:<revision>.
func (e Event) ID() string { return e.Deal.ID.String() + ":" + strconv.FormatUint(e.Deal.Revision, 10) }

// NewerSchemaError says that an event was written by a newer release: update before you read on.
type NewerSchemaError struct{ Schema uint32 }

func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("the event has schema %d, this release reads up to %d: update dealreg", e.Schema, Schema)
}

// Encode gives the event's payload. The same event always gives the same bytes in one release.
func Encode(e Event) ([]byte, error) {
	payload, err := proto.MarshalOptions{Deterministic: true}.Marshal(&dealregv1.DealEvent{
		Schema:       Schema,
		DealId:       encodeID(e.Deal.ID),
		Revision:     e.Deal.Revision,
		Type:         eventTypes.number(e.Type),
		Includes:     each(e.Includes, eventTypes.number),
		At:           timestamppb.New(e.At),
		Actor:        encodeActor(e.By),
		Command:      &dealregv1.Command{Id: e.Command.ID, RequestHash: e.Command.RequestHash},
		PreviousHash: e.PreviousHash,
		Audience: &dealregv1.Audience{
			CompanyIds: each(e.Audience.Companies, encodeID), AssociationIds: each(e.Audience.Associations, encodeID),
		},
		Deal:         encodeDeal(e.Deal),
		Attributions: each(e.Attributions, encodeAttribution),
		Replaces:     each(e.Replaces, encodeAttribution),
		Unduplicated: maybe(e.Unduplicated, encodeAttribution), UnduplicatedReplaces: maybe(e.UnduplicatedReplaces, encodeAttribution),
	})
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID(), err)
	}
	return payload, nil
}

// Decode reads a payload. Errors are *NewerSchemaError and others that mean that the bytes are no event.
func Decode(payload []byte) (Event, error) {
	var m dealregv1.DealEvent
	if err := proto.Unmarshal(payload, &m); err != nil {
		return Event{}, fmt.Errorf("decode event: %w", err)
	}
	if m.GetSchema() > Schema {
		return Event{}, &NewerSchemaError{Schema: m.GetSchema()}
	}
	d := decoder{}
	e := Event{
		Event: deal.Event{
			Type: eventTypes.name(m.GetType()), Includes: each(m.GetIncludes(), eventTypes.name),
			At: m.GetAt().AsTime(), By: d.actor(m.GetActor()), Deal: d.deal(&m),
		},
		Command:      Command{ID: m.GetCommand().GetId(), RequestHash: m.GetCommand().GetRequestHash()},
		PreviousHash: m.GetPreviousHash(),
		Audience: Audience{
			Companies: each(m.GetAudience().GetCompanyIds(), d.id), Associations: each(m.GetAudience().GetAssociationIds(), d.id),
		},
		Attributions: each(m.GetAttributions(), d.attribution),
		Replaces:     each(m.GetReplaces(), d.attribution),
	}
	if m.GetUnduplicated() != nil {
		e.Unduplicated = new(d.attribution(m.GetUnduplicated()))
	}
	if m.GetUnduplicatedReplaces() != nil {
		e.UnduplicatedReplaces = new(d.attribution(m.GetUnduplicatedReplaces()))
	}
	if d.err != nil {
		return Event{}, fmt.Errorf("decode event: %w", d.err)
	}
	if e.Deal.ID.IsZero() || e.Deal.Revision == 0 || m.GetSchema() == 0 {
		return Event{}, fmt.Errorf("decode event: schema, deal or revision is missing")
	}
	if e.Deal.Status == deal.New || e.Type == "" {
		return Event{}, fmt.Errorf("decode event: its type or status is none that this release knows: update dealreg")
	}
	return e, nil
}

func encodeDeal(d deal.Deal) *dealregv1.Deal {
	m := &dealregv1.Deal{
		Status:             statuses.number(d.Status),
		DisputedFrom:       statuses.number(d.DisputedFrom),
		StatusSince:        timestamppb.New(d.StatusSince),
		Title:              d.Title,
		Description:        d.Description,
		ExternalRef:        d.ExternalRef,
		Customer:           &dealregv1.Customer{Name: d.Customer.Name, Country: d.Customer.Country, Domain: d.Customer.Domain},
		Terms:              encodeTerms(d.Terms),
		TermsVersion:       d.TermsVersion,
		ExpectedOn:         encodeDate(d.ExpectedOn),
		RegisteredBy:       encodeID(d.RegisteredBy),
		RegisteredAt:       timestamppb.New(d.RegisteredAt),
		RegisteredAfterWin: d.RegisteredAfterWin,
		Evidence:           evidences.number(d.Evidence),
		EvidenceReference:  d.EvidenceReference,
		ImportedBy:         encodeID(d.ImportedBy),
		Reason:             d.Reason,
		ReplacesDealId:     encodeID(d.Replaces),
		Standings: each(d.Standings, func(s deal.Standing) *dealregv1.Standing {
			return &dealregv1.Standing{
				CompanyId: encodeID(s.Company), Member: s.Member, AcceptedAt: encodeTime(s.AcceptedAt),
				AttestedTerms: s.AttestedTerms, AttestedAt: encodeTime(s.AttestedAt), Voids: s.Voids,
			}
		}),
		Exclusions: each(d.Exclusions, func(x deal.Exclusion) *dealregv1.Exclusion {
			return &dealregv1.Exclusion{AssociationId: encodeID(x.Association), Reason: x.Reason}
		}),
	}
	if c := d.Correction; c != nil {
		m.Correction = &dealregv1.Correction{
			Terms: encodeTerms(c.Terms), TermsVersion: c.TermsVersion, ProposedBy: encodeID(c.ProposedBy),
		}
	}
	return m
}

func encodeTerms(t deal.Terms) *dealregv1.Terms {
	return &dealregv1.Terms{
		ValueMinor: t.Value.Minor,
		Currency:   string(t.Value.Currency),
		WonOn:      encodeDate(t.WonOn),
		Parties: each(t.Parties, func(p deal.Party) *dealregv1.Party {
			return &dealregv1.Party{
				CompanyId: encodeID(p.Company), GroupId: encodeID(p.Group), Role: partyRoles.number(p.Role), ShareMinor: p.ShareMinor,
			}
		}),
	}
}

func encodeActor(a deal.Actor) *dealregv1.Actor {
	role := dealregv1.Role_ROLE_PARTY
	switch {
	case a.IsSystem:
		role = dealregv1.Role_ROLE_SYSTEM
	case !a.Association.IsZero():
		role = dealregv1.Role_ROLE_REGISTRAR
	}
	return &dealregv1.Actor{
		Role: role, KeyId: encodeID(a.Key), CompanyId: encodeID(a.Company), AssociationId: encodeID(a.Association),
		LinkOfAssociationId: encodeID(a.LinkOf),
	}
}

func encodeAttribution(a volume.Attribution) *dealregv1.Attribution {
	m := &dealregv1.Attribution{
		AssociationId: encodeID(a.Association),
		Year:          int32(a.Year), // #nosec G115 -- a calendar.Date's year has four digits
		Month:         int32(a.Month),
		Currency:      string(a.Currency),
		AmountMinor:   a.AmountMinor,
		Evidence:      evidences.number(a.Evidence),
		Withheld:      withhelds.number(a.Withheld),
		Chapters: each(a.Chapters, func(c volume.Chapter) *dealregv1.ChapterAmount {
			return &dealregv1.ChapterAmount{ChapterId: encodeID(c.Chapter), AmountMinor: c.AmountMinor}
		}),
		Pairs: each(a.Pairs, func(p volume.Pair) *dealregv1.PairAmount {
			return &dealregv1.PairAmount{CompanyA: encodeID(p.A), CompanyB: encodeID(p.B), AmountMinor: p.AmountMinor}
		}),
	}
	if q := a.Quote; q != nil {
		m.Rate = &dealregv1.Rate{
			FromCurrency: string(q.From), ToCurrency: string(q.To), FromPerEur: q.FromPerEUR,
			ToPerEur: q.ToPerEUR, Date: int32(q.Date), Source: q.Source,
		}
	}
	return m
}

func encodeID(id deal.ID) []byte {
	if id.IsZero() {
		return nil
	}
	return slices.Clone(id[:])
}

func encodeDate(d *calendar.Date) *int32 {
	if d == nil {
		return nil
	}
	return new(int32(*d))
}

func encodeTime(t *time.Time) *timestamppb.Timestamp {
	if t == nil {
		return nil
	}
	return timestamppb.New(*t)
}

// decoder keeps the first fault that it meets.
type decoder struct{ err error }

func (d *decoder) id(b []byte) deal.ID {
	var id deal.ID
	if len(b) != 0 && len(b) != len(id) && d.err == nil {
		d.err = fmt.Errorf("an id has %d bytes instead of 16", len(b))
	}
	copy(id[:], b)
	return id
}

func (d *decoder) deal(m *dealregv1.DealEvent) deal.Deal {
	s := m.GetDeal()
	result := deal.Deal{
		ID: d.id(m.GetDealId()), Revision: m.GetRevision(), Status: statuses.name(s.GetStatus()),
		Details: deal.Details{
			Title: s.GetTitle(), Description: s.GetDescription(), ExternalRef: s.GetExternalRef(),
			Customer: deal.Customer{
				Name: s.GetCustomer().GetName(), Country: s.GetCustomer().GetCountry(), Domain: s.GetCustomer().GetDomain(),
			},
			Replaces: d.id(s.GetReplacesDealId()),
		},
		Terms:              d.terms(s.GetTerms()),
		TermsVersion:       s.GetTermsVersion(),
		StatusSince:        s.GetStatusSince().AsTime(),
		UpdatedAt:          m.GetAt().AsTime(),
		DisputedFrom:       statuses.name(s.GetDisputedFrom()),
		RegisteredBy:       d.id(s.GetRegisteredBy()),
		RegisteredAt:       s.GetRegisteredAt().AsTime(),
		RegisteredAfterWin: s.GetRegisteredAfterWin(),
		Evidence:           evidences.name(s.GetEvidence()),
		EvidenceReference:  s.GetEvidenceReference(),
		ImportedBy:         d.id(s.GetImportedBy()),
		Reason:             s.GetReason(),
		Standings: each(s.GetStandings(), func(x *dealregv1.Standing) deal.Standing {
			return deal.Standing{
				Company: d.id(x.GetCompanyId()), Member: x.GetMember(), AcceptedAt: decodeTime(x.GetAcceptedAt()),
				AttestedTerms: x.GetAttestedTerms(), AttestedAt: decodeTime(x.GetAttestedAt()), Voids: x.GetVoids(),
			}
		}),
		Exclusions: each(s.GetExclusions(), func(x *dealregv1.Exclusion) deal.Exclusion {
			return deal.Exclusion{Association: d.id(x.GetAssociationId()), Reason: x.GetReason()}
		}),
	}
	if s != nil && s.ExpectedOn != nil {
		result.ExpectedOn = decodeDate(s.ExpectedOn)
	}
	if c := s.GetCorrection(); c != nil {
		result.Correction = &deal.Correction{
			Terms: d.terms(c.GetTerms()), TermsVersion: c.GetTermsVersion(), ProposedBy: d.id(c.GetProposedBy()),
		}
	}
	return result
}

func (d *decoder) terms(m *dealregv1.Terms) deal.Terms {
	t := deal.Terms{
		Value: money.Amount{Minor: m.GetValueMinor(), Currency: money.Currency(m.GetCurrency())},
		Parties: each(m.GetParties(), func(p *dealregv1.Party) deal.Party {
			return deal.Party{
				Company: d.id(p.GetCompanyId()), Group: d.id(p.GetGroupId()), Role: partyRoles.name(p.GetRole()), ShareMinor: p.GetShareMinor(),
			}
		}),
	}
	if m != nil {
		t.WonOn = decodeDate(m.WonOn)
	}
	return t
}

func (d *decoder) actor(m *dealregv1.Actor) deal.Actor {
	return deal.Actor{
		Key: d.id(m.GetKeyId()), Company: d.id(m.GetCompanyId()), Association: d.id(m.GetAssociationId()),
		IsSystem: m.GetRole() == dealregv1.Role_ROLE_SYSTEM, LinkOf: d.id(m.GetLinkOfAssociationId()),
	}
}

func (d *decoder) attribution(m *dealregv1.Attribution) volume.Attribution {
	a := volume.Attribution{
		Association: d.id(m.GetAssociationId()),
		Year:        int(m.GetYear()),
		Month:       calendar.Date(m.GetMonth()),
		Currency:    money.Currency(m.GetCurrency()),
		AmountMinor: m.GetAmountMinor(),
		Evidence:    evidences.name(m.GetEvidence()),
		Withheld:    withhelds.name(m.GetWithheld()),
		Chapters: each(m.GetChapters(), func(c *dealregv1.ChapterAmount) volume.Chapter {
			return volume.Chapter{Chapter: d.id(c.GetChapterId()), AmountMinor: c.GetAmountMinor()}
		}),
		Pairs: each(m.GetPairs(), func(p *dealregv1.PairAmount) volume.Pair {
			return volume.Pair{A: d.id(p.GetCompanyA()), B: d.id(p.GetCompanyB()), AmountMinor: p.GetAmountMinor()}
		}),
	}
	if r := m.GetRate(); r != nil {
		a.Quote = &money.Quote{
			From: money.Currency(r.GetFromCurrency()), To: money.Currency(r.GetToCurrency()),
			FromPerEUR: r.GetFromPerEur(), ToPerEUR: r.GetToPerEur(),
			Date: calendar.Date(r.GetDate()), Source: r.GetSource(),
		}
	}
	return a
}

func decodeDate(days *int32) *calendar.Date {
	if days == nil {
		return nil
	}
	d := calendar.Date(*days)
	return &d
}

func decodeTime(t *timestamppb.Timestamp) *time.Time {
	if t == nil {
		return nil
	}
	at := t.AsTime()
	return &at
}

// maybe maps a value that may be absent.
func maybe[A, B any](x *A, f func(A) *B) *B {
	if x == nil {
		return nil
	}
	return f(*x)
}

// each maps a list; an empty one becomes nil, as it does on the wire.
func each[A, B any](list []A, f func(A) B) []B {
	if len(list) == 0 {
		return nil
	}
	result := make([]B, len(list))
	for i, x := range list {
		result[i] = f(x)
	}
	return result
}
