package lifecycle_test

import (
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/dealreg/dealreg/pkg/lifecycle"
)

// sink keeps what is in use from being garbage.
var sink []byte

// It sets the collector of the process, so it runs alone.
func TestLetGarbageWait_FollowsWhatIsInUse(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	t.Cleanup(func() { t.Setenv("GOGC", "off"); debug.SetGCPercent(before) }) // nothing is set from here on
	percent := func(bytes int, is func(int) bool) {
		t.Helper()
		sink = make([]byte, bytes)
		for range 1000 {
			runtime.GC() // what was in use is known after one, and is acted on after another
			p := debug.SetGCPercent(100)
			debug.SetGCPercent(p)
			if is(p) {
				return
			}
			runtime.Gosched()
		}
		t.Errorf("%d MB in use: the collector waits for garbage of %d%%", bytes>>20, debug.SetGCPercent(100))
	}
	lifecycle.LetGarbageWait(64 << 20)
	percent(0, func(p int) bool { return p > 300 })
	percent(32<<20, func(p int) bool { return p > 120 && p < 210 })
	percent(128<<20, func(p int) bool { return p == 100 })
	sink = nil
}
