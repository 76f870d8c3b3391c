// Package embedded runs the engines of `dealreg up`: a NATS server with JetStream inside the process and a ClickHouse
// engine as a child process. Both listen on the loopback interface only, or not at all.
//
// It knows nothing of streams, tables or deals, and it never deletes data.
package embedded
