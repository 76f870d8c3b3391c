package portal

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/xuri/excelize/v2"

	"github.com/dealreg/dealreg/pkg/dealcsv"
)

// The bounds of a file that comes in through the pages. Larger ones are for the command line.
const (
	maxFile     = 16 << 20 // bytes
	maxUnzipped = 32 << 20 // bytes of a workbook, unpacked
	maxFileRows = 50_000
	maxCells    = 1_000_000 // of a workbook
	maxField    = 16 << 10  // bytes of the fields beside the file
)

// badFile is a file that cannot be taken; its text is the key of the message that says why and what to do.
type badFile string

func (b badFile) Error() string { return string(b) }

const (
	fileMissing  = badFile("import.file.missing")
	fileTooLarge = badFile("import.file.large")
	fileTooLong  = badFile("import.file.long")
	fileOldExcel = badFile("import.file.xls")
	fileBroken   = badFile("import.file.broken")
	fileBinary   = badFile("import.file.binary")
	fileNoSheet  = badFile("import.file.nosheet")
)

// uploaded is what the form of the first step sent.
type uploaded struct {
	name, reference string
	text            []byte // CSV in UTF-8
}

// readUpload reads the form. The error is a badFile where its sender can mend it.
func (s *Service) readUpload(r *http.Request) (uploaded, error) {
	var u uploaded
	parts, err := r.MultipartReader()
	if err != nil {
		return u, fileMissing
	}
	var file []byte
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return u, transferFault(err)
		}
		most := int64(maxField)
		if part.FormName() == "file" {
			most = maxFile
		}
		text, err := io.ReadAll(io.LimitReader(part, most+1))
		switch {
		case err != nil:
			return u, transferFault(err)
		case int64(len(text)) > most:
			return u, fileTooLarge
		case part.FormName() == "file":
			u.name, file = shortName(part.FileName()), text
		case part.FormName() == "reference":
			u.reference = strings.TrimSpace(string(text))
		}
	}
	if len(file) == 0 {
		return u, fileMissing
	}
	u.text, err = s.asCSV(r.Context(), file)
	return u, err
}

func transferFault(err error) error {
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return fileTooLarge
	}
	return fileBroken
}

// shortName is the last part of a file's name, as much of it as a page has room for.
func shortName(name string) string {
	name = strings.ToValidUTF8(filepath.Base(strings.ReplaceAll(name, "\\", "/")), "\ufffd")
	if runes := []rune(name); len(runes) > 80 {
		return string(runes[:79]) + "…"
	}
	return name
}

// asCSV tells what a file is by how it begins, whatever it is called, and gives it as CSV in UTF-8.
func (s *Service) asCSV(ctx context.Context, file []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(file, []byte("PK\x03\x04")):
		select { // one workbook at a time, since each may take much memory
		case s.workbooks <- struct{}{}:
			defer func() { <-s.workbooks }()
			return fromWorkbook(file)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case bytes.HasPrefix(file, []byte("\xd0\xcf\x11\xe0")):
		return nil, fileOldExcel
	}
	text := dealcsv.UTF8(file)
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, fileBinary
	}
	return text, nil
}

// fromWorkbook gives the first sheet of a workbook as CSV, a line for each of its rows. Days and numbers are written as
// the file holds them, not as it shows them: 2026-11-22 and 1250000.5. It reads row by row, since a small file can claim
// a sheet of billions of cells.
func fromWorkbook(file []byte) ([]byte, error) {
	book, err := excelize.OpenReader(bytes.NewReader(file), excelize.Options{UnzipSizeLimit: maxUnzipped, UnzipXMLSizeLimit: maxUnzipped})
	if err != nil {
		if strings.Contains(err.Error(), "unzip size exceeds") {
			return nil, fileTooLarge
		}
		return nil, fileBroken
	}
	defer book.Close()
	sheets := book.GetSheetList()
	if len(sheets) == 0 {
		return nil, fileNoSheet
	}
	held, err := book.Rows(sheets[0])
	if err != nil {
		return nil, fileNoSheet // such as a chart
	}
	defer held.Close()
	shown, err := book.Rows(sheets[0])
	if err != nil {
		return nil, fileNoSheet
	}
	defer shown.Close()
	t := table{}
	if props, err := book.GetWorkbookProps(); err == nil && props.Date1904 != nil {
		t.since1904 = *props.Date1904
	}
	t.csv = csv.NewWriter(&t.out)
	for held.Next() && shown.Next() {
		raw, err := held.Columns(excelize.Options{RawCellValue: true})
		if err != nil {
			return nil, fileBroken
		}
		texts, err := shown.Columns()
		if err != nil {
			return nil, fileBroken
		}
		if err := t.row(raw, texts); err != nil {
			return nil, err
		}
	}
	if held.Error() != nil || shown.Error() != nil {
		return nil, fileBroken
	}
	t.csv.Flush()
	return t.out.Bytes(), t.csv.Error()
}

// table writes the rows of a sheet within the bounds of a file.
type table struct {
	out                bytes.Buffer
	csv                *csv.Writer
	since1904          bool
	rows, cells, width int
}

func (t *table) row(raw, shown []string) error {
	if t.rows++; t.rows > maxFileRows+1 {
		return fileTooLong
	}
	if t.cells += len(raw); t.cells > maxCells {
		return fileTooLong
	}
	record := make([]string, max(len(raw), t.width, 1)) // a workbook leaves out the empty cells at the end of a row
	size := t.out.Len()
	for i, text := range raw {
		if size += len(text) + 1; size > maxFile {
			return fileTooLarge
		}
		record[i] = strings.Join(strings.Fields(text), " ") // so that a line stays a row of the sheet
		if number, is := heldNumber(text); is {
			record[i] = t.number(number, shownAt(shown, i))
		}
	}
	if t.rows == 1 {
		t.width = len(record)
	}
	if err := t.csv.Write(record); err != nil {
		return err
	}
	t.csv.Flush()
	return t.csv.Error()
}

func shownAt(record []string, i int) string {
	if i < len(record) {
		return record[i]
	}
	return ""
}

// held is a number as workbooks hold it; digits that begin with 0 are text that somebody typed.
var held = regexp.MustCompile(`^-?(0|[1-9]\d*)(\.\d+)?(E[+-]?\d+)?$`)

func heldNumber(text string) (float64, bool) {
	if !held.MatchString(text) {
		return 0, false
	}
	number, err := strconv.ParseFloat(text, 64)
	return number, err == nil
}

// number writes a number as a day when the sheet shows it as one, else with the 15 digits that spreadsheets show of it.
func (t *table) number(number float64, shown string) string {
	if day, err := excelize.ExcelDateToTime(number, t.since1904); err == nil && showsDay(shown, day) {
		return day.Format(time.DateOnly)
	}
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(number, 'g', 15, 64), 64) // what it wrote itself
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// showsDay tells whether a text says that day: its day and year stand there as words of their own, with its month or a word.
func showsDay(text string, day time.Time) bool {
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	take := func(fits func(word string) bool) bool {
		i := slices.IndexFunc(words, fits)
		if i >= 0 {
			words = slices.Delete(words, i, i+1)
		}
		return i >= 0
	}
	is := func(formats ...string) func(string) bool {
		return func(word string) bool {
			return slices.ContainsFunc(formats, func(format string) bool { return day.Format(format) == word })
		}
	}
	isName := func(word string) bool { return strings.IndexFunc(word, unicode.IsLetter) == 0 }
	return take(is("2006", "06")) && take(is("2", "02")) && (take(is("1", "01")) || take(isName))
}
