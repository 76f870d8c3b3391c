package stream_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
)

func TestEnsure_MakesLogsThatForgetNothingAndMayComeTwice(t *testing.T) {
	t.Parallel()
	log, nc := newLog(t)
	add(t, log, draft(t, 1, "a", nil))
	ensure(t, nc)
	if n := lastSequence(t, log); n != 1 {
		t.Errorf("after the second time the log has %d events", n)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for name, subject := range map[string]string{stream.DealsStream: "deals.*.*", stream.RecordsStream: "records.>"} {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		c := s.CachedInfo().Config
		if !c.DenyDelete || !c.DenyPurge || !c.AllowDirect || c.AllowRollup || c.AllowMsgSchedules || c.Sealed {
			t.Errorf("%s can be changed: %+v", name, c)
		}
		if c.Storage != jetstream.FileStorage || c.Retention != jetstream.LimitsPolicy || c.Discard != jetstream.DiscardNew || c.Replicas != 1 {
			t.Errorf("%s is stored otherwise: %+v", name, c)
		}
		if c.MaxAge != 0 || c.MaxMsgs != -1 || c.MaxBytes != -1 || c.MaxMsgsPerSubject != -1 || c.MaxMsgSize != -1 {
			t.Errorf("%s has limits: %+v", name, c)
		}
		if len(c.Subjects) != 1 || c.Subjects[0] != subject {
			t.Errorf("%s takes %q", name, c.Subjects)
		}
		if err := s.DeleteMsg(t.Context(), 1); err == nil {
			t.Errorf("%s lets an event be deleted", name)
		}
		if err := s.Purge(t.Context()); err == nil {
			t.Errorf("%s lets itself be purged", name)
		}
		c.DenyDelete = false
		if _, err := js.UpdateStream(t.Context(), c); err == nil {
			t.Errorf("%s lets its promise be taken back", name)
		}
	}
	if n := lastSequence(t, log); n != 1 {
		t.Errorf("the log has %d events", n)
	}
	store, err := js.ObjectStore(t.Context(), stream.UploadsBucket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.PutString(t.Context(), "deals.csv", "external_ref,title"); err != nil {
		t.Error(err)
	}
}

func TestSubject_NamesTheDealAndNeedsNoEscape(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := ids().Draw(t, "id")
		subject := stream.Subject(id)
		tokens := strings.Split(subject, ".")
		if len(tokens) != 3 || strings.ContainsAny(subject, "*> \t\r\n\x00") {
			t.Fatalf("%q", subject)
		}
		if got, err := stream.ParseSubject(subject); err != nil || got != id {
			t.Fatalf("%q is read as %s, %v", subject, got, err)
		}
	})
}

// The shard of a deal never changes: its history would begin anew on another subject.
func TestSubject_StaysForEver(t *testing.T) {
	t.Parallel()
	for id, want := range map[deal.ID]string{
		{}:                        "deals.5.00000000-0000-0000-0000-000000000000",
		{0: 1, 15: 1}:             "deals.23.01000000-0000-0000-0000-000000000001",
		{0: 0xD0, 7: 9, 15: 0xFF}: "deals.51.d0000000-0000-0009-0000-0000000000ff",
	} {
		if got := stream.Subject(id); got != want {
			t.Errorf("Subject is %q; want %q", got, want)
		}
	}
}

func TestParseSubject_RefusesWhatIsNoSubjectOfADeal(t *testing.T) {
	t.Parallel()
	good := stream.Subject(deal.ID{1})
	for _, subject := range []string{
		"", ".", "deals", "deals.1", strings.ToUpper(good), good + ".x", "x" + good, "deals.63" + good[strings.LastIndexByte(good, '.'):],
		good[:len(good)-1], "records.import." + deal.ID{1}.String(), deal.ID{1}.String(),
	} {
		if id, err := stream.ParseSubject(subject); err == nil {
			t.Errorf("%q is read as %s", subject, id)
		}
	}
}
