package httpapi

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dealreg/dealreg/pkg/deal"
)

func numbered(i int) (id deal.ID) {
	binary.BigEndian.PutUint64(id[:], uint64(i)+1)
	return id
}

func TestBuckets_NeverLetMoreThroughThanTheLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := Limit{PerSecond: float64(rapid.IntRange(1, 100).Draw(t, "per second")), Burst: rapid.IntRange(1, 50).Draw(t, "burst")}
		var b keyBuckets
		start := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
		at, through := start, 0
		for _, pause := range rapid.SliceOfN(rapid.IntRange(0, 100), 1, 300).Draw(t, "pauses in ms") {
			at = at.Add(time.Duration(pause) * time.Millisecond)
			l := b.take(deal.ID{1}, limit, at)
			if l.ok {
				through++
			} else if again := b.take(deal.ID{1}, limit, at.Add(l.wait+time.Microsecond)); !again.ok {
				t.Fatalf("refused again after the wait of %v", l.wait)
			} else {
				through++
				at = at.Add(l.wait + time.Microsecond)
			}
			if most := float64(limit.Burst) + limit.PerSecond*at.Sub(start).Seconds(); float64(through) > most+0.001 {
				t.Fatalf("%d requests in %v, at most %v", through, at.Sub(start), most)
			}
		}
	})
}

func TestBuckets_ForgetIdleOnesAndHoldABoundedNumber(t *testing.T) {
	t.Parallel()
	var b keyBuckets
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	limit := Limit{PerSecond: 1, Burst: 2}
	for i := range mostBuckets + 10 {
		if l := b.take(numbered(i), limit, now); i < mostBuckets && !l.ok {
			t.Fatalf("bucket %d is not its own", i)
		}
	}
	if len(b.all) > mostBuckets+1 {
		t.Fatalf("%d buckets", len(b.all))
	}
	if l := b.take(numbered(mostBuckets+11), limit, now); l.ok {
		t.Error("whoever comes when all are in use does not share a bucket")
	}
	b.take(numbered(0), limit, now)
	now = now.Add(1500 * time.Millisecond) // all but the first and the shared one are full again
	b.take(numbered(mostBuckets+12), limit, now)
	if len(b.all) > 3 {
		t.Errorf("%d buckets after all but two were idle", len(b.all))
	}
	if l := b.take(numbered(0), limit, now); !l.ok || l.remaining != 0 {
		t.Errorf("the busy bucket was forgotten: %+v", l)
	}
}

func TestNetwork_TakesAnIPv6SubscriberAsOne(t *testing.T) {
	t.Parallel()
	for remote, want := range map[string]string{
		"192.0.2.7:4711":              "192.0.2.7/32",
		"[::ffff:192.0.2.7]:4711":     "192.0.2.7/32",
		"[2001:db8:1:2:3:4:5:6]:4711": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:4711":         "fe80::/64",
	} {
		if got := network(remote); got != netip.MustParsePrefix(want) {
			t.Errorf("%s is of %s, not %s", remote, got, want)
		}
	}
	if got := network("@"); got.IsValid() {
		t.Errorf("no address is of %s", got)
	}
}
