package dealcsv

import (
	"fmt"
	"strings"
)

// Faults is an error that the sender of a file or a map can mend: each fault is a sentence that names its place and the
// remedy. Any other error of this package is one of the reader or the writer that it was given.
type Faults []string

// Error joins the sentences.
func (f Faults) Error() string { return strings.Join(f, "; ") }

func (f *Faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
