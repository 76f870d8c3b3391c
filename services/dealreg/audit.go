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
	Statement   string `placeholder:"YEAR[/N]" help:"Make this statement of the association again from the log, without what it held back, and compare. 2026/3 and 2026/r3 are its third release, 2026 is the latest."`
}

// Run folds the log and compares; the exit code is 0 for equal, 1 for different, 3 when it could not tell.
func (c *auditCommand) Run(ctx context.Context) error {
	if c.Key == "" {
		return errNoKey
	}
	cfg := audit.Config{
		URL: c.URL, Key: c.Key, Association: c.Association, Year: c.Year, Statement: c.Statement, Out: os.Stdout, Now: time.Now,
	}
	if err := cfg.Validate(); err != nil {
		return wrongUse{err}
	}
	code, err := audit.Run(ctx, cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, "dealreg:", err)
	}
	if code == audit.Equal {
		return nil
	}
	return exitCode(code)
}
