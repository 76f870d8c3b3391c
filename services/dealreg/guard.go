package main

import (
	"context"
	"fmt"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/lifecycle"
	"github.com/dealreg/dealreg/pkg/stream"
)

// partLog is what /readyz calls the log's state where a registry writes it.
const partLog = "log"

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
