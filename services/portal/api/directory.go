package api

import (
	"context"
	"maps"
	"net/url"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Named is an id with the name that it has today.
type Named struct {
	ID   deal.ID `json:"id"`
	Name string  `json:"name"`
}

// Association is what the directory says of one.
type Association struct {
	Named
	TimeZone          string `json:"time_zone"`
	YearStartsIn      int    `json:"year_starts_in"`
	ReportingCurrency string `json:"reporting_currency"`
	Disclosure        string `json:"disclosure"`
	ReleaseSchedule   string `json:"release_schedule"`
	OpenFromYear      int    `json:"open_from_year"` // under open: the first year that is; 0: all are
}

// Page is one page of a list.
type Page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor"`
}

// Association reads one association.
func (c *Client) Association(ctx context.Context, id deal.ID) (Association, error) {
	var a Association
	return a, c.get(ctx, &a, nil, "/v1/associations/%s", id)
}

// Associations lists the first 200 associations that the caller may see.
func (c *Client) Associations(ctx context.Context) ([]Association, error) {
	var p Page[Association]
	err := c.get(ctx, &p, url.Values{"limit": {"200"}}, "/v1/associations")
	return p.Items, err
}

// Company reads one company's name.
func (c *Client) Company(ctx context.Context, id deal.ID) (Named, error) {
	var n Named
	return n, c.get(ctx, &n, nil, "/v1/companies/%s", id)
}

// all reads every page of a list.
func all[T any](ctx context.Context, c *Client, query url.Values, format string, segments ...any) ([]T, error) {
	asked := url.Values{"limit": {"200"}}
	maps.Copy(asked, query)
	var items []T
	for {
		var p Page[T]
		if err := c.get(ctx, &p, asked, format, segments...); err != nil {
			return nil, err
		}
		items = append(items, p.Items...)
		if p.NextCursor == "" {
			return items, nil
		}
		asked.Set("cursor", p.NextCursor)
	}
}
