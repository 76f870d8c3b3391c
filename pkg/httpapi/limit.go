package httpapi

import (
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
)

// Limit is how many requests somebody may send: Burst at once, and PerSecond on average. The zero Limit is none.
type Limit struct {
	PerSecond float64
	Burst     int
}

// DefaultLimit is the limit of each key: 50 a second and 200 at once; ten times that for the operator, whose key sets
// systems up and audits them.
func DefaultLimit(p roster.Principal) Limit {
	if p.Role == roster.RoleOperator {
		return Limit{PerSecond: 500, Burst: 2000}
	}
	return Limit{PerSecond: 50, Burst: 200}
}

// defaultRefusals is how many failed authentications one address may send before they answer 429 instead of 401.
var defaultRefusals = Limit{PerSecond: 1, Burst: 30}

const (
	// mostBuckets bounds the memory of one process: about 100 bytes for each. Whoever comes when all are in use shares
	// one bucket with the others who did.
	mostBuckets = 1 << 16
	// sweepFrom is how many buckets are kept without looking for idle ones.
	sweepFrom = 1 << 10
)

// buckets are the token buckets of one kind, in the memory of this process: a system of n processes lets n times as
// many through. A bucket that nobody uses fills up, and one that is full is as good as none, so it is dropped.
type buckets[K comparable] struct {
	mu    sync.Mutex
	all   map[K]*rate.Limiter
	swept time.Time
}

// level is what a bucket says after a request.
type level struct {
	ok        bool
	remaining int           // requests that it would still let through now
	refill    time.Duration // until it is full
	wait      time.Duration // until it lets the next one through; 0 when ok
}

// take lets one request through, or says how long it must wait.
func (b *buckets[K]) take(key K, limit Limit, now time.Time) level {
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket := b.bucket(key, limit, now)
	l := level{ok: bucket.AllowN(now, 1)}
	tokens := bucket.TokensAt(now)
	l.remaining = max(0, int(tokens))
	l.refill = seconds((float64(limit.Burst) - tokens) / limit.PerSecond)
	if !l.ok {
		l.wait = seconds((1 - tokens) / limit.PerSecond)
	}
	return l
}

func (b *buckets[K]) bucket(key K, limit Limit, now time.Time) *rate.Limiter {
	if bucket := b.all[key]; bucket != nil {
		return bucket
	}
	if len(b.all) >= sweepFrom && now.Sub(b.swept) >= time.Second {
		b.swept = now
		for k, bucket := range b.all {
			if bucket.TokensAt(now) >= float64(bucket.Burst()) {
				delete(b.all, k)
			}
		}
	}
	if len(b.all) >= mostBuckets {
		var shared K
		if bucket := b.all[shared]; bucket != nil {
			return bucket
		}
		key = shared
	}
	if b.all == nil {
		b.all = map[K]*rate.Limiter{}
	}
	bucket := rate.NewLimiter(rate.Limit(limit.PerSecond), limit.Burst)
	b.all[key] = bucket
	return bucket
}

// admit takes a request of a key, writes the fields of draft-ietf-httpapi-ratelimit-headers-10 and, when the key sent
// too many, answers 429. The request was not begun then: any may be sent again.
func (s *Server) admit(w http.ResponseWriter, p roster.Principal) bool {
	limit := s.cfg.Limit(p)
	if limit == (Limit{}) {
		return true
	}
	l := s.keys.take(p.KeyID, limit, s.cfg.Now())
	w.Header().Set("RateLimit-Policy", fmt.Sprintf(`"key";q=%d;w=%d`, limit.Burst, ceil(seconds(float64(limit.Burst)/limit.PerSecond))))
	w.Header().Set("RateLimit", fmt.Sprintf(`"key";r=%d;t=%d`, l.remaining, ceil(l.refill)))
	if !l.ok {
		TooMany(ceil(l.wait)).Write(w)
	}
	return l.ok
}

// take counts a request of a key whose answer tells nothing of the limit: nil, or 429 when the key sent too many.
func (s *Server) take(p roster.Principal) *Problem {
	limit := s.cfg.Limit(p)
	if limit == (Limit{}) {
		return nil
	}
	if l := s.keys.take(p.KeyID, limit, s.cfg.Now()); !l.ok {
		return TooMany(ceil(l.wait))
	}
	return nil
}

// refuse is the answer to credentials that open nothing: 401, and 429 once the address sent too many of them. Valid ones
// get in from any address: many may share one, and nobody guesses 256 bits.
func (s *Server) refuse(remote, detail string) *Problem {
	if l := s.refusals.take(network(remote), s.cfg.Refusals, s.cfg.Now()); !l.ok {
		return TooMany(ceil(l.wait))
	}
	return unauthorized(detail)
}

// network is whom an address belongs to: itself, or the /64 of an IPv6 address, of which one user has all.
func network(remote string) netip.Prefix {
	address, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip := address.Addr().Unmap().WithZone("")
	prefix, _ := ip.Prefix(min(ip.BitLen(), 64)) // 64 bits are in range of both families
	return prefix
}

// keyBuckets and networkBuckets are the two kinds.
type (
	keyBuckets     = buckets[deal.ID]
	networkBuckets = buckets[netip.Prefix]
)

func seconds(s float64) time.Duration { return time.Duration(max(0, s) * float64(time.Second)) }

func ceil(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
