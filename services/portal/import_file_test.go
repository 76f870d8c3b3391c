package portal

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
)

func workbookOf(t *testing.T, change func(*excelize.File)) []byte {
	t.Helper()
	book := excelize.NewFile()
	defer book.Close()
	change(book)
	var out bytes.Buffer
	if err := book.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func readFile(t *testing.T, file []byte) (string, error) {
	t.Helper()
	s := &Service{workbooks: make(chan struct{}, 1)}
	text, err := s.asCSV(t.Context(), file)
	return string(text), err
}

func TestUpload_ReadsAWorkbookAsItHoldsItsCells(t *testing.T) {
	t.Parallel()
	file := workbookOf(t, func(book *excelize.File) {
		day := time.Date(2025, 11, 22, 0, 0, 0, 0, time.UTC)
		long := `[$-407]d. mmmm yyyy`
		formats := []excelize.Style{{NumFmt: 14}, {CustomNumFmt: &long}, {NumFmt: 4}, {NumFmt: 10}}
		values := [][]any{
			{"Nr", "Tag", "langer Tag", "Betrag", "Anteil", "Notiz"},
			{"007", day, day, 1250000.5, 0.25, "zwei\nZeilen; \"Zitat\""},
			{8, "22.11.2025", nil, 0.1 + 0.2, 45983, "=SUM(A1)"},
			{},
			{1234567890123456, nil, nil, 1e-3, nil, nil},
		}
		for line, row := range values {
			for column, value := range row {
				cell, _ := excelize.CoordinatesToCellName(column+1, line+1)
				if err := book.SetCellValue("Sheet1", cell, value); err != nil {
					t.Fatal(err)
				}
				if line > 0 && column > 0 && column <= len(formats) && value != nil {
					style, err := book.NewStyle(&formats[column-1])
					if err != nil {
						t.Fatal(err)
					}
					if err := book.SetCellStyle("Sheet1", cell, cell, style); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if _, err := book.NewSheet("Other"); err != nil {
			t.Fatal(err)
		}
	})
	got, err := readFile(t, file)
	want := "Nr,Tag,langer Tag,Betrag,Anteil,Notiz\n" +
		"007,2025-11-22,2025-11-22,1250000.5,0.25,\"zwei Zeilen; \"\"Zitat\"\"\"\n" +
		"8,22.11.2025,,0.3,45983,=SUM(A1)\n" +
		",,,,,\n" +
		"1234567890123460,,,0.001,,\n" // a spreadsheet holds 15 digits
	if err != nil || got != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}

func TestUpload_RefusesWhatIsNoTableOrTooLarge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file []byte
		want badFile
	}{
		"an old workbook":       {[]byte("\xd0\xcf\x11\xe0rest"), fileOldExcel},
		"a picture":             {[]byte("\x89PNG\r\n\x1a\n\x00\x00"), fileBinary},
		"a zip that is no book": {[]byte("PK\x03\x04rest"), fileBroken},
		"a workbook that unpacks to more than it may": {
			bomb(t, "xl/worksheets/sheet1.xml", strings.Repeat(" ", maxUnzipped+1)), fileTooLarge,
		},
		"a row far below": {
			workbookOf(t, func(book *excelize.File) {
				if err := book.SetCellValue("Sheet1", "A1048576", "x"); err != nil {
					t.Fatal(err)
				}
			}), fileTooLong,
		},
	} {
		_, err := readFile(t, c.file)
		if bad, is := errors.AsType[badFile](err); !is || bad != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestUpload_TakesNoMoreCellsThanABoundedTableHas(t *testing.T) {
	t.Parallel()
	sheet := table{}
	sheet.csv = csv.NewWriter(&sheet.out)
	row := make([]string, excelize.MaxColumns)
	for range maxCells / len(row) {
		if err := sheet.row(row, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := sheet.row(row, nil); !errors.Is(err, fileTooLong) {
		t.Errorf("many cells: %v", err)
	}
	sheet = table{}
	sheet.csv = csv.NewWriter(&sheet.out)
	shared := strings.Repeat("a", maxFile/100)
	if err := sheet.row(slices.Repeat([]string{shared}, 101), nil); !errors.Is(err, fileTooLarge) {
		t.Errorf("one long text in many cells: %v", err)
	}
}

func TestUpload_ReadsCSVInTheEncodingsOfSpreadsheets(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"UTF-8": "Währung\n€\n", "a byte order mark": "\ufeffWährung\n€\n", "Windows-1252": "W\xe4hrung\n\x80\n",
	} {
		if got, err := readFile(t, []byte(file)); err != nil || got != "Währung\n€\n" {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
}

func TestShortName_KeepsNoPath(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`C:\Users\me\deals.csv`: "deals.csv", "../../etc/passwd": "passwd", strings.Repeat("a", 100): strings.Repeat("a", 79) + "…",
	} {
		if got := shortName(in); got != want {
			t.Errorf("%q: %q", in, got)
		}
	}
}

// bomb is a workbook with one part replaced.
func bomb(t *testing.T, part, text string) []byte {
	t.Helper()
	whole := workbookOf(t, func(*excelize.File) {})
	in, err := zip.NewReader(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range in.File {
		if f.Name == part {
			continue
		}
		if err := w.Copy(f); err != nil {
			t.Fatal(err)
		}
	}
	replaced, err := w.Create(part)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := replaced.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
