package stream_test

import (
	"errors"
	"testing"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
)

func TestRecords_OneOfManyWritersComesNext(t *testing.T) {
	t.Parallel()
	_, nc := newLog(t)
	records, err := stream.NewRecords(nc)
	if err != nil {
		t.Fatal(err)
	}
	a, b := deal.ID{1}, deal.ID{2}
	subject := stream.ConflictSubject(b, a)
	if subject != stream.ConflictSubject(a, b) {
		t.Error("the order of the deals matters")
	}
	for _, s := range []string{subject, stream.ConflictSubjects} {
		if _, _, err := records.Last(t.Context(), s); !errors.Is(err, stream.ErrNoRecord) {
			t.Errorf("nothing on %s gives %v", s, err)
		}
	}
	first, err := records.Put(t.Context(), subject, 0, []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	for _, behind := range []uint64{0, first + 7} {
		if _, err := records.Put(t.Context(), subject, behind, []byte("another")); !errors.Is(err, stream.ErrConflict) {
			t.Errorf("behind %d: %v", behind, err)
		}
	}
	second, err := records.Put(t.Context(), subject, first, []byte("two"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{subject, stream.ConflictSubjects} {
		if sequence, payload, err := records.Last(t.Context(), s); err != nil || sequence != second || string(payload) != "two" {
			t.Errorf("%s: %d %s %v", s, sequence, payload, err)
		}
	}
}
