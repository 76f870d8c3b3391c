package lifecycle

import (
	"maps"
	"sync"
)

// Health collects what each part of the process needs and lacks. It is safe for concurrent use. A part that has never
// reported is not known here: a part that needs time to start reports its reason first.
type Health struct {
	mu      sync.Mutex
	reasons map[string]string
}

// NewHealth returns a Health in which no part fails.
func NewHealth() *Health {
	return &Health{reasons: map[string]string{}}
}

// Report replaces what is known of part; nil says that the part is well.
func (h *Health) Report(part string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		delete(h.reasons, part)
		return
	}
	h.reasons[part] = err.Error()
}

// Failing returns a copy of the reasons by part. It is empty when the process is ready.
func (h *Health) Failing() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.reasons)
}
