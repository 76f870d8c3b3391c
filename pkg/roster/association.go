package roster

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
)

// Disclosure is what an association's board may see.
type Disclosure string

// The policies: everything live, releases by total, chapter and month, or releases of the total only.
const (
	DisclosureOpen    Disclosure = "open"
	DisclosureGuarded Disclosure = "guarded"
	DisclosureStrict  Disclosure = "strict"
)

func (d Disclosure) showsMoreThan(other Disclosure) bool {
	detail := map[Disclosure]int{DisclosureStrict: 1, DisclosureGuarded: 2, DisclosureOpen: 3}
	return detail[d] > detail[other]
}

// ReleaseSchedule is how often a release of an association's year is made by itself.
type ReleaseSchedule string

// The schedules, each counted from the first month of the association's year. The more deals a release adds, the less of
// them it has to hide: few deals a year are shown better by few releases.
const (
	ReleasesMonthly   ReleaseSchedule = "monthly"
	ReleasesQuarterly ReleaseSchedule = "quarterly"
	ReleasesYearly    ReleaseSchedule = "yearly"
)

// Months is from how many months a release of the schedule is made, 0 for one that does not exist.
func (s ReleaseSchedule) Months() int {
	return map[ReleaseSchedule]int{ReleasesMonthly: 1, ReleasesQuarterly: 3, ReleasesYearly: 12}[s]
}

// Association is a body whose members win customers together.
type Association struct {
	ID                deal.ID         `json:"id"`
	Name              string          `json:"name"`                        // 1-200 characters
	TimeZone          string          `json:"time_zone"`                   // IANA name; decides what "today" is
	YearStartsIn      int             `json:"year_starts_in"`              // month 1-12
	ReportingCurrency money.Currency  `json:"reporting_currency"`          // ISO 4217
	Disclosure        Disclosure      `json:"disclosure"`                  // what was decided last; DisclosureOf gives that of a year
	OpenFrom          int             `json:"open_from_year,omitempty"`    // under DisclosureOpen: the first of its years that is open; 0: all are
	Before            Disclosure      `json:"disclosure_before,omitempty"` // that of the years before OpenFrom
	Openings          []Opening       `json:"openings,omitempty"`          // that ended
	Releases          ReleaseSchedule `json:"release_schedule"`
	CreatedAt         time.Time       `json:"created_at"`

	Revision uint64 `json:"-"`
	zone     *time.Location
}

// Opening is a time in which an association's board saw everything of some years, live.
type Opening struct {
	From  int    `json:"from_year"`      // the first of these years; 0: all
	Until uint64 `json:"until_sequence"` // of the log, when it ended
}

// daysAhead is by how many days a deal's won_on may be later than the day that it is for an association: as far as time
// zones are apart.
const daysAhead = 2

// Succeeding is the association, in which a policy was written, as it follows on the one before. What members registered
// under a promise stays under it: where something was promised, only years become open that begin later, in which no
// deal can have been won yet; those that have begun keep the policy that they had. An opening that ends is kept, without
// its end.
func (a Association) Succeeding(before Association, today calendar.Date, promised bool) Association {
	switch was, is := before.Disclosure == DisclosureOpen, a.Disclosure == DisclosureOpen; {
	case is && !was && promised:
		a.OpenFrom, a.Before = a.YearOf(today.AddDays(daysAhead))+1, before.Disclosure
	case was && !is:
		a.Openings = append(slices.Clip(a.Openings), Opening{From: a.OpenFrom})
		a.OpenFrom, a.Before = 0, ""
	}
	return a
}

// DisclosureOf is what the board may see of one of the association's years.
func (a Association) DisclosureOf(year int) Disclosure {
	if year < a.OpenFrom {
		return a.Before
	}
	return a.Disclosure
}

// OpenUntil is the event of the log up to which the board once saw everything of a year, live; 0: it never did.
func (a Association) OpenUntil(year int) (sequence uint64) {
	for _, o := range a.Openings {
		if year >= o.From {
			sequence = max(sequence, o.Until)
		}
	}
	return sequence
}

// ShowsMoreThan tells whether the board sees more of the first or the last of all years than it did before.
func (a Association) ShowsMoreThan(before Association) bool {
	return slices.ContainsFunc([]int{0, math.MaxInt}, func(year int) bool {
		return a.DisclosureOf(year).showsMoreThan(before.DisclosureOf(year))
	})
}

// Clean is the association as it is stored; without a policy it is guarded, without a schedule its releases are monthly.
func (a Association) Clean() Association {
	a.Name = CleanName(a.Name)
	a.TimeZone = strings.TrimSpace(a.TimeZone)
	if a.Disclosure == "" {
		a.Disclosure = DisclosureGuarded
	}
	a.Releases = a.Schedule()
	a.zone = nil
	return a
}

// Validate names every fault of a cleaned association with its field and the remedy.
func (a Association) Validate() deal.Invalid {
	var faults deal.Invalid
	checkName(&faults, "/name", a.Name, 200)
	if _, err := loadZone(a.TimeZone); err != nil {
		faults.Add("/time_zone", "not a time zone: write its IANA name, such as Europe/Berlin")
	}
	if a.YearStartsIn < 1 || a.YearStartsIn > 12 {
		faults.Add("/year_starts_in", "not a month: write 1 for January up to 12 for December")
	}
	if !a.ReportingCurrency.Known() {
		faults.Add("/reporting_currency", "not the code of an active currency: write its ISO 4217 code in capitals, such as EUR")
	}
	switch a.Disclosure {
	case DisclosureOpen, DisclosureGuarded, DisclosureStrict:
	default:
		faults.Add("/disclosure", "not a policy: write open, guarded or strict")
	}
	if a.Releases.Months() == 0 {
		faults.Add("/release_schedule", "not a schedule: write monthly, quarterly or yearly")
	}
	return faults
}

// SameYears tells whether both count in the same years and the same money; this is fixed after the first won deal.
func (a Association) SameYears(b Association) bool {
	return a.TimeZone == b.TimeZone && a.YearStartsIn == b.YearStartsIn && a.ReportingCurrency == b.ReportingCurrency
}

// Location is the association's time zone; UTC when it is not valid.
func (a Association) Location() *time.Location {
	if a.zone != nil {
		return a.zone
	}
	zone, err := loadZone(a.TimeZone)
	if err != nil {
		return time.UTC
	}
	return zone
}

// Schedule is how often releases are made by themselves: monthly where nothing was said.
func (a Association) Schedule() ReleaseSchedule { return cmp.Or(a.Releases, ReleasesMonthly) }

// ScheduledOn is the latest day, the given one included, on which a release is made by itself: the first of a month.
func (a Association) ScheduledOn(day calendar.Date) calendar.Date {
	every := max(1, a.Schedule().Months()) // monthly on a schedule that only a newer release knows
	first := day.FirstOfMonth()
	for (int(first.Time().Month())-a.YearStartsIn+12)%every != 0 {
		first = first.AddDays(-1).FirstOfMonth()
	}
	return first
}

// Today is the day that it is for the association at an instant.
func (a Association) Today(at time.Time) calendar.Date { return calendar.DateOf(at, a.Location()) }

// YearOf is the association's year in which a day lies.
func (a Association) YearOf(day calendar.Date) int {
	return calendar.YearOf(day, time.Month(a.YearStartsIn))
}

// loadZone refuses what time.LoadLocation takes beyond the names of zones.
func loadZone(name string) (*time.Location, error) {
	switch {
	case name == "", name == "Local", name == "Factory",
		strings.HasPrefix(name, "posix/"), strings.HasPrefix(name, "right/"):
		return nil, errNotZone
	}
	return time.LoadLocation(name)
}

func itoa(n int) string { return strconv.Itoa(n) }
