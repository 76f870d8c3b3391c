package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/httpapi"
	"github.com/dealreg/dealreg/pkg/roster"
)

const (
	prepareWithin = 5 * time.Second        // then once more: a request that met the end of a connection is lost
	answerWithin  = 3 * time.Second        // a write that takes longer is answered with 503
	signInWithin  = 15 * time.Second       // what an OpenID provider is asked included
	mailWithin    = 10 * time.Second       // what a mail server is asked while somebody waits for the answer
	seenWithin    = 500 * time.Millisecond // how long an answer waits until the roster shows the write
)

// Service is the directory.
type Service struct {
	cfg   Config
	store *roster.Store
	// turn lets one request at a time check that a domain, an LEI or a place in a tree is free, and take it. Several
	// directories at once may still both take it; the roster then finds nobody by that domain.
	turn chan struct{}
}

// New checks the configuration. It needs no server.
func New(cfg Config) (*Service, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return &Service{cfg: cfg, store: roster.NewStore(cfg.JetStream), turn: make(chan struct{}, 1)}, nil
}

// Run makes the buckets and the operator's first key, as soon as there is a server, and then forgets guests whose time is
// over until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := s.prepare(ctx)
		if s.cfg.Health != nil {
			s.cfg.Health.Report("directory buckets", err)
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(0), backoff.WithBackOff(pause()))
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("prepare the directory: %w", err)
	}
	s.forgetGuests(ctx)
	return nil
}

// forgetGuests leaves no name and no address of a guest behind for much longer than its link could be used.
func (s *Service) forgetGuests(ctx context.Context) {
	tick := time.NewTicker(s.cfg.ForgetEvery)
	defer tick.Stop()
	for {
		within, cancel := context.WithTimeout(ctx, prepareWithin)
		if err := s.store.ForgetGuests(within, s.cfg.Roster, s.cfg.Now()); err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("guests not forgotten, trying again", zap.Error(err), zap.Duration("in", s.cfg.ForgetEvery))
		}
		cancel()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func pause() backoff.BackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = 50*time.Millisecond, 2*time.Second
	return b
}

func (s *Service) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, prepareWithin)
	defer cancel()
	if !s.cfg.JetStream.Conn().IsConnected() {
		return errors.New("no connection to NATS")
	}
	if err := roster.CreateBuckets(ctx, s.cfg.JetStream, s.cfg.Replicas); err != nil {
		return err
	}
	if s.cfg.Announce == nil {
		return nil
	}
	token, created, err := s.store.EnsureOperator(ctx, newID(), s.cfg.Now(), s.cfg.Pepper)
	if err != nil {
		return fmt.Errorf("make the operator's key: %w", err)
	}
	if created {
		s.cfg.Log.Info("first operator's key made")
		s.cfg.Announce(token)
	}
	return nil
}

// Routes registers the operations.
func (s *Service) Routes(api huma.API) {
	s.associationRoutes(api)
	s.chapterRoutes(api)
	s.companyRoutes(api)
	s.memberRoutes(api)
	s.keyRoutes(api)
	s.sessionRoutes(api)
	s.peopleRoutes(api)
	s.waiverRoutes(api)
	s.rateRoutes(api)
}

// takeTurn waits for the turn; call the result when done.
func (s *Service) takeTurn(ctx context.Context) (func(), error) {
	select {
	case s.turn <- struct{}{}:
		return func() { <-s.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// wrote waits a moment until readers of this process see the write. The write stands whatever happens here.
func (s *Service) wrote(ctx context.Context, b roster.Bucket, revision uint64) {
	ctx, cancel := context.WithTimeout(ctx, seenWithin)
	defer cancel()
	_ = s.cfg.Roster.WaitFor(ctx, b, revision)
}

// answer makes of a store's error what the client should know.
func answer(err error) error {
	var (
		conflict *roster.ConflictError
		problem  *httpapi.Problem
		invalid  deal.Invalid
	)
	switch {
	case errors.As(err, &problem):
		return problem
	case errors.As(err, &invalid):
		return httpapi.Invalid(invalid)
	case errors.As(err, &conflict):
		return httpapi.PreconditionFailed(conflict.Current)
	case errors.Is(err, roster.ErrNotFound):
		return httpapi.NotFound()
	default:
		return httpapi.Unavailable("the directory's store does not answer", err)
	}
}

// newID is a UUIDv7, so that the order of IDs is the order in which things were made.
func newID() deal.ID { return deal.ID(uuid.Must(uuid.NewV7())) }

func mapAll[A, B any](as []A, f func(A) B) []B {
	bs := make([]B, len(as))
	for i, a := range as {
		bs[i] = f(a)
	}
	return bs
}
