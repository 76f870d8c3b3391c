package audit

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// maxPrinted is how many findings and how many differences are printed.
const maxPrinted = 20

// Report is the outcome of an audit.
type Report struct {
	Ledger     *Ledger
	Comparison Comparison
	Beginning  *Beginning    // where the reports begin to differ; nil when they do not, or when the log has findings
	Err        error         // why not everything was compared; nil when it was
	Duration   time.Duration // by the caller's clock; 0 when there was none
}

// ExitCode is Equal, Different or CouldNotTell. What is proven stands, even where more could not be read.
func (r Report) ExitCode() int {
	switch {
	case r.Ledger.FindingCount > 0 || r.Comparison.DifferenceCount > 0:
		return Different
	case r.Err != nil:
		return CouldNotTell
	}
	return Equal
}

// Print writes the report as plain text. It ends with "equal", or with "could not tell" and the reason, or with
// "different" and the first findings and differences.
func (r Report) Print(w io.Writer) error {
	var b bytes.Buffer
	l, c := r.Ledger, r.Comparison
	fmt.Fprintf(&b, "log       %d events of %d deals, %d of them won, %d bytes, up to sequence %d\n",
		l.Events, l.Deals, l.Won, l.Bytes, l.LastSequence)
	together := ""
	if c.Together {
		together = ", and of all together"
	}
	fmt.Fprintf(&b, "reports   %d figures of %d years of %d associations%s\n", c.Figures, c.Years, c.Associations, together)
	if r.Duration > 0 {
		fmt.Fprintf(&b, "took      %s\n", r.Duration.Round(time.Millisecond))
	}
	if r.Err != nil {
		fmt.Fprintf(&b, "stopped   %v\n", r.Err)
	}
	switch r.ExitCode() {
	case Equal:
		b.WriteString("equal\n")
	case CouldNotTell:
		b.WriteString("could not tell\n")
	default:
		fmt.Fprintf(&b, "different: %d findings in the log, %d figures in the reports\n", l.FindingCount, c.DifferenceCount)
		if r.Beginning != nil {
			fmt.Fprintln(&b, r.Beginning)
		}
		printFirst(&b, l.Findings, l.FindingCount)
		printFirst(&b, c.Differences, c.DifferenceCount)
	}
	_, err := w.Write(b.Bytes())
	if err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}

func printFirst[T fmt.Stringer](b *bytes.Buffer, list []T, all int64) {
	for _, line := range list[:min(len(list), maxPrinted)] {
		fmt.Fprintln(b, line)
	}
	if more := all - int64(min(len(list), maxPrinted)); more > 0 {
		fmt.Fprintf(b, "... and %d more\n", more)
	}
}
