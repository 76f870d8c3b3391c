package dealcsv

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// rejectColumns stand behind the columns of the file.
var rejectColumns = []string{"line", "reasons"}

// RejectWriter writes rejected rows as they were, with the line and the reasons behind them, so that the corrected file
// can be imported again. A cell that a spreadsheet would take for a formula gets an apostrophe in front; NewReader takes
// it off again.
type RejectWriter struct {
	csv   *csv.Writer
	cells int
}

// NewRejectWriter begins a file with the header that Reader.Header gave.
func NewRejectWriter(w io.Writer, header []string) *RejectWriter {
	rejects := &RejectWriter{csv: csv.NewWriter(w), cells: len(header)}
	_ = rejects.write(header, rejectColumns...) // the next Write or Flush gives the error again
	return rejects
}

// Write adds a row. Every row has as many cells as the header: those that a row lacks stay empty, those beyond the last
// column are put into it, with commas between them.
func (w *RejectWriter) Write(row Row) error {
	cells := make([]string, w.cells)
	copy(cells, row.Record)
	if last := w.cells - 1; len(row.Record) > w.cells && last >= 0 {
		cells[last] = strings.Join(row.Record[last:], ",")
	}
	return w.write(cells, strconv.Itoa(row.Line), strings.Join(row.Reasons, "; "))
}

// Flush hands everything on; call it at the end.
func (w *RejectWriter) Flush() error {
	w.csv.Flush()
	if err := w.csv.Error(); err != nil {
		return fmt.Errorf("write the rejected rows: %w", err)
	}
	return nil
}

func (w *RejectWriter) write(cells []string, more ...string) error {
	record := make([]string, 0, len(cells)+len(more))
	for _, cell := range cells {
		record = append(record, guard(cell))
	}
	if err := w.csv.Write(append(record, more...)); err != nil {
		return fmt.Errorf("write the rejected rows: %w", err)
	}
	return nil
}

// guard puts an apostrophe before a formula, and before one that has apostrophes already, so that unguard is exact.
func guard(cell string) string {
	if isFormula(strings.TrimLeft(cell, "'")) {
		return "'" + cell
	}
	return cell
}

func unguard(cell string) string {
	if rest, guarded := strings.CutPrefix(cell, "'"); guarded && isFormula(strings.TrimLeft(rest, "'")) {
		return rest
	}
	return cell
}

// isFormula tells whether a spreadsheet may compute the cell instead of showing it.
func isFormula(cell string) bool {
	return cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0]))
}
