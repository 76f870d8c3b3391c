package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/services/registry"
)

// partLog is what /readyz calls the log's state where a registry writes it.
const partLog = "log"

// addRegistry wires the registry, which opens once the log was found whole: one that lost its end would hand out the same
// sequences again.
func (a *assembly) addRegistry() (serviceRun, error) {
	nc, err := a.connect(nats.ReconnectBufSize(-1)) // as a log wants it whose end is kept
	if err != nil {
		return nil, err
	}
	log, err := stream.NewLog(nc)
	if err != nil {
		return nil, err
	}
	gate := a.gate
	if gate == nil {
		gate = a.wholeLog(log)
	}
	s, err := registry.New(registry.Config{
		Log: a.log, NATS: a.nc, Deals: log, Roster: a.roster, Store: a.store, Finder: a.house, Health: a.health, Now: time.Now,
		Pepper: a.pepper, Replicas: a.Replicas, Gate: gate,
	})
	if err != nil {
		return nil, err
	}
	s.Routes(a.server.API)
	a.parts = append(a.parts, a.keepEnd(log, s.Opened())) // it ends when the registry has
	return s.Run, nil
}

// wholeLog waits until the log was found to be whole, and tells meanwhile why it is not. It is the gate of a registry with
// no aggregator beside it, which would do the same and compare the projection too.
func (a *assembly) wholeLog(log *stream.Log) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := backoff.Retry(ctx, func() (struct{}, error) {
			err := log.Verify(ctx, func(events uint64) {
				a.health.Report(partLog, fmt.Errorf("is read through, %d events, before anything may be written", events))
			})
			a.health.Report(partLog, err)
			if err != nil && ctx.Err() == nil {
				a.log.Error("the log is not open to be written", zap.Error(err))
			}
			return struct{}{}, err
		}, backoff.WithMaxElapsedTime(0))
		return err
	}
}

// keepEnd remembers the log's end while the registry writes it, and once more behind its last event. It closes a registry
// whose log came back shorter, until that is resolved.
func (a *assembly) keepEnd(log *stream.Log, open <-chan struct{}) lifecycle.Part {
	failing := false
	return lifecycle.Part{Name: "log end", Run: func(ctx context.Context) error {
		log.KeepEnd(ctx, open, func(err error) {
			a.health.Report(partLog, err)
			if err != nil && !failing {
				a.log.Error("the log's end is not remembered", zap.Error(err))
			}
			failing = err != nil
		})
		return nil
	}}
}
