package dealcsv

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/dealreg/dealreg/pkg/roster"
)

// Table reads a file of companies, of members, of anything whose columns have one name each.
type Table struct{ file }

// NewTable reads the header of a file, as NewReader does. A column that is needed and missing, one that is there twice
// and one that is neither needed nor optional are Faults.
func NewTable(r io.Reader, needed, optional []string) (*Table, error) {
	opened, err := openFile(r)
	if err != nil {
		return nil, err
	}
	all := slices.Concat(needed, optional)
	var faults Faults
	at, twice := places(opened.header)
	for _, column := range needed {
		if _, there := at[column]; !there {
			faults.add("column %s is missing: add it", column)
		}
	}
	var unknown []string
	for _, name := range opened.header {
		key := roster.NameKey(name)
		if !slices.Contains(all, key) {
			unknown = append(unknown, fmt.Sprintf("%q", shorten(roster.CleanName(name))))
		}
		if twice[key] {
			faults.add(isTwice, shorten(name))
			delete(twice, key) // told once
		}
	}
	if len(unknown) > 0 {
		faults.add("unknown columns %s: remove or rename them; our columns are %s", strings.Join(unknown, ", "), strings.Join(all, ", "))
	}
	return &Table{opened}, faults.err()
}

// Next reads the next row that holds anything, and io.EOF behind the last. Of the row it fills the line, the record and,
// where its cells cannot be told apart, the reason; its cells are clean and stand under our columns. Faults end the file as
// they do in Reader.Next.
func (t *Table) Next() (row Row, cells map[string]string, err error) {
	row, err = t.next()
	if err != nil || !row.Sound() {
		return row, nil, err
	}
	cells = map[string]string{}
	for i, name := range t.header {
		cells[roster.NameKey(name)] = row.text(source{label: roster.CleanName(name), index: i}, 0, len(row.Record[i]))
	}
	return row, cells, nil
}
