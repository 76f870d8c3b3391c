package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/dealreg/dealreg/pkg/audit"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// fold audits a log that lies in memory.
func fold(log []byte) (*audit.Ledger, error) {
	return audit.Fold(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(log)), nil })
}

func mustFold(t *testing.T, log []byte) *audit.Ledger {
	t.Helper()
	ledger, err := fold(log)
	if err != nil {
		t.Fatal(err)
	}
	return ledger
}

func TestFold_CountsASoundLogWithoutFindings(t *testing.T) {
	t.Parallel()
	ledger := mustFold(t, soundLog(t))
	for _, f := range ledger.Findings {
		t.Error(f)
	}
	if ledger.Events != 15 || ledger.Deals != 7 || ledger.Won != 6 || ledger.LastSequence != 15 || ledger.FindingCount != 0 {
		t.Errorf("%d events, %d deals, %d won, up to %d", ledger.Events, ledger.Deals, ledger.Won, ledger.LastSequence)
	}
	if c := ledger.Currency(associationY); c != "JPY" {
		t.Errorf("Y reports in %q", c)
	}
	for _, c := range []struct {
		association audit.ID
		year        int
		by          audit.By
		want        []string
	}{
		{associationX, 2024, audit.ByTotal, nil},
		{associationX, 2025, audit.ByTotal, []string{"1000 0 1 0"}},
		{associationX, 2025, audit.ByPair, []string{"A-B 1000 0 1 0"}},
		{associationX, 2026, audit.ByTotal, []string{"103075 103075 3 1"}},
		{associationX, 2026, audit.ByChapter, []string{"1 71642 71642 3 0", "2 31433 31433 3 0"}},
		{associationX, 2026, audit.ByPair, []string{"A-B 50262 50262 3 0", "A-C 30808 30808 1 0", "B-C 22005 22005 1 0"}},
		{associationX, 2026, audit.ByMonth, []string{"20513 103075 103075 3 0", "20666 0 0 0 1"}},
		{associationY, 2025, audit.ByTotal, []string{"129620 129620 1 0"}},
		{associationY, 2026, audit.ByChapter, []string{"Y 5000 5000 1 0"}},
		{audit.ID{}, 2025, audit.ByTotal, []string{"1000 0 1 0"}},
		{audit.ID{}, 2026, audit.ByTotal, []string{"103075 103075 3 1"}},
		{audit.ID{}, 2026, audit.ByMonth, []string{"20513 103075 103075 3 0", "20666 0 0 0 1"}},
		{audit.ID{}, 2026, audit.ByPair, nil},
	} {
		items := ledger.Items(c.association, c.year, c.by)
		var got []string
		for item, s := range items {
			got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %d %d", name(item), s.Amount, s.AttestedByParties, s.Deals, s.Unconverted)))
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s in %d by %s: %q; want %q", c.association, c.year, c.by, got, c.want)
		}
	}
}

func name(i audit.Item) string {
	names := map[audit.ID]string{companyA: "A", companyB: "B", companyC: "C", chapter1: "1", chapter2: "2", chapterY: "Y"}
	switch {
	case i.A != audit.ID{}:
		return names[i.A] + "-" + names[i.B]
	case i.Month != 0:
		return fmt.Sprint(i.Month)
	}
	return names[i.Chapter]
}

// Each case breaks one thing in the sound log. Where the change is made before the chain of hashes, the rest of the
// log is consistent with it, as a faulty registry would write it.
func TestFold_NamesExactlyWhatIsBroken(t *testing.T) {
	t.Parallel()
	firstOf := func(e *event) *attribution { return e.Attributions[0] }
	for name, c := range map[string]struct {
		at     int                                                           // the event that is broken
		event  func(e *event)                                                // before the chain
		stored func(all []*dealregv1.LogEntry, at int) []*dealregv1.LogEntry // behind it
		want   audit.Check
		found  int // the sequence that the finding names, when it is not that of the event
	}{
		"a hole": {at: lastOfSix, want: audit.CheckSequence, found: lastOfSix + 2, stored: func(all []*dealregv1.LogEntry, at int) []*dealregv1.LogEntry {
			return slices.Delete(all, at, at+1)
		}},
		"a sequence twice": {at: lastOfAll, want: audit.CheckSequence, found: lastOfAll, stored: func(all []*dealregv1.LogEntry, at int) []*dealregv1.LogEntry {
			all[at].Sequence = uint64(at)
			return all
		}},
		"a flipped byte": {at: 1, want: audit.CheckPreviousHash, found: wonTwo + 1, stored: func(all []*dealregv1.LogEntry, at int) []*dealregv1.LogEntry {
			all[at].Payload = bytes.Replace(all[at].GetPayload(), []byte("Payroll"), []byte("Payrolm"), 1)
			return all
		}},
		"bytes that are no event": {at: lastOfAll, want: audit.CheckPayload, stored: func(all []*dealregv1.LogEntry, at int) []*dealregv1.LogEntry {
			all[at].Payload = []byte{0xff, 0xff, 0xff}
			return all
		}},
		"a swapped subject": {at: 3, want: audit.CheckSubject, stored: func(all []*dealregv1.LogEntry, at int) []*dealregv1.LogEntry {
			all[at].Subject = all[0].GetSubject()
			return all
		}},
		"another shard": {at: 0, want: audit.CheckSubject, stored: func(all []*dealregv1.LogEntry, at int) []*dealregv1.LogEntry {
			all[at].Subject = "deals.64." + deal(1).String()
			return all
		}},
		"no schema":                   {at: lastOfAll, want: audit.CheckPayload, event: func(e *event) { e.Schema = 0 }},
		"a repeated revision":         {at: lastOfAll, want: audit.CheckRevision, event: func(e *event) { e.Revision = 1 }},
		"a skipped revision":          {at: lastOfAll, want: audit.CheckRevision, event: func(e *event) { e.Revision = 3 }},
		"a foreign chain":             {at: 3, want: audit.CheckPreviousHash, event: func(e *event) { e.PreviousHash = []byte("another") }},
		"replaces left out":           {at: lastOfSix, want: audit.CheckReplaces, event: func(e *event) { e.Replaces = nil }},
		"replaces of another amount":  {at: lastOfSix, want: audit.CheckReplaces, event: func(e *event) { e.Replaces[0] = inX(2026, march1, 99) }},
		"replaces of nothing":         {at: wonTwo, want: audit.CheckReplaces, event: func(e *event) { e.Replaces = e.Attributions }},
		"shares beyond the value":     {at: wonTwo, want: audit.CheckTerms, event: func(e *event) { e.Deal.Terms.Parties[0].ShareMinor++ }},
		"a party twice":               {at: 0, want: audit.CheckTerms, event: func(e *event) { e.Deal.Terms.Parties[1].CompanyId = companyA[:] }},
		"no won_on":                   {at: wonTwo, want: audit.CheckWonOn, event: func(e *event) { e.Deal.Terms.WonOn = nil }},
		"a won_on beyond time":        {at: wonTwo, want: audit.CheckWonOn, event: func(e *event) { e.Deal.Terms.WonOn = proto.Int32(1 << 30) }},
		"a lost deal that counts":     {at: lastOfSix, want: audit.CheckStatus, event: func(e *event) { e.Deal.Status = dealregv1.Status_STATUS_LOST }},
		"a party that was silent":     {at: wonTwo, want: audit.CheckAttested, event: func(e *event) { e.Deal.Standings[1].AttestedTerms = 0 }},
		"an older attestation":        {at: lastOfSix, want: audit.CheckAttested, event: func(e *event) { e.Deal.Standings[1].AttestedTerms = 1 }},
		"a registrar without import":  {at: 6, want: audit.CheckAttested, event: func(e *event) { e.Deal.ImportedBy = nil }},
		"an import that counts twice": {at: 6, want: audit.CheckAssociation, event: func(e *event) { e.Deal.ImportedBy = associationY[:] }},
		"an exclusion that counts": {at: wonTwo, want: audit.CheckAssociation, event: func(e *event) {
			e.Deal.Exclusions = []*dealregv1.Exclusion{{AssociationId: associationY[:]}}
		}},
		"an association twice": {at: wonTwo, want: audit.CheckAssociation, event: func(e *event) { e.Attributions[1] = e.Attributions[0] }},
		"another month":        {at: wonTwo, want: audit.CheckMonth, event: func(e *event) { firstOf(e).Month = november1 }},
		"next year":            {at: wonTwo, want: audit.CheckYear, event: func(e *event) { firstOf(e).Year = 2027 }},
		"a year that starts twice": {at: lastOfSix, want: audit.CheckYear, event: func(e *event) { // X named March 2026 as 2026 before
			firstOf(e).Year = 2025
		}},
		"another currency": {at: lastOfSix, want: audit.CheckCurrency, event: func(e *event) { firstOf(e).Currency = "CHF" }},
		"no currency":      {at: lastOfSix, want: audit.CheckCurrency, event: func(e *event) { firstOf(e).Currency = "Euro" }},
		"other evidence": {at: wonTwo, want: audit.CheckEvidence, event: func(e *event) {
			firstOf(e).Evidence = dealregv1.Evidence_EVIDENCE_REGISTRAR
		}},
		"withheld and counted":    {at: lastOfAll, want: audit.CheckWithheld, event: func(e *event) { firstOf(e).AmountMinor = 1 }},
		"withheld without reason": {at: lastOfAll, want: audit.CheckWithheld, event: func(e *event) { firstOf(e).Withheld = 9 }},
		"unconverted in its own currency": {at: lastOfAll, want: audit.CheckWithheld, event: func(e *event) {
			firstOf(e).Withheld = dealregv1.Withheld_WITHHELD_UNCONVERTED
		}},
		"no rate":         {at: wonTwo, want: audit.CheckRate, event: func(e *event) { firstOf(e).Rate = nil }},
		"a needless rate": {at: 2, want: audit.CheckRate, event: func(e *event) { withRate(firstOf(e), "EUR", "1", "1") }},
		"an old rate":     {at: wonTwo, want: audit.CheckRate, event: func(e *event) { firstOf(e).Rate.Date = march15 - 8 }},
		"a rate of a later day": {at: wonTwo, want: audit.CheckRate, event: func(e *event) {
			firstOf(e).Rate.Date = march15 + 1
		}},
		"a rate that explodes":   {at: wonTwo, want: audit.CheckRate, event: func(e *event) { firstOf(e).Rate.FromPerEur = "1e999999999" }},
		"a rate of zero":         {at: wonTwo, want: audit.CheckRate, event: func(e *event) { firstOf(e).Rate.FromPerEur = "0.0" }},
		"a euro that is no euro": {at: wonTwo, want: audit.CheckRate, event: func(e *event) { firstOf(e).Rate.ToPerEur = "1.1" }},
		"another rate":           {at: wonTwo, want: audit.CheckAmount, event: func(e *event) { firstOf(e).Rate.FromPerEur = "1.136" }},
		"a half rounded down": {at: lastOfSix, want: audit.CheckAmount, event: func(e *event) {
			a := firstOf(e)
			a.AmountMinor, a.Pairs[0].AmountMinor, a.Chapters[0].AmountMinor = 50, 50, 24
		}},
		"a wrong pair amount":                     {at: 2, want: audit.CheckPairs, event: func(e *event) { firstOf(e).Pairs[0].AmountMinor++ }},
		"a unit moved between pairs":              {at: wonTwo, want: audit.CheckPairs, event: func(e *event) { firstOf(e).Pairs[0].AmountMinor++; firstOf(e).Pairs[1].AmountMinor-- }},
		"a pair left out":                         {at: wonTwo, want: audit.CheckPairs, event: func(e *event) { firstOf(e).Pairs = firstOf(e).Pairs[:2] }},
		"a pair twice":                            {at: wonTwo, want: audit.CheckPairs, event: func(e *event) { firstOf(e).Pairs[1] = firstOf(e).Pairs[0] }},
		"a pair of one group":                     {at: 2, want: audit.CheckPairs, event: func(e *event) { e.Deal.Terms.Parties[0].GroupId = companyB[:] }},
		"no pair":                                 {at: 2, want: audit.CheckPairs, event: func(e *event) { firstOf(e).Pairs = nil }},
		"a pair with a stranger":                  {at: 2, want: audit.CheckPairs, event: func(e *event) { firstOf(e).Pairs[0].CompanyB = companyC[:] }},
		"a wrong chapter sum":                     {at: wonTwo, want: audit.CheckChapters, event: func(e *event) { firstOf(e).Chapters[0].AmountMinor++ }},
		"a unit moved between chapters":           {at: wonTwo, want: audit.CheckChapters, event: func(e *event) { firstOf(e).Chapters[0].AmountMinor++; firstOf(e).Chapters[1].AmountMinor-- }},
		"a chapter twice":                         {at: wonTwo, want: audit.CheckChapters, event: func(e *event) { firstOf(e).Chapters[1].ChapterId = chapter1[:] }},
		"unduplicated left out":                   {at: wonTwo, want: audit.CheckUnduplicated, event: func(e *event) { e.Unduplicated = nil }},
		"unduplicated in an association":          {at: wonTwo, want: audit.CheckUnduplicated, event: func(e *event) { e.Unduplicated.AssociationId = associationX[:] }},
		"unduplicated with pairs":                 {at: wonTwo, want: audit.CheckUnduplicated, event: func(e *event) { e.Unduplicated.Pairs = firstOf(e).Pairs }},
		"unduplicated with chapters":              {at: wonTwo, want: audit.CheckUnduplicated, event: func(e *event) { e.Unduplicated.Chapters = firstOf(e).Chapters }},
		"unduplicated in yen":                     {at: wonTwo, want: audit.CheckCurrency, event: func(e *event) { e.Unduplicated.Currency = "JPY" }},
		"unduplicated in another month":           {at: wonTwo, want: audit.CheckMonth, event: func(e *event) { e.Unduplicated.Month = november1 }},
		"unduplicated in an association's year":   {at: wonTwo, want: audit.CheckYear, event: func(e *event) { e.Unduplicated.Year = 2025 }},
		"unduplicated of a cent more":             {at: wonTwo, want: audit.CheckUnduplicated, event: func(e *event) { e.Unduplicated.AmountMinor++ }},
		"a share counted twice":                   {at: wonTwo, want: audit.CheckUnduplicated, event: func(e *event) { e.Unduplicated.AmountMinor += 44012 }},
		"a share that does not count":             {at: wonTwo, want: audit.CheckUnduplicated, event: func(e *event) { e.Unduplicated.AmountMinor -= 17604 }},
		"unduplicated without a rate":             {at: wonTwo, want: audit.CheckRate, event: func(e *event) { e.Unduplicated.Rate = nil }},
		"unduplicated at an old rate":             {at: wonTwo, want: audit.CheckRate, event: func(e *event) { e.Unduplicated.Rate.Date = march15 - 8 }},
		"unduplicated at another rate":            {at: wonTwo, want: audit.CheckUnduplicated, event: func(e *event) { e.Unduplicated.Rate.FromPerEur = "1.136" }},
		"unduplicated at a needless rate":         {at: 2, want: audit.CheckRate, event: func(e *event) { withRate(e.Unduplicated, "EUR", "1", "1") }},
		"unduplicated by another's word":          {at: wonTwo, want: audit.CheckEvidence, event: func(e *event) { e.Unduplicated.Evidence = 0 }},
		"unduplicated of a duplicate":             {at: lastOfAll, want: audit.CheckWithheld, event: func(e *event) { e.Unduplicated.Withheld = 0 }},
		"unduplicated and a duplicate":            {at: wonTwo, want: audit.CheckWithheld, event: func(e *event) { withheld(e.Unduplicated, 2) }},
		"unduplicated unconverted in euros":       {at: 2, want: audit.CheckWithheld, event: func(e *event) { withheld(e.Unduplicated, 1) }},
		"unduplicated withheld and counted":       {at: wonThree, want: audit.CheckWithheld, event: func(e *event) { e.Unduplicated.AmountMinor = 1 }},
		"unduplicated of a deal that is not won":  {at: 1, want: audit.CheckUnduplicated, event: func(e *event) { e.Unduplicated = inX(2026, march1, 0) }},
		"unduplicated before left out":            {at: lastOfSix, want: audit.CheckReplaces, event: func(e *event) { e.UnduplicatedReplaces = nil }},
		"unduplicated before of another amount":   {at: lastOfSix, want: audit.CheckReplaces, event: func(e *event) { e.UnduplicatedReplaces = inX(2026, march1, 99) }},
		"unduplicated before the first that does": {at: wonTwo, want: audit.CheckReplaces, event: func(e *event) { e.UnduplicatedReplaces = e.Unduplicated }},
		"an association without a number": {at: wonTwo, want: audit.CheckAssociation, event: func(e *event) {
			firstOf(e).AssociationId = make([]byte, 16)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := link(soundEvents())
			if c.event != nil {
				e := proto.Clone(events[c.at]).(*event)
				c.event(e)
				events[c.at] = e
				relink(events, c.at)
			}
			entries := store(t, events)
			if c.stored != nil {
				entries = c.stored(entries, c.at)
			}
			ledger := mustFold(t, send(t, entries))
			if len(ledger.Findings) != 1 || ledger.FindingCount != 1 || ledger.Findings[0].Check != c.want {
				t.Fatalf("findings %v; want one of %s", ledger.Findings, c.want)
			}
			f := ledger.Findings[0]
			if c.found == 0 {
				c.found = c.at + 1
			}
			if f.Sequence != uint64(c.found) || f.Expected == "" || f.Found == "" {
				t.Errorf("%s; want event %d", f, c.found)
			}
		})
	}
}

// A and B are members of X, B and C of Y: no association counts all of the deal, together they count each share once.
func TestFold_CountsEachShareOnceOfThoseWhoCountSomewhere(t *testing.T) {
	t.Parallel()
	inBoth := func(kind dealregv1.Withheld, unduplicated int64) *event {
		y := inX(2025, march1, 0)
		y.AssociationId, y.Currency = associationY[:], "JPY"
		if y.Withheld = kind; kind == 0 {
			y.AmountMinor = 8000 // 50.00 EUR at 160 for one
			withPairs(withChapters(y, chapterY, 8000), companyB, companyC, 8000)
			withRate(y, "EUR", "1", "160")
		}
		return together(won(1, terms(10000, "EUR", march15, companyA, 5000, companyB, 3000, companyC, 2000),
			withPairs(withChapters(inX(2026, march1, 8000), chapter1, 8000), companyA, companyB, 8000), y),
			inX(2026, march1, unduplicated))
	}
	const unconverted, duplicate = dealregv1.Withheld_WITHHELD_UNCONVERTED, dealregv1.Withheld_WITHHELD_DUPLICATE
	for _, c := range []struct {
		kind         dealregv1.Withheld // of what counts in Y
		unduplicated int64
		sound        bool
	}{
		{0, 10000, true}, // not the 130.00 of both associations
		{0, 13000, false},
		{0, 8000, false},
		{unconverted, 8000, true}, // nothing in the event names the members of Y: C may be one
		{unconverted, 10000, true},
		{unconverted, 9000, false},
		{unconverted, 7000, false},
		{duplicate, 8000, true},
		{duplicate, 10000, false},
	} {
		ledger := mustFold(t, send(t, store(t, link([]*event{inBoth(c.kind, c.unduplicated)}))))
		if c.sound != (ledger.FindingCount == 0) || !c.sound && ledger.Findings[0].Check != audit.CheckUnduplicated {
			t.Errorf("%d with %s: %v", c.unduplicated, c.kind, ledger.Findings)
		}
		if total := ledger.Total(audit.ID{}, 2026); total.Amount.Int64() != c.unduplicated || total.Deals != 1 {
			t.Errorf("%d with %s: the total is %+v", c.unduplicated, c.kind, total)
		}
	}
}

// relink lets the next event of a changed one replace what that one now says.
func relink(events []*event, changed int) {
	for _, e := range events[changed+1:] {
		if bytes.Equal(e.GetDealId(), events[changed].GetDealId()) {
			e.Replaces, e.UnduplicatedReplaces = events[changed].GetAttributions(), events[changed].GetUnduplicated()
			return
		}
	}
}

func TestFold_TakesBackWhatCountedWhateverReplacesSays(t *testing.T) {
	t.Parallel()
	want := mustFold(t, soundLog(t)).Items(associationX, 2026, audit.ByPair)
	events := link(soundEvents())
	events[lastOfSix].Replaces = []*attribution{inX(2026, march1, 1_000_000)}
	got := mustFold(t, send(t, store(t, events))).Items(associationX, 2026, audit.ByPair)
	same := func(a, b audit.Sums) bool { return a.Amount.Cmp(b.Amount) == 0 && a.Deals == b.Deals }
	if !maps.EqualFunc(got, want, same) {
		t.Errorf("%v; want %v", got, want)
	}
}

func TestFold_CountsAllFindingsButKeepsTheFirst(t *testing.T) {
	t.Parallel()
	var entries []*dealregv1.LogEntry
	for i := range 150 {
		entries = append(entries, &dealregv1.LogEntry{Sequence: uint64(i + 1)})
	}
	ledger := mustFold(t, send(t, entries))
	if len(ledger.Findings) != 100 || ledger.FindingCount != 150 || ledger.Findings[99].Sequence != 100 {
		t.Errorf("%d findings of %d", len(ledger.Findings), ledger.FindingCount)
	}
}

func TestFold_CannotTellOfANewerSchemaOrACutLog(t *testing.T) {
	t.Parallel()
	events := link(soundEvents())
	events[4].Schema = 2
	if _, err := fold(send(t, store(t, events))); !errors.Is(err, audit.ErrNewerSchema) {
		t.Errorf("a newer schema: %v", err)
	}
	log := soundLog(t)
	if _, err := fold(log[:len(log)-1]); err == nil {
		t.Error("a cut log was taken for a whole one")
	}
	if _, err := fold([]byte("\x05hello")); err == nil {
		t.Error("text was taken for a log")
	}
}

func FuzzFold(f *testing.F) {
	sound := store(f, link(soundEvents()))
	f.Add(send(f, sound))
	for _, e := range sound {
		f.Add(e.GetPayload())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = fold(data) // as a stream: never a panic
		behind := append(slices.Clone(sound), &dealregv1.LogEntry{Sequence: 16, Payload: data})
		ledger, err := fold(send(t, behind)) // as one more event
		if err == nil && ledger.Events != 16 {
			t.Errorf("%d events", ledger.Events)
		}
	})
}
