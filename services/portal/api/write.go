package api

import (
	"context"
	"net/http"
)

// write sends a change and reads the answer; an address is a format whose arguments are escaped as path segments.
func (c *Client) write(ctx context.Context, method string, body, into any, header []string, format string, segments ...any) error {
	response, err := c.send(ctx, method, address(format, segments), nil, body, "application/json", header...)
	if err != nil {
		return err
	}
	return decode(response, into)
}

// tagged reads JSON and the tag of its revision, which a change sends back.
func (c *Client) tagged(ctx context.Context, into any, format string, segments ...any) (tag string, err error) {
	response, err := c.send(ctx, http.MethodGet, address(format, segments), nil, nil, "application/json")
	if err != nil {
		return "", err
	}
	return response.Header.Get("ETag"), decode(response, into)
}

// ifMatch is the header of a change to what had the tag.
func ifMatch(tag string) []string { return []string{"If-Match", tag} }
