package calendar

import "time"

// YearOf returns the year of an association in which d lies, when its years start on the first day of startsIn
// (January to December). The label of a year is the calendar year in which it starts: with July, 2026-06-30 lies
// in 2025 and 2026-07-01 in 2026.
func YearOf(d Date, startsIn time.Month) int {
	year, month, _ := d.Time().Date()
	if month < startsIn {
		return year - 1
	}
	return year
}

// Bounds returns the first and the last day of the year that YearOf labels year; both belong to it.
func Bounds(year int, startsIn time.Month) (from, to Date) {
	return New(year, startsIn, 1), New(year+1, startsIn, 1).AddDays(-1)
}
