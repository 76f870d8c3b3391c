package mail

import "time"

// reminders are the days after which a question that still waits is asked again.
var reminders = []int{7, 12}

// askedFor is how many days a question is worth a mail: a pending deal expires then. What is found later, after an
// outage, is left to the digest.
const askedFor = 14

// digestFor is how long after its hour a digest is still sent.
const digestFor = 24 * time.Hour

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

// reminderDue is the reminder that is due now for what waits since then, 0 for none. One that a later one has overtaken,
// or that fell due before anybody mailed, is never sent.
func reminderDue(since, began, now time.Time) int {
	due := 0
	for _, day := range reminders {
		if at := since.Add(days(day)); !at.After(now) && !at.Before(began) {
			due = day
		}
	}
	if !now.Before(since.Add(days(askedFor))) {
		return 0
	}
	return due
}

// digestHour is the last Monday, 08:00 in the zone, at or before now.
func digestHour(now time.Time, zone *time.Location) time.Time {
	local := now.In(zone)
	back := (int(local.Weekday()) + 6) % 7 // days since Monday
	hour := time.Date(local.Year(), local.Month(), local.Day()-back, 8, 0, 0, 0, zone)
	if hour.After(now) {
		hour = time.Date(local.Year(), local.Month(), local.Day()-back-7, 8, 0, 0, 0, zone)
	}
	return hour.UTC()
}
