package warehouse

import (
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/dealreg/dealreg/pkg/deal"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// row is one row of deal_events in plain values.
type row struct {
	AtMilli                                int64
	Poison, Payload                        string
	Hash                                   [32]byte
	DealID                                 uuid.UUID
	Revision                               uint64
	Type, Status                           string
	RegisteredBy                           uuid.UUID
	Companies, Groups, Associations        []uuid.UUID
	WonOn                                  *int32
	Currency, Title, Customer, Domain, Ref string
	Roles                                  []string
	Joining, WaitsFor                      []uuid.UUID
	Entries                                []Entry
}

// rows reads the batch back.
func (b *Batch) rows() []row {
	list := func(c *ids, i int) []uuid.UUID {
		from := uint64(0)
		if i > 0 {
			from = c.ends[i-1]
		}
		return append([]uuid.UUID(nil), c.values[from:c.ends[i]]...) // nil for none, as in the reference
	}
	result := make([]row, b.Len())
	company, entry := 0, 0
	for i := range result {
		r := row{
			AtMilli: b.at[i], Poison: b.poison.Row(i), Payload: b.payload.Row(i), Hash: b.payloadHash[i], DealID: b.dealID[i],
			Revision: b.revision[i], Type: b.eventType.row(i), Status: b.status.row(i), RegisteredBy: b.registeredBy[i],
			Companies: list(&b.companies, i), Associations: list(&b.associations, i), Currency: b.currencyOf.row(i),
			Title: b.title.Row(i), Customer: b.customer.Row(i), Domain: b.domain.Row(i), Ref: b.externalRef.Row(i),
			Joining: list(&b.joining, i), WaitsFor: list(&b.waitsFor, i),
		}
		if b.wonOnNull[i] == 0 {
			r.WonOn = new(int32(b.wonOn[i]))
		}
		for ; company < int(b.companies.ends[i]); company++ {
			r.Roles, r.Groups = append(r.Roles, b.roles.row(company)), append(r.Groups, b.groups[company])
		}
		for ; entry < int(b.entryEnd[i]); entry++ {
			r.Entries = append(r.Entries, Entry{
				Kind: Kind(b.kind[entry]), Association: deal.ID(b.association[entry]), Year: b.year[entry], Month: int32(b.month[entry]),
				A: deal.ID(b.a[entry]), B: deal.ID(b.b[entry]), Currency: b.currency.row(entry), AmountMinor: b.amount[entry],
				Deals: b.deals[entry], ByParties: b.byParties[entry] == 1, Unconverted: b.unconverted[entry],
			})
		}
		result[i] = r
	}
	return result
}

// reference makes the row by way of the generated code of the contract, in the plainest manner. Where the event has a
// schema that is too new it says so.
func reference(storedAt time.Time, payload []byte) (r row, newer *NewerSchemaError) {
	r.Hash = sha256.Sum256(payload)
	e, err := referenceDecode(payload)
	if errors.As(err, &newer) {
		return row{}, newer
	}
	if err != nil {
		r.AtMilli, r.Poison, r.Payload = storedAt.UnixMilli(), err.Error(), string(payload)
		return r, nil
	}
	d := e.GetDeal()
	r.AtMilli, r.DealID, r.Revision = e.GetAt().AsTime().UnixMilli(), uuid.UUID(e.GetDealId()), e.GetRevision()
	r.Type, r.Status, r.RegisteredBy = typeName(int32(e.GetType())), statusName(int32(d.GetStatus())), uuid.UUID(d.GetRegisteredBy())
	for _, p := range d.GetTerms().GetParties() {
		r.Companies, r.Roles = append(r.Companies, uuid.UUID(p.GetCompanyId())), append(r.Roles, roleName(int32(p.GetRole())))
		group := p.GetGroupId()
		if group == nil {
			group = p.GetCompanyId()
		}
		r.Groups = append(r.Groups, uuid.UUID(group))
	}
	for _, id := range e.GetAudience().GetAssociationIds() {
		r.Associations = append(r.Associations, uuid.UUID(id))
	}
	if d.GetTerms() != nil {
		r.WonOn = d.GetTerms().WonOn
	}
	r.Currency, r.Title, r.Ref = d.GetTerms().GetCurrency(), d.GetTitle(), d.GetExternalRef()
	r.Customer, r.Domain = d.GetCustomer().GetName(), d.GetCustomer().GetDomain()
	r.Joining, r.WaitsFor = referenceStandings(d, r.Companies)
	r.Entries = referenceEntries(e)
	return r, nil
}

// referenceDecode reads one payload and checks all that a row is made of, so that what it returns can be stored as it is.
func referenceDecode(payload []byte) (*dealregv1.DealEvent, error) {
	event := &dealregv1.DealEvent{}
	err := proto.Unmarshal(payload, event)
	// The schema tells first: newer bytes may well break the rules of today.
	if event.GetSchema() > KnownSchema && err == nil {
		return nil, &NewerSchemaError{Schema: event.GetSchema()}
	}
	switch {
	case err != nil:
		return nil, errUndecodable
	case event.GetSchema() == 0:
		return nil, errSchema
	case event.GetRevision() == 0:
		return nil, errRevision
	case !event.GetAt().IsValid() || outside(event.GetAt().GetSeconds()/86400):
		return nil, errTime
	case len(event.GetDealId()) != 16:
		return nil, idError("deal_id")
	}
	if err := referenceDeal(event.GetDeal()); err != nil {
		return nil, err
	}
	for _, id := range event.GetAudience().GetAssociationIds() {
		if len(id) != 16 {
			return nil, idError("an association of the audience")
		}
	}
	for _, a := range event.GetReplaces() {
		if err := referenceAttribution(a); err != nil {
			return nil, err
		}
	}
	for _, a := range event.GetAttributions() {
		if err := referenceAttribution(a); err != nil {
			return nil, err
		}
	}
	for _, a := range []*dealregv1.Attribution{event.GetUnduplicatedReplaces(), event.GetUnduplicated()} {
		if err := referenceUnduplicated(a); err != nil {
			return nil, err
		}
	}
	return event, nil
}

func referenceDeal(d *dealregv1.Deal) error {
	if statusName(int32(d.GetStatus())) == "" {
		return errStatus
	}
	if len(d.GetRegisteredBy()) != 16 {
		return idError("registered_by")
	}
	for _, p := range d.GetTerms().GetParties() {
		if len(p.GetCompanyId()) != 16 {
			return idError("a party's company_id")
		}
		if n := len(p.GetGroupId()); n != 0 && n != 16 {
			return idError("a party's group_id")
		}
	}
	if outside(int64(d.GetTerms().GetWonOn())) {
		return errDay
	}
	return nil
}

func referenceAttribution(a *dealregv1.Attribution) error {
	if id := a.GetAssociationId(); len(id) != 16 || deal.ID(id).IsZero() {
		return idError("an attribution's association_id")
	}
	if err := referencePosted(a); err != nil {
		return err
	}
	var chapters, pairs int64
	for _, c := range a.GetChapters() {
		if n := len(c.GetChapterId()); n != 0 && n != 16 { // none: members without a chapter
			return idError("an attribution's chapter_id")
		}
		chapters += c.GetAmountMinor()
	}
	for _, p := range a.GetPairs() {
		if len(p.GetCompanyA()) != 16 || len(p.GetCompanyB()) != 16 {
			return idError("a company of an attribution's pair")
		}
		pairs += p.GetAmountMinor()
	}
	if a.GetWithheld() == dealregv1.Withheld_WITHHELD_UNSPECIFIED && (chapters != a.GetAmountMinor() || pairs != a.GetAmountMinor()) {
		return errSum
	}
	return nil
}

// referenceUnduplicated checks what the deal counts for in all associations together, which may be absent.
func referenceUnduplicated(a *dealregv1.Attribution) error {
	if a == nil {
		return nil
	}
	if len(a.GetAssociationId()) > 0 || len(a.GetChapters()) > 0 || len(a.GetPairs()) > 0 || a.GetCurrency() != "EUR" {
		return errTogether
	}
	return referencePosted(a)
}

// referencePosted checks what every entry of an attribution is made of.
func referencePosted(a *dealregv1.Attribution) error {
	if _, known := dealregv1.Withheld_name[int32(a.GetWithheld())]; !known {
		return errWithheld
	}
	if outside(int64(a.GetMonth())) {
		return errDay
	}
	return nil
}

// referenceStandings gives the companies that an open correction would take in, and those without whose word the deal does
// not move on.
func referenceStandings(d *dealregv1.Deal, parties []uuid.UUID) (joining, waitsFor []uuid.UUID) {
	voids := slices.ContainsFunc(d.GetStandings(), (*dealregv1.Standing).GetVoids)
	for _, s := range d.GetStandings() {
		if len(s.GetCompanyId()) != 16 {
			continue
		}
		id, waits := uuid.UUID(s.GetCompanyId()), false
		if !slices.Contains(parties, id) {
			joining = append(joining, id)
		}
		switch d.GetStatus() { //nolint:exhaustive // in the others a deal waits for nobody
		case dealregv1.Status_STATUS_PENDING:
			waits = s.GetAcceptedAt() == nil
		case dealregv1.Status_STATUS_CLOSING:
			waits = s.GetAttestedTerms() != d.GetTermsVersion()
		case dealregv1.Status_STATUS_WON:
			open := d.GetCorrection()
			waits = open != nil && s.GetAttestedTerms() != open.GetTermsVersion() || voids && !s.GetVoids() && slices.Contains(parties, id)
		}
		if waits {
			waitsFor = append(waitsFor, id)
		}
	}
	return joining, waitsFor
}

// referenceEntries gives what the event posts.
func referenceEntries(event *dealregv1.DealEvent) []Entry {
	entries := referenceChange(nil, event.GetReplaces(), event.GetAttributions())
	return referenceChange(entries, present(event.GetUnduplicatedReplaces()), present(event.GetUnduplicated()))
}

func present(a *dealregv1.Attribution) []*dealregv1.Attribution {
	if a == nil {
		return nil
	}
	return []*dealregv1.Attribution{a}
}

// referenceChange takes back what counted before and posts what counts after, when they differ.
func referenceChange(entries []Entry, before, after []*dealregv1.Attribution) []Entry {
	if equalAttributions(before, after) {
		return entries
	}
	for _, a := range before {
		entries = postAttribution(entries, a, -1)
	}
	for _, a := range after {
		entries = postAttribution(entries, a, 1)
	}
	return entries
}

func equalAttributions(a, b []*dealregv1.Attribution) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !proto.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// postAttribution posts one attribution; sign is 1, or -1 to take it back.
func postAttribution(entries []Entry, a *dealregv1.Attribution, sign int8) []Entry {
	base := Entry{
		Year:      a.GetYear(),
		Month:     a.GetMonth(),
		Currency:  a.GetCurrency(),
		ByParties: a.GetEvidence() == dealregv1.Evidence_EVIDENCE_PARTIES,
	}
	copy(base.Association[:], a.GetAssociationId())
	counts := false
	switch a.GetWithheld() {
	case dealregv1.Withheld_WITHHELD_UNSPECIFIED:
		base.Deals, counts = sign, true
	case dealregv1.Withheld_WITHHELD_UNCONVERTED:
		base.Unconverted = sign
	default:
		return entries
	}
	post := func(kind Kind, x, y []byte, amountMinor int64) {
		e := base
		e.Kind = kind
		if x != nil {
			e.A = deal.ID(x)
		}
		if y != nil {
			e.B = deal.ID(y)
		}
		if counts {
			e.AmountMinor = int64(sign) * amountMinor
		}
		entries = append(entries, e)
	}
	post(KindAssociation, nil, nil, a.GetAmountMinor())
	for _, c := range a.GetChapters() {
		post(KindChapter, c.GetChapterId(), nil, c.GetAmountMinor())
	}
	for _, p := range a.GetPairs() {
		post(KindPair, p.GetCompanyA(), p.GetCompanyB(), p.GetAmountMinor())
	}
	return entries
}

func (w *words) row(i int) string { return w.index.Row(int(w.rows[i])) }
