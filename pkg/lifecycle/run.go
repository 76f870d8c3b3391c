package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// StopTimeout bounds how long Run waits for one part to drain before it stops the next one.
const StopTimeout = 10 * time.Second

// Part is one thing that runs as long as the process.
type Part struct {
	Name string
	// Run blocks until ctx ends, drains what it holds and returns nil. An error stops the whole process.
	// A part that has nothing more to do may return nil early; the others go on.
	Run func(ctx context.Context) error
}

// Run starts the parts in order and waits until ctx ends, until one part fails or until all have returned. Then it
// stops the parts that still run, last started first: each gets its own end of context and up to StopTimeout to return
// before the one before it is told. It returns the first error of a part, joined with those met while stopping;
// nil when ctx ended and all parts returned nil or the error of their ended context.
func Run(ctx context.Context, log *zap.Logger, parts ...Part) error {
	return run(ctx, log, StopTimeout, parts)
}

type running struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{} // closed after err is set
	err    error
}

func run(ctx context.Context, log *zap.Logger, stopTimeout time.Duration, parts []Part) error {
	started := make([]*running, len(parts))
	ended := make(chan *running, len(parts))
	for i, p := range parts {
		// A part outlives ctx until its turn to stop has come.
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r := &running{name: p.Name, cancel: cancel, done: make(chan struct{})}
		started[i] = r
		go func() {
			if err := p.Run(own); err != nil && (own.Err() == nil || !errors.Is(err, context.Canceled)) {
				r.err = fmt.Errorf("%s: %w", r.name, err)
			}
			close(r.done)
			ended <- r
		}()
	}
	errs := firstFailure(ctx, ended, len(parts))
	for _, r := range slices.Backward(started) {
		r.cancel()
		timeout := time.NewTimer(stopTimeout)
		select {
		case <-r.done:
			if r.err != nil && !slices.Contains(errs, r.err) { // the first failure is there already
				errs = append(errs, r.err)
			}
		case <-timeout.C:
			log.Error("part does not stop", zap.String("part", r.name), zap.Duration("waited", stopTimeout))
		}
		timeout.Stop()
	}
	return errors.Join(errs...)
}

// firstFailure waits for the reason to stop; its result holds at most one error.
func firstFailure(ctx context.Context, ended <-chan *running, parts int) []error {
	for range parts {
		select {
		case <-ctx.Done():
			return nil
		case r := <-ended:
			if r.err != nil {
				return []error{r.err}
			}
		}
	}
	return nil
}

// Signals returns a context that ends with parent or at the first SIGINT or SIGTERM. After the first one the signals
// have their usual effect again, so a second Ctrl-C ends a process that hangs.
func Signals(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(parent, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}
