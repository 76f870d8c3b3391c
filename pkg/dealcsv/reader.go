// Package dealcsv reads deals from a CSV file, row by row, and writes the rows that cannot be deals to another one, each
// with its line and every reason. Files of other things, whose columns have one name each, it reads as a Table. It never looks anything up: parties and chapters stay the text of the file. It opens
// no file and starts nothing; it reads and writes what it is given.
package dealcsv

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Reader reads one file. It keeps the references of the sound rows in memory, about 100 bytes each, and nothing else.
type Reader struct {
	file
	sources map[string]source
	parties []partySources
	refs    map[string]int // external_ref of a sound row -> its line
}

// file is a CSV file of which no column has a meaning yet.
type file struct {
	csv      *csv.Reader
	header   []string
	rejected bool  // the file is one of rejects: line and reasons stand behind the columns
	err      error // ends the file
}

const byteOrderMark = "\ufeff"

// NewReader reads the header of an RFC 4180 file in UTF-8, with or without a byte order mark, separated by commas,
// semicolons or tabs, with LF or CRLF. Names of columns are compared without regard to case and outer white space. A file of
// rejects may come back: its columns line and reasons are passed over. Faults name every column that is missing, there
// twice or unknown.
func NewReader(r io.Reader, m Map) (*Reader, error) {
	opened, err := openFile(r)
	if err != nil {
		return nil, err
	}
	reader := &Reader{file: opened, refs: map[string]int{}}
	if reader.sources, err = resolve(reader.header, m); err != nil {
		return nil, err
	}
	for n := 1; n <= deal.MaxParties; n++ {
		column := partyColumn(n)
		reader.parties = append(reader.parties,
			partySources{name: reader.source(column), role: reader.source(column + "_role"), share: reader.source(column + "_share")})
	}
	return reader, nil
}

// openFile reads the header as it stands, before any column of it has a meaning.
func openFile(r io.Reader) (file, error) {
	const longestHeader = 64 << 10
	buffer := bufio.NewReaderSize(r, longestHeader)
	start, err := buffer.Peek(longestHeader)
	if err != nil && !errors.Is(err, io.EOF) {
		return file{}, fmt.Errorf("read the header: %w", err)
	}
	if bytes.HasPrefix(start, []byte(byteOrderMark)) {
		_, _ = buffer.Discard(len(byteOrderMark)) // it lies in the buffer
	}
	f := file{csv: csv.NewReader(buffer)}
	f.csv.Comma = separator(start)
	header, err := f.csv.Read()
	if errors.Is(err, io.EOF) {
		return file{}, Faults{"the file is empty: its first line names the columns"}
	}
	if err != nil {
		return file{}, readError(err)
	}
	if slices.ContainsFunc(header, func(name string) bool { return !utf8.ValidString(name) }) {
		return file{}, Faults{"the file is not in UTF-8: save it as CSV UTF-8"}
	}
	f.rejected = len(header) > 2 && slices.Equal(header[len(header)-2:], rejectColumns)
	f.header = f.original(header)
	return f, nil
}

// separator is the sign that the first line has most of: a comma, a semicolon or a tab.
func separator(start []byte) rune {
	firstLine, _, _ := bytes.Cut(start, []byte("\n"))
	most, count := ',', bytes.Count(firstLine, []byte(","))
	for _, sign := range ";\t" {
		if n := bytes.Count(firstLine, []byte(string(sign))); n > count {
			most, count = sign, n
		}
	}
	return most
}

// Header is the first record of the file, without the columns that a file of rejects adds.
func (f *file) Header() []string { return slices.Clone(f.header) }

// Label is how the file names one of our columns, for reasons that are found later; our own name when the file has none.
func (r *Reader) Label(column string) string { return r.source(column).label }

func (r *Reader) source(column string) source {
	if s, there := r.sources[column]; there {
		return s
	}
	return source{label: column, index: -1}
}

// Place parts a reason of a row, as the row has it or as deal.Decide gives it, into which of our columns it is about and
// what is wrong there. The column is empty for a reason that is about the whole row.
func (r *Reader) Place(reason string) (column, message string) {
	longest := 0
	for _, c := range columns {
		for _, label := range []string{r.source(c).label, c} {
			if strings.HasPrefix(reason, label+": ") && len(label) > longest {
				column, longest = c, len(label)
			}
		}
	}
	if longest > 0 {
		return column, reason[longest+len(": "):]
	}
	at, message, _ := strings.Cut(reason, ": ")
	of, _, _ := strings.Cut(at, "/")
	if column = map[string]string{"parties": "party_1", "value": "amount", "customer": "customer"}[of]; column == "" {
		message = reason
	}
	return column, message
}

// Next reads the next row that holds anything, and io.EOF behind the last. A row that cannot be a deal is no error: it
// says why in its Reasons. Faults end the file where its quotes leave no way to tell one row from the next; they name
// the line. Every call after an error returns the same error.
func (r *Reader) Next() (Row, error) {
	row, err := r.next()
	if err != nil || !row.Sound() {
		return row, err
	}
	r.decode(&row)
	r.claim(&row)
	return row, nil
}

// next is Next before any column has a meaning: the row is its cells, and unsound when there are too few or too many.
func (f *file) next() (Row, error) {
	for f.err == nil {
		record, err := f.csv.Read()
		wrongCount := errors.Is(err, csv.ErrFieldCount)
		if err != nil && !wrongCount {
			f.err = readError(err)
			break
		}
		cells := len(record)
		if record = f.original(record); isBlank(record) {
			continue
		}
		line, _ := f.csv.FieldPos(0)
		row := Row{Line: line, Record: record}
		if wrongCount {
			row.Reasons = []string{fmt.Sprintf("the row has %d cells and the header %d: put cells that hold the separator in quotes, and leave none out",
				cells, f.csv.FieldsPerRecord)}
		}
		return row, nil
	}
	return Row{}, f.err
}

// claim keeps the reference of a sound row for itself. A rejected row claims nothing: its corrected copy may follow.
func (r *Reader) claim(row *Row) {
	first, taken := r.refs[row.ExternalRef]
	switch {
	case taken:
		row.fault(r.source("external_ref"), "the same as on line %d: give each deal a reference of its own, or remove the copy", first)
	case row.Sound():
		r.refs[row.ExternalRef] = row.Line
	}
}

// original is the record as it was before it was rejected.
func (f *file) original(record []string) []string {
	if !f.rejected || len(record) < 2 {
		return record
	}
	record = record[:len(record)-2]
	for i, cell := range record {
		record[i] = unguard(cell)
	}
	return record
}

func isBlank(record []string) bool {
	return !slices.ContainsFunc(record, func(cell string) bool { return strings.TrimSpace(cell) != "" })
}

// readError tells the faults of the file from those of whoever delivers it.
func readError(err error) error {
	var parse *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.As(err, &parse):
		return Faults{fmt.Sprintf(`line %d: a quote stands alone: put the whole cell in quotes and write each quote within it twice, as in "12"" pipe"`,
			parse.StartLine)}
	default:
		return fmt.Errorf("read the file: %w", err)
	}
}
