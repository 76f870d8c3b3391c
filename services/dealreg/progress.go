package main

import (
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) } // #nosec G115 -- a file descriptor fits

// newBar draws the progress of one stage. On something that is no terminal it stays silent.
func newBar(w *os.File, description string, total int64, shows ...progressbar.Option) *progressbar.ProgressBar {
	return progressbar.NewOptions64(total, append([]progressbar.Option{
		progressbar.OptionSetWriter(w), progressbar.OptionSetVisibility(isTerminal(w)), progressbar.OptionSetDescription(description),
		progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(),
	}, shows...)...)
}

// newBytesBar is a bar of bytes.
func newBytesBar(w *os.File, description string, total int64) *progressbar.ProgressBar {
	return newBar(w, description, total, progressbar.OptionShowBytes(true))
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
		s.stage, s.bar = stage, newBytesBar(s.out, stage, total)
		if !isTerminal(s.out) {
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
