package mail

import (
	"slices"
	"strconv"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// kind is what a mail asks.
type kind string

// The kinds of mail. What the first three say, the messages tell; a digest and a link are about no deal.
const (
	kindAccept  kind = "accept"  // an invitation to accept or decline
	kindAttest  kind = "attest"  // final figures to attest or refuse
	kindCorrect kind = "correct" // corrected figures to attest or refuse
	kindDigest  kind = "digest"
	kindLink    kind = "link"
	// An endpoint of webhooks was disabled, because it was gone or failed for too long.
	kindDisabled kind = "disabled"
)

// question is what a deal asks of companies. Two questions are the same when all but the companies are.
type question struct {
	Kind      kind
	Version   uint32    // of the terms that are asked about
	Since     time.Time // when the deal began to wait
	Companies []deal.ID // whose word is missing
}

// asked is the question that the deal asks as it stands, false when it waits for nobody.
func asked(d deal.Deal) (question, bool) {
	q := question{Version: d.TermsVersion, Since: d.StatusSince}
	missing := func(s deal.Standing) bool { return s.AttestedTerms != q.Version }
	switch {
	case d.Status == deal.Pending:
		q.Kind = kindAccept
		missing = func(s deal.Standing) bool { return s.AcceptedAt == nil }
	case d.Status == deal.Closing:
		q.Kind = kindAttest
	case d.Status == deal.Won && d.Correction != nil:
		q.Kind, q.Version, q.Since = kindCorrect, d.Correction.TermsVersion, d.UpdatedAt
		if s, _ := d.Standing(d.Correction.ProposedBy); s.AttestedAt != nil {
			q.Since = *s.AttestedAt // whoever proposes attests
		}
	default:
		return question{}, false
	}
	for _, s := range d.Standings {
		if missing(s) {
			q.Companies = append(q.Companies, s.Company)
		}
	}
	return q, len(q.Companies) > 0
}

func (q question) same(other question) bool {
	return q.Kind == other.Kind && q.Version == other.Version && q.Since.Equal(other.Since)
}

// cause is what one mail to one person is for. Each has one mail.
type cause struct {
	Kind    kind    `json:"kind"`
	Person  deal.ID `json:"person"`
	Company deal.ID `json:"company,omitzero"` // whose word is asked for; the person may have left it since
	Deal    deal.ID `json:"deal,omitzero"`
	// Endpoint was disabled. It is Company's or Association's.
	Endpoint    deal.ID   `json:"endpoint,omitzero"`
	Association deal.ID   `json:"association,omitzero"`
	Version     uint32    `json:"version,omitempty"`
	Since       time.Time `json:"since"`         // when the deal began to wait; of a digest the hour that it is for
	Day         int       `json:"day,omitempty"` // of a reminder: after how many days
}

// key names the cause in the bucket.
func (c cause) key() string {
	text := string(c.Kind) + "." + strconv.FormatInt(c.Since.UnixNano(), 10) + "." + c.Person.String()
	switch {
	case !c.Endpoint.IsZero():
		return c.Endpoint.String() + "." + text
	case c.Deal.IsZero():
		return text
	}
	return c.Deal.String() + "." + strconv.FormatUint(uint64(c.Version), 10) + "." + strconv.Itoa(c.Day) + "." + text
}

// standsIn tells whether the deal still asks what the cause is about.
func (c cause) standsIn(d deal.Deal) bool {
	q, waits := asked(d)
	return waits && q.same(question{Kind: c.Kind, Version: c.Version, Since: c.Since}) && slices.Contains(q.Companies, c.Company)
}
