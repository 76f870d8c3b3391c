package stream_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/volume"
	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

var update = flag.Bool("update", false, "write the golden files")

// exampleOf is an event of the n-th deal in which every field says something.
func exampleOf(n uint32) stream.Event {
	at := time.Date(2026, time.November, 22, 12, 30, 15, 123456789, time.UTC)
	accepted, attested := at.Add(-time.Hour), at.Add(-time.Minute)
	wonOn, expectedOn := calendar.New(2026, time.November, 20), calendar.New(2026, time.December, 15)
	a, b := deal.ID{0xC0, 15: 1}, deal.ID{0xC0, 15: 2}
	terms := deal.Terms{
		Value: money.Amount{Minor: 480_00, Currency: "USD"}, WonOn: &wonOn,
		Parties: []deal.Party{
			{Company: a, Group: deal.ID{0x60, 15: 1}, Role: deal.Lead, ShareMinor: 300_00},
			{Company: b, Group: deal.ID{0x60, 15: 2}, Role: deal.Delivery, ShareMinor: 180_00},
		},
	}
	count := volume.Attribution{
		Association: deal.ID{0xA5}, Year: 2026, Month: calendar.New(2026, time.November, 1), Currency: "EUR", AmountMinor: 384_00,
		Chapters: []volume.Chapter{{Chapter: deal.ID{0xC4, 15: 1}, AmountMinor: 240_00}, {Chapter: deal.ID{0xC4, 15: 2}, AmountMinor: 144_00}},
		Pairs:    []volume.Pair{{A: a, B: b, AmountMinor: 384_00}},
		Quote:    &money.Quote{From: "USD", To: "EUR", FromPerEUR: "1.25", ToPerEUR: "1", Date: wonOn, Source: "ECB"},
		Evidence: deal.ByParties,
	}
	all := count
	all.Association, all.Chapters, all.Pairs = deal.ID{}, nil, nil
	return stream.Event{
		Event: deal.Event{
			Type: deal.EventWon, Includes: []deal.EventType{deal.EventAttested}, At: at, By: deal.Actor{Key: deal.ID{7}, Company: b},
			Deal: deal.Deal{
				ID: deal.ID{0xD0, 12: byte(n >> 24), 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}, Revision: 5, Status: deal.Won,
				Details: deal.Details{
					Title: "Payroll roll-out", Description: "three countries", ExternalRef: "CRM-4711", ExpectedOn: &expectedOn,
					Customer: deal.Customer{Name: "Contoso AG", Country: "DE", Domain: "contoso.example"}, Replaces: deal.ID{0xD0, 1: 9},
				},
				Terms: terms, TermsVersion: 2,
				Standings: []deal.Standing{
					{Company: a, Member: true, AcceptedAt: &accepted, AttestedTerms: 2, AttestedAt: &attested, Voids: true},
					{Company: b, AcceptedAt: &accepted, AttestedTerms: 2, AttestedAt: &at},
				},
				StatusSince: at, UpdatedAt: at, DisputedFrom: deal.Closing, RegisteredBy: a, RegisteredAt: accepted, RegisteredAfterWin: true,
				Evidence: deal.ByParties, EvidenceReference: "Archive 12", ImportedBy: deal.ID{0xA5},
				Correction: &deal.Correction{Terms: terms, TermsVersion: 3, ProposedBy: b},
				Exclusions: []deal.Exclusion{{Association: deal.ID{0xA6}, Reason: "counted elsewhere"}},
				Reason:     "a typing error",
			},
		},
		Command:      stream.Command{ID: "key-1", RequestHash: bytes.Repeat([]byte{0xAB}, 32)},
		PreviousHash: bytes.Repeat([]byte{0xCD}, 32),
		Audience:     stream.Audience{Companies: []deal.ID{a, b}, Associations: []deal.ID{{0xA5}, {0xA6}}},
		Attributions: []volume.Attribution{count},
		Replaces:     []volume.Attribution{{Association: deal.ID{0xA5}, Year: 2026, Month: count.Month, Currency: "EUR", Withheld: volume.Unconverted}},
		Unduplicated: &all,

		UnduplicatedReplaces: &volume.Attribution{Year: 2026, Month: count.Month, Currency: "EUR", Withheld: volume.Unconverted},
	}
}

func example() stream.Event { return exampleOf(1) }

func encode(t interface{ Fatal(...any) }, e stream.Event) []byte {
	payload, err := stream.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func decode(t interface{ Fatal(...any) }, payload []byte) stream.Event {
	e, err := stream.Decode(payload)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestDecode_GivesWhatWasEncoded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := events().Draw(t, "event")
		if diff := cmp.Diff(e, decode(t, encode(t, e))); diff != "" {
			t.Fatalf("%s", diff)
		}
	})
}

func TestEncode_GivesTheSameBytesForTheSameMeaning(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		e := events().Draw(t, "event")
		payload := encode(t, e)
		same := decode(t, payload)
		same.At = same.At.In(time.FixedZone("elsewhere", 3600))
		if same.Includes == nil {
			same.Includes = []deal.EventType{}
		}
		if same.PreviousHash == nil {
			same.PreviousHash = []byte{}
		}
		if !bytes.Equal(encode(t, same), payload) {
			t.Fatal("other bytes for the same event")
		}
	})
}

func TestDecode_RefusesAStatusOrTypeThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*dealregv1.DealEvent){
		"status": func(m *dealregv1.DealEvent) { m.Deal.Status = 99 },
		"type":   func(m *dealregv1.DealEvent) { m.Type = 99 },
	} {
		var m dealregv1.DealEvent
		if err := proto.Unmarshal(encode(t, example()), &m); err != nil {
			t.Fatal(err)
		}
		change(&m)
		payload, err := proto.Marshal(&m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Decode(payload); err == nil || !strings.Contains(err.Error(), "update dealreg") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every field of the contract is written, so that a field that was added and forgotten shows up here.
func TestEncode_FillsEveryFieldOfTheContract(t *testing.T) {
	t.Parallel()
	var m dealregv1.DealEvent
	if err := proto.Unmarshal(encode(t, example()), &m); err != nil {
		t.Fatal(err)
	}
	for _, empty := range emptyFields(m.ProtoReflect(), "event") {
		// An actor has no association beside a company, and here no link; replaces is as attributions, here with nothing but withheld.
		switch empty {
		case "event.actor.association_id", "event.actor.link_of_association_id", "event.attributions.withheld", "event.unduplicated.withheld",
			"event.unduplicated.association_id", "event.unduplicated.chapters", "event.unduplicated.pairs":
			continue
		}
		if !strings.HasPrefix(empty, "event.replaces.") && !strings.HasPrefix(empty, "event.unduplicated_replaces.") {
			t.Errorf("%s is empty", empty)
		}
	}
}

func TestEncode_RefusesTextThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	e := example()
	e.Deal.Title = "caf\xe9"
	if _, err := stream.Encode(e); err == nil || !strings.Contains(err.Error(), e.ID()) {
		t.Errorf("gives %v; want an error that names the event", err)
	}
}

func TestDecode_ReadsTheGoldenFileOfEachSchemaForEver(t *testing.T) {
	t.Parallel()
	path := filepath.Join("testdata", "event_v1.bin")
	if *update {
		if err := os.WriteFile(path, encode(t, example()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	payload, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(example(), decode(t, payload)); diff != "" {
		t.Error(diff)
	}
	if stream.Schema == 1 && !bytes.Equal(encode(t, example()), payload) {
		t.Error("the event is written with other bytes than before")
	}
}

func TestDecode_HaltsAtANewerSchema(t *testing.T) {
	t.Parallel()
	for _, schema := range []uint32{stream.Schema + 1, 1 << 31} {
		payload, err := proto.Marshal(&dealregv1.DealEvent{Schema: schema, DealId: []byte("not even an id")})
		if err != nil {
			t.Fatal(err)
		}
		var newer *stream.NewerSchemaError
		if _, err = stream.Decode(payload); !errors.As(err, &newer) || newer.Schema != schema || !strings.Contains(err.Error(), "update dealreg") {
			t.Errorf("schema %d gives %v", schema, err)
		}
	}
}

func TestDecode_RefusesWhatIsNoEvent(t *testing.T) {
	t.Parallel()
	sound := func() *dealregv1.DealEvent {
		var m dealregv1.DealEvent
		if err := proto.Unmarshal(encode(t, example()), &m); err != nil {
			t.Fatal(err)
		}
		return &m
	}
	for name, change := range map[string]func(m *dealregv1.DealEvent){
		"no schema":      func(m *dealregv1.DealEvent) { m.Schema = 0 },
		"no deal":        func(m *dealregv1.DealEvent) { m.DealId = nil },
		"no revision":    func(m *dealregv1.DealEvent) { m.Revision = 0 },
		"short id":       func(m *dealregv1.DealEvent) { m.DealId = m.GetDealId()[:15] },
		"long company":   func(m *dealregv1.DealEvent) { m.Deal.Terms.Parties[1].CompanyId = make([]byte, 17) },
		"short audience": func(m *dealregv1.DealEvent) { m.Audience.AssociationIds[0] = []byte{1} },
		"short chapter": func(m *dealregv1.DealEvent) {
			m.Replaces[0].Chapters = []*dealregv1.ChapterAmount{{ChapterId: []byte{1}}}
		},
	} {
		m := sound()
		change(m)
		payload, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Decode(payload); err == nil {
			t.Errorf("%s: is read", name)
		}
	}
	for _, payload := range [][]byte{nil, {}, []byte("hello"), bytes.Repeat([]byte{0xFF}, 100), encode(t, example())[:200]} {
		if _, err := stream.Decode(payload); err == nil {
			t.Errorf("%x is read", payload)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, example()))
	f.Add(encode(f, stream.Event{Event: deal.Event{Deal: deal.Deal{ID: deal.ID{1}, Revision: 1}}}))
	f.Add([]byte{})
	f.Add([]byte{0x08, 0x02})
	f.Fuzz(func(t *testing.T, payload []byte) {
		e, err := stream.Decode(payload)
		if err != nil {
			return
		}
		// What is read is an event: written again it reads the same.
		again, err := stream.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, decode(t, again)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestID_NamesDealAndRevision(t *testing.T) {
	t.Parallel()
	if got := example().ID(); got != "d0000000-0000-0000-0000-000000000001:5" {
		t.Errorf("ID is %q", got)
	}
}
