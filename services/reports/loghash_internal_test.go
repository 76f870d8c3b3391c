package reports

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/dealreg/dealreg/pkg/warehouse"
	"github.com/dealreg/dealreg/pkg/warehouse/warehousetest"
)

// holding gives a warehouse with events of these payloads, and the hash of its first n by the definition.
// An empty payload is an event that the warehouse lacks.
func holding(t *testing.T, payloads ...string) (w *warehouse.Warehouse, definition func(n int) string) {
	t.Helper()
	w = warehousetest.New(t)
	var batch warehouse.Batch
	for i, payload := range payloads {
		if payload == "" {
			continue
		}
		if err := batch.Append(uint64(i)+1, time.Unix(0, 0), []byte(payload)); err != nil { // #nosec G115 -- an index
			t.Fatal(err)
		}
	}
	if err := w.Insert(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	return w, func(n int) string {
		all := sha256.New()
		for _, payload := range payloads[:n] {
			sum := sha256.Sum256([]byte(payload))
			all.Write(sum[:])
		}
		return hex.EncodeToString(all.Sum(nil))
	}
}

func TestLogHash_IsThatOfTheLogThatIsThere(t *testing.T) {
	t.Parallel()
	before, definition := holding(t, "a", "b", "c", "d")
	after, definitionAfter := holding(t, "a", "b", "C", "D", "E") // was cut behind the second event
	hash := &logHash{warehouse: before}
	check := func(upTo int, want string) {
		t.Helper()
		got, err := hash.of(t.Context(), uint64(upTo)) // #nosec G115 -- small
		if err != nil || got != want {
			t.Errorf("up to %d: got %s, %v; want %s", upTo, got, err, want)
		}
	}
	for _, upTo := range []int{0, 1, 2, 4, 3, 4} {
		check(upTo, definition(upTo))
	}
	hash.warehouse = after
	check(5, definitionAfter(5))
	check(3, definitionAfter(3))
}

// The first hash of a long log may take longer than somebody waits: whoever asks again does not begin again.
func TestLogHash_GoesOnWhereAnErrorStoppedIt(t *testing.T) {
	t.Parallel()
	lacking, _ := holding(t, "a", "b", "c", "", "e")
	whole, _ := holding(t, "?", "?", "c", "d", "e") // what was hashed already is not read again
	_, definition := holding(t, "a", "b", "c", "d", "e")
	hash := &logHash{warehouse: lacking}
	if got, err := hash.of(t.Context(), 5); err == nil {
		t.Fatalf("%s, although an event is missing", got)
	}
	hash.warehouse = whole
	if got, err := hash.of(t.Context(), 5); err != nil || got != definition(5) {
		t.Errorf("got %s, %v; want %s", got, err, definition(5))
	}
}
