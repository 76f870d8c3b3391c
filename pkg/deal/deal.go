// Package deal is the life of a deal between partner companies: what a deal is, which moves it allows, who may make
// them, and what each move changes. It never reads a clock, a store or a network: Decide gets all that it needs.
package deal

import (
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/money"
)

// Status is where a deal stands. Only Won counts.
type Status string

// The statuses of a deal. Declined, Expired, Withdrawn, Lost and Void are final.
const (
	New       Status = "" // not registered yet
	Pending   Status = "pending"
	Active    Status = "active"
	Closing   Status = "closing"
	Won       Status = "won"
	Declined  Status = "declined"
	Expired   Status = "expired"
	Withdrawn Status = "withdrawn"
	Lost      Status = "lost"
	Void      Status = "void"
	Disputed  Status = "disputed"
)

// PartyRole is what a party does in the deal.
type PartyRole string

// The roles of a party. A deal has exactly one Lead.
const (
	Lead     PartyRole = "lead"
	Delivery PartyRole = "delivery"
	Reseller PartyRole = "reseller"
	Vendor   PartyRole = "vendor"
	Advisor  PartyRole = "advisor"
	Other    PartyRole = "other"
)

// Evidence is who stands for the figures of a won deal.
type Evidence string

// The kinds of evidence.
const (
	ByParties   Evidence = "parties"   // every party attested them
	ByRegistrar Evidence = "registrar" // the registrar did, on documents
)

// Customer is the company that was won.
type Customer struct {
	Name    string // 1-120 characters
	Country string // ISO 3166-1 alpha-2
	Domain  string // optional
}

// Party is one company's part in a deal.
type Party struct {
	Company    ID
	Group      ID // companies of one corporate group count as one contributor
	Role       PartyRole
	ShareMinor int64 // minor units of the deal's currency, at least 0
}

// Terms are the figures that the parties attest.
type Terms struct {
	Value   money.Amount // 1 to 10^15 minor units
	Parties []Party      // 2-10, of at least two groups; the shares sum to the value exactly
	WonOn   *calendar.Date
}

// Details describe a deal without changing what it counts for.
type Details struct {
	Title       string // 1-500 characters
	Description string // 0-2000 characters
	ExternalRef string // 0-64 characters, unique among the deals of the registering company
	Customer    Customer
	ExpectedOn  *calendar.Date
	Replaces    ID // a deal that ended, in place of which this one is registered
}

// Standing is what one party has said so far.
type Standing struct {
	Company       ID
	Member        bool       // of some association when it entered the deal
	AcceptedAt    *time.Time // nil until the party accepts
	AttestedTerms uint32     // the terms version that it attested last, also of a correction that was refused; see Deal.Attested
	AttestedAt    *time.Time
	Voids         bool // agrees that the won deal be void
}

// Correction is a proposal of other terms for a won deal. The old figures count until every party of the old terms and
// of the new ones has attested it.
type Correction struct {
	Terms        Terms
	TermsVersion uint32
	ProposedBy   ID
}

// Exclusion takes a won deal out of one association's figures.
type Exclusion struct {
	Association ID
	Reason      string
}

// Deal is the whole state of a deal after its latest event. The zero Deal is one that was never registered.
type Deal struct {
	ID       ID
	Revision uint64 // rises by one with every event, from 1; it is the ETag
	Status   Status
	Details
	Terms
	TermsVersion       uint32     // rises when value, currency, parties, shares or won_on change
	Standings          []Standing // one for each party, and for each new party of an open correction
	StatusSince        time.Time
	UpdatedAt          time.Time // of the latest event
	DisputedFrom       Status    // where a disputed deal returns to
	RegisteredBy       ID        // a company, or the association whose registrar imported the deal
	RegisteredAt       time.Time
	RegisteredAfterWin bool
	Evidence           Evidence
	EvidenceReference  string // the documents on which a registrar attested
	ImportedBy         ID     // the association of the import: the deal counts there alone
	Correction         *Correction
	Exclusions         []Exclusion
	Reason             string // of the latest decline, loss, refusal, dispute, merge or void
}

// Party finds the company's part in the terms.
func (t Terms) Party(company ID) (Party, bool) {
	for _, p := range t.Parties {
		if p.Company == company {
			return p, true
		}
	}
	return Party{}, false
}

// LeadCompany is the company of the one lead, or the zero ID.
func (t Terms) LeadCompany() ID {
	for _, p := range t.Parties {
		if p.Role == Lead {
			return p.Company
		}
	}
	return ID{}
}

// groups counts the corporate groups that take part.
func (t Terms) groups() int {
	seen := map[ID]bool{}
	for _, p := range t.Parties {
		seen[p.Group] = true
	}
	return len(seen)
}

// same tells whether two terms mean the same figures; the order of the parties means nothing.
func (t Terms) same(other Terms) bool {
	if t.Value != other.Value || len(t.Parties) != len(other.Parties) || !sameDate(t.WonOn, other.WonOn) {
		return false
	}
	for _, p := range t.Parties {
		if q, found := other.Party(p.Company); !found || p != q {
			return false
		}
	}
	return true
}

func sameDate(a, b *calendar.Date) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// Standing finds what the company has said.
func (d Deal) Standing(company ID) (Standing, bool) {
	for _, s := range d.Standings {
		if s.Company == company {
			return s, true
		}
	}
	return Standing{}, false
}

// Final tells whether no move is left.
func (s Status) Final() bool {
	switch s {
	case Declined, Expired, Withdrawn, Lost, Void:
		return true
	case New, Pending, Active, Closing, Won, Disputed:
		return false
	}
	return false
}
