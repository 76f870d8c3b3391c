package roster

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Bucket is the name of one JetStream KV bucket.
type Bucket string

// The buckets. Their keys: ids; in members <association>.<company>; in waivers <association>.<company>.<partner>; in
// keys and sessions the prefix of the token; in rates the day; in key_use, which says when keys were last used and
// people last there, the id of the key or the person.
const (
	Companies    Bucket = "companies"
	Associations Bucket = "associations"
	Chapters     Bucket = "chapters"
	Members      Bucket = "members"
	Keys         Bucket = "keys"
	Rates        Bucket = "rates"
	KeyUse       Bucket = "key_use"
	Sessions     Bucket = "sessions"
	People       Bucket = "people"
	Waivers      Bucket = "waivers"
)

// Buckets is the whole topology.
var Buckets = []Bucket{Companies, Associations, Chapters, Members, Keys, Rates, KeyUse, Sessions, People, Waivers}

const (
	history      = 5       // earlier values of an entry that are kept for the operator
	maxValueSize = 1 << 18 // bytes
)

// CreateBuckets makes what is missing and leaves alone what is there.
func CreateBuckets(ctx context.Context, js jetstream.JetStream, replicas int) error {
	for _, b := range Buckets {
		_, err := js.KeyValue(ctx, string(b))
		if err == nil {
			continue
		}
		if err := ignoreExists(create(ctx, js, b, replicas)); err != nil {
			return fmt.Errorf("create bucket %s: %w", b, err)
		}
	}
	return nil
}

func create(ctx context.Context, js jetstream.JetStream, b Bucket, replicas int) error {
	cfg := jetstream.KeyValueConfig{
		Bucket: string(b), Description: "dealreg directory: " + string(b), History: history,
		MaxValueSize: maxValueSize, Storage: jetstream.FileStorage, Replicas: max(1, replicas),
	}
	switch b {
	case KeyUse:
		cfg.History = 1
	case Sessions:
		cfg.History = 1
		cfg.TTL = SessionLasts           // the server drops what expired,
		cfg.LimitMarkerTTL = time.Minute // and tells those who follow the bucket
	default:
	}
	_, err := js.CreateKeyValue(ctx, cfg)
	return err
}

func memberSlot(association, company deal.ID) string {
	return association.String() + "." + company.String()
}
