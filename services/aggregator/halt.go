package aggregator

import (
	"errors"
	"fmt"

	"github.com/dealreg/dealreg/pkg/warehouse"
)

// The errors below halt the aggregator: to go on would put figures on paper that the log does not support. The process
// stays up and says so; a person decides.

// GapError says that the log skipped a sequence.
type GapError struct{ Want, Got uint64 }

func (e *GapError) Error() string {
	return fmt.Sprintf("the log skips from sequence %d to %d: a part of the stream is damaged; restore it from a replica or a backup, then restart",
		e.Want-1, e.Got)
}

// TruncatedError says that the log ends before what the warehouse already holds.
type TruncatedError struct{ Checkpoint, Last uint64 }

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("the warehouse holds sequence %d but the log ends at %d: the log lost its tail; restore it, or rebuild the warehouse from what is left",
		e.Checkpoint, e.Last)
}

// ChangedError says that the log no longer holds the event that the warehouse stored at its checkpoint.
type ChangedError struct{ Sequence uint64 }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("the event at sequence %d is not the one that the warehouse holds: this is another log, or it was damaged; restore it, or rebuild the warehouse",
		e.Sequence)
}

// HoleError says that the warehouse lacks sequences before its checkpoint.
type HoleError struct{ Have, Want uint64 }

func (e *HoleError) Error() string {
	return fmt.Sprintf("the warehouse holds %d of %d sequences up to its checkpoint: rebuild it from the log", e.Have, e.Want)
}

// halts tells whether the error is one that only a person can resolve.
func halts(err error) bool {
	var (
		gap       *GapError
		truncated *TruncatedError
		changed   *ChangedError
		hole      *HoleError
		newer     *warehouse.NewerSchemaError
	)
	return errors.As(err, &gap) || errors.As(err, &truncated) || errors.As(err, &changed) || errors.As(err, &hole) ||
		errors.As(err, &newer)
}
