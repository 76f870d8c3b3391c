package roster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
)

// retryAtMost bounds the pause before a bucket is opened again.
const retryAtMost = 2 * time.Second

// Run follows the buckets until ctx ends, and reports to health until all of them were read. It waits for the
// server and for the buckets (CreateBuckets makes them), and reads a bucket anew whenever the connection came back.
// Meanwhile it writes when keys were used.
func (r *Roster) Run(ctx context.Context) error {
	var group errgroup.Group
	group.Go(func() error {
		r.saveUses(ctx)
		return nil
	})
	for _, b := range Buckets {
		group.Go(func() error {
			r.follow(ctx, b)
			return nil
		})
	}
	return group.Wait()
}

func (r *Roster) follow(ctx context.Context, b Bucket) {
	status := r.js.Conn().StatusChanged(nats.CONNECTED, nats.RECONNECTING)
	defer r.js.Conn().RemoveStatusListener(status)
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 20*time.Millisecond, retryAtMost
	for ctx.Err() == nil {
		began, err := r.followOnce(ctx, b, status)
		if began {
			pause.Reset()
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		r.note(b, err)
		r.log.Debug("bucket not followed, trying again", zap.String("bucket", string(b)), zap.Error(err))
		select {
		case <-time.After(pause.NextBackOff()):
		case <-status:
		case <-ctx.Done():
		}
	}
}

// note keeps why a bucket is not followed, nil when it is, and reports the whole.
func (r *Roster) note(b Bucket, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress[b].err = err
	if r.waiting > 0 && err == nil {
		err = ErrNotLoaded
	}
	for _, other := range Buckets {
		if e := r.progress[other].err; e != nil {
			err = e
		}
	}
	r.report(err)
}

var (
	errWatchEnded   = errors.New("the watch ended")
	errDisconnected = errors.New("NATS does not answer")
)

// followOnce reads the whole bucket and then its changes, until the connection was lost or found again, the watch
// ends or ctx does. began tells whether the bucket was read.
func (r *Roster) followOnce(ctx context.Context, b Bucket, status <-chan nats.Status) (began bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the watch, without waiting for a server that may be away
	updates, err := r.open(ctx, cancel, b, status)
	if err != nil {
		return false, err
	}
	defer func() { go drain(updates) }()

	var initial []jetstream.KeyValueEntry
	for {
		select {
		case <-ctx.Done():
			return began, nil
		case now := <-status:
			if now == nats.RECONNECTING {
				return began, errDisconnected
			}
			return began, nil
		case entry, open := <-updates:
			switch {
			case !open:
				return began, fmt.Errorf("watch bucket %s: %w", b, errWatchEnded)
			case began:
				r.takeAll(b, false, entry)
			case entry == nil:
				began = true
				r.takeAll(b, true, initial...)
				initial = nil
				r.note(b, nil)
			default:
				initial = append(initial, entry)
			}
		}
	}
}

// open begins a watch. A request that meets a change of the connection is lost, so it gives up then, and in any case
// after a moment. The watch lives until cancel.
func (r *Roster) open(ctx context.Context, cancel func(), b Bucket, status <-chan nats.Status) (<-chan jetstream.KeyValueEntry, error) {
	opened := make(chan struct{})
	gaveUp := make(chan bool, 1)
	go func() {
		select {
		case <-opened:
			gaveUp <- false
			return
		case <-status:
		case <-time.After(retryAtMost):
		}
		cancel()
		gaveUp <- true
	}()
	kv, err := r.js.KeyValue(ctx, string(b))
	var watch jetstream.KeyWatcher
	if err == nil {
		watch, err = kv.WatchAll(ctx)
	}
	close(opened)
	if <-gaveUp {
		if watch != nil {
			go drain(watch.Updates())
		}
		return nil, errDisconnected
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", b, err)
	}
	return watch.Updates(), nil
}

// drain takes what is left of a watch that was cancelled: it blocks on what nobody takes, and closes its updates when
// it has ended.
func drain(updates <-chan jetstream.KeyValueEntry) {
	for range updates { //nolint:revive // nothing is left to do with them
	}
}

// takeAll takes entries over at once; anew forgets what was known of the bucket before.
func (r *Roster) takeAll(b Bucket, anew bool, entries ...jetstream.KeyValueEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if anew {
		r.clear(b)
	}
	var last uint64
	for _, e := range entries {
		if e == nil {
			continue
		}
		last = e.Revision()
		if e.Operation() != jetstream.KeyValuePut {
			r.remove(b, e.Key())
			continue
		}
		if err := r.apply(b, e.Key(), e.Value(), e.Revision()); err != nil {
			r.log.Error("directory entry not readable", zap.String("bucket", string(b)), zap.Uint64("revision", e.Revision()), zap.String("problem", "not the JSON of this bucket"))
		}
	}
	r.step(b, last, anew)
}
