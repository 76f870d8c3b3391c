package aggregator_test

import (
	"fmt"
	"math/big"
	"testing"

	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	"github.com/dealreg/dealreg/services/aggregator"
)

// inShortRanges has the warehouse rolled up in ranges of 50 and 200 sequences.
func (b *bench) inShortRanges() {
	b.t.Helper()
	house, err := warehouse.Open(warehouse.Config{DSN: b.dsn, RollupSizes: []uint64{50, 200}})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = house.Close() })
	b.warehouse = house
}

// rolledUp waits until it is rolled up to the sequence.
func (b *bench) rolledUp(last uint64) {
	b.t.Helper()
	b.eventually(func() error {
		if got := warehousetest.RolledUp(b.t, b.dsn); got != last {
			return fmt.Errorf("rolled up to %d, want %d", got, last)
		}
		return nil
	})
}

func TestRun_RollsUpWhatIsClosed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.inShortRanges()
	s, _, stop := b.carry(won(1010))
	b.rolledUp(999)
	b.holds(1010, 1010, 0)
	b.publish(won(120)...)
	b.wait(s, 1130)
	b.rolledUp(1099)
	b.holds(1130, 1130, 0)
	stop()
	s, _, _ = b.run(func(c *aggregator.Config) { c.BatchRows = 7 })
	b.publish(won(20)...)
	b.wait(s, 1150)
	b.rolledUp(1149)
	b.holds(1150, 1150, 0)
}

// A report then reads at most about one of the shortest ranges event by event.
func TestRun_RollsUpARangeAsSoonAsItIsClosed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.inShortRanges()
	s, _, _ := b.carry(won(1010))
	b.rolledUp(999)
	for _, last := range []uint64{1050, 1110, 1150} {
		b.publish(won(int(last - s.Checkpoint()))...) // #nosec G115 -- below 100
		b.wait(s, last)
		b.rolledUp(last - last%50 - 1)
	}
	b.holds(1150, 1150, 0)
}

func TestRun_RollsUpAgainWhatIsRepaired(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.inShortRanges()
	payloads := won(120)
	_, _, stop := b.carry(payloads)
	b.rolledUp(99)
	stop()
	warehousetest.Exec(t, b.dsn, "TRUNCATE TABLE rollups")
	for _, seq := range []uint64{7, 60, 110} {
		warehousetest.Spoil(t, b.dsn, seq, payloads[seq-1])
	}
	if err := b.warehouse.RollUp(t.Context(), 120); err != nil {
		t.Fatal(err)
	}
	b.holds(120, 117, 3)
	b.run()
	b.eventually(func() error {
		v, err := b.warehouse.Volume(t.Context(), warehouse.VolumeQuery{Association: association, Year: 2026, UpTo: 120})
		if err == nil && v.Total.Deals != 120 {
			err = fmt.Errorf("%d deals", v.Total.Deals)
		}
		return err
	})
	b.holds(120, 120, 0)
}

func TestRebuild_ServesTheOldTotalsAndPairsOfRollUpsUntilAllNewOnesAreThere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.inShortRanges()
	_, _, stop := b.carry(won(1010))
	b.rolledUp(999)
	stop()
	b.falsify()
	warehousetest.Exec(t, b.dsn, "TRUNCATE TABLE rollups")
	if err := b.warehouse.RollUp(t.Context(), 1010); err != nil {
		t.Fatal(err)
	}
	pairs := func() *big.Int {
		v, err := b.warehouse.Volume(t.Context(), warehouse.VolumeQuery{Association: association, Year: 2026, By: warehouse.ByPair, UpTo: 1 << 62})
		if err != nil {
			t.Fatal(err)
		}
		sum := new(big.Int)
		for _, item := range v.Items {
			sum.Add(sum, item.Amount)
		}
		return sum
	}
	s, _, _ := b.run(func(c *aggregator.Config) { c.BatchRows = 50 })
	p := b.rebuild(s, 0)
	old, fresh := big.NewInt(2*1010*100), big.NewInt(1010*100)
	served := map[string]*big.Int{"total": old, "pairs": old}
	b.eventually(func() error {
		for name, now := range map[string]*big.Int{"total": b.total(), "pairs": pairs()} {
			if now.Cmp(fresh) != 0 && now.Cmp(served[name]) != 0 {
				t.Fatalf("%s: served %s after %s; the old is %s, the new %s", name, now, served[name], old, fresh)
			}
			served[name] = now
		}
		if served["total"].Cmp(fresh) != 0 || served["pairs"].Cmp(fresh) != 0 {
			return fmt.Errorf("still the old ones: %v", served)
		}
		return nil
	})
	if got := b.ended(s, p.ID); got.State != aggregator.RebuildDone {
		t.Errorf("got %+v", got)
	}
	b.rolledUp(999)
	b.holds(1010, 1010, 0)
}

func TestRebuild_ServesItsOwnRollUps(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.inShortRanges()
	s, _, _ := b.carry(won(1010))
	b.rolledUp(999)
	p := b.rebuild(s, 0)
	if got := b.ended(s, p.ID); got.State != aggregator.RebuildDone {
		t.Fatalf("got %+v", got)
	}
	b.rolledUp(999)
	b.holds(1010, 1010, 0)
}
