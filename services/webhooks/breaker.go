package webhooks

import "time"

// breaker tells whether an endpoint is worth trying. It shuts after so many failures in a row, and opens with the first
// success; while it is shut a cursor probes from time to time. The zero breaker is open. It knows no clock.
type breaker struct {
	failures    int       // in a row
	probeAt     time.Time // not before
	pausedUntil time.Time // as the endpoint asked with Retry-After
}

// failed notes a failure at the time; pause is what the endpoint asked for, 0 for nothing.
func (b *breaker) failed(at time.Time, pause time.Duration, p probing) {
	b.failures++
	if over := b.failures - p.After; over >= 0 {
		b.probeAt = at.Add(p.wait(over))
	}
	if until := at.Add(pause); pause > 0 && until.After(b.pausedUntil) {
		b.pausedUntil = until
	}
}

// succeeded forgets the failures. A pause that was asked for stays: the success may have been under way before.
func (b *breaker) succeeded() { *b = breaker{pausedUntil: b.pausedUntil} }

// shut tells whether events should not go out now but wait in a gap.
func (b *breaker) shut(at time.Time, p probing) bool {
	return b.failures >= p.After || b.paused(at)
}

// paused tells whether the endpoint asked to be left alone for now. That holds for retries too.
func (b *breaker) paused(at time.Time) bool { return at.Before(b.pausedUntil) }

// probing says how an endpoint that fails is tried.
type probing struct {
	After       int           // failures in a row that shut the gate
	First, Most time.Duration // the waits between probes: the first one, doubled each time up to the most
}

// wait is that before the probe after so many probes that failed.
func (p probing) wait(probes int) time.Duration {
	wait := p.First
	for range probes {
		if wait *= 2; wait >= p.Most {
			return p.Most
		}
	}
	return min(wait, p.Most)
}
