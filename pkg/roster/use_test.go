package roster_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/roster"
	"github.com/dealreg/dealreg/pkg/roster/rostertest"
)

// process is a roster that a test can end.
type process struct {
	*roster.Roster
	end func()
}

func follow(t *testing.T, js jetstream.JetStream) process {
	t.Helper()
	r := roster.New(js, nil, nil)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	end := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	select {
	case <-r.Loaded():
	case <-within(t).Done():
		t.Fatal("the roster was not loaded")
	}
	return process{r, end}
}

// used is a broker with one key, known to the rosters.
func used(t *testing.T, processes int) (js jetstream.JetStream, key roster.Key, token string, all []process) {
	t.Helper()
	js = rostertest.NewServer(t).Connect()
	if err := roster.CreateBuckets(t.Context(), js, 1); err != nil {
		t.Fatal(err)
	}
	key, token, err := roster.NewStore(js).Issue(t.Context(), newID(), roster.Scope{Role: roster.RoleOperator}, noon, pepper)
	if err != nil {
		t.Fatal(err)
	}
	for range processes {
		all = append(all, follow(t, js))
	}
	return js, key, token, all
}

func (p process) use(t *testing.T, token string, at time.Time) {
	t.Helper()
	if _, err := (roster.Authenticator{Roster: p.Roster, Pepper: pepper, Now: func() time.Time { return at }}).Authenticate(token); err != nil {
		t.Fatal(err)
	}
}

func (p process) sees(t *testing.T, key deal.ID, want time.Time) {
	t.Helper()
	if at, used := p.KeyUsedAt(key); used == want.IsZero() || !at.Equal(want) {
		t.Errorf("used at %v, %v, want %v", at, used, want)
	}
}

func TestKeyUse_IsKnownToEveryProcessToTheMinute(t *testing.T) {
	t.Parallel()
	_, key, token, all := used(t, 2)
	all[0].sees(t, key.ID, time.Time{})
	all[0].use(t, token, noon.Add(59*time.Second))
	all[0].sees(t, key.ID, noon) // its own at once
	if err := all[1].WaitFor(within(t), roster.KeyUse, 1); err != nil {
		t.Fatal(err)
	}
	all[1].sees(t, key.ID, noon)
}

func TestKeyUse_IsWrittenOnceAMinuteAndAtTheEnd(t *testing.T) {
	t.Parallel()
	js, key, token, all := used(t, 1)
	for i := range 600 {
		all[0].use(t, token, noon.Add(time.Duration(i)*100*time.Millisecond))
	}
	if err := all[0].WaitFor(within(t), roster.KeyUse, 1); err != nil {
		t.Fatal(err)
	}
	all[0].use(t, token, noon.Add(time.Minute))
	all[0].end()
	written, err := js.Stream(t.Context(), "KV_"+string(roster.KeyUse))
	if err != nil {
		t.Fatal(err)
	}
	if n := written.CachedInfo().State.LastSeq; n != 2 {
		t.Errorf("written %d times in two minutes", n)
	}
	follow(t, js).sees(t, key.ID, noon.Add(time.Minute))
}

func TestKeyUse_NeverGoesBack(t *testing.T) {
	t.Parallel()
	js, key, token, all := used(t, 2)
	all[1].use(t, token, noon.Add(2*time.Minute))
	all[1].end()
	all[0].use(t, token, noon) // a process whose clock is behind
	all[0].end()
	follow(t, js).sees(t, key.ID, noon.Add(2*time.Minute))
}
