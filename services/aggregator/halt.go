package aggregator

import (
	"errors"
	"fmt"

	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
)

// What halts the aggregator: the errors of a damaged log in pkg/stream, a hole in the warehouse, and an event of a newer
// schema. To go on would put figures on paper that the log does not support. The process stays up and says so; a person
// decides.

// HoleError says that the warehouse lacks sequences before its checkpoint.
type HoleError struct{ Have, Want uint64 }

func (e *HoleError) Error() string {
	return fmt.Sprintf("the warehouse holds %d of %d sequences up to its checkpoint: rebuild it from the log", e.Have, e.Want)
}

// halts tells whether the error is one that only a person can resolve.
func halts(err error) bool {
	var (
		gap       *stream.GapError
		truncated *stream.TruncatedError
		changed   *stream.ChangedError
		hole      *HoleError
		newer     *warehouse.NewerSchemaError
	)
	return errors.As(err, &gap) || errors.As(err, &truncated) || errors.As(err, &changed) || errors.As(err, &hole) ||
		errors.As(err, &newer)
}
