package webhooks

import (
	"testing"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/webhook"
)

// A part of a gap is sent while the gap becomes another one.
func TestFinish_CountsWhatWasDoneOnlyForTheGapThatItWasDoneOf(t *testing.T) {
	t.Parallel()
	js := rostertest.NewServer(t).Connect()
	key, err := webhook.NewSealingKey(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{NATS: js.Conn(), Warehouse: &warehouse.Warehouse{}, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if err := createBucket(t.Context(), js, cursorsBucket, "a test", 1); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		name            string
		meanwhile, want gap
	}{
		{"the same", gap{5, 5, 100}, gap{5, 90, 100}},
		{"more was added", gap{5, 5, 200}, gap{5, 90, 200}},
		{"the stream lost its end, and other events have the sequences behind it", gap{5, 5, 20}.extend(25, 30, false), gap{5, 5, 30}},
		{"another process went on", gap{5, 50, 100}, gap{5, 50, 100}},
	} {
		begun := cursor{Endpoint: deal.ID{byte(i)}, Source: stream.DealsStream, gap: gap{5, 5, 100}}
		now := begun
		now.gap = c.meanwhile
		if _, err := s.cursors.put(t.Context(), begun.key(), now, 0); err != nil {
			t.Fatal(err)
		}
		r := &runner{s: s, g: s.gate(begun.Endpoint), key: begun.key()}
		if err := r.finish(t.Context(), begun, 90, tally{}); err != nil {
			t.Fatal(err)
		}
		if stored, _ := s.cursors.get(begun.key()); stored.gap != c.want {
			t.Errorf("%s: the gap is %+v instead of %+v", c.name, stored.gap, c.want)
		}
	}
}
