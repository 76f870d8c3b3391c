package api

import (
	"context"
	"net/http"
	"net/url"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

// AssociationInput makes or changes an association. What is nil stays.
type AssociationInput struct {
	Name              *string `json:"name,omitempty"`
	TimeZone          *string `json:"time_zone,omitempty"`
	YearStartsIn      *int    `json:"year_starts_in,omitempty"`
	ReportingCurrency *string `json:"reporting_currency,omitempty"`
	Disclosure        *string `json:"disclosure,omitempty"`
	ReleaseSchedule   *string `json:"release_schedule,omitempty"`
}

// CreateAssociation makes an association.
func (c *Client) CreateAssociation(ctx context.Context, in AssociationInput) (Association, error) {
	var a Association
	return a, c.write(ctx, http.MethodPost, in, &a, nil, "/v1/associations")
}

// TaggedAssociation reads one association with the tag of its revision.
func (c *Client) TaggedAssociation(ctx context.Context, id deal.ID) (Association, string, error) {
	var a Association
	tag, err := c.tagged(ctx, &a, "/v1/associations/%s", id)
	return a, tag, err
}

// ChangeAssociation changes an association of the tag.
func (c *Client) ChangeAssociation(ctx context.Context, id deal.ID, tag string, in AssociationInput) error {
	return c.write(ctx, http.MethodPatch, in, nil, ifMatch(tag), "/v1/associations/%s", id)
}

// Chapter is a chapter of an association.
type Chapter struct {
	Named
	Country  string  `json:"country"`
	ParentID deal.ID `json:"parent_id"` // zero directly below the association
}

// ChapterInput makes a chapter.
type ChapterInput struct {
	Name     string `json:"name"`
	Country  string `json:"country,omitempty"`
	ParentID string `json:"parent_id,omitempty"`
}

// Chapters lists all chapters of an association.
func (c *Client) Chapters(ctx context.Context, association deal.ID) ([]Chapter, error) {
	return all[Chapter](ctx, c, nil, "/v1/associations/%s/chapters", association)
}

// CreateChapter makes a chapter.
func (c *Client) CreateChapter(ctx context.Context, association deal.ID, in ChapterInput) error {
	return c.write(ctx, http.MethodPost, in, nil, nil, "/v1/associations/%s/chapters", association)
}

// CompanyInput makes a company.
type CompanyInput struct {
	Name    string `json:"name"`
	Country string `json:"country"`
	Domain  string `json:"domain,omitempty"`
	LEI     string `json:"lei,omitempty"`
	DUNS    string `json:"duns,omitempty"`
}

// CreateCompany makes a company.
func (c *Client) CreateCompany(ctx context.Context, in CompanyInput) (Named, error) {
	var n Named
	return n, c.write(ctx, http.MethodPost, in, &n, nil, "/v1/companies")
}

// Enrolment is a company's latest time in an association, and all of its times.
type Enrolment struct {
	CompanyID        deal.ID        `json:"company_id"`
	CompanyName      string         `json:"company_name"`
	ChapterID        deal.ID        `json:"chapter_id"`
	From             calendar.Date  `json:"from"`
	To               *calendar.Date `json:"to"` // the last day; nil while it lasts
	EthicsAcceptedOn *calendar.Date `json:"ethics_accepted_on"`
	Periods          []struct {
		ChapterID deal.ID        `json:"chapter_id"`
		From      calendar.Date  `json:"from"`
		To        *calendar.Date `json:"to"`
	} `json:"periods"`
}

// InChapter tells whether the company was in the chapter on any of the days.
func (e Enrolment) InChapter(chapter deal.ID, from, to calendar.Date) bool {
	for _, p := range e.Periods {
		if p.ChapterID == chapter && p.From <= to && (p.To == nil || *p.To >= from) {
			return true
		}
	}
	return false
}

// Enrolments lists all members of an association, former ones too.
func (c *Client) Enrolments(ctx context.Context, association deal.ID) ([]Enrolment, error) {
	return all[Enrolment](ctx, c, nil, "/v1/associations/%s/members", association)
}

// EnrolmentInput makes a company a member, moves it to another chapter, or corrects that.
type EnrolmentInput struct {
	ChapterID        string `json:"chapter_id,omitempty"`
	From             string `json:"from"`
	To               string `json:"to,omitempty"`
	EthicsAcceptedOn string `json:"ethics_accepted_on,omitempty"`
}

// Enrol puts a member.
func (c *Client) Enrol(ctx context.Context, association, company deal.ID, in EnrolmentInput) error {
	return c.write(ctx, http.MethodPut, in, nil, nil, "/v1/associations/%s/members/%s", association, company)
}

// EndMembership makes yesterday the last day of a member.
func (c *Client) EndMembership(ctx context.Context, association, company deal.ID) error {
	return c.write(ctx, http.MethodDelete, nil, nil, nil, "/v1/associations/%s/members/%s", association, company)
}

// RatesStored is what a file of rates brought.
type RatesStored struct {
	Days      int64          `json:"days"`
	Stored    int64          `json:"stored"`
	FirstDate *calendar.Date `json:"first_date"`
	LastDate  *calendar.Date `json:"last_date"`
	Ignored   []string       `json:"ignored_columns"`
}

// PutRates stores a file of rates in the ECB's layout, of the source.
func (c *Client) PutRates(ctx context.Context, source string, file []byte) (RatesStored, error) {
	var r RatesStored
	response, err := c.send(ctx, http.MethodPut, "/v1/rates", url.Values{"source": {source}}, csv(file), "application/json", "Content-Type", "text/csv")
	if err != nil {
		return r, err
	}
	return r, decode(response, &r)
}

// HasRates tells whether any rate is stored.
func (c *Client) HasRates(ctx context.Context) (bool, error) {
	var p Page[struct{}]
	err := c.get(ctx, &p, url.Values{"limit": {"1"}}, "/v1/rates")
	return len(p.Items) > 0, err
}

// Publish publishes a release of a year. The same request under the same key publishes once.
func (c *Client) Publish(ctx context.Context, association deal.ID, key string, year int, reason string) (Release, error) {
	body := map[string]any{"year": year}
	if reason != "" {
		body["reason"] = reason
	}
	var r Release
	return r, c.write(ctx, http.MethodPost, body, &r, []string{"Idempotency-Key", key}, "/v1/associations/%s/statements", association)
}

// Changes leaves out what is as it was.
func (in AssociationInput) Changes(from Association) AssociationInput {
	for now, was := range map[**string]string{
		&in.Name: from.Name, &in.TimeZone: from.TimeZone, &in.ReportingCurrency: from.ReportingCurrency, &in.Disclosure: from.Disclosure,
		&in.ReleaseSchedule: from.ReleaseSchedule,
	} {
		if *now != nil && **now == was {
			*now = nil
		}
	}
	if in.YearStartsIn != nil && *in.YearStartsIn == from.YearStartsIn {
		in.YearStartsIn = nil
	}
	return in
}
