package roster

import (
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

// ShowsMoreThan tells whether a board sees more under this policy than under the other.
func (d Disclosure) ShowsMoreThan(other Disclosure) bool {
	detail := map[Disclosure]int{DisclosureStrict: 1, DisclosureGuarded: 2, DisclosureOpen: 3}
	return detail[d] > detail[other]
}

// Association is a body whose members win customers together.
type Association struct {
	ID                deal.ID        `json:"id"`
	Name              string         `json:"name"`               // 1-200 characters
	TimeZone          string         `json:"time_zone"`          // IANA name; decides what "today" is
	YearStartsIn      int            `json:"year_starts_in"`     // month 1-12
	ReportingCurrency money.Currency `json:"reporting_currency"` // ISO 4217
	Disclosure        Disclosure     `json:"disclosure"`
	OpenUntil         uint64         `json:"open_until_sequence,omitempty"` // of the log, when its board last ceased to see everything; 0: it never did
	CreatedAt         time.Time      `json:"created_at"`

	Revision uint64 `json:"-"`
	zone     *time.Location
}

// Clean is the association as it is stored; without a policy it is guarded.
func (a Association) Clean() Association {
	a.Name = CleanName(a.Name)
	a.TimeZone = strings.TrimSpace(a.TimeZone)
	if a.Disclosure == "" {
		a.Disclosure = DisclosureGuarded
	}
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
