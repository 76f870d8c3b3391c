package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealcsv"
)

// importTable is an import whose rows are put through the API one by one.
type importTable struct {
	remote  `embed:""`
	File    string `arg:"" type:"existingfile" help:"The CSV file."`
	DryRun  bool   `help:"Check every row and write nothing. What only the directory may know is found when a row is written."`
	Rejects string `placeholder:"FILE" help:"Where rejected rows go; beside the file with .rejects.csv if left out."`
}

// importRow is a row with its cells under our columns.
type importRow struct {
	dealcsv.Row
	cells map[string]string
}

// outcome is what became of a row that was not rejected.
type outcome int

const (
	unchanged outcome = iota
	created
	updated
)

// each puts every row of the file in the order of its rank, and writes those that were refused to the rejects. Any error
// of put but a refusal ends it; the rows that were put stand.
func (c *importTable) each(
	ctx context.Context, needed, optional []string, rank func(importRow) string, put func(context.Context, importRow) (outcome, error),
) error {
	header, rows, err := c.read(needed, optional)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	bar := newBar(os.Stderr, "import", int64(len(rows)), progressbar.OptionShowCount())
	defer finish(bar)
	var counts [updated + 1]int
	ordered := slices.Clone(rows)
	slices.SortStableFunc(ordered, func(a, b *importRow) int { return cmp.Compare(rank(*a), rank(*b)) })
	for _, row := range ordered {
		_ = bar.Add(1)
		if !row.Sound() {
			continue
		}
		done, err := put(ctx, *row)
		if reasons, refused := refusals(err); refused {
			row.Reasons = reasons
			continue
		}
		if err != nil {
			return fmt.Errorf("line %d: %w\nother rows may be in already: import the file again, which changes nothing there", row.Line, err)
		}
		counts[done]++
	}
	rejected := slices.DeleteFunc(rows, func(row *importRow) bool { return row.Sound() })
	would := ""
	if c.DryRun {
		would = "would be "
	}
	fmt.Printf("%d rows: %d %screated, %d %supdated, %d unchanged, %d rejected\n",
		len(ordered), counts[created], would, counts[updated], would, counts[unchanged], len(rejected))
	if len(rejected) == 0 {
		return nil
	}
	return writeRejects(c.File, c.Rejects, func(w io.Writer) error {
		out := dealcsv.NewRejectWriter(w, header)
		for _, row := range rejected {
			if err := out.Write(row.Row); err != nil {
				return err
			}
		}
		return out.Flush()
	})
}

func (c *importTable) read(needed, optional []string) (header []string, rows []*importRow, err error) {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return nil, nil, err
	}
	table, err := dealcsv.NewTable(bytes.NewReader(dealcsv.UTF8(text)), needed, optional)
	if err != nil {
		return nil, nil, err
	}
	for {
		row, cells, err := table.Next()
		if errors.Is(err, io.EOF) {
			return table.Header(), rows, nil
		}
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, &importRow{row, cells})
	}
}

// refusals are the reasons why a row was refused, each with its column; false for an error that is not about the row.
func refusals(err error) (reasons []string, refused bool) {
	add := func(pointer, message string) {
		if column := strings.TrimSuffix(strings.TrimPrefix(pointer, "/"), "_id"); column != "" {
			message = column + ": " + message
		}
		reasons = append(reasons, message)
	}
	if faults, is := errors.AsType[deal.Invalid](err); is {
		for _, f := range faults {
			add(f.Pointer, f.Message)
		}
		return reasons, true
	}
	problem, is := errors.AsType[*problemError](err)
	if !is {
		return nil, false
	}
	switch problem.Status {
	case http.StatusForbidden, http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity:
	default:
		return nil, false
	}
	for _, f := range problem.Errors {
		add(f.Pointer, f.Detail)
	}
	if len(reasons) == 0 {
		add("", problem.Detail)
	}
	return reasons, true
}

// writeRejects writes the rejected rows of a file to the path or, when it is empty, beside the file, and says where they are.
func writeRejects(file, path string, write func(io.Writer) error) error {
	if path == "" {
		path = strings.TrimSuffix(file, filepath.Ext(file)) + ".rejects.csv"
	}
	out, err := os.Create(path) // #nosec G304 -- the user names the file
	if err != nil {
		return err
	}
	if err := errors.Join(write(out), out.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	fmt.Printf("rejected rows with their reasons: %s\n", path)
	return nil
}
