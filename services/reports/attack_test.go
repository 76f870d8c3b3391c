package reports_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/disclosure"
	"github.com/dealreg/dealreg/pkg/disclosuretest"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
	"github.com/dealreg/dealreg/services/reports"
)

// stage plays a world on a real log, directory and warehouse. The log has two events for each one of the world: before
// what the deal becomes, whoever else was told of it is asked to take part. What groups there are, the directory alone knows.
type stage struct {
	*system
	rnd    *rand.Rand
	world  *disclosuretest.World
	played uint64 // sequence of the world
}

func onStage(t *testing.T, rnd *rand.Rand, w *disclosuretest.World) *stage {
	t.Helper()
	s := &stage{system: newSystem(t, warehousetest.New(t)), rnd: rnd, world: w}
	s.clock.set(time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)) // both years have begun, and neither is closed
	for company := range w.Companies {
		c := roster.Company{ID: disclosuretest.ID(disclosuretest.Company, company), GroupID: disclosuretest.ID(disclosuretest.Company, w.GroupOf[company])}
		revision, err := s.directory.PutCompany(t.Context(), c)
		s.seen(roster.Companies, revision, err)
	}
	s.associate(0)
	for _, y := range w.Years {
		for _, p := range y.Waived {
			for _, waiver := range []roster.Waiver{{CompanyID: p.A, PartnerID: p.B}, {CompanyID: p.B, PartnerID: p.A}} {
				waiver.AssociationID = y.Association
				given, err := s.directory.GiveWaiver(t.Context(), waiver)
				s.seen(roster.Waivers, given.Revision, err)
			}
		}
	}
	return s
}

func (s *stage) seen(b roster.Bucket, revision uint64, err error) {
	s.t.Helper()
	if err == nil {
		err = s.roster.WaitFor(s.t.Context(), b, revision)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// associate gives each association the policy that its latest year has once the log holds the sequence of the world. What
// is decided in the first year holds as roster says.
func (s *stage) associate(at uint64) {
	s.t.Helper()
	for i, y := range s.world.Years {
		if slices.ContainsFunc(s.world.Years[i+1:], func(later disclosuretest.Year) bool { return later.Association == y.Association }) {
			continue
		}
		policy, openUntil := y.At(at)
		before, known := s.roster.Association(y.Association)
		a := before
		a.ID, a.TimeZone, a.YearStartsIn, a.ReportingCurrency, a.Disclosure = y.Association, "UTC", 1, currencyOf(y), roster.Disclosure(policy)
		if known {
			a = a.Succeeding(before, calendar.New(2026, 6, 30), true)
		}
		if ended := len(a.Openings) - 1; ended == len(before.Openings) {
			a.Openings[ended].Until = 2 * openUntil
		}
		revision, err := s.directory.PutAssociation(s.t.Context(), a)
		s.seen(roster.Associations, revision, err)
	}
}

func currencyOf(y disclosuretest.Year) money.Currency {
	if y.Foreign {
		return "USD"
	}
	return "EUR"
}

// play lets everything happen up to the sequence of the world.
func (s *stage) play(until uint64) {
	s.t.Helper()
	var batch warehouse.Batch
	for s.played++; s.played <= until; s.played++ {
		for n, d := range s.world.Deals {
			at := slices.IndexFunc(d.Versions, func(v disclosuretest.Version) bool { return v.Sequence == s.played })
			if at < 0 {
				continue
			}
			for i, e := range []*dealregv1.DealEvent{s.event(d, at, true), s.event(d, at, false)} {
				e.DealId, e.Revision = idBytes(s.world.Deals[n].ID), uint64(2*at+i+1)
				payload, err := proto.Marshal(e)
				if err == nil {
					err = batch.Append(2*s.played-1+uint64(i), start, payload)
				}
				if err != nil {
					s.t.Fatal(err)
				}
			}
		}
	}
	s.played = until
	if err := s.warehouse.Insert(s.t.Context(), &batch); err != nil {
		s.t.Fatal(err)
	}
}

// event is what the deal becomes, or the one before it in which others are told.
func (s *stage) event(d disclosuretest.History, at int, told bool) *dealregv1.DealEvent {
	v := d.Versions[at]
	e := &dealregv1.DealEvent{
		Schema: 1, At: timestamppb.New(start), Deal: &dealregv1.Deal{Status: dealregv1.Status_STATUS_WON, RegisteredBy: idBytes(alpha), Terms: &dealregv1.Terms{}},
	}
	companies := v.Companies
	if at > 0 {
		e.Replaces = s.counts(d, d.Versions[at-1])
	}
	switch {
	case !told:
		e.Attributions = s.counts(d, v)
	case at == 0:
		e.Deal.Status = dealregv1.Status_STATUS_PENDING
		companies = slices.Concat(v.Companies, v.Told)
	default: // a correction is open
		companies, e.Attributions = d.Versions[at-1].Companies, e.Replaces
		e.Deal.Correction = &dealregv1.Correction{}
		for _, company := range slices.Concat(companies, v.Told) {
			e.Deal.Standings = append(e.Deal.Standings, &dealregv1.Standing{CompanyId: idBytes(disclosuretest.ID(disclosuretest.Company, company))})
		}
	}
	if v.Void && !told {
		e.Deal.Status = dealregv1.Status_STATUS_VOID
	}
	for _, company := range companies {
		e.Deal.Terms.Parties = append(e.Deal.Terms.Parties, &dealregv1.Party{CompanyId: idBytes(disclosuretest.ID(disclosuretest.Company, company))})
	}
	return e
}

func (s *stage) counts(d disclosuretest.History, v disclosuretest.Version) (all []*dealregv1.Attribution) {
	for _, y := range s.world.Years {
		state := s.world.State(y, d, v)
		if !state.Counts() && !state.Unconverted {
			continue
		}
		a := &dealregv1.Attribution{
			AssociationId: idBytes(y.Association), Year: int32(y.Year), Month: int32(v.Month), Currency: string(currencyOf(y)),
			AmountMinor: state.AmountMinor(), Evidence: dealregv1.Evidence_EVIDENCE_REGISTRAR,
		}
		if state.Unconverted {
			a.Withheld = dealregv1.Withheld_WITHHELD_UNCONVERTED
		}
		if v.ByParties {
			a.Evidence = dealregv1.Evidence_EVIDENCE_PARTIES
		}
		for _, c := range state.Chapters {
			a.Chapters = append(a.Chapters, &dealregv1.ChapterAmount{ChapterId: idBytes(c.Chapter), AmountMinor: c.AmountMinor})
		}
		for _, p := range state.Pairs {
			a.Pairs = append(a.Pairs, &dealregv1.PairAmount{CompanyA: idBytes(p.A), CompanyB: idBytes(p.B), AmountMinor: p.AmountMinor})
		}
		all = append(all, a)
	}
	return all
}

// publish makes the next release of the year and gives what its JSON tells.
func (s *stage) publish(i int) disclosuretest.Statement {
	s.t.Helper()
	y := s.world.Years[i]
	answer := s.ask("operator", http.MethodPost, statementsPath(y.Association, ""), fmt.Sprintf(`{"year":%d}`, y.Year),
		"Idempotency-Key", fmt.Sprint(i, " ", s.played))
	if answer.Code != http.StatusCreated {
		s.t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	path := statementsPath(y.Association, fmt.Sprintf("/%d/latest", y.Year))
	shown := read[reports.Statement](s.system, "operator", path)
	from := map[deal.ID]uint64{}
	for _, e := range slices.Backward(read[reports.HeldBack](s.system, "operator", path+"/held-back").Events) {
		from[e.DealID] = e.Sequence
	}
	told := disclosuretest.Statement{Year: i, Figures: map[disclosuretest.Figure]int64{}}
	for _, d := range s.world.Deals {
		at := len(d.Versions) - 1
		for at >= 0 && (2*d.Versions[at].Sequence > shown.AsOfSequence || from[d.ID] > 0 && 2*d.Versions[at].Sequence >= from[d.ID]) {
			at--
		}
		told.Included = append(told.Included, at)
	}
	take := func(f disclosuretest.Figure, c reports.Cell) {
		if c.Hidden {
			return
		}
		minor, err := strconv.ParseInt(strings.ReplaceAll(c.Amount, ".", ""), 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		told.Figures[f] = minor
	}
	take(disclosuretest.Total, shown.Total)
	take(disclosuretest.CoverageFigure(true), shown.AttestedByParties)
	take(disclosuretest.CoverageFigure(false), shown.AttestedByRegistrar)
	for _, c := range shown.Months {
		month, err := calendar.ParseDate(c.Month + "-01")
		if err != nil {
			s.t.Fatal(err)
		}
		take(disclosuretest.MonthFigure(month), c.Cell)
	}
	for _, c := range shown.Chapters {
		take(disclosuretest.ChapterFigure(c.Chapter.ID), c.Cell)
	}
	for _, c := range shown.Pairs {
		take(disclosuretest.PairFigure(disclosure.NewPair(c.Companies[0].ID, c.Companies[1].ID)), c.Cell)
	}
	return told
}

// perform publishes all years of the world in turns while it happens.
func (s *stage) perform() (statements []disclosuretest.Statement) {
	s.t.Helper()
	for s.played < s.world.Last {
		s.play(min(s.played+3+s.rnd.Uint64N(s.world.Last/2), s.world.Last))
		s.associate(s.played)
		for _, i := range s.rnd.Perm(len(s.world.Years)) {
			if !s.world.Years[i].Silent {
				statements = append(statements, s.publish(i))
			}
		}
	}
	return statements
}

// watched is the world with the years open that its boards see live in the end.
func (s *stage) watched() *disclosuretest.World {
	s.t.Helper()
	w := *s.world
	w.Years = slices.Clone(w.Years)
	for i, y := range w.Years {
		answer := s.get(fmt.Sprint("board of world ", y.Association[15]), fmt.Sprintf("/v1/associations/%s/volume?year=%d&by=pair", y.Association, y.Year))
		switch {
		case answer.Code == http.StatusOK:
			w.Years[i].Policy = disclosure.Open
		case answer.Code != http.StatusNotFound || y.Policy == disclosure.Open:
			s.t.Fatalf("year %d of %d, %s: %d %s", y.Year, y.Association[15], y.Policy, answer.Code, answer.Body)
		}
	}
	return &w
}

// The rule is nothing without what it is told: which deals, groups, releases, years and associations there are.
func TestStatements_LeaveNobodyAbleToWorkOutADeal(t *testing.T) {
	t.Parallel()
	seeds := [][]uint64{{15}, {0, 1}, {1, 7}, {1, 4}, {0, 11}, {10}, {4}} // in each something leaks without what the twist is about
	for i, twist := range disclosuretest.Twists {
		t.Run(twist.Name, func(t *testing.T) {
			t.Parallel()
			for _, seed := range seeds[i] {
				rnd := rand.New(rand.NewPCG(seed, 0))
				w := disclosuretest.Draw(rnd, 2)
				twist.Do(rnd, w)
				s := onStage(t, rnd, w)
				statements := s.perform()
				if found := disclosuretest.NewAttacker(t, s.watched(), statements).Attack(); len(found) > 0 {
					t.Errorf("seed %d: worked out %v", seed, found)
				}
			}
		})
	}
}
