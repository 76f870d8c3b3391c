// Package reports answers what deals add up to. Each figure is a sum over the warehouse's ledger up to a sequence of
// the log, which the answer names, so that anyone with the log can check it. It writes nothing.
package reports

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"
)

const (
	answerWithin = 10 * time.Second // then the caller is asked to try again
	askWithin    = 3 * time.Second
	askAgain     = 250 * time.Millisecond
	askWhenWell  = 5 * time.Second
)

// Service answers the routes of reports.
type Service struct{ cfg Config }

// New checks the configuration. Nothing needs to be alive.
func New(cfg Config) (*Service, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	return &Service{cfg: cfg}, nil
}

// Run reports whether the warehouse is ready until ctx ends. The routes answer with and without it.
func (s *Service) Run(ctx context.Context) error {
	well := true
	for {
		err := s.ready(ctx)
		if ctx.Err() != nil {
			return nil
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
			return nil
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
	s.companyRoutes(api)
}
