package main

import (
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// bar draws the progress of one stage, in bytes. On something that is no terminal it stays silent.
func newBar(w *os.File, description string, total int64) *progressbar.ProgressBar {
	var out io.Writer = w
	if !term.IsTerminal(int(w.Fd())) { // #nosec G115 -- a file descriptor fits
		out = io.Discard
	}
	return progressbar.NewOptions64(total, progressbar.OptionSetWriter(out), progressbar.OptionSetDescription(description),
		progressbar.OptionShowBytes(true), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
}

// stageBar draws a bar for each stage that it hears of, one after the other.
type stageBar struct {
	out   *os.File
	stage string
	bar   *progressbar.ProgressBar
}

func newStageBar(out *os.File) *stageBar { return &stageBar{out: out} }

func (s *stageBar) show(stage string, done, total int64) {
	if s.stage != stage {
		s.end()
		s.stage, s.bar = stage, newBar(s.out, stage, total)
		if !term.IsTerminal(int(s.out.Fd())) { // #nosec G115 -- a file descriptor fits
			_, _ = s.out.WriteString(stage + " ...\n")
		}
	}
	_ = s.bar.Set64(done) // a bar that cannot be drawn stops nothing
}

func (s *stageBar) end() {
	if s.bar != nil {
		finish(s.bar)
		s.bar, s.stage = nil, ""
	}
}

// finish clears the bar; one that cannot be drawn stops nothing.
func finish(bar *progressbar.ProgressBar) { _ = bar.Finish() }
