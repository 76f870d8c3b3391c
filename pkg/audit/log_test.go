package audit_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/dealreg/dealreg/pkg/audit"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// The people of the hand-made log. X reports in EUR and its years start in January; Y reports in JPY, from July.
var (
	companyA, companyB, companyC = testID(0xa), testID(0xb), testID(0xc)
	associationX, associationY   = testID(0x71), testID(0x72)
	chapter1, chapter2, chapterY = testID(0x81), testID(0x82), testID(0x83)
)

func testID(n byte) audit.ID { return audit.ID{0: 0x10, 15: n} }

func deal(n byte) audit.ID { return testID(0xd0 + n) }

const (
	november30, november1 = 20422, 20393 // of 2025
	march15, march1       = 20527, 20513 // of 2026
	august3, august1      = 20668, 20666
)

// Short names for what events are built of.
type (
	event       = dealregv1.DealEvent
	attribution = dealregv1.Attribution
)

func terms(value int64, currency string, day int32, parties ...any) *dealregv1.Terms {
	t := &dealregv1.Terms{ValueMinor: value, Currency: currency, WonOn: new(day)}
	for i := 0; i < len(parties); i += 2 {
		id := parties[i].(audit.ID)
		t.Parties = append(t.Parties, &dealregv1.Party{CompanyId: id[:], GroupId: id[:], ShareMinor: int64(parties[i+1].(int))})
	}
	return t
}

func registered(n byte) *event {
	t := terms(10, "EUR", march15, companyA, 4, companyB, 6)
	t.WonOn = nil
	return newEvent(n, dealregv1.EventType_EVENT_TYPE_REGISTERED, dealregv1.Status_STATUS_PENDING, 1, t)
}

func won(n byte, t *dealregv1.Terms, attributions ...*attribution) *event {
	e := newEvent(n, dealregv1.EventType_EVENT_TYPE_WON, dealregv1.Status_STATUS_WON, 1, t)
	e.Attributions = attributions
	return e
}

// together gives the event what its deal counts for in all associations together.
func together(e *event, unduplicated *attribution) *event {
	unduplicated.AssociationId = nil
	unduplicated.Evidence = e.GetDeal().GetEvidence()
	e.Unduplicated = unduplicated
	return e
}

func withheld(a *attribution, why dealregv1.Withheld) *attribution {
	a.Withheld = why
	return a
}

func newEvent(n byte, kind dealregv1.EventType, status dealregv1.Status, version uint32, t *dealregv1.Terms) *event {
	id := deal(n)
	e := &event{
		Schema: 1, DealId: id[:], Type: kind,
		At: timestamppb.New(time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)),
		Deal: &dealregv1.Deal{
			Status: status, Title: "Payroll", Terms: t, TermsVersion: version, Evidence: dealregv1.Evidence_EVIDENCE_PARTIES,
		},
	}
	for _, p := range t.GetParties() {
		e.Deal.Standings = append(e.Deal.Standings, &dealregv1.Standing{CompanyId: p.GetCompanyId(), AttestedTerms: version})
	}
	return e
}

func inX(year, month int32, amount int64) *attribution {
	return &attribution{
		AssociationId: associationX[:], Year: year, Month: month, Currency: "EUR", AmountMinor: amount,
		Evidence: dealregv1.Evidence_EVIDENCE_PARTIES,
	}
}

func inY(year, month int32, amount int64) *attribution {
	a := inX(year, month, amount)
	a.AssociationId, a.Currency = associationY[:], "JPY"
	return withPairs(withChapters(a, chapterY, int(amount)), companyA, companyB, int(amount))
}

func withChapters(a *attribution, list ...any) *attribution {
	for i := 0; i < len(list); i += 2 {
		id := list[i].(audit.ID)
		a.Chapters = append(a.Chapters, &dealregv1.ChapterAmount{ChapterId: id[:], AmountMinor: int64(list[i+1].(int))})
	}
	return a
}

func withPairs(a *attribution, list ...any) *attribution {
	for i := 0; i < len(list); i += 3 {
		x, y := list[i].(audit.ID), list[i+1].(audit.ID)
		a.Pairs = append(a.Pairs, &dealregv1.PairAmount{CompanyA: x[:], CompanyB: y[:], AmountMinor: int64(list[i+2].(int))})
	}
	return a
}

func withRate(a *attribution, from, fromPerEUR, toPerEUR string) *attribution {
	a.Rate = &dealregv1.Rate{
		FromCurrency: from, ToCurrency: a.GetCurrency(), FromPerEur: fromPerEUR, ToPerEur: toPerEUR, Date: march15 - 2, Source: "ECB",
	}
	return a
}

// Positions in soundEvents, for the tests that break one.
const (
	wonTwo    = 3 // three parties, converted, in two associations
	wonThree  = 5 // unconverted in one association
	lastOfSix = 12
	lastOfAll = 14
)

// soundEvents are seven deals; every figure is worked out by hand. Revisions, hashes and replaces are left to link.
func soundEvents() []*event {
	six := newEvent(6, dealregv1.EventType_EVENT_TYPE_CORRECTED, dealregv1.Status_STATUS_WON, 2,
		terms(101, "USD", march15, companyB, 51, companyA, 50))
	six.Attributions = []*attribution{ // 1.01 / 2 is 0.505: half up
		withRate(withPairs(withChapters(inX(2026, march1, 51), chapter1, 25, chapter2, 26), companyA, companyB, 51), "USD", "2", "1"),
	}
	imported := won(4, terms(1000, "EUR", november30, companyA, 500, companyB, 500),
		withPairs(withChapters(inX(2025, november1, 1000), chapter1, 500, chapter2, 500), companyA, companyB, 1000))
	imported.Deal.Standings, imported.Deal.ImportedBy = nil, associationX[:]
	imported.Deal.Evidence = dealregv1.Evidence_EVIDENCE_REGISTRAR
	imported.Attributions[0].Evidence = dealregv1.Evidence_EVIDENCE_REGISTRAR
	const unconverted, duplicate = dealregv1.Withheld_WITHHELD_UNCONVERTED, dealregv1.Withheld_WITHHELD_DUPLICATE
	halves := func(amount int) *attribution {
		return withPairs(withChapters(inX(2026, march1, int64(amount)), chapter1, amount/2, chapter2, amount/2), companyA, companyB, amount)
	}
	return []*event{
		registered(1),
		registered(2),
		together(won(1, terms(15001, "EUR", march15, companyA, 10001, companyB, 5000),
			withPairs(withChapters(inX(2026, march1, 15001), chapter1, 10001, chapter2, 5000), companyA, companyB, 15001)),
			inX(2026, march1, 15001)),
		// 1000.01 / 1.136072 = 880.2347: 44012 + 26407 + 17604; in JPY, where C is no member, 81013 + 48607 of 162025.
		// Together A, B and C count once.
		together(won(2, terms(100001, "USD", march15, companyC, 20000, companyA, 50001, companyB, 30000),
			withRate(withPairs(withChapters(inX(2026, march1, 88023), chapter1, 61616, chapter2, 26407),
				companyA, companyB, 35210, companyA, companyC, 30808, companyB, companyC, 22005), "USD", "1.136072", "1"),
			withRate(inY(2025, march1, 129620), "USD", "1.136072", "184.07")),
			withRate(inX(2026, march1, 88023), "USD", "1.136072", "1")),
		registered(3),
		together(won(3, terms(5000, "JPY", august3, companyA, 3000, companyB, 2000),
			withheld(inX(2026, august1, 0), unconverted), inY(2026, august1, 5000)),
			withheld(inX(2026, august1, 0), unconverted)),
		together(imported, inX(2025, november1, 1000)),
		registered(5),
		together(won(5, terms(9998, "EUR", march15, companyA, 4999, companyB, 4999), halves(9998)), inX(2026, march1, 9998)),
		newEvent(5, dealregv1.EventType_EVENT_TYPE_VOIDED, dealregv1.Status_STATUS_VOID, 1,
			terms(9998, "EUR", march15, companyA, 4999, companyB, 4999)),
		registered(6),
		together(won(6, terms(100, "EUR", march15, companyA, 50, companyB, 50), halves(100)), inX(2026, march1, 100)),
		together(six, withRate(inX(2026, march1, 51), "USD", "2", "1")),
		registered(7),
		together(won(7, terms(700, "EUR", march15, companyA, 350, companyB, 350), withheld(inX(2026, march1, 0), duplicate)),
			withheld(inX(2026, march1, 0), duplicate)),
	}
}

// link sets the revisions and replaces.
func link(events []*event) []*event {
	last := map[string]*event{}
	for _, e := range events {
		before := last[string(e.GetDealId())]
		e.Revision, e.Replaces = before.GetRevision()+1, before.GetAttributions()
		e.UnduplicatedReplaces = before.GetUnduplicated()
		last[string(e.GetDealId())] = e
	}
	return events
}

// store writes the events as a stream would hold them, each with the hash of the deal's event before.
func store(t testing.TB, events []*event) []*dealregv1.LogEntry {
	t.Helper()
	hashes := map[string][]byte{}
	var entries []*dealregv1.LogEntry
	for i, e := range events {
		id := string(e.GetDealId())
		if e.PreviousHash == nil {
			e.PreviousHash = hashes[id]
		}
		payload, err := proto.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(payload)
		hashes[id] = sum[:]
		h := fnv.New32a()
		h.Write([]byte(id))
		entries = append(entries, &dealregv1.LogEntry{
			Sequence: uint64(i + 1),
			Subject:  fmt.Sprintf("deals.%d.%s", h.Sum32()%64, audit.ID([]byte(id))),
			Payload:  payload,
		})
	}
	return entries
}

// send writes the entries as GET /v1/log does.
func send(t testing.TB, entries []*dealregv1.LogEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, e := range entries {
		if _, err := protodelim.MarshalTo(&b, e); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

func soundLog(t testing.TB) []byte { return send(t, store(t, link(soundEvents()))) }
