// Package stream is the contract of the log on JetStream: its streams and subjects, the form of an event on the wire,
// and the few ways to write and read it. What an event means is the business of the packages deal and volume.
package stream

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/deal"
)

// The streams and the bucket for uploads.
const (
	DealsStream   = "DEALS"   // every event of every deal: the only truth
	RecordsStream = "RECORDS" // what is not a deal: imports, looks, flags and decisions, statements
	UploadsBucket = "uploads" // files as they came in, and their rejected rows
)

// Shards is the number of subject prefixes over which deals are spread, so that consumers can share the stream later
// without moving data. It never changes.
const Shards = 64

// Subject is where the events of one deal are: deals.<shard>.<id>.
func Subject(id deal.ID) string {
	h := fnv.New32a()
	_, _ = h.Write(id[:])
	return fmt.Sprintf("deals.%d.%s", h.Sum32()%Shards, id)
}

// ImportSubject is where the progress of one import is; the last message is where it stands.
func ImportSubject(id deal.ID) string { return "records.import." + id.String() }

// Where looks are that belong to no one association, in place of its id.
const (
	LookAtAll  = "all"  // at the whole log
	LookAtNone = "none" // at deals of no association
)

// LookSubject is where the looks of one key at the deals of one association are. The association is an id, LookAtAll or
// LookAtNone; either part may be *, which stands for every one.
func LookSubject(association, key string) string { return "records.look." + association + "." + key }

// ConflictSubjects is where all flags are that two deals may be one.
const ConflictSubjects = "records.conflict.*.*"

// ConflictSubject is where the flag of two deals is, whichever of them comes first; the last message is where it stands.
func ConflictSubject(a, b deal.ID) string {
	if a.Compare(b) > 0 {
		a, b = b, a
	}
	return "records.conflict." + a.String() + "." + b.String()
}

func topology(replicas int) []jetstream.StreamConfig {
	// Neither stream has a limit, loses its oldest messages or lets one be deleted: a log that forgets proves nothing.
	lasting := jetstream.StreamConfig{
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew,
		Replicas:    replicas,
		DenyDelete:  true,
		DenyPurge:   true,
		AllowDirect: true,
		MaxMsgs:     -1, MaxBytes: -1, MaxMsgsPerSubject: -1, MaxMsgSize: -1, MaxConsumers: -1,
	}
	deals, records := lasting, lasting
	deals.Name, deals.Subjects, deals.AllowAtomicPublish = DealsStream, []string{"deals.*.*"}, true
	deals.Description = "Every event of every deal, in one order. The only truth."
	records.Name, records.Subjects = RecordsStream, []string{"records.>"}
	records.Description = "What is recorded beside the deals: imports, and flags that two deals may be one."
	return []jetstream.StreamConfig{deals, records}
}

// Ensure creates the streams and the buckets that are missing. It leaves what exists as it is.
func Ensure(ctx context.Context, js jetstream.JetStream, replicas int) error {
	for _, cfg := range topology(replicas) {
		_, err := js.CreateStream(ctx, cfg)
		if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return fmt.Errorf("create stream %s: %w", cfg.Name, err)
		}
	}
	_, err := js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket: UploadsBucket, Storage: jetstream.FileStorage, Replicas: replicas,
	})
	if err != nil && !errors.Is(err, jetstream.ErrBucketExists) && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("create bucket %s: %w", UploadsBucket, err)
	}
	return ensureEnds(ctx, js, replicas)
}
