package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/dealreg/dealreg/pkg/audit"
)

type auditCommand struct {
	remote      `embed:""`
	Association string `placeholder:"ID" help:"Compare this association only."`
	Year        int    `help:"Compare this year only."`
	Statement   string `placeholder:"YEAR[/rN]" help:"Make this statement of the association again from the log, without what it held back, and compare."`
}

// Run folds the log and compares; the exit code is 0 for equal, 1 for different, 3 when it could not tell.
func (c *auditCommand) Run(ctx context.Context) error {
	if c.Key == "" {
		return errNoKey
	}
	code, err := audit.Run(ctx, audit.Config{
		URL: c.URL, Key: c.Key, Association: c.Association, Year: c.Year, Statement: c.Statement, Out: os.Stdout, Now: time.Now,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "dealreg:", err)
	}
	if code == audit.Equal {
		return nil
	}
	return exitCode(code)
}
