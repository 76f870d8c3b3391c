package aggregator_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	"github.com/dealreg/dealreg/services/aggregator"
)

// rebuild starts one as soon as the aggregator takes it.
func (b *bench) rebuild(s *aggregator.Service, from uint64) aggregator.Progress {
	b.t.Helper()
	var p aggregator.Progress
	b.eventually(func() (err error) {
		p, err = s.StartRebuild(b.t.Context(), from)
		return err
	})
	return p
}

// ended waits until the rebuild is no longer running. It asks all the time, which disturbs nothing.
func (b *bench) ended(s *aggregator.Service, id deal.ID) aggregator.Progress {
	b.t.Helper()
	var last aggregator.Progress
	b.eventually(func() error {
		p, err := s.Rebuild(b.t.Context())
		if err != nil || p.ID != id {
			return fmt.Errorf("the rebuild %s is not known: %+v, %w", id, p, err)
		}
		if p.Position < last.Position {
			b.t.Errorf("the position went back from %d to %d", last.Position, p.Position)
		}
		last = p
		if p.State == aggregator.RebuildRunning {
			return fmt.Errorf("still %+v", p)
		}
		return nil
	})
	return last
}

// eventually asks until there is no error; each question goes to an engine.
func (b *bench) eventually(ask func() error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	for {
		err := ask()
		if err == nil {
			return
		}
		if _, asked := b.warehouse.Rebuilding(ctx); ctx.Err() != nil {
			b.t.Fatalf("%v (%v)", err, asked)
		}
	}
}

// total is what is served now.
func (b *bench) total() *big.Int {
	b.t.Helper()
	v, err := b.warehouse.Volume(b.t.Context(), warehouse.VolumeQuery{Association: association, Year: 2026, UpTo: 1 << 62})
	if err != nil {
		b.t.Fatal(err)
	}
	return v.Total.Amount
}

// falsify doubles every amount that is served, as wrong code would have.
func (b *bench) falsify() {
	b.t.Helper()
	warehousetest.Exec(b.t, b.dsn, "ALTER TABLE deal_events UPDATE `entry.amount` = arrayMap(a -> a * 2, `entry.amount`) WHERE 1 SETTINGS mutations_sync = 1")
}

func TestRebuild_ServesTheOldTotalsUntilAllNewOnesAreThere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, health, _ := b.carry(won(2000), func(c *aggregator.Config) { c.BatchRows = 100 })
	b.falsify()
	p := b.rebuild(s, 0)
	if again := b.rebuild(s, 0); again.ID != p.ID {
		t.Errorf("another one is under way: %v and %v", again.ID, p.ID)
	}
	old, fresh := big.NewInt(2*2000*100), big.NewInt(2000*100)
	b.eventually(func() error {
		switch total := b.total(); {
		case total.Cmp(fresh) == 0:
			return nil
		case total.Cmp(old) != 0:
			t.Fatalf("served %s, which is neither the old %s nor the new %s", total, old, fresh)
		}
		return fmt.Errorf("still the old total")
	})
	if got := b.ended(s, p.ID); got.State != aggregator.RebuildDone || got.Err != nil || got.Position != 2000 || got.Last != 2000 {
		t.Errorf("got %+v", got)
	}
	b.holds(2000, 2000, 0)
	b.publish(won(10)...)
	b.wait(s, 2010)
	if second := b.rebuild(s, 0); second.ID == p.ID || b.ended(s, second.ID).State != aggregator.RebuildDone {
		t.Errorf("no second one: %+v", second)
	}
	health.until(t, "aggregator", well)
}

func TestRebuild_FeedsTheServedTotalsMeanwhile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, _, _ := b.carry(won(1500), func(c *aggregator.Config) { c.BatchRows = 50 })
	p := b.rebuild(s, 0)
	for i := range 10 {
		b.publish(won(10)...)
		b.wait(s, uint64(1500+10*(i+1)))
		if prefix, err := b.warehouse.Prefix(t.Context(), 1<<62); err != nil || prefix.Last < uint64(1500+10*(i+1)) {
			t.Fatalf("served up to %+v (%v) after %d", prefix, err, 1500+10*(i+1))
		}
	}
	b.ended(s, p.ID)
	prefix, err := b.warehouse.Prefix(t.Context(), 1<<62)
	if err != nil || !prefix.Whole() || prefix.Sequences != 1600 {
		t.Errorf("got %+v, %v", prefix, err)
	}
}

func TestRebuild_StoppedAnywhereGoesOn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	small := func(c *aggregator.Config) { c.BatchRows = 64 }
	s, _, stop := b.carry(won(1500), small)
	b.falsify()
	p := b.rebuild(s, 0)
	for stopped := range uint64(4) {
		b.eventually(func() error {
			now, err := s.Rebuild(t.Context())
			if err != nil || now.ID != p.ID {
				return fmt.Errorf("not known yet: %+v, %w", now, err)
			}
			if now.State == aggregator.RebuildRunning && now.Position < 400*stopped {
				return fmt.Errorf("at %d", now.Position)
			}
			return nil
		})
		stop()
		if total := b.total(); total.Cmp(big.NewInt(300_000)) != 0 && total.Cmp(big.NewInt(150_000)) != 0 {
			t.Fatalf("stopped: served %s", total)
		}
		s, _, stop = b.run(small)
	}
	if got := b.ended(s, p.ID); got.State != aggregator.RebuildDone {
		t.Errorf("got %+v", got)
	}
	b.holds(1500, 1500, 0)
}

// A process that was killed between the exchange and its clearing up must not put the old tables back.
func TestRebuild_KilledAfterTheExchangeStaysDone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, _, stop := b.carry(won(100))
	stop()
	b.falsify()
	plan := warehouse.Rebuild{ID: deal.ID{15: 77}, StartedAt: time.Unix(1, 0).UTC()}
	if err := b.warehouse.BeginRebuild(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	next, err := b.warehouse.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	var batch warehouse.Batch
	for i, payload := range won(100) {
		if err := batch.Append(uint64(i+1), time.Unix(0, 0), payload); err != nil {
			t.Fatal(err)
		}
	}
	if err := next.Insert(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	if err := b.warehouse.Exchange(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	_ = next.Close()
	s, _, _ := b.run()
	if got := b.ended(s, plan.ID); got.State != aggregator.RebuildDone {
		t.Errorf("got %+v", got)
	}
	b.publish(won(1)...)
	b.wait(s, 101)
	b.holds(101, 101, 0)
}

func TestRebuild_HealsWhatHaltedTheAggregator(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, _, stop := b.carry(won(50))
	stop()
	warehousetest.Exec(t, b.dsn, "DELETE FROM deal_events WHERE seq = 20")
	s, health, _ := b.run()
	_ = halted[*aggregator.HoleError](b, s)
	p := b.rebuild(s, 0)
	if got := b.ended(s, p.ID); got.State != aggregator.RebuildDone {
		t.Errorf("got %+v", got)
	}
	b.publish(won(5)...)
	b.wait(s, 55)
	b.holds(55, 55, 0)
	health.until(t, "aggregator", well)
}

// The warehouse was lost together with the log's end: only the end that was remembered tells.
func TestRebuild_TakesALogThatLostItsEndAsItIs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.log()
	log, err := stream.NewLog(b.nc)
	if err == nil {
		err = stream.Ensure(t.Context(), b.js, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.publish(won(5)...)
	if err := log.Remember(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.dropLog()
	b.log()
	b.publish(won(3)...)
	s, health, _ := b.run()
	if got := halted[*stream.TruncatedError](b, s); *got != (stream.TruncatedError{Known: 5, Last: 3}) {
		t.Errorf("got %+v", got)
	}
	select {
	case <-s.Verified():
		t.Error("verified a log that lost its end")
	default:
	}
	p := b.rebuild(s, 0)
	if got := b.ended(s, p.ID); got.State != aggregator.RebuildDone {
		t.Errorf("got %+v", got)
	}
	<-s.Verified()
	b.holds(3, 3, 0)
	health.until(t, "aggregator", well)
}

// lose remembers that the log reaches to where it does, and gives another one in its place, which ends before.
func (b *bench) lose(last int) (log *stream.Log) {
	b.t.Helper()
	log, err := stream.NewLog(b.nc)
	if err == nil {
		err = stream.Ensure(b.t.Context(), b.js, 1)
	}
	if err == nil {
		err = log.Remember(b.t.Context())
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.dropLog()
	b.log()
	b.publish(won(last)...)
	return log
}

// failsByLoss waits until the rebuild failed because the log lost its end, which leaves that to be seen.
func (b *bench) failsByLoss(s *aggregator.Service, id deal.ID, want stream.TruncatedError) {
	b.t.Helper()
	got := b.ended(s, id)
	if lost, ok := errors.AsType[*stream.TruncatedError](got.Err); got.State != aggregator.RebuildFailed || !ok || *lost != want {
		b.t.Errorf("got %+v; want that it failed by %v", got, &want)
	}
	log, err := stream.NewLog(b.nc)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := log.Verify(b.t.Context(), nil); !stream.IsLoss(err) {
		b.t.Errorf("the loss is forgotten: %v", err)
	}
	select {
	case <-s.Verified():
		b.t.Error("verified a log that lost its end")
	default:
	}
}

// takesAsItIs rebuilds once more, now that the operator was told.
func (b *bench) takesAsItIs(s *aggregator.Service, last uint64) {
	b.t.Helper()
	p := b.rebuild(s, 0)
	if got := b.ended(s, p.ID); got.State != aggregator.RebuildDone {
		b.t.Errorf("got %+v", got)
	}
	<-s.Verified()
	b.holds(last, int64(last), 0) // #nosec G115 -- some
}

func TestRebuild_ResumedOnALogThatLostItsEndHidesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, _, stop := b.carry(won(50))
	stop()
	plan := warehouse.Rebuild{ID: deal.ID{15: 77}, StartedAt: time.Unix(1, 0).UTC()}
	if err := b.warehouse.BeginRebuild(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	b.lose(30)
	s, _, _ := b.run()
	b.failsByLoss(s, plan.ID, stream.TruncatedError{Known: 50, Last: 30})
	if got := halted[*stream.TruncatedError](b, s); *got != (stream.TruncatedError{Known: 50, Last: 30}) {
		t.Errorf("got %+v", got)
	}
	b.takesAsItIs(s, 30)
}

// The hole is what the operator sees, and rebuilds for.
func TestRebuild_OfAHoleHidesNoLossOfTheLog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, _, stop := b.carry(won(50))
	stop()
	warehousetest.Exec(t, b.dsn, "DELETE FROM deal_events WHERE seq = 20")
	b.lose(30)
	s, _, _ := b.run()
	_ = halted[*aggregator.HoleError](b, s)
	p := b.rebuild(s, 0)
	b.failsByLoss(s, p.ID, stream.TruncatedError{Known: 50, Last: 30})
	b.takesAsItIs(s, 30)
}

func TestRebuild_FailsWhenTheLogLosesItsEndMeanwhile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, _, stop := b.carry(won(50))
	stop()
	s, _, _ := b.run(func(c *aggregator.Config) { c.BatchRows, c.Pace = 20, time.Hour }) // it stands still before the last ten
	p := b.rebuild(s, 0)
	b.eventually(func() error {
		if now, _ := s.Rebuild(t.Context()); now.State != aggregator.RebuildRunning || now.Position != 40 {
			return fmt.Errorf("not in the middle: %+v", now)
		}
		return nil
	})
	b.lose(45) // more than is rebuilt, less than is served
	if got := b.ended(s, p.ID); got.State != aggregator.RebuildFailed || !stream.IsLoss(got.Err) {
		t.Errorf("got %+v", got)
	}
	b.holds(50, 50, 0)
}

// The log that the operator took as it was has lost more since.
func TestRebuild_AcceptsNoLaterLoss(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, _, stop := b.carry(won(50))
	stop()
	b.dropLog()
	b.log()
	b.publish(won(20)...)
	hash := sha256.Sum256(won(30)[29])
	plan := warehouse.Rebuild{ID: deal.ID{15: 77}, StartedAt: time.Unix(1, 0).UTC(), Accepts: &stream.End{Sequence: 30, Hash: hash[:]}}
	if err := b.warehouse.BeginRebuild(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	s, _, _ := b.run()
	got := b.ended(s, plan.ID)
	if lost, ok := errors.AsType[*stream.TruncatedError](got.Err); !ok || *lost != (stream.TruncatedError{Known: 30, Last: 20}) {
		t.Errorf("got %+v", got)
	}
}

// The answer to what began it was lost, or another process began it.
func TestRebuild_BegunWithoutAnAnswerIsCarriedOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, _, _ := b.carry(won(10))
	first := b.rebuild(s, 0)
	b.ended(s, first.ID)
	begun := warehouse.Rebuild{ID: deal.ID{15: 77}, StartedAt: time.Unix(1, 0).UTC()}
	if err := b.warehouse.BeginRebuild(t.Context(), begun); err != nil {
		t.Fatal(err)
	}
	if p := b.rebuild(s, 0); p.ID != begun.ID {
		t.Errorf("got %+v", p)
	}
	if got := b.ended(s, begun.ID); got.State != aggregator.RebuildDone {
		t.Errorf("got %+v", got)
	}
	b.holds(10, 10, 0)
}

func TestRebuild_OfADamagedLogFailsAndLeavesWhatIsServed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, _, _ := b.carry(won(50))
	b.dropEvent(7)
	p := b.rebuild(s, 0)
	if got := b.ended(s, p.ID); got.State != aggregator.RebuildFailed || got.Err == nil {
		t.Errorf("got %+v", got)
	}
	b.holds(50, 50, 0)
	b.publish(won(5)...)
	b.wait(s, 55)
	if r, err := b.warehouse.Rebuilding(t.Context()); err != nil || r != nil {
		t.Errorf("%+v (%v) is left", r, err)
	}
}

func TestRun_RepairsPoisonThatItUnderstands(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	payloads := won(6)
	payloads[4] = []byte("never an event")
	_, _, stop := b.carry(payloads)
	stop()
	for _, seq := range []uint64{3, 6} {
		warehousetest.Spoil(t, b.dsn, seq, payloads[seq-1])
	}
	b.holds(6, 3, 3)
	s, _, _ := b.run()
	b.wait(s, 6)
	b.holds(6, 5, 1)
	if rows := warehousetest.Rows(t, b.dsn); rows < 6 || rows > 8 {
		t.Errorf("%d rows", rows)
	}
	p := b.rebuild(s, 0)
	b.ended(s, p.ID)
	b.holds(6, 5, 1)
}

func TestRebuild_WaitsForTheLogAndTheWarehouse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, health, _ := b.run()
	health.until(t, "clickhouse", well)
	p := b.rebuild(s, 0)
	b.log()
	b.publish(won(3)...)
	if got := b.ended(s, p.ID); got.State != aggregator.RebuildDone {
		t.Errorf("got %+v", got)
	}
	b.wait(s, 3)
	b.holds(3, 3, 0)
}
