package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
)

// ImportOrder says how a file is to be read, and into which association a registrar brings it.
type ImportOrder struct {
	Association deal.ID // zero for a company's own deals
	Map         string  // JSON
	Reference   string  // of a registrar's documents
}

func (o ImportOrder) query() url.Values {
	query := url.Values{"map": {o.Map}}
	if !o.Association.IsZero() {
		query.Set("association_id", o.Association.String())
		query.Set("reference", o.Reference)
	}
	return query
}

// Import is how far an import is.
type Import struct {
	ID         deal.ID    `json:"id"`
	State      string     `json:"state"` // waiting, running, done or failed
	Error      string     `json:"error"`
	DryRun     bool       `json:"dry_run"`
	BytesTotal uint64     `json:"bytes_total"`
	BytesRead  uint64     `json:"bytes_read"`
	Rows       int        `json:"rows"`
	Registered int        `json:"registered"`
	Unchanged  int        `json:"unchanged"`
	Rejected   int        `json:"rejected"`
	Companies  int        `json:"companies_created"`
	Chapters   int        `json:"chapters_created"`
	Members    int        `json:"members_created"`
	CreatedAt  time.Time  `json:"created_at"`
	EndedAt    *time.Time `json:"ended_at"`
}

// Ended tells whether nothing more will come.
func (i Import) Ended() bool { return i.State == "done" || i.State == "failed" }

// ImportPreview is the beginning of a file as an import would read it.
type ImportPreview struct {
	Faults []string           `json:"faults"` // of the whole file
	Rows   []ImportPreviewRow `json:"rows"`
}

// ImportPreviewRow is one row as it would be read.
type ImportPreviewRow struct {
	Line        int            `json:"line"`
	ExternalRef string         `json:"external_ref"`
	Title       string         `json:"title"`
	Customer    string         `json:"customer"`
	Country     string         `json:"customer_country"`
	Value       *Amount        `json:"value"`
	WonOn       *calendar.Date `json:"won_on"`
	Chapter     string         `json:"chapter"`
	Parties     []struct {
		Text  string  `json:"text"`
		Name  string  `json:"name"` // empty for a company that nobody knows
		Role  string  `json:"role"`
		Share *Amount `json:"share"`
	} `json:"parties"`
	Faults []struct {
		Column  string `json:"column"`
		Message string `json:"message"`
	} `json:"faults"`
}

// PreviewImport reads the beginning of a CSV file as an import would.
func (c *Client) PreviewImport(ctx context.Context, o ImportOrder, beginning []byte) (ImportPreview, error) {
	var p ImportPreview
	response, err := c.sendCSV(ctx, "/v1/imports/deals/preview", o.query(), beginning)
	if err != nil {
		return p, err
	}
	return p, decode(response, &p)
}

// Import begins an import, or a dry run of one. The same key gives the same import; an empty one makes each its own.
func (c *Client) Import(ctx context.Context, o ImportOrder, file []byte, dryRun bool, key string) (Import, error) {
	var i Import
	query := o.query()
	if dryRun {
		query.Set("dry_run", "true")
	}
	var header []string
	if key != "" {
		header = []string{"Idempotency-Key", key}
	}
	response, err := c.sendCSV(ctx, "/v1/imports/deals", query, file, header...)
	if err != nil {
		return i, err
	}
	return i, decode(response, &i)
}

// ImportState reads how far an import is.
func (c *Client) ImportState(ctx context.Context, id deal.ID) (Import, error) {
	var i Import
	return i, c.get(ctx, &i, nil, "/v1/imports/%s", id)
}

// ImportRejects opens the rejected rows of an import that is done. The caller closes it.
func (c *Client) ImportRejects(ctx context.Context, id deal.ID) (io.ReadCloser, error) {
	response, err := c.send(ctx, http.MethodGet, address("/v1/imports/%s/rejects", []any{id}), nil, nil, "text/csv")
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

func (c *Client) sendCSV(ctx context.Context, path string, query url.Values, text []byte, header ...string) (*http.Response, error) {
	return c.send(ctx, http.MethodPost, path, query, csv(text), "application/json", append(header, "Content-Type", "text/csv")...)
}
