// Package registry accepts deals and moves: it authenticates, reads the deal from the log, lets the pure package deal
// decide, adds what the decision counts for, and appends one event. It has no store of its own.
package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/services/registry/imports"
)

// answerWithin bounds what the log may take for one request.
const answerWithin = 5 * time.Second

// Service is the registry.
type Service struct {
	cfg     Config
	log     *stream.Log
	js      jetstream.JetStream
	opened  chan struct{} // closed once changes may be written
	imports *imports.Importer
	timers  *timers
	restate *restater
	// conflicts are the flags that two deals may be one
	conflicts *conflicts
}

// New checks the configuration and wires the service. It needs no engine alive.
func New(cfg Config) (*Service, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	js, err := jetstream.New(cfg.NATS)
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	if cfg.Deals == nil {
		if cfg.Deals, err = stream.NewLog(cfg.NATS); err != nil {
			return nil, fmt.Errorf("registry: %w", err)
		}
	}
	if cfg.TimerEvery == 0 {
		cfg.TimerEvery = time.Minute
	}
	s := &Service{cfg: cfg, log: cfg.Deals, js: js, opened: make(chan struct{})}
	s.imports, s.timers, s.restate = newImporter(s), newTimers(s), newRestater(s)
	if s.conflicts, err = newConflicts(s); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	cfg.Health.Report("registry", errors.New("starting"))
	return s, nil
}

// Run creates the streams that are missing, opens the registry when the gate does, then works through imports, moves
// on what has waited too long and restates what a change of the directory concerns, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		within, cancel := context.WithTimeout(ctx, answerWithin)
		defer cancel()
		err := stream.Ensure(within, s.js, max(s.cfg.Replicas, 1))
		s.cfg.Health.Report("registry", err)
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(0))
	if err != nil {
		return nil //nolint:nilerr // only the end of ctx ends the tries, and that is a normal stop
	}
	if s.cfg.Gate != nil {
		s.cfg.Health.Report("registry", errors.New("waits until the log was found whole"))
		if err := s.cfg.Gate(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			s.cfg.Health.Report("registry", err)
			s.cfg.Log.Error("registry stays closed", zap.Error(err))
			<-ctx.Done()
			return nil
		}
	}
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { s.conflicts.follow(ctx) })
	if s.conflicts.load(ctx); ctx.Err() != nil {
		return nil
	}
	close(s.opened)
	s.cfg.Health.Report("registry", nil)
	s.cfg.Log.Info("registry open")
	for _, run := range []func(context.Context){s.imports.Run, s.timers.run, s.restate.run, s.conflicts.run} {
		work.Go(func() { run(ctx) })
	}
	return nil
}

// Opened is closed once the registry takes changes.
func (s *Service) Opened() <-chan struct{} { return s.opened }

// checkOpen is nil while the registry takes changes, else the Problem that says why it does not. Nor are deals read then: of
// a log that lost its end, the deals are as they were.
func (s *Service) checkOpen() error {
	select {
	case <-s.opened:
	default:
		return httpapi.Unavailable("the registry is not open yet", nil)
	}
	if lost := s.log.Lost(); lost != nil {
		return httpapi.Unavailable("the registry is closed: "+lost.Error(), nil)
	}
	return nil
}
