package registry

import (
	"encoding/json"
	"net/http"
	"testing"
)

func (w *world) counted(status int, key, query string) DealCounts {
	w.t.Helper()
	r := w.mustSend(status, key, http.MethodGet, "/v1/deals/counts"+query, nil)
	var c DealCounts
	if err := json.Unmarshal([]byte(r.text), &c); status == http.StatusOK && err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestCounts_SayWhatWaitsForWhom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wait := w.project()
	w.register("k1", registration(w.a, w.b))
	w.won("k2", yesterday())
	d := w.register("k3", registration(w.a, w.c))
	w.mustSend(http.StatusOK, w.registrar, http.MethodPost, location(d.ID)+"/dispute", object{"reason": "?"}, "If-Match", `"1"`, "Idempotency-Key", "x")
	same := registration(w.a, w.b)
	w.register("k4", same)
	w.register("k5", same)
	last := wait()
	w.eventually("the two are flagged", func() bool { return *w.counted(http.StatusOK, w.registrar, "").Flagged == 1 })

	got := w.counted(http.StatusOK, w.keys[w.b], "")
	if want := (DealCounts{Year: 2026, Waiting: 3, Pending: 3, WonThisYear: 1, AsOfSequence: last}); got != want {
		t.Errorf("a company: %+v, want %+v", got, want)
	}
	got = w.counted(http.StatusOK, w.registrar, "?association="+w.association.String())
	if got.Waiting != 3 || got.Disputed != 1 || got.WonThisYear != 1 || *got.UnconvertedDeals != 0 || *got.QuarantinedEvents != 0 {
		t.Errorf("the association: %+v", got)
	}
}

func TestCounts_AreForThoseWhoseDealsTheyAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.project()
	_, stranger := w.reporting("EUR")
	of := "?association=" + w.association.String()
	for _, c := range []struct {
		key, query string
		status     int
	}{
		{w.keys[w.a], "?company=" + w.a.String(), 200},
		{w.keys[w.a], "?company=" + w.b.String(), 404},
		{w.keys[w.a], of, 404},
		{w.registrar, "?company=" + w.a.String(), 404},
		{stranger, of, 404},
		{w.board, "", 404},
		{w.board, of, 404},
		{w.operator, of, 200},
		{w.operator, "?company=" + w.a.String(), 200},
		{w.operator, "?company=" + newID().String(), 404},
		{w.operator, "", 422},
		{w.operator, of + "&company=" + w.a.String(), 422},
	} {
		w.counted(c.status, c.key, c.query)
	}
}
