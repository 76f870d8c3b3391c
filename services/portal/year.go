package portal

import (
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/services/portal/api"
)

// Year is an association's year as the pages show it, made of live volume or of a release.
type Year struct {
	Association api.Association
	Year        int
	Zone        *time.Location
	Currency    string
	Today       calendar.Date // up to which the figures are

	Live      bool
	Release   int    // 0: live
	Policy    string // of the release, as the API names it; empty: live
	Published time.Time
	Closed    bool
	Cause     string
	Reason    string
	AsOf      time.Time
	Sequence  uint64
	LogHash   string
	LeftOut   []string // dimensions without which the release is complete
	Releases  []api.Release

	Total     api.Cell
	Previous  *api.Cell // the whole year before; nil where none is known
	Attested  *api.Cell // the part for which all parties stand
	Months    []Month
	Chapters  []Row
	Pairs     []Pair
	Rest      *api.Cell // pairs that are not shown one by one
	RestPairs int       // how many they are; 0 where it is not known
	Members   *Members
	Changes   *Changes
	Missing   *int64 // won deals without an exchange rate; nil when hidden
	Unread    int64  // quarantined events
}

// Month is a month beside that of the year before.
type Month struct {
	Month  string // 2026-03
	Cell   api.Cell
	Before *api.Cell
}

// Row is a chapter or a member.
type Row struct {
	api.Named
	Cell   api.Cell
	Before *api.Cell
}

// Pair is what two members won together.
type Pair struct {
	A, B api.Named
	Cell api.Cell
}

// Members says how many took part, of how many. TakingPart is nil where it is hidden, Of 0 where it is not known.
type Members struct {
	TakingPart *int
	Of         int
}

// Changes are since an earlier release.
type Changes struct {
	Since int
	Cell  api.Cell
}

// yearName is how people write a year that starts in a month: 2026, or 2026/27.
func yearName(year, startsIn int) string {
	if startsIn <= 1 {
		return strconv.Itoa(year)
	}
	return strconv.Itoa(year) + "/" + strconv.Itoa(year + 1)[2:]
}

// Name is the year as people write it.
func (y *Year) Name() string { return yearName(y.Year, y.Association.YearStartsIn) }

// NameBefore is the year before as people write it.
func (y *Year) NameBefore() string { return yearName(y.Year-1, y.Association.YearStartsIn) }

// Bounds are the first and the last day.
func (y *Year) Bounds() (from, to calendar.Date) {
	return calendar.Bounds(y.Year, time.Month(max(1, y.Association.YearStartsIn)))
}

// Running tells whether the year had not ended when the figures were made.
func (y *Year) Running() bool {
	_, to := y.Bounds()
	return y.Today <= to
}

// LargeAmounts tells whether an amount and the one of the year before are too wide to stand side by side on a phone.
func (y *Year) LargeAmounts() bool {
	longest := len(y.Total.Amount)
	if y.Previous != nil {
		longest = max(longest, len(y.Previous.Amount))
	}
	return longest > len("1234567.89")
}

// ShortHash is the beginning of the log's hash, enough to compare by eye.
func (y *Year) ShortHash() string { return y.LogHash[:min(12, len(y.LogHash))] }

// Growth compares with the year before: whole years, or while the year runs the months that have ended.
type Growth struct {
	Change      *big.Rat
	Now, Before string // amounts
	// From and Through are the first and the last month that are compared, as 2026-03; empty for whole years.
	From, Through string
}

// Growth is nil where nothing can be compared: a figure is hidden or there was nothing before.
func (y *Year) Growth() *Growth {
	if !y.Running() {
		if y.Previous == nil || y.Previous.Hidden || y.Total.Hidden {
			return nil
		}
		return growth(y.Total.Amount, y.Previous.Amount, "", "")
	}
	now, before, through := "0", "0", ""
	for _, m := range y.Months {
		if !y.Ended(m.Month) {
			break
		}
		if m.Cell.Hidden || m.Before == nil || m.Before.Hidden {
			return nil
		}
		now, before, through = add(now, m.Cell.Amount), add(before, m.Before.Amount), m.Month
	}
	if through == "" {
		return nil
	}
	return growth(now, before, y.Months[0].Month, through)
}

func growth(now, before, from, through string) *Growth {
	c := change(now, before)
	if c == nil {
		return nil
	}
	return &Growth{Change: c, Now: now, Before: before, From: from, Through: through}
}

// monthStart is the first day of a month that is written as 2026-03.
func monthStart(month string) calendar.Date {
	first, err := calendar.ParseDate(month + "-01")
	if err != nil {
		return 0
	}
	return first
}

func monthEnd(month string) calendar.Date {
	t := monthStart(month).Time()
	return calendar.New(t.Year(), t.Month()+1, 1).AddDays(-1)
}

// AttestedShare is the part of the total for which all parties stand; nil where it cannot be told.
func (y *Year) AttestedShare() *big.Rat {
	if y.Attested == nil || y.Attested.Hidden || y.Total.Hidden {
		return nil
	}
	return ratio(y.Attested.Amount, y.Total.Amount)
}

// The policies that the pages tell apart.
const (
	policyOpen   = "open"
	policyStrict = "strict"
)

// Withholds tells whether figures may be hidden here and deals may wait for a later release. It says nothing of whether
// any do.
func (y *Year) Withholds() bool { return !y.Live && y.Policy != policyOpen }

// ShowPairs tells whether the pairs that won something are shown, or some of them.
func (y *Year) ShowPairs() bool { return !y.Withholds() || len(y.Pairs) > 0 }

// WhyNoPairs is the message that says why no pair is shown; empty where it is said already that they are left out.
func (y *Year) WhyNoPairs() string {
	switch {
	case slices.Contains(y.LeftOut, "pairs"):
		return ""
	case y.Policy == policyStrict:
		return "pairs.strict"
	}
	return "pairs.notshown"
}

// ReadAndConverted tells whether it is known that every event of the log was read and no won deal waits for a rate. Deals
// may still be missing: those that a release holds back, and duplicates.
func (y *Year) ReadAndConverted() bool { return y.Unread == 0 && y.Missing != nil && *y.Missing == 0 }

// Unconverted counts the won deals without an exchange rate; 0 also where that is hidden.
func (y *Year) Unconverted() int64 {
	if y.Missing == nil {
		return 0
	}
	return *y.Missing
}

// MonthsBefore tells whether the months of the year before are known.
func (y *Year) MonthsBefore() bool {
	return slices.ContainsFunc(y.Months, func(m Month) bool { return m.Before != nil })
}

// ChaptersBefore tells whether the chapters of the year before are known.
func (y *Year) ChaptersBefore() bool {
	return slices.ContainsFunc(y.Chapters, func(r Row) bool { return r.Before != nil })
}

// Begun tells whether a month had begun when the figures were made: before, it is no month without deals.
func (y *Year) Begun(month string) bool { return monthStart(month) <= y.Today }

// Ended tells whether a month had ended when the figures were made: only then it compares with the one before.
func (y *Year) Ended(month string) bool { return monthEnd(month) < y.Today }

// byAmount sorts the largest first and what is hidden last.
func byAmount(a, b api.Cell) int {
	switch {
	case a.Hidden != b.Hidden:
		if a.Hidden {
			return 1
		}
		return -1
	case a.Hidden:
		return 0
	}
	return compare(b.Amount, a.Amount)
}

// largest gives the first rows and what the others add up to; nil where there are none, hidden where one of them is.
func largest[T any](rows []T, most int, cell func(T) api.Cell) (first []T, rest *api.Cell) {
	if len(rows) <= most {
		return rows, nil
	}
	for _, row := range rows[most:] {
		rest = sumOf(rest, cell(row))
	}
	return rows[:most], rest
}

// sumOf adds a cell to a sum, which is nil before the first. It is hidden where one of them is.
func sumOf(sum *api.Cell, c api.Cell) *api.Cell {
	switch {
	case sum == nil:
		return &c
	case sum.Hidden || c.Hidden:
		return &api.Cell{Hidden: true}
	}
	return &api.Cell{Amount: add(sum.Amount, c.Amount), Deals: sum.Deals + c.Deals}
}

// membersOf lists who is in a pair, each with what its pairs add up to; that is an order, not a figure to show.
func membersOf(pairs []Pair) []Row {
	var rows []Row
	place := map[string]int{}
	for _, p := range pairs {
		if p.Cell.Hidden {
			continue
		}
		for _, n := range []api.Named{p.A, p.B} {
			i, seen := place[n.ID.String()]
			if !seen {
				i = len(rows)
				place[n.ID.String()] = i
				rows = append(rows, Row{Named: n, Cell: api.Cell{Amount: "0"}})
			}
			rows[i].Cell.Amount = add(rows[i].Cell.Amount, p.Cell.Amount)
			rows[i].Cell.Deals += p.Cell.Deals
		}
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return byAmount(a.Cell, b.Cell) })
	return rows
}
