package stream

import (
	"errors"
	"fmt"

	"github.com/dealreg/dealreg/pkg/deal"
)

// What is wrong with a log that must not be gone on with: to write behind it would give a sequence to two events. Only a
// person can resolve it.

// GapError says that the log skipped a sequence.
type GapError struct{ Want, Got uint64 }

func (e *GapError) Error() string {
	return fmt.Sprintf("the log skips from sequence %d to %d: a part of the stream is damaged; restore it from a replica or a backup, then restart",
		e.Want-1, e.Got)
}

// TruncatedError says that the log ends before a sequence that it had.
type TruncatedError struct{ Known, Last uint64 }

func (e *TruncatedError) Error() string {
	return fmt.Sprintf("the log ends at %d but had sequence %d: it lost events %d to %d; restore the stream from a replica or a backup and restart, "+
		"or take the log as it is with `dealreg rebuild`", e.Last, e.Known, e.Last+1, e.Known)
}

// ChangedError says that the log no longer holds the event that it had at the sequence.
type ChangedError struct{ Sequence uint64 }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("the event at sequence %d is not the one that was there: this is another log, or it was damaged; restore the stream from a replica "+
		"or a backup and restart, or take the log as it is with `dealreg rebuild`", e.Sequence)
}

// IsLoss tells whether the error is a TruncatedError or a ChangedError: the log no longer holds what it had.
func IsLoss(err error) bool {
	_, truncated := errors.AsType[*TruncatedError](err)
	_, changed := errors.AsType[*ChangedError](err)
	return truncated || changed
}

// DamagedError says that the log has an event of the deal and cannot read it. It is an ErrUnknown.
type DamagedError struct {
	Deal     deal.ID
	Revision uint64 // of the event; 0 when it is not known
}

func (e *DamagedError) Error() string {
	which := "an event"
	if e.Revision > 0 {
		which = fmt.Sprintf("event %d", e.Revision)
	}
	return fmt.Sprintf("%s of deal %s cannot be read: a part of the stream is damaged; restore it from a replica or a backup, then restart", which, e.Deal)
}

func (e *DamagedError) Unwrap() error { return ErrUnknown }
