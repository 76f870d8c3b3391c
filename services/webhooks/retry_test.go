package webhooks

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/webhook"
)

func TestNextAttempt_FollowsTheScheduleWithinItsJitter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		attempts := rapid.IntRange(1, 12).Draw(t, "attempts")
		chance := rapid.Float64Range(0, 0.999999).Draw(t, "chance")
		asked := time.Duration(rapid.IntRange(0, 100_000).Draw(t, "asked")) * time.Second
		wait, again := nextAttempt(standardSchedule, attempts, asked, chance)
		if again != (attempts <= 9) {
			t.Fatalf("after %d attempts again is %v", attempts, again)
		}
		if !again {
			return
		}
		planned := standardSchedule[attempts-1]
		if least := max(planned*8/10, min(asked, time.Hour)); wait < least {
			t.Errorf("%v instead of at least %v", wait, least)
		}
		if most := max(planned*12/10, min(asked, time.Hour)); wait > most {
			t.Errorf("%v instead of at most %v", wait, most)
		}
	})
}

func TestProbing_DoublesUpToItsMost(t *testing.T) {
	t.Parallel()
	p := probing{After: 3, First: time.Second, Most: 10 * time.Second}
	for probes, want := range []time.Duration{1, 2, 4, 8, 10, 10} {
		if got := p.wait(probes); got != want*time.Second {
			t.Errorf("after %d probes %v", probes, got)
		}
	}
	if p.wait(1_000_000) != p.Most {
		t.Error("it overflows")
	}
}

func TestBreaker_ShutsAfterFailuresInARowAndOpensWithASuccess(t *testing.T) {
	t.Parallel()
	p, at := probing{After: 3, First: time.Second, Most: time.Minute}, time.Unix(1_000_000, 0)
	var b breaker
	b.failed(at, 0, p)
	b.failed(at, 0, p)
	if b.shut(at, p) {
		t.Error("shut after two")
	}
	b.failed(at, 0, p)
	if !b.shut(at.Add(time.Hour), p) || !b.probeAt.Equal(at.Add(time.Second)) {
		t.Errorf("after three: %+v", b)
	}
	b.succeeded()
	if b.shut(at, p) {
		t.Error("shut after a success")
	}
}

func TestGate_ARetryGetsATurnBesideCursors(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_000_000, 0)
	for _, c := range []struct {
		rate    float64
		cursors int
	}{{rate: 50, cursors: 7}, {rate: 1, cursors: 1}, {rate: 1, cursors: 7}, {rate: 0.1, cursors: 1}} {
		g, e := newGate(deal.ID{1}, 2, probing{After: 5}), endpoint{Rate: c.rate}
		backlog := func() gap { return gap{From: 10, At: 10, Through: 1000} }
		g.turn(c.rate, at) // the one that is free at once
		for cursor := range c.cursors {
			g.running[strconv.Itoa(cursor)] = &runner{}
			g.turn(c.rate, at)
		}
		retry := queued{Delivery: stream.Delivery{Sequences: []uint64{5}, Attempt: 2}}
		if w, _ := g.enter(retry, e, backlog, at); w != attempt {
			t.Errorf("%+v: way %d", c, w)
		}
	}
}

func TestGate_LeavesToTheCursorWhatItsGapHasTakenIn(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_000_000, 0)
	g, e := newGate(deal.ID{1}, 2, probing{After: 5}), endpoint{Rate: 1000}
	hold := func(source string, sequence uint64, attempts int) {
		t.Helper()
		q := queued{Delivery: stream.Delivery{Source: source, Sequences: []uint64{sequence}, Attempt: attempts}}
		if w, _ := g.enter(q, e, func() gap { return gap{} }, at); w != attempt {
			t.Fatalf("way %d", w)
		}
	}
	hold("this", 1, 1)
	hold("this", 2, 2) // a retry is none of the gap's
	hold("this", 3, 1)
	hold("other", 4, 1)
	hold("this", 5, 1)
	if left := g.leave("this", gap{From: 1, At: 1, Through: 4}); len(left) != 1 || left[0].sequence() != 3 {
		t.Errorf("left %v", left)
	}
	for _, want := range []uint64{1, 2, 4, 5} {
		if h, is := g.next(); !is || h.sequence() != want {
			t.Errorf("held %d instead of %d", h.sequence(), want)
		}
	}
}

func TestBreaker_KeepsAPauseThatWasAskedForWhateverWasUnderWay(t *testing.T) {
	t.Parallel()
	p, at := probing{After: 3, First: time.Second, Most: time.Minute}, time.Unix(1_000_000, 0)
	g := newGate(deal.ID{1}, 1, p)
	g.note(0, webhook.Result{Outcome: webhook.RateLimited, RetryAfter: time.Minute}, at)
	g.note(0, webhook.Result{Outcome: webhook.Delivered}, at)
	fresh := queued{Delivery: stream.Delivery{Sequences: []uint64{5}, Attempt: 1}}
	retry := queued{Delivery: stream.Delivery{Sequences: []uint64{5}, Attempt: 2}}
	for _, when := range []time.Time{at, at.Add(59 * time.Second)} {
		if w := g.choose(fresh, endpoint{}, gap{}, false, when); w != widen {
			t.Errorf("an event goes way %d during the pause", w)
		}
		if w := g.choose(retry, endpoint{}, gap{}, false, when); w != putOff {
			t.Errorf("a retry of another event goes way %d during the pause", w)
		}
	}
	if wait := g.pausedFor(at); wait != time.Minute {
		t.Errorf("a retry is put off for %v", wait)
	}
	for _, q := range []queued{fresh, retry} {
		if w := g.choose(q, endpoint{}, gap{}, false, at.Add(time.Minute)); w != attempt {
			t.Errorf("after the pause way %d", w)
		}
	}
}
