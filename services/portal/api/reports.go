package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Sums are what deals add up to, as decimals of the report's currency.
type Sums struct {
	Amount            string `json:"amount"`
	Deals             int64  `json:"deals"`
	AttestedByParties string `json:"attested_by_parties"`
	UnconvertedDeals  int64  `json:"unconverted_deals"`
}

// Volume is an association's live year.
type Volume struct {
	Currency          string    `json:"currency"`
	AsOfSequence      uint64    `json:"as_of_sequence"`
	AsOf              time.Time `json:"as_of"`
	QuarantinedEvents uint64    `json:"quarantined_events"`
	Total             Sums      `json:"total"`
	PreviousYear      *Sums     `json:"previous_year"` // nil: the caller may not see that year live
	Items             []struct {
		Chapter   *Named  `json:"chapter"`
		Companies []Named `json:"companies"`
		Month     string  `json:"month"`
		Sums
	} `json:"items"`
	Rest *struct { // what a limit left out
		Items int `json:"items"`
		Sums
	} `json:"rest"`
	Companies int `json:"companies"` // by pair: how many are in one
}

// Cut is how a live year is read: divided by total, chapter, pair or month, with the events up to a sequence of the log.
type Cut struct {
	Year    int
	By      string
	UpTo    uint64 // 0: all events
	Limit   int    // only so many, the largest; 0: all
	Company string // only its pairs; empty: all
}

func (c Cut) query() url.Values {
	query := url.Values{"year": {strconv.Itoa(c.Year)}, "by": {c.By}}
	if c.UpTo > 0 {
		query.Set("as_of_sequence", strconv.FormatUint(c.UpTo, 10))
	}
	if c.Limit > 0 {
		query.Set("limit", strconv.Itoa(c.Limit))
	}
	if c.Company != "" {
		query.Set("company", c.Company)
	}
	return query
}

// Volume reads the live volume of a year.
func (c *Client) Volume(ctx context.Context, association deal.ID, cut Cut) (Volume, error) {
	var v Volume
	return v, c.get(ctx, &v, cut.query(), "/v1/associations/%s/volume", association)
}

// VolumeSpreadsheet opens the live volume as a file of a media type. The caller closes its body.
func (c *Client) VolumeSpreadsheet(ctx context.Context, association deal.ID, cut Cut, mediaType string) (*http.Response, error) {
	return c.send(ctx, http.MethodGet, address("/v1/associations/%s/volume", []any{association}), cut.query(), nil, mediaType)
}

// Cell is one figure of a statement, or that it is hidden.
type Cell struct {
	Hidden bool   `json:"hidden"`
	Amount string `json:"amount"`
	Deals  int64  `json:"deals"`
}

// MonthCell is a month's figure.
type MonthCell struct {
	Month string `json:"month"`
	Cell
}

// ChapterCell is a chapter's figure.
type ChapterCell struct {
	Chapter Named `json:"chapter"`
	Cell
}

// PairCell is a pair's figure.
type PairCell struct {
	Companies []Named `json:"companies"`
	Cell
}

// Statement is one release of an association's year.
type Statement struct {
	Association         Named     `json:"association"`
	Year                int       `json:"year"`
	Release             int       `json:"release"`
	Policy              string    `json:"policy"`
	Currency            string    `json:"currency"`
	PublishedAt         time.Time `json:"published_at"`
	AsOfSequence        uint64    `json:"as_of_sequence"`
	AsOf                time.Time `json:"as_of"`
	LogHash             string    `json:"log_hash"`
	Cause               string    `json:"cause"`
	Reason              string    `json:"reason"`
	Closed              bool      `json:"closed"`
	Total               Cell      `json:"total"`
	AttestedByParties   *Cell     `json:"attested_by_parties"`
	AttestedByRegistrar *Cell     `json:"attested_by_registrar"`
	PreviousYear        *struct {
		Year    int         `json:"year"`
		Release int         `json:"release"`
		Total   Cell        `json:"total"`
		Months  []MonthCell `json:"months"`
	} `json:"previous_year"`
	Months      []MonthCell   `json:"months"`
	Chapters    []ChapterCell `json:"chapters"`
	Pairs       []PairCell    `json:"pairs"`
	OtherPairs  *Cell         `json:"other_pairs"`
	RestOfPairs *struct {     // that the limit left out
		Items  int    `json:"items"`
		Amount string `json:"amount"`
		Deals  int64  `json:"deals"`
	} `json:"rest_of_pairs"`
	Members *struct {
		TakingPart *int `json:"taking_part"` // nil when hidden
		Of         int  `json:"of"`
	} `json:"members"`
	Coverage struct {
		UnconvertedDeals  *int64 `json:"unconverted_deals"`
		QuarantinedEvents int64  `json:"quarantined_events"`
	} `json:"coverage"`
	Changes *struct {
		SinceRelease int `json:"since_release"`
		Cell
	} `json:"changes"`
	LeftOut []string `json:"left_out"`
}

// Release is one line of the list of statements.
type Release struct {
	Year         int       `json:"year"`
	Release      int       `json:"release"`
	PublishedAt  time.Time `json:"published_at"`
	Cause        string    `json:"cause"`
	AsOfSequence uint64    `json:"as_of_sequence"`
	Total        Cell      `json:"total"`
}

// Latest is the newest release of a year.
const Latest = 0

func releaseName(release int) string {
	if release == Latest {
		return "latest"
	}
	return strconv.Itoa(release)
}

// Statement reads a release of a year, with the largest pairs, as many as the limit says; all for 0.
func (c *Client) Statement(ctx context.Context, association deal.ID, year, release, limit int) (Statement, error) {
	var s Statement
	query := url.Values{}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	return s, c.get(ctx, &s, query, "/v1/associations/%s/statements/%s/%s", association, year, releaseName(release))
}

// Releases lists all releases of an association.
func (c *Client) Releases(ctx context.Context, association deal.ID) ([]Release, error) {
	return all[Release](ctx, c, nil, "/v1/associations/%s/statements", association)
}

// Spreadsheet opens a release as a file of a media type. The caller closes its body.
func (c *Client) Spreadsheet(ctx context.Context, association deal.ID, year, release int, mediaType string) (*http.Response, error) {
	path := address("/v1/associations/%s/statements/%s/%s", []any{association, year, releaseName(release)})
	return c.send(ctx, http.MethodGet, path, nil, nil, mediaType)
}

// Participation is who took part in an association's year, and who did not.
type Participation struct {
	TakingPart []Participant `json:"taking_part"`
	Others     []Named       `json:"others"`

	TakingPartCount int `json:"taking_part_count"`
	OthersCount     int `json:"others_count"`
}

// Participant is a company with the number of its partners.
type Participant struct {
	Company  Named `json:"company"`
	Partners int64 `json:"partners"`
}

// Participation reads who took part, with the events up to a sequence; the first so many of each list, or all with limit 0.
func (c *Client) Participation(ctx context.Context, association deal.ID, year int, upTo uint64, limit int) (Participation, error) {
	var p Participation
	query := url.Values{"year": {strconv.Itoa(year)}, "as_of_sequence": {strconv.FormatUint(upTo, 10)}}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	return p, c.get(ctx, &p, query, "/v1/associations/%s/participation", association)
}

// CompanyVolume is a company's own year.
type CompanyVolume struct {
	AsOfSequence uint64    `json:"as_of_sequence"`
	AsOf         time.Time `json:"as_of"`
	Associations []struct {
		Association Named  `json:"association"`
		Currency    string `json:"currency"`
		Total       Sums   `json:"total"`
		Items       []struct {
			Partner Named `json:"partner"`
			Sums
		} `json:"items"`
	} `json:"associations"`
}

// CompanyVolume reads what a company and each partner count for together.
func (c *Client) CompanyVolume(ctx context.Context, company deal.ID, year int) (CompanyVolume, error) {
	var v CompanyVolume
	return v, c.get(ctx, &v, url.Values{"year": {strconv.Itoa(year)}}, "/v1/companies/%s/volume", company)
}
