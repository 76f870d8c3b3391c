package stream_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
)

func TestDecodeStatement_ReadsWhatEverybodyMayKnow(t *testing.T) {
	t.Parallel()
	want := stream.Statement{
		Association: deal.ID{1}, Year: 2026, Release: 3, PublishedAt: time.Date(2026, 11, 1, 5, 0, 0, 0, time.UTC), AsOfSequence: 81920, Cause: stream.Close,
	}
	payload, err := json.Marshal(struct {
		stream.Statement
		More string `json:"more"`
	}{want, "of the reports"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := stream.DecodeStatement(payload)
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if got.ID() != (deal.ID{1}).String()+":2026:r3" {
		t.Error(got.ID())
	}
	for _, bad := range []string{"", "[]", "{}", `{"association_id":"` + (deal.ID{1}).String() + `","release":0,"cause":"close"}`} {
		if _, err := stream.DecodeStatement([]byte(bad)); err == nil {
			t.Errorf("%q is a statement", bad)
		}
	}
}

func TestEach_GivesEveryRecordOfTheSubjectInOrder(t *testing.T) {
	t.Parallel()
	_, nc := newLog(t)
	records, err := stream.NewRecords(nc)
	if err != nil {
		t.Fatal(err)
	}
	ours, others := deal.ID{1}, deal.ID{2}
	put := func(subject string, behind uint64, text string) uint64 {
		sequence, err := records.Put(t.Context(), subject, behind, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return sequence
	}
	first := put(stream.StatementSubject(ours, 2026), 0, "2026 r1")
	put(stream.StatementSubject(others, 2026), 0, "of others")
	put(stream.StatementSubject(ours, 2025), 0, "2025 r1")
	put(stream.StatementSubject(ours, 2026), first, "2026 r2")
	for subject, want := range map[string][]string{
		stream.StatementSubject(ours, 2026): {"2026 r1", "2026 r2"},
		stream.StatementSubject(ours, 2024): nil,
		stream.YearsSubject(ours):           {"2026 r1", "2025 r1", "2026 r2"},
		stream.StatementSubjects:            {"2026 r1", "of others", "2025 r1", "2026 r2"},
	} {
		var got []string
		err := records.Each(t.Context(), subject, func(_ uint64, payload []byte) error {
			got = append(got, string(payload))
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", subject, got, err)
		}
	}
	stop := errors.New("enough")
	if err := records.Each(t.Context(), stream.StatementSubjects, func(uint64, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestPutStatement_ReleasesOfAllAssociationsComeOneAfterTheOther(t *testing.T) {
	t.Parallel()
	_, nc := newLog(t)
	records, err := stream.NewRecords(nc)
	if err != nil {
		t.Fatal(err)
	}
	one := stream.Statement{Association: deal.ID{1}, Year: 2026, Release: 1}
	other := stream.Statement{Association: deal.ID{2}, Year: 2025, Release: 1}
	if _, err := records.Put(t.Context(), stream.ImportSubject(deal.ID{9}), 0, []byte("no release")); err != nil {
		t.Fatal(err)
	}
	first, err := records.PutStatement(t.Context(), one, 0, []byte("r1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, behind := range []uint64{0, first + 1} {
		if _, err := records.PutStatement(t.Context(), other, behind, []byte("r1")); !errors.Is(err, stream.ErrConflict) {
			t.Errorf("behind %d: %v", behind, err)
		}
	}
	second, err := records.PutStatement(t.Context(), other, first, []byte("r1"))
	if err != nil {
		t.Fatal(err)
	}
	if last, _, err := records.Last(t.Context(), stream.StatementSubjects); err != nil || last != second {
		t.Errorf("%d, %v", last, err)
	}
}
