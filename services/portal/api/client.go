// Package api is the portal's view of dealreg's public API: the calls that its pages need and the answers, as far as
// they are shown. It knows no rule of what anyone may see; the API decides that for the key that it is asked with.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Client asks the API. The zero key asks what is open to everyone. It is safe for concurrent use.
type Client struct {
	base   *url.URL
	http   *http.Client
	key    string
	remote string
}

// New makes a client for the API at base. The transport must not follow redirects to other hosts; the API answers none.
func New(base *url.URL, transport http.RoundTripper) *Client {
	return &Client{base: base, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// As is the same API, asked with a key on behalf of whoever is at the remote address, which an API in the same process
// takes for the sender's.
func (c *Client) As(key, remote string) *Client {
	return &Client{base: c.base, http: c.http, key: key, remote: remote}
}

// Error is a problem document that the API answered.
type Error struct {
	Status int     `json:"status"`
	Title  string  `json:"title"`
	Detail string  `json:"detail"`
	Faults []Fault `json:"errors"`
}

// Fault is one thing that is wrong with a request.
type Fault struct {
	Detail    string `json:"detail"`
	Pointer   string `json:"pointer"`   // JSON pointer into the body; empty when it is not of the body
	Parameter string `json:"parameter"` // name of the header or parameter
}

// Error names the status and what the API said about it.
func (e *Error) Error() string {
	return fmt.Sprintf("API answered %d: %s: %s", e.Status, e.Title, e.Detail)
}

// StatusOf is the status of the problem that err is; 0 when the API did not answer.
func StatusOf(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return 0
}

// csv is a body that is sent as it is.
type csv []byte

// get reads JSON; an address is a format whose arguments are escaped as path segments.
func (c *Client) get(ctx context.Context, into any, query url.Values, format string, segments ...any) error {
	response, err := c.send(ctx, http.MethodGet, address(format, segments), query, nil, "application/json")
	if err != nil {
		return err
	}
	return decode(response, into)
}

func (c *Client) send(
	ctx context.Context, method, path string, query url.Values, body any, accept string, header ...string,
) (*http.Response, error) {
	var sent io.Reader
	if file, is := body.(csv); is {
		sent = bytes.NewReader(file)
	} else if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(text)
	}
	target := strings.TrimSuffix(c.base.String(), "/") + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, target, sent)
	if err != nil {
		return nil, err
	}
	request.RemoteAddr = c.remote // for an API in the same process; no HTTP client sends it
	request.Header.Set("Accept", accept)
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the API: %w", err)
	}
	if response.StatusCode < http.StatusMultipleChoices {
		return response, nil
	}
	defer response.Body.Close()
	problem := &Error{Status: response.StatusCode, Title: response.Status}
	_ = json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(problem) // without a document the status says enough
	problem.Status = response.StatusCode
	return nil, problem
}

func decode(response *http.Response, into any) error {
	defer response.Body.Close()
	if into == nil {
		_, err := io.Copy(io.Discard, response.Body)
		return err
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return fmt.Errorf("read the API's answer: %w", err)
	}
	return nil
}

func address(format string, segments []any) string {
	escaped := make([]any, len(segments))
	for i, s := range segments {
		escaped[i] = url.PathEscape(fmt.Sprint(s))
	}
	return fmt.Sprintf(format, escaped...)
}
