package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dealreg/dealreg/pkg/httpapi"
)

// remote is where the commands that talk to a running system find it.
type remote struct {
	URL string `default:"http://127.0.0.1:8080" placeholder:"URL" help:"Address of the running system."`
	Key string `placeholder:"KEY" help:"API key. Better in DEALREG_KEY, where other users do not see it."`
}

func (r remote) client() (*client, error) {
	if r.Key == "" {
		return nil, errNoKey
	}
	return newClient(r.URL, r.Key), nil
}

// client speaks the public API, and nothing else.
type client struct {
	url, key string
	http     *http.Client
}

func newClient(url, key string) *client {
	return &client{url: strings.TrimSuffix(url, "/"), key: key, http: &http.Client{Timeout: 5 * time.Minute}}
}

// as is the same system with another key.
func (c *client) as(key string) *client { return &client{url: c.url, key: key, http: c.http} }

// problemError is a problem document that the system answered.
type problemError struct {
	httpapi.Problem
	retryAfter time.Duration
}

func (p *problemError) Error() string {
	parts := []string{fmt.Sprintf("%d %s: %s", p.Status, p.Title, p.Detail)}
	for _, f := range p.Errors {
		parts = append(parts, fmt.Sprintf("  %s%s: %s", f.Pointer, f.Parameter, f.Detail))
	}
	return strings.Join(parts, "\n")
}

// call is one request; body is marshalled to JSON unless it is an io.Reader.
type call struct {
	method, path string
	query        url.Values
	header       map[string]string
	body         any
	into         any // the answer's JSON; nil to drop it
}

// do sends the request, again while the system asks for that, for at most a minute. After 503 only requests that may be
// repeated are sent again: reads, and changes with an Idempotency-Key. After 429 any is, since it was never begun.
func (c *client) do(ctx context.Context, r call) (http.Header, error) {
	deadline := time.Now().Add(time.Minute)
	_, stream := r.body.(io.Reader)
	repeatable := r.method == http.MethodGet || r.method == http.MethodPut || r.header["Idempotency-Key"] != ""
	for {
		header, err := c.once(ctx, r)
		problem, answered := errors.AsType[*problemError](err)
		again := answered && !stream && time.Now().Before(deadline) &&
			(problem.Status == http.StatusTooManyRequests || problem.Status == http.StatusServiceUnavailable && repeatable)
		if !again {
			return header, err
		}
		wait := 100 * time.Millisecond
		if problem.Status == http.StatusTooManyRequests {
			wait = max(wait, problem.retryAfter)
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

func (c *client) once(ctx context.Context, r call) (http.Header, error) {
	response, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if r.into == nil {
		_, err := io.Copy(io.Discard, response.Body)
		return response.Header, err
	}
	if err := json.NewDecoder(response.Body).Decode(r.into); err != nil {
		return nil, fmt.Errorf("%s %s: read the answer: %w", r.method, r.path, err)
	}
	return response.Header, nil
}

// send gives a successful response, whose body the caller closes, or the problem that was answered.
func (c *client) send(ctx context.Context, r call) (*http.Response, error) {
	body, isReader := r.body.(io.Reader)
	contentType := ""
	if r.body != nil && !isReader {
		text, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body, contentType = bytes.NewReader(text), "application/json"
	}
	target := c.url + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	for name, value := range r.header {
		request.Header.Set(name, value)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s does not answer (is the system up?): %w", c.url, err)
	}
	if response.StatusCode < 300 {
		return response, nil
	}
	defer response.Body.Close()
	problem := &problemError{}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&problem.Problem); err != nil || problem.Status == 0 {
		return nil, fmt.Errorf("%s %s: %s", r.method, r.path, response.Status)
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		problem.retryAfter = time.Duration(seconds) * time.Second
	}
	return nil, problem
}

// allOf reads every page of a list.
func allOf[T any](ctx context.Context, c *client, path string) ([]T, error) {
	query := url.Values{"limit": {"200"}}
	var items []T
	for {
		var page httpapi.Page[T]
		if _, err := c.do(ctx, call{method: http.MethodGet, path: path, query: query, into: &page}); err != nil {
			return nil, err
		}
		items = append(items, page.Items...)
		if page.NextCursor == "" {
			return items, nil
		}
		query.Set("cursor", page.NextCursor)
	}
}

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// waitReady waits until the system says that it has all it needs, or tells what it lacks.
func waitReady(ctx context.Context, url string) error {
	c := newClient(url, "")
	for deadline := time.Now().Add(2 * time.Minute); ; {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := c.http.Do(request)
		lacks := []byte{}
		if err == nil {
			lacks, _ = io.ReadAll(io.LimitReader(response.Body, 1<<16))
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready after two minutes: %s", lacks)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}
