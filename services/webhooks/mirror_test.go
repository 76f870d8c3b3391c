package webhooks

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/webhook"
)

// twoMirrors are of one empty bucket, in two processes.
func twoMirrors(t *testing.T) (ours, theirs *mirror[failure]) {
	t.Helper()
	server := rostertest.NewServer(t)
	js := server.Connect()
	if err := createBucket(t.Context(), js, failingBucket, "a test", 1); err != nil {
		t.Fatal(err)
	}
	return newMirror[failure](js, failingBucket), newMirror[failure](server.Connect(), failingBucket)
}

func TestMirror_CatchesUpWithWhatOthersWrote(t *testing.T) {
	t.Parallel()
	ours, theirs := twoMirrors(t)
	if err := ours.catchUp(t.Context()); err != nil {
		t.Errorf("with an empty bucket: %v", err)
	}
	if _, err := theirs.put(t.Context(), "endpoint", failure{Since: time.Unix(1, 0)}, 0); err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := ours.catchUp(soon); err == nil {
		t.Error("it has what it never read")
	}
	go ours.follow(t.Context(), func(error) {})
	if err := ours.catchUp(t.Context()); err != nil || !ours.has("endpoint") {
		t.Errorf("caught up: %v, has it: %t", err, ours.has("endpoint"))
	}
}

func TestMirror_LearnsFromAConflictThatOthersDeleted(t *testing.T) {
	t.Parallel()
	ours, theirs := twoMirrors(t)
	at, err := ours.put(t.Context(), "endpoint", failure{Since: time.Unix(1, 0)}, 0)
	if err == nil {
		err = theirs.remove(t.Context(), "endpoint", at)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ours.put(t.Context(), "endpoint", failure{Since: time.Unix(2, 0)}, at); !errors.Is(err, errChanged) || ours.has("endpoint") {
		t.Errorf("over what is gone: %v, has it: %t", err, ours.has("endpoint"))
	}
	_, at = ours.get("endpoint")
	if _, err := ours.put(t.Context(), "endpoint", failure{Since: time.Unix(3, 0)}, at); err != nil || !ours.has("endpoint") {
		t.Errorf("over the mark of the deletion: %v, has it: %t", err, ours.has("endpoint"))
	}
}

// The bucket is restored while nobody follows it: its revisions begin anew.
func TestMirror_WritesOnWhenItsBucketIsAnOlderOne(t *testing.T) {
	t.Parallel()
	js := rostertest.NewServer(t).Connect()
	m := newMirror[failure](js, failingBucket)
	put := func(key string, seconds int64) error {
		_, over := m.get(key)
		_, err := m.put(t.Context(), key, failure{Since: time.Unix(seconds, 0)}, over)
		return err
	}
	if err := createBucket(t.Context(), js, failingBucket, "a test", 1); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		for _, key := range []string{"kept", "lost"} {
			if err := put(key, int64(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := js.DeleteKeyValue(t.Context(), failingBucket); err != nil {
		t.Fatal(err)
	}
	if err := createBucket(t.Context(), js, failingBucket, "a test", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := newMirror[failure](js, failingBucket).put(t.Context(), "kept", failure{Since: time.Unix(7, 0)}, 0); err != nil {
		t.Fatal(err)
	}
	for key, there := range map[string]bool{"kept": true, "lost": false} {
		if err := put(key, 9); !errors.Is(err, errChanged) {
			t.Errorf("%s over a revision that is no more: %v", key, err)
		}
		if known, is := m.find(key); is != there || there && known.Since.Unix() != 7 {
			t.Errorf("%s is known as %v, %t", key, known, is)
		}
		if err := put(key, 9); err != nil {
			t.Errorf("%s again: %v", key, err)
		}
	}
}

func TestReceiver_IsNotTakenForDeletedWhenItCannotBeRead(t *testing.T) {
	t.Parallel()
	server := rostertest.NewServer(t)
	js := server.Connect()
	key, err := webhook.NewSealingKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{NATS: js.Conn(), Warehouse: &warehouse.Warehouse{}, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if err := createBucket(t.Context(), js, endpointsBucket, "a test", 1); err != nil {
		t.Fatal(err)
	}
	disabled := endpoint{ID: deal.ID{1}}
	if _, err := newMirror[endpoint](js, endpointsBucket).put(t.Context(), disabled.ID.String(), disabled, 0); err != nil {
		t.Fatal(err)
	}
	if e, known, err := s.receiver(t.Context(), disabled.ID); !known || e.Enabled || err != nil {
		t.Errorf("made by another process: %+v, %t, %v", e, known, err)
	}
	if _, known, err := s.receiver(t.Context(), deal.ID{2}); known || err != nil {
		t.Errorf("one that there never was: %t, %v", known, err)
	}
	lost := js.Conn().StatusChanged(nats.RECONNECTING)
	server.Stop()
	<-lost
	if _, known, err := s.receiver(t.Context(), disabled.ID); !known || err != nil {
		t.Errorf("asked a moment ago: %t, %v", known, err)
	}
	if _, _, err := s.receiver(t.Context(), deal.ID{3}); err == nil {
		t.Error("nobody could know whether it is there")
	}
}
