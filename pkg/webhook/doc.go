// Package webhook is the contract between dealreg and those who receive its webhooks: the events that exist and their
// bodies (CloudEvents 1.0), the signatures on them (Standard Webhooks 1.0), and the one HTTP client that may carry them
// to an address that a stranger chose. It keeps nothing, schedules nothing and never decides who may hear of an event;
// services/webhooks does.
package webhook
