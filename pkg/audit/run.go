package audit

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// The exit codes of an audit.
const (
	Equal        = 0 // the log is sound and the reports give what it says
	Different    = 1 // a finding in the log, or a figure that differs
	CouldNotTell = 3 // the log or the reports could not be read whole
)

// Config is an audit of one running system.
type Config struct {
	URL, Key    string
	Association string // compare only this one, by its id; the log is checked whole all the same
	Year        int    // compare only this year; 0 for all
	Statement   string // audit this release of the association instead: 2026 for the latest of the year, or 2026/3 as in its address, or 2026/r3
	HTTP        *http.Client
	Patience    time.Duration // for each answer that the system has not ready yet; 0: two minutes
	Out         io.Writer     // the report; nil for none
	Now         func() time.Time
}

// Validate refuses what names no association or no statement of one; the system is not asked.
func (c Config) Validate() error {
	if c.Statement != "" {
		_, err := parseRelease(c.Association, c.Statement)
		return err
	}
	if c.Association != "" {
		_, err := parseAssociation(c.Association)
		return err
	}
	return nil
}

// Run folds the system's log, compares its reports, or one statement, and prints what it found. The exit code is Equal, Different or
// CouldNotTell. The error says why it could not tell; it comes with Different too when the log has findings and the
// reports could not all be read.
func Run(ctx context.Context, cfg Config) (exitCode int, err error) {
	now := cfg.Now
	if now == nil {
		now = func() time.Time { return time.Time{} } // without a clock the report names no duration
	}
	if err := cfg.Validate(); err != nil {
		return CouldNotTell, err
	}
	start := now()
	client := &Client{URL: cfg.URL, Key: cfg.Key, HTTP: cfg.HTTP, Patience: cfg.Patience}
	if cfg.Statement != "" {
		report, err := auditStatement(ctx, client, cfg.Association, cfg.Statement)
		if err != nil {
			return CouldNotTell, err
		}
		report.Duration = now().Sub(start)
		if cfg.Out != nil {
			if err := report.Print(cfg.Out); err != nil {
				return CouldNotTell, err
			}
		}
		return report.ExitCode(), nil
	}
	open := func() (io.ReadCloser, error) { return client.Log(ctx, 1) }
	ledger, err := Fold(open)
	if err != nil {
		return CouldNotTell, err
	}
	report := Report{Ledger: ledger}
	report.Comparison, report.Err = Compare(ctx, client, ledger, Filter{Association: cfg.Association, Year: cfg.Year})
	if report.Err == nil && ledger.FindingCount == 0 { // else the first finding is where it begins
		report.Beginning, report.Err = Locate(ctx, client, open, ledger, report.Comparison)
	}
	report.Duration = now().Sub(start)
	if cfg.Out != nil {
		if err := report.Print(cfg.Out); err != nil {
			return CouldNotTell, errors.Join(report.Err, err)
		}
	}
	return report.ExitCode(), report.Err
}
