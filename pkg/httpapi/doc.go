// Package httpapi is the edge that every service shares: a huma API on the standard mux with problem documents
// (RFC 9457), bearer keys, entity tags, cursor pages, an access log and metrics. It turns decisions into HTTP and
// never makes one; it never echoes or logs what a client sent.
package httpapi
