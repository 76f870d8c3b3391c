package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/dealreg/dealreg/services/aggregator"
)

// lookEvery is how often a running rebuild is asked for its progress; a log file gets a line every tellEvery.
const (
	lookEvery = 250 * time.Millisecond
	tellEvery = 10 * time.Second
)

type rebuildCommand struct {
	remote `embed:""`
	From   uint64 `placeholder:"SEQ" help:"Replay from this sequence on, and take over whole millions before it; the whole log if left out."`
}

// Run starts a rebuild, or joins the one that runs, and shows its progress until it has ended.
func (c *rebuildCommand) Run(ctx context.Context) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	var r aggregator.RebuildReport
	_, err = api.do(ctx, call{method: http.MethodPost, path: "/v1/rebuilds", body: map[string]any{"from": c.From}, into: &r})
	if err != nil {
		return err
	}
	if r.From != c.From {
		fmt.Fprintf(os.Stderr, "dealreg: another rebuild runs, from event %d on\n", r.From)
	}
	shown := rebuildProgress{bar: newRebuildBar(), now: time.Now}
	defer finish(shown.bar)
	for r.State == aggregator.RebuildRunning {
		if err := pause(ctx, lookEvery); err != nil {
			return fmt.Errorf("%w: the rebuild goes on without you; the same command shows it again", err)
		}
		r = aggregator.RebuildReport{ID: r.ID}
		if _, err := api.do(ctx, call{method: http.MethodGet, path: "/v1/rebuilds/" + r.ID.String(), into: &r}); err != nil {
			return fmt.Errorf("%w: the rebuild goes on once the system is up; the same command shows it again", err)
		}
		shown.show(r)
	}
	finish(shown.bar)
	if r.State == aggregator.RebuildFailed {
		return fmt.Errorf("the rebuild failed, and what was served stays: %s", r.Error)
	}
	fmt.Printf("rebuilt up to event %d, which is served now\n", r.Position)
	return nil
}

func newRebuildBar() *progressbar.ProgressBar {
	return newBar(os.Stderr, "", 1, progressbar.OptionSetPredictTime(false), progressbar.OptionSetElapsedTime(false))
}

// rebuildProgress draws a bar on a terminal and writes a line now and then elsewhere.
type rebuildProgress struct {
	bar  *progressbar.ProgressBar
	now  func() time.Time
	told time.Time
}

func (p *rebuildProgress) show(r aggregator.RebuildReport) {
	text := progressOf(r)
	if isTerminal(os.Stderr) {
		p.bar.Describe(text)
		p.bar.ChangeMax64(int64(max(r.LastSequence, r.Position, 1))) // #nosec G115 -- sequences of a stream fit
		_ = p.bar.Set64(int64(r.Position))                           // #nosec G115 -- see above; a bar that cannot be drawn stops nothing
		return
	}
	if now := p.now(); now.Sub(p.told) >= tellEvery {
		p.told = now
		fmt.Fprintln(os.Stderr, text)
	}
}

// progressOf is one line for a person.
func progressOf(r aggregator.RebuildReport) string {
	text := fmt.Sprintf("rebuild: event %d of %d, %.0f a second", r.Position, r.LastSequence, r.EventsPerSecond)
	if r.SecondsLeft != nil {
		text += fmt.Sprintf(", %s left", (time.Duration(*r.SecondsLeft) * time.Second).String())
	}
	return text
}
