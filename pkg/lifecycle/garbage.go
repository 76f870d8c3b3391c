package lifecycle

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// LetGarbageWait lets garbage grow to so many bytes, or to as much as is in use if that is more, before it is collected. A
// process that uses little memory then spends little time on it, and one that uses much takes no more than it otherwise
// does. GOGC in the environment goes first.
func LetGarbageWait(spare uint64) {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	inUse := max(live[0].Value.Uint64(), 1<<20)
	debug.SetGCPercent(int(max(100, spare*100/inUse))) // #nosec G115 -- some thousands
	runtime.AddCleanup(&cycle{}, LetGarbageWait, spare)
}

// cycle is garbage that tells when it was collected.
type cycle struct{ _ [64]byte }
