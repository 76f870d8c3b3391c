package reports

import (
	"math/big"
	"slices"
	"time"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/disclosure"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/stream"
)

// Cell is one figure of a statement. It is hidden when it would give away a deal.
type Cell struct {
	Amount string `json:"amount,omitempty" example:"1250000.00" doc:"Decimal of the statement's currency; absent when hidden. Only a change can be negative"`
	Deals  *int   `json:"deals,omitempty" doc:"How many deals the amount is made of; absent when hidden"`
	Hidden bool   `json:"hidden,omitempty" doc:"The figure is withheld, because it would give away a deal"`
}

// Statement is one release of an association's year. It never changes, but for names, which are those of today.
type Statement struct {
	Association         Named          `json:"association"`
	Year                int            `json:"year" doc:"The association's year, by the calendar year in which it starts"`
	Release             int            `json:"release" doc:"From 1 in each year"`
	Policy              string         `json:"policy" enum:"open,guarded,strict" doc:"What members had agreed that the board may see"`
	Currency            money.Currency `json:"currency"`
	PublishedAt         time.Time      `json:"published_at"`
	AsOfSequence        uint64         `json:"as_of_sequence" doc:"The last event of the log that was looked at"`
	AsOf                time.Time      `json:"as_of,omitzero" doc:"When that event happened; absent when there was none"`
	LogHash             string         `json:"log_hash" doc:"SHA-256, in hexadecimal, over the SHA-256 of the payload of each event of the log up to as_of_sequence"`
	Cause               stream.Cause   `json:"cause" enum:"scheduled,requested,close,restated"`
	Reason              string         `json:"reason,omitempty" doc:"Why a closed year was restated"`
	Closed              bool           `json:"closed" doc:"Whether the year was closed: 90 days after its end"`
	Total               Cell           `json:"total"`
	AttestedByParties   Cell           `json:"attested_by_parties" doc:"The part of the total for which every party stands"`
	AttestedByRegistrar Cell           `json:"attested_by_registrar" doc:"The part of the total for which a registrar stands, on documents"`
	PreviousYear        *PreviousYear  `json:"previous_year,omitempty" doc:"The latest release of the year before, when this one was made; absent when there was none"`
	GrowthPercent       string         `json:"growth_percent,omitempty" example:"12.5" doc:"The total against that of the year before; absent while the year is not over"`
	Months              []MonthCell    `json:"months" doc:"All twelve, or none when they are left out"`
	Chapters            []ChapterCell  `json:"chapters" doc:"By falling amount, hidden ones last"`
	Pairs               []PairCell     `json:"pairs" doc:"By falling amount, hidden ones last"`
	RestOfPairs         *RestOfPairs   `json:"rest_of_pairs,omitempty" doc:"What limit left out of the pairs; absent without limit, and unless the policy is open"`
	OtherPairs          Cell           `json:"other_pairs" doc:"What the total holds beside all pairs, those left out too"`
	Members             *Members       `json:"members,omitempty" doc:"Absent under strict disclosure"`
	Coverage            CoverageCounts `json:"coverage"`
	Changes             *Changes       `json:"changes,omitempty" doc:"Absent in a year's first release"`
	LeftOut             []string       `json:"left_out" doc:"Divisions of the total that this release does without, because too much would have had to be hidden or to wait"`
	Definitions         []Definition   `json:"definitions"`
}

// PreviousYear is what a statement shows of the year before.
type PreviousYear struct {
	Year    int         `json:"year"`
	Release int         `json:"release"`
	Total   Cell        `json:"total"`
	Months  []MonthCell `json:"months"`
}

// MonthCell is the figure of a calendar month.
type MonthCell struct {
	Month string `json:"month" example:"2026-03" doc:"Calendar month of won_on"`
	Cell
}

// ChapterCell is the figure of a chapter.
type ChapterCell struct {
	Chapter Named `json:"chapter"`
	Cell
}

// PairCell is the figure of two companies.
type PairCell struct {
	Companies []Named `json:"companies" minItems:"2" maxItems:"2"`
	Cell
}

// RestOfPairs is what the pairs add up to that a limit left out.
type RestOfPairs struct {
	Items  int    `json:"items" doc:"How many were left out, the smallest"`
	Amount string `json:"amount" example:"1250000.00"`
	Deals  int    `json:"deals" doc:"How many they have together: a deal of more than two members counts in each of its pairs"`
}

// limitPairs gives the largest pairs, as many as the limit says, and the rest as one sum; all for 0. What a board may see of
// pairs is not divided otherwise than the release does it, unless it sees everything.
func limitPairs(r published, limit int) ([]disclosure.PairCell, *RestOfPairs) {
	pairs := r.pairs
	if limit == 0 || r.figures.Policy() != disclosure.Open {
		return pairs, nil
	}
	shown := min(limit, len(pairs))
	rest, amount := RestOfPairs{Items: len(pairs) - shown}, new(big.Int)
	for _, c := range pairs[shown:] {
		amount.Add(amount, c.Amount())
		rest.Deals += c.Deals()
	}
	rest.Amount = money.Decimal(amount, r.Currency)
	return pairs[:shown], &rest
}

// Members tells how many members won the deals that the release includes.
type Members struct {
	TakingPart int `json:"taking_part" doc:"Companies in the pairs of the deals that are included"`
	Of         int `json:"of" doc:"Members of the association on the day of the release"`
}

// CoverageCounts tell what the figures may lack.
type CoverageCounts struct {
	UnconvertedDeals  *int   `json:"unconverted_deals" nullable:"true" doc:"Deals that wait for an exchange rate and are in no amount; null when hidden"`
	QuarantinedEvents uint64 `json:"quarantined_events" doc:"Events of the whole log up to there that could not be read"`
}

// Changes are what came, went or changed since the release before.
type Changes struct {
	SinceRelease int `json:"since_release"`
	Cell
}

// showCell is the only way from a published figure to one that is shown.
func showCell(c disclosure.Cell, currency money.Currency) Cell {
	if c.Hidden() {
		return Cell{Hidden: true}
	}
	return Cell{Amount: money.Decimal(c.Amount(), currency), Deals: new(c.Deals())}
}

// published is a release as it is shown: figures come from what package disclosure published and from nowhere else.
type published struct {
	release
	figures disclosure.Published
	pairs   []disclosure.PairCell // of figures, by falling amount
}

// statement shows a release beside that of the year before, nil for none, with at most so many pairs, 0 for all. Names are
// those of today.
func (s *Service) statement(a roster.Association, r published, before *published, limit int) Statement {
	p, startsIn := r.figures, time.Month(a.YearStartsIn)
	cell := func(c disclosure.Cell) Cell { return showCell(c, r.Currency) }
	shown := Statement{
		Association: Named{ID: a.ID, Name: a.Name}, Year: r.Year, Release: r.Release, Policy: string(p.Policy()), Currency: r.Currency,
		PublishedAt: r.PublishedAt, AsOfSequence: r.AsOfSequence, AsOf: r.AsOf, LogHash: r.LogHash, Cause: r.Cause, Reason: r.Reason, Closed: r.Closed,
		Total: cell(p.Total()), AttestedByParties: cell(p.ByParties()), AttestedByRegistrar: cell(p.ByRegistrar()),
		Months: monthCells(p, r.Year, startsIn, r.Currency), Chapters: []ChapterCell{}, Pairs: []PairCell{}, OtherPairs: cell(p.OtherPairs()),
		Members: r.Members, Coverage: CoverageCounts{QuarantinedEvents: r.Quarantined},
		LeftOut: []string{}, Definitions: definitions,
	}
	for _, c := range byAmount(p.Chapters(), func(c disclosure.ChapterCell) disclosure.Cell { return c.Cell }) {
		shown.Chapters = append(shown.Chapters, ChapterCell{Chapter: s.chapter(c.Chapter), Cell: cell(c.Cell)})
	}
	pairs, rest := limitPairs(r, limit)
	shown.RestOfPairs = rest
	for _, c := range pairs {
		shown.Pairs = append(shown.Pairs, PairCell{Companies: []Named{s.company(c.A), s.company(c.B)}, Cell: cell(c.Cell)})
	}
	if n, known := p.Unconverted(); known {
		shown.Coverage.UnconvertedDeals = &n
	}
	if change, there := p.Change(); there {
		shown.Changes = &Changes{SinceRelease: r.Release - 1, Cell: cell(change)}
	}
	for _, dimension := range p.LeftOut() {
		shown.LeftOut = append(shown.LeftOut, string(dimension))
	}
	if before != nil {
		shown.PreviousYear = &PreviousYear{
			Year: before.Year, Release: before.Release, Total: showCell(before.figures.Total(), before.Currency),
			Months: monthCells(before.figures, before.Year, startsIn, before.Currency),
		}
		if _, last := calendar.Bounds(r.Year, startsIn); a.Today(r.PublishedAt) > last {
			shown.GrowthPercent = growth(before.figures.Total(), p.Total())
		}
	}
	return shown
}

// monthCells gives all twelve months, those without a deal too, or none when the months are left out.
func monthCells(p disclosure.Published, year int, startsIn time.Month, currency money.Currency) []MonthCell {
	cells := []MonthCell{}
	if slices.Contains(p.LeftOut(), disclosure.Months) || p.Policy() == disclosure.Strict {
		return cells
	}
	found := map[calendar.Date]disclosure.Cell{}
	for _, m := range p.Months() {
		found[m.Month] = m.Cell
	}
	for i := range 12 {
		month := calendar.New(year, startsIn+time.Month(i), 1)
		shown := Cell{Amount: money.Decimal(new(big.Int), currency), Deals: new(0)}
		if c, there := found[month]; there {
			shown = showCell(c, currency)
		}
		cells = append(cells, MonthCell{Month: monthName(month), Cell: shown})
	}
	return cells
}

// byAmount sorts by falling amount. Hidden ones keep their order behind those that are shown.
func byAmount[T any](list []T, cell func(T) disclosure.Cell) []T {
	slices.SortStableFunc(list, func(x, y T) int {
		a, b := cell(x), cell(y)
		switch {
		case a.Hidden() && b.Hidden():
			return 0
		case a.Hidden():
			return 1
		case b.Hidden():
			return -1
		}
		return b.Amount().Cmp(a.Amount())
	})
	return list
}

// growth is by how much the total rose, in percent with one decimal; nothing when either is hidden or there was none.
func growth(from, to disclosure.Cell) string {
	if from.Hidden() || to.Hidden() || from.Amount().Sign() <= 0 {
		return ""
	}
	percent := new(big.Rat).SetFrac(new(big.Int).Sub(to.Amount(), from.Amount()), from.Amount())
	return percent.Mul(percent, big.NewRat(100, 1)).FloatString(1)
}

func monthName(month calendar.Date) string { return month.String()[:len("2026-03")] }

func (s *Service) chapter(id deal.ID) Named {
	chapter, _ := s.cfg.Roster.Chapter(id)
	if id.IsZero() {
		chapter.Name = "(no chapter)"
	}
	return Named{ID: id, Name: chapter.Name}
}
