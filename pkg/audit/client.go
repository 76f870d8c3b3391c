package audit

import (
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
)

const (
	logType         = "application/vnd.dealreg.log"
	defaultPatience = 2 * time.Minute
	shortestPause   = 10 * time.Millisecond
	longestPause    = 10 * time.Second
	maxAnswer       = 256 << 20 // bytes of one JSON answer
)

// ErrNotThere is the answer 404: it does not exist, or the key may not see it.
var ErrNotThere = errors.New("the system answers 404: it does not exist, or the key may not see it")

// Client reads a running system.
type Client struct {
	URL      string        // http://127.0.0.1:8080
	Key      string        // of an auditor, or the operator
	HTTP     *http.Client  // nil: http.DefaultClient
	Patience time.Duration // how long to wait in all for each answer while the system says "not yet"; 0: two minutes
}

// Log opens the log from a sequence to its last message. The caller closes it.
func (c *Client) Log(ctx context.Context, from uint64) (io.ReadCloser, error) {
	response, err := c.get(ctx, "/v1/log", url.Values{"from": {strconv.FormatUint(from, 10)}}, logType)
	if err != nil {
		return nil, err
	}
	if kind := response.Header.Get("Content-Type"); kind != logType {
		_ = response.Body.Close()
		return nil, fmt.Errorf("GET /v1/log: %s came instead of a log", quote(kind))
	}
	return response.Body, nil
}

// json reads one JSON answer.
func (c *Client) json(ctx context.Context, path string, query url.Values, into any) error {
	response, err := c.get(ctx, path, query, "application/json")
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("GET %s: read the answer: %w", path, err)
	}
	return nil
}

// get asks until the answer is 200 or the patience has run out. It waits as Retry-After says.
func (c *Client) get(ctx context.Context, path string, query url.Values, accept string) (*http.Response, error) {
	base, err := url.Parse(c.URL)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("%s is not the address of a system: write http://127.0.0.1:8080", quote(c.URL))
	}
	at := base.JoinPath(path)
	at.RawQuery = query.Encode()
	client, patience := c.HTTP, c.Patience
	if client == nil {
		client = http.DefaultClient
	}
	if patience <= 0 {
		patience = defaultPatience
	}
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
		if err != nil {
			return nil, fmt.Errorf("GET %s: %w", path, err)
		}
		request.Header.Set("Authorization", "Bearer "+c.Key)
		request.Header.Set("Accept", accept)
		response, err := client.Do(request)
		if err != nil {
			return nil, fmt.Errorf("GET %s: %w", path, err)
		}
		if response.StatusCode == http.StatusOK {
			return response, nil
		}
		refusal := refused(response)
		pause := pauseOf(response)
		_ = response.Body.Close()
		later := response.StatusCode == http.StatusServiceUnavailable || response.StatusCode == http.StatusTooManyRequests
		if !later || pause > patience {
			return nil, fmt.Errorf("GET %s: %w", path, refusal)
		}
		patience -= pause
		if err := wait(ctx, pause); err != nil {
			return nil, fmt.Errorf("GET %s: %w", path, err)
		}
	}
}

// refused reads the problem document of an answer other than 200.
func refused(response *http.Response) error {
	if response.StatusCode == http.StatusNotFound {
		return ErrNotThere
	}
	var problem struct {
		Detail string `json:"detail"`
	}
	// An answer that is no problem document has its status still.
	_ = json.NewDecoder(io.LimitReader(response.Body, 1<<16)).Decode(&problem)
	return fmt.Errorf("the system answers %d: %.300s", response.StatusCode, problem.Detail)
}

func pauseOf(response *http.Response) time.Duration {
	seconds, err := strconv.Atoi(strings.TrimSpace(response.Header.Get("Retry-After")))
	if err != nil || seconds < 0 || seconds > int(longestPause/time.Second) {
		seconds = 1
	}
	return max(shortestPause, time.Duration(seconds)*time.Second)
}

func wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
