package lifecycle

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder keeps the order in which parts were told to stop.
type recorder struct {
	mu    sync.Mutex
	names []string
}

func (r *recorder) part(name string, started *sync.WaitGroup) Part {
	started.Add(1)
	return Part{Name: name, Run: func(ctx context.Context) error {
		started.Done()
		<-ctx.Done()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.names = append(r.names, name)
		return ctx.Err()
	}}
}

func TestRun_StopsInReverseOrderWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	var rec recorder
	var started sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	parts := []Part{rec.part("a", &started), rec.part("b", &started), rec.part("c", &started)}
	go func() { started.Wait(); cancel() }()
	if err := Run(ctx, zap.NewNop(), parts...); err != nil {
		t.Fatalf("Run = %v, want nil", err)
	}
	if want := []string{"c", "b", "a"}; !slices.Equal(rec.names, want) {
		t.Errorf("stopped %v, want %v", rec.names, want)
	}
}

func TestRun_FirstErrorStopsAllAndIsReturned(t *testing.T) {
	t.Parallel()
	broken, late := errors.New("broken"), errors.New("late")
	var rec recorder
	var started sync.WaitGroup
	err := Run(t.Context(), zap.NewNop(),
		rec.part("a", &started),
		Part{Name: "bad", Run: func(context.Context) error { started.Wait(); return broken }},
		Part{Name: "slow", Run: func(ctx context.Context) error { <-ctx.Done(); return late }},
		rec.part("b", &started),
	)
	if !errors.Is(err, broken) || !errors.Is(err, late) {
		t.Errorf("Run = %v, want both errors", err)
	}
	if want := "bad: broken\nslow: late"; err.Error() != want {
		t.Errorf("Run = %q, want %q", err, want)
	}
	if want := []string{"b", "a"}; !slices.Equal(rec.names, want) {
		t.Errorf("stopped %v, want %v", rec.names, want)
	}
}

func TestRun_EndsWhenEveryPartIsDone(t *testing.T) {
	t.Parallel()
	if err := Run(t.Context(), zap.NewNop(), Part{Name: "job", Run: func(context.Context) error { return nil }}); err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
	if err := Run(t.Context(), zap.NewNop()); err != nil {
		t.Errorf("Run without parts = %v, want nil", err)
	}
}

func TestRun_GoesOnPastAPartThatDoesNotStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.ErrorLevel)
		ctx, cancel := context.WithCancel(t.Context())
		release := make(chan struct{})
		defer close(release)
		firstStopped := make(chan struct{})
		result := make(chan error, 1)
		go func() {
			result <- Run(ctx, zap.New(core),
				Part{Name: "first", Run: func(ctx context.Context) error { <-ctx.Done(); close(firstStopped); return nil }},
				Part{Name: "stuck", Run: func(context.Context) error { <-release; return nil }})
		}()
		synctest.Wait()
		from := time.Now() //nolint:forbidigo // the clock of the bubble
		cancel()
		<-firstStopped
		if err := <-result; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		if took := time.Since(from); took != StopTimeout { //nolint:forbidigo // as above
			t.Errorf("waited %v for the part that is stuck, want %v", took, StopTimeout)
		}
		if logs.FilterField(zap.String("part", "stuck")).Len() != 1 {
			t.Errorf("logs = %v, want one entry that names the part", logs.All())
		}
	})
}

func TestSignals_EndsAtTheFirstTerm(t *testing.T) { //nolint:paralleltest // signals the whole process
	ctx, stop := Signals(t.Context())
	defer stop()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
}

func TestHealth_KnowsWhoFailsAndWhy(t *testing.T) {
	t.Parallel()
	h := NewHealth()
	if got := h.Failing(); len(got) != 0 {
		t.Fatalf("new: %v, want none", got)
	}
	h.Report("stream", errors.New("no leader"))
	h.Report("clickhouse", errors.New("starting"))
	h.Report("clickhouse", nil)
	got := h.Failing()
	if len(got) != 1 || got["stream"] != "no leader" {
		t.Errorf("Failing = %v", got)
	}
	delete(got, "stream")
	if len(h.Failing()) != 1 {
		t.Error("the result is not a copy")
	}
}
