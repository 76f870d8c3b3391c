package reports

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"

	"github.com/dealreg/dealreg/pkg/money"
)

// maxDigits is how many digits of a number a spreadsheet keeps. Its numbers are doubles, and Excel shows 15 digits of
// them: an amount with more is written as text, which is exact, and which no sum takes in.
const maxDigits = 15

// xlsx writes a workbook with a sheet for each table, whose header stays in sight. Amounts, counts and percents are numbers.
func (b book) xlsx() (_ []byte, err error) {
	file := excelize.NewFile()
	defer func() { _ = file.Close() }()
	var styles [kinds]int
	for kind, format := range map[fieldKind]string{isAmount: numberFormat(b.currency), isCount: "#,##0", isPercent: "0.0"} {
		if styles[kind], err = file.NewStyle(&excelize.Style{CustomNumFmt: &format}); err != nil {
			return nil, fmt.Errorf("style of numbers: %w", err)
		}
	}
	bold, err := file.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}})
	if err != nil {
		return nil, fmt.Errorf("style of headers: %w", err)
	}
	for i, t := range b.tables {
		if i == 0 {
			err = file.SetSheetName(file.GetSheetName(0), t.name)
		} else {
			_, err = file.NewSheet(t.name)
		}
		if err == nil {
			err = t.sheet(file, styles, bold)
		}
		if err != nil {
			return nil, fmt.Errorf("sheet %s: %w", t.name, err)
		}
	}
	var out bytes.Buffer
	if err := file.Write(&out); err != nil {
		return nil, fmt.Errorf("write a workbook: %w", err)
	}
	return out.Bytes(), nil
}

func (t table) sheet(file *excelize.File, styles [kinds]int, bold int) error {
	w, err := file.NewStreamWriter(t.name)
	if err != nil {
		return err
	}
	if err := w.SetColWidth(1, len(t.header), 24); err != nil {
		return err
	}
	if err := w.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	line := make([]any, len(t.header))
	for i, name := range t.header {
		line[i] = excelize.Cell{StyleID: bold, Value: name}
	}
	if err := w.SetRow("A1", line); err != nil {
		return err
	}
	for i, row := range t.rows {
		for j, f := range row {
			line[j] = f.cell(styles)
		}
		if err := w.SetRow("A"+strconv.Itoa(i+2), line); err != nil {
			return err
		}
	}
	return w.Flush()
}

// cell is the field as a cell, empty when it has nothing to say.
func (f field) cell(styles [kinds]int) any {
	switch {
	case f.text == "":
		return nil
	case f.kind == isText || digits(f.text) > maxDigits:
		return f.text
	}
	number, err := strconv.ParseFloat(f.text, 64)
	if err != nil {
		return f.text
	}
	return excelize.Cell{StyleID: styles[f.kind], Value: number}
}

// digits counts those of a decimal, without zeros before it.
func digits(decimal string) int {
	return len(strings.TrimLeft(strings.NewReplacer("-", "", ".", "").Replace(decimal), "0"))
}

// numberFormat shows an amount with the decimals of its currency and its code.
func numberFormat(c money.Currency) string {
	format := "#,##0"
	if exponent := c.Exponent(); exponent > 0 {
		format += "." + strings.Repeat("0", exponent)
	}
	return format + ` "` + string(c) + `"`
}
