package roster

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
)

// saveAtEndWithin bounds how long the end of Run waits for the last uses to be written.
const saveAtEndWithin = 2 * time.Second

// keyUse is an entry of the bucket of uses. It lies apart from the keys, so that a use never disturbs who gets in.
type keyUse struct {
	At time.Time `json:"at"` // to the minute

	revision uint64
}

// uses are the minutes in which this process last saw each key. A key is written once for each minute in which it was
// used, behind the requests and not with them.
type uses struct {
	mu      sync.Mutex
	seen    map[deal.ID]time.Time
	unsaved map[deal.ID]time.Time
	wake    chan struct{} // holds one signal while something is unsaved
}

func newUses() *uses {
	return &uses{seen: map[deal.ID]time.Time{}, unsaved: map[deal.ID]time.Time{}, wake: make(chan struct{}, 1)}
}

func (u *uses) note(key deal.ID, at time.Time) {
	minute := at.UTC().Truncate(time.Minute)
	u.mu.Lock()
	defer u.mu.Unlock()
	if !minute.After(u.seen[key]) {
		return
	}
	u.seen[key], u.unsaved[key] = minute, minute
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// take gives what is unsaved and forgets that it is.
func (u *uses) take() map[deal.ID]time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	taken := u.unsaved
	u.unsaved = map[deal.ID]time.Time{}
	return taken
}

// putBack keeps a use that could not be written for the next time, unless there is a later one.
func (u *uses) putBack(key deal.ID, at time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if at.After(u.unsaved[key]) {
		u.unsaved[key] = at
	}
}

// KeyUsedAt is the minute in which any process last let the key in, as far as this one knows: its own uses at once,
// those of others when they were written. It is false for a key that was never used.
func (r *Roster) KeyUsedAt(id deal.ID) (time.Time, bool) {
	r.mu.RLock()
	at := r.usedAt[id].At
	r.mu.RUnlock()
	r.uses.mu.Lock()
	defer r.uses.mu.Unlock()
	if seen := r.uses.seen[id]; seen.After(at) {
		at = seen
	}
	return at, !at.IsZero()
}

// saveUses writes uses as they come until ctx ends, and then those that are left.
func (r *Roster) saveUses(ctx context.Context) {
	store := NewStore(r.js)
	for {
		select {
		case <-r.uses.wake:
			r.saveAll(ctx, store)
		case <-ctx.Done():
			within, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveAtEndWithin)
			defer cancel()
			r.saveAll(within, store)
			return
		}
	}
}

func (r *Roster) saveAll(ctx context.Context, store *Store) {
	for key, at := range r.uses.take() {
		if err := r.saveUse(ctx, store, key, at); err != nil {
			r.uses.putBack(key, at)
			r.log.Debug("last use of a key not written, trying again with the next one", zap.Stringer("key_id", key), zap.Error(err))
		}
	}
}

// saveUse never replaces a later use, which another process may have written.
func (r *Roster) saveUse(ctx context.Context, store *Store, key deal.ID, at time.Time) error {
	r.mu.RLock()
	known := r.usedAt[key]
	r.mu.RUnlock()
	for {
		if !at.After(known.At) {
			return nil
		}
		_, err := store.put(ctx, KeyUse, key.String(), keyUse{At: at}, known.revision)
		if _, conflict := errors.AsType[*ConflictError](err); !conflict {
			return err
		}
		if known.revision, err = store.get(ctx, KeyUse, key.String(), &known); err != nil {
			return err
		}
	}
}
