package webhooks

import "time"

// standardSchedule are the waits between the attempts of one delivery, before jitter: ten attempts in a little more
// than three days.
var standardSchedule = []time.Duration{
	5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
	10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// jitter is by how much a wait may be shorter or longer, so that what failed together does not come back together.
const jitter = 0.2

// retryAfterAtMost bounds what an endpoint may ask for; a longer Retry-After counts as this one.
const retryAfterAtMost = time.Hour

// nextAttempt gives the wait after so many failed attempts, at least what the endpoint asked for, and false when the
// schedule is at its end. chance is from 0 to 1, exclusive.
func nextAttempt(schedule []time.Duration, attempts int, retryAfter time.Duration, chance float64) (time.Duration, bool) {
	if attempts > len(schedule) {
		return 0, false
	}
	wait := schedule[attempts-1]
	wait += time.Duration((2*chance - 1) * jitter * float64(wait))
	return max(wait, min(retryAfter, retryAfterAtMost)), true
}

// lasts is how long a delivery is tried in all, before jitter.
func lasts(schedule []time.Duration) time.Duration {
	var total time.Duration
	for _, wait := range schedule {
		total += wait
	}
	return total
}
