package reports

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strings"
)

// csv writes all tables as one (RFC 4180, UTF-8): the first column names the table, the second the currency where a row
// has an amount, and each other column belongs to the tables whose header has it.
func (b book) csv() ([]byte, error) {
	header := []string{"Table", "Currency"}
	for _, t := range b.tables {
		for _, name := range t.header {
			if !slices.Contains(header, name) {
				header = append(header, name)
			}
		}
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	record := make([]string, len(header))
	for i, name := range header {
		record[i] = strings.ReplaceAll(strings.ToLower(name), " ", "_")
	}
	_ = w.Write(record) // a bytes.Buffer takes everything; Error below tells of all else
	for _, t := range b.tables {
		for _, row := range t.rows {
			clear(record)
			record[0] = strings.ToLower(t.name)
			for i, f := range row {
				record[slices.Index(header, t.header[i])] = f.text
				if f.kind == isAmount {
					record[1] = string(b.currency)
				}
			}
			_ = w.Write(record)
		}
	}
	w.Flush()
	return out.Bytes(), w.Error()
}
