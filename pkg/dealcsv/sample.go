package dealcsv

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
)

// Sample is what a file looks like before any column of it has a meaning.
type Sample struct {
	Header []string   // without the columns that a file of rejects adds
	Rows   [][]string // the first ones that hold anything; each may have more or fewer cells than the header
	Count  int        // of all rows of the file that hold anything
	End    int64      // the byte behind the last of Rows, behind the byte order mark
}

// Look reads a file to its end and keeps the first rows. Faults refuse a file without a header, one whose quotes leave no
// way to tell rows apart, one without rows, and one with more than most rows.
func Look(r io.Reader, keep, most int) (Sample, error) {
	reader, err := openFile(r)
	if err != nil {
		return Sample{}, err
	}
	s := Sample{Header: reader.Header(), End: reader.csv.InputOffset()}
	for {
		record, err := reader.csv.Read()
		if err != nil && !errors.Is(err, csv.ErrFieldCount) {
			if err = readError(err); errors.Is(err, io.EOF) {
				break
			}
			return Sample{}, err
		}
		if record = reader.original(record); isBlank(record) {
			continue
		}
		if s.Count++; s.Count > most {
			return Sample{}, Faults{fmt.Sprintf("the file has more than %d rows: split it, or import it with the command line", most)}
		}
		if len(s.Rows) < keep {
			s.Rows, s.End = append(s.Rows, record), reader.csv.InputOffset()
		}
	}
	if s.Count == 0 {
		return Sample{}, Faults{"the file has no rows below its header: add the deals"}
	}
	return s, nil
}

// Cell is the cell of a row under a column of the header; empty where the row has none.
func (s Sample) Cell(row, column int) string {
	if column < 0 || column >= len(s.Rows[row]) {
		return ""
	}
	return s.Rows[row][column]
}
