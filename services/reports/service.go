// Package reports answers what deals add up to. Each figure is a sum over the warehouse's ledger up to a sequence of
// the log, which the answer names, so that anyone with the log can check it. What a board sees are statements: releases of
// an association's year, made on a schedule or by its registrar out of what package disclosure allows, and never changed.
// It writes nothing but those.
package reports

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/bounded"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

const (
	answerWithin = 10 * time.Second // then the caller is asked to try again
	askWithin    = 3 * time.Second
	askAgain     = 250 * time.Millisecond
	askWhenWell  = 5 * time.Second
)

// Service answers the routes of reports and makes the releases of statements.
type Service struct {
	cfg     Config
	shelf   *shelf
	logHash *logHash
	opened  *bounded.Map[string, *published] // large releases by the name of their content
}

// New checks the configuration. Nothing needs to be alive.
func New(cfg Config) (*Service, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	shelf, err := newShelf(cfg.NATS)
	if err != nil {
		return nil, fmt.Errorf("reports: %w", err)
	}
	return &Service{cfg: cfg, shelf: shelf, logHash: &logHash{warehouse: cfg.Warehouse}, opened: bounded.NewMap[string, *published](openedPairs)}, nil
}

// Run reports whether the warehouse is ready and makes the releases that are due, until ctx ends. It returns nil. The routes
// answer with and without it.
func (s *Service) Run(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	if s.cfg.Statements == Scheduled {
		work.Go(func() { s.newScheduler().run(ctx) })
	}
	s.watch(ctx)
	return nil
}

func (s *Service) newScheduler() *scheduler {
	return &scheduler{s: s, empty: map[warehouse.AssociationYear]time.Time{}}
}

// watch reports whether the warehouse is ready, until ctx ends.
func (s *Service) watch(ctx context.Context) {
	well := true
	for {
		err := s.ready(ctx)
		if ctx.Err() != nil {
			return
		}
		s.cfg.Health.Report("reports", err)
		if well != (err == nil) {
			well = err == nil
			s.cfg.Log.Info("warehouse asked", zap.Bool("ready", well), zap.Error(err))
		}
		wait := askWhenWell
		if err != nil {
			wait = askAgain
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

func (s *Service) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	return s.cfg.Warehouse.Ready(ctx)
}

// Routes registers the operations.
func (s *Service) Routes(api huma.API) {
	s.associationRoutes(api)
	s.statementRoutes(api)
	s.companyRoutes(api)
}
