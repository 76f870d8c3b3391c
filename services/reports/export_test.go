package reports

import "context"

// Pass looks once for releases that are due, as a process that has just started does.
func (s *Service) Pass(ctx context.Context) error { return s.newScheduler().pass(ctx) }

// Scheduler goes on where its last pass ended.
func (s *Service) Scheduler() func(ctx context.Context) error { return s.newScheduler().pass }
