package api

import (
	"io"
	"net/http"
	"sync"
)

// InProcess is a transport to an API in the same process: no connection, no listener.
type InProcess struct{ Handler http.Handler }

// RoundTrip hands the request to the handler and gives the answer as it is written.
func (t InProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	served := r.Clone(r.Context())
	if served.Body == nil {
		served.Body = http.NoBody
	}
	served.RequestURI, served.Host = r.URL.RequestURI(), r.URL.Host
	body, writer := io.Pipe()
	a := &answer{header: http.Header{}, begun: make(chan struct{}), body: writer}
	go func() {
		defer func() {
			if recovered := recover(); recovered != nil { // net/http's server ends the connection too
				_ = writer.CloseWithError(io.ErrUnexpectedEOF)
			}
			a.WriteHeader(http.StatusOK)
			_ = writer.Close()
			_ = served.Body.Close()
		}()
		t.Handler.ServeHTTP(a, served)
	}()
	select {
	case <-a.begun:
	case <-r.Context().Done():
		_ = body.CloseWithError(r.Context().Err())
		return nil, r.Context().Err()
	}
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.sent, Body: body, ContentLength: -1, Request: r,
	}, nil
}

// answer is a http.ResponseWriter whose body is read while it is written.
type answer struct {
	header, sent http.Header
	status       int
	once         sync.Once
	begun        chan struct{} // closed after status and sent are set
	body         *io.PipeWriter
}

// Header is what WriteHeader sends.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader begins the answer; only the first final status counts.
func (a *answer) WriteHeader(status int) {
	if status < http.StatusOK {
		return
	}
	a.once.Do(func() {
		a.status, a.sent = status, a.header.Clone()
		close(a.begun)
	})
}

// Write begins the answer with 200 when nothing did.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}
