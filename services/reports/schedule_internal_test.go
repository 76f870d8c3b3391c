package reports

import (
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

func TestDue_ByTheClockOfTheAssociation(t *testing.T) {
	t.Parallel()
	made := func(when string, closed bool) *release {
		return &release{Statement: stream.Statement{PublishedAt: at(t, when)}, Closed: closed}
	}
	for _, c := range []struct {
		name     string
		zone     string
		startsIn int
		year     int
		last     *release
		now      string
		want     stream.Cause // empty: none is due
	}{
		{"a moment before six", "Europe/Berlin", 1, 2026, made("2026-10-01T04:00:00Z", false), "2026-11-01T04:59:59Z", ""},
		{"six in winter", "Europe/Berlin", 1, 2026, made("2026-10-01T04:00:00Z", false), "2026-11-01T05:00:00Z", stream.Scheduled},
		{"six in summer", "Europe/Berlin", 1, 2026, made("2026-06-01T04:00:00Z", false), "2026-07-01T04:00:00Z", stream.Scheduled},
		{"six on the day on which clocks change", "America/New_York", 1, 2026, made("2026-10-01T10:00:00Z", false), "2026-11-01T10:59:59Z", ""},
		{"six on the day on which clocks change, after it", "America/New_York", 1, 2026, made("2026-10-01T10:00:00Z", false), "2026-11-01T11:00:00Z", stream.Scheduled},
		{"a zone ahead: the first is there already", "Pacific/Kiritimati", 1, 2026, made("2026-10-01T00:00:00Z", false), "2026-10-31T16:00:00Z", stream.Scheduled},
		{"a zone behind: it is still the month before", "Pacific/Pago_Pago", 1, 2026, made("2026-10-01T17:00:00Z", false), "2026-11-01T16:59:59Z", ""},
		{"made at that moment", "Europe/Berlin", 1, 2026, made("2026-11-01T05:00:00Z", false), "2026-11-30T23:00:00Z", ""},
		{"asked for later in the month", "Europe/Berlin", 1, 2026, made("2026-11-20T05:00:00Z", false), "2026-11-30T22:00:00Z", ""},
		{"months were missed", "Europe/Berlin", 1, 2026, made("2026-03-01T05:00:00Z", false), "2026-11-20T05:00:00Z", stream.Scheduled},
		{"the first one", "UTC", 1, 2026, nil, "2026-11-01T06:00:00Z", stream.Scheduled},
		{"a year that begins today", "UTC", 1, 2027, nil, "2027-01-01T06:00:00Z", ""},
		{"its first month is over", "UTC", 1, 2027, nil, "2027-02-01T06:00:00Z", stream.Scheduled},
		{"a year that has ended goes on", "UTC", 1, 2025, made("2026-02-01T06:00:00Z", false), "2026-03-01T06:00:00Z", stream.Scheduled},
		{"a moment before the close", "UTC", 1, 2025, made("2026-03-01T06:00:00Z", false), "2026-03-31T05:59:59Z", ""},
		{"the close, 90 days after the end", "UTC", 1, 2025, made("2026-03-01T06:00:00Z", false), "2026-03-31T06:00:00Z", stream.Close},
		{"the close of a year that starts in July", "Asia/Tokyo", 7, 2025, made("2026-09-01T00:00:00Z", false), "2026-09-27T21:00:00Z", stream.Close},
		{"the close was missed for years", "UTC", 1, 2024, made("2024-11-01T06:00:00Z", false), "2026-11-20T06:00:00Z", stream.Close},
		{"closed", "UTC", 1, 2025, made("2026-03-31T06:00:00Z", true), "2026-05-01T06:00:00Z", ""},
		{"over before it had a release", "UTC", 1, 2024, nil, "2026-11-20T06:00:00Z", ""},
		{"before the association came", "UTC", 1, 2023, nil, "2023-11-20T06:00:00Z", ""},
	} {
		a := roster.Association{TimeZone: c.zone, YearStartsIn: c.startsIn, CreatedAt: at(t, "2024-01-01T00:00:00Z")}
		if cause, _, is := due(a, c.year, c.last, at(t, c.now)); is != (c.want != "") || is && cause != c.want {
			t.Errorf("%s: %t %s, want %q", c.name, is, cause, c.want)
		}
	}
}

func TestDue_ByTheScheduleOfTheAssociation(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		schedule  roster.ReleaseSchedule
		startsIn  int
		last, now string // last may be empty
		due       bool
	}{
		{"", 1, "2026-09-01T06:00:00Z", "2026-10-01T06:00:00Z", true}, // stored before there were schedules
		{roster.ReleasesMonthly, 1, "2026-09-01T06:00:00Z", "2026-10-01T06:00:00Z", true},
		{roster.ReleasesQuarterly, 1, "2026-07-01T06:00:00Z", "2026-09-30T23:00:00Z", false},
		{roster.ReleasesQuarterly, 1, "2026-07-01T06:00:00Z", "2026-10-01T05:59:59Z", false},
		{roster.ReleasesQuarterly, 1, "2026-07-01T06:00:00Z", "2026-10-01T06:00:00Z", true},
		{roster.ReleasesQuarterly, 1, "2026-07-01T06:00:00Z", "2026-12-31T06:00:00Z", true}, // was missed
		{roster.ReleasesQuarterly, 2, "2026-08-01T06:00:00Z", "2026-10-31T23:59:59Z", false},
		{roster.ReleasesQuarterly, 2, "2026-08-01T06:00:00Z", "2026-11-01T06:00:00Z", true},
		{roster.ReleasesYearly, 1, "", "2027-01-01T05:59:59Z", false},
		{roster.ReleasesYearly, 1, "", "2027-01-01T06:00:00Z", true},
		{roster.ReleasesYearly, 1, "2027-01-01T06:00:00Z", "2027-03-31T05:59:59Z", false}, // the close comes next
		{roster.ReleasesYearly, 7, "", "2027-06-30T23:00:00Z", false},
		{roster.ReleasesYearly, 7, "", "2027-07-01T06:00:00Z", true},
	} {
		a := roster.Association{TimeZone: "UTC", YearStartsIn: c.startsIn, Releases: c.schedule, CreatedAt: at(t, "2024-01-01T00:00:00Z")}
		var last *release
		if c.last != "" {
			last = &release{Statement: stream.Statement{PublishedAt: at(t, c.last)}}
		}
		if cause, _, is := due(a, 2026, last, at(t, c.now)); is != c.due || is && cause != stream.Scheduled {
			t.Errorf("%v: due %t %s", c, is, cause)
		}
	}
}

func TestCauseOf_TheCloseMakesOfARequestARestatement(t *testing.T) {
	t.Parallel()
	a := roster.Association{TimeZone: "UTC", YearStartsIn: 1}
	for _, c := range []struct {
		last *release
		now  string
		want stream.Cause
	}{
		{nil, "2026-03-31T05:59:59Z", stream.Requested},
		{&release{}, "2026-03-31T05:59:59Z", stream.Requested},
		{nil, "2026-03-31T06:00:00Z", stream.Close},
		{&release{}, "2026-03-31T06:00:00Z", stream.Close},
		{&release{Closed: true}, "2026-03-31T06:00:00Z", stream.Restated},
	} {
		if got := causeOf(a, 2025, c.last, at(t, c.now)); got != c.want {
			t.Errorf("%s: %s, want %s", c.now, got, c.want)
		}
	}
}

func TestHarmless_NothingIsTakenForAFormula(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "Acme": "Acme", "A=B": "A=B", "'=1": "'=1", "Ä + B": "Ä + B", "=1+1": "'=1+1", "+1": "'+1", "-2": "'-2", "@SUM(A1)": "'@SUM(A1)",
		"\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1", "\x00=1": "'\x00=1", "＝1": "'＝1", "＋1": "'＋1", "－1": "'－1", "＠x": "'＠x",
		" =1": " '=1", "Acme;=1+1": "Acme;'=1+1", "Acme; @x;-1": "Acme; '@x;'-1", `Acme;"=1"`: `Acme;"'=1"`, "Acme; Birch - Cedar": "Acme; Birch - Cedar",
	} {
		if got := harmless(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
