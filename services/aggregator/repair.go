package aggregator

import (
	"context"

	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/warehouse"
)

// repairAtOnce bounds how many poison events are in memory at once, if they are small.
const repairAtOnce = 100

// repair reads every event again that was poison to the code of before. What this code understands takes the place of the
// poison row, in a higher version; its bytes lie in that row.
func (s *Service) repair(ctx context.Context) error {
	var batch warehouse.Batch
	repaired, left := 0, 0
	store := func() error {
		err := s.insert(ctx, &batch)
		repaired += batch.Len()
		batch.Reset()
		return err
	}
	for after := uint64(0); ; {
		poison, more, err := s.cfg.Warehouse.Poison(ctx, after, repairAtOnce)
		if err != nil {
			return err
		}
		for _, p := range poison {
			if batch.Len() > 0 && warehouse.Partition(batch.First()) != warehouse.Partition(p.Sequence) {
				if err := store(); err != nil {
					return err
				}
			}
			if !batch.AppendRepaired(p) {
				left++
			}
			after = p.Sequence
		}
		if batch.Len() > 0 {
			if err := store(); err != nil {
				return err
			}
		}
		if !more {
			break
		}
	}
	if repaired+left > 0 {
		s.cfg.Log.Warn("poison read again", zap.Int("repaired", repaired), zap.Int("left", left))
	}
	return nil
}
