package money

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dealreg/dealreg/pkg/calendar"
)

// Sheet is what a file in the ECB's layout says.
type Sheet struct {
	Days    []Day      // the rows without an error, the earliest first, without a source; days without any rate are left out
	Ignored []string   // the columns that are no active currency, in their order, each once
	Errors  []RowError // in the order of the file
}

// RowError says what is wrong at one place of a file, and what to write there.
type RowError struct {
	Line    int    // 1 is the header
	Field   string // the column's name, empty when the whole line is meant
	Message string
}

// ParseECB reads the CSV layout of the European Central Bank's reference rates: a header "Date,USD,JPY,..." and
// one row per day in any order; N/A or nothing means that no rate was published. A byte order mark, CRLF, spaces
// around fields and the comma at the end of every line are fine. A row with an error is left out whole and the
// others are read. The error is that of r alone; what is wrong in the file stands in Sheet.Errors.
func ParseECB(r io.Reader) (Sheet, error) {
	text := bufio.NewReader(r)
	if mark, err := text.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = text.Discard(len(mark)) // just peeked
	}
	file := csv.NewReader(text)
	file.FieldsPerRecord = -1
	file.TrimLeadingSpace = true
	file.ReuseRecord = true

	sheet := ecbSheet{lines: map[calendar.Date]int{}}
	for first := true; ; first = false {
		record, err := file.Read()
		var syntax *csv.ParseError
		switch {
		case errors.Is(err, io.EOF):
			if first {
				sheet.fail(1, "", "the file is empty: "+headerRemedy)
			}
			slices.SortFunc(sheet.Days, func(a, b Day) int { return cmp.Compare(a.Date, b.Date) })
			return sheet.Sheet, nil
		case errors.As(err, &syntax):
			sheet.fail(syntax.StartLine, "", "write values without quotes: "+syntax.Err.Error())
			if first {
				return sheet.Sheet, nil
			}
			continue
		case err != nil:
			return Sheet{}, fmt.Errorf("read rates: %w", err)
		}
		for i := range record {
			record[i] = strings.TrimSpace(record[i])
		}
		line, _ := file.FieldPos(0)
		if !first {
			sheet.row(line, record)
		} else if !sheet.header(line, record) {
			return sheet.Sheet, nil
		}
	}
}

const headerRemedy = "write a first line such as Date,USD,JPY"

// ecbSheet is a Sheet while it is read.
type ecbSheet struct {
	Sheet
	names   []string              // the header up to the last column with a name
	columns []Currency            // by position; empty where the column is ignored
	lines   map[calendar.Date]int // where each day was
}

func (s *ecbSheet) fail(line int, field, message string) {
	s.Errors = append(s.Errors, RowError{Line: line, Field: field, Message: message})
}

// header learns the columns; false means that the rows cannot be read.
func (s *ecbSheet) header(line int, record []string) bool {
	s.names = slices.Clone(record)
	for len(s.names) > 0 && s.names[len(s.names)-1] == "" {
		s.names = s.names[:len(s.names)-1]
	}
	if len(s.names) == 0 || s.names[0] != "Date" {
		s.fail(line, "Date", "this is not the header of a rates file: "+headerRemedy)
		return false
	}
	s.columns = make([]Currency, len(s.names))
	for i, name := range s.names[1:] {
		c, err := ParseCurrency(name)
		active := err == nil && c != EUR
		twice := slices.Contains(s.names[1:i+1], name)
		switch {
		case active && twice:
			s.fail(line, name, "leave out this column: there is another one of the same name")
			return false
		case active:
			s.columns[i+1] = c
		case name != "" && !twice:
			s.Ignored = append(s.Ignored, name)
		}
	}
	return true
}

func (s *ecbSheet) row(line int, record []string) {
	errorsBefore := len(s.Errors)
	on, err := calendar.ParseDate(record[0])
	if err != nil {
		s.fail(line, s.names[0], err.Error())
	} else if at, twice := s.lines[on]; twice {
		s.fail(line, s.names[0], fmt.Sprintf("leave out this line: %s is on line %d already", on, at))
	} else {
		s.lines[on] = line
	}
	if len(record) < len(s.names) || strings.Join(record[len(s.names):], "") != "" {
		s.fail(line, "", fmt.Sprintf("write as many values as the header has columns, %d: here are %d", len(s.names), len(record)))
		return
	}
	day := Day{Date: on, Rates: map[Currency]string{}}
	for i, c := range s.columns {
		if c == "" || record[i] == "" || record[i] == "N/A" {
			continue
		}
		if _, err := ParseRate(record[i]); err != nil {
			s.fail(line, string(c), err.Error()+", or N/A when there is none")
			continue
		}
		day.Rates[c] = record[i]
	}
	if len(s.Errors) == errorsBefore && len(day.Rates) > 0 {
		s.Days = append(s.Days, day)
	}
}
