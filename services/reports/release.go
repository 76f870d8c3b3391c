package reports

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/disclosure"
	"github.com/dealreg/dealreg/pkg/money"
	"github.com/dealreg/dealreg/pkg/stream"
)

// release is the record of one release in the stream of records. It is never changed. What can be long lies in an object
// beside it, which its hash protects.
type release struct {
	stream.Statement
	Closed      bool           `json:"closed"` // made to close the year, or after that
	Reason      string         `json:"reason,omitempty"`
	Currency    money.Currency `json:"currency"`
	AsOf        time.Time      `json:"as_of,omitzero"` // when the event at AsOfSequence happened
	LogHash     string         `json:"log_hash"`
	Quarantined uint64         `json:"quarantined_events"`
	Members     *Members       `json:"members,omitempty"`
	Total       Cell           `json:"total"`              // that of the content, for lists
	Previous    int            `json:"previous,omitempty"` // the latest release of the year before, at that time; 0 for none
	Content     objectRef      `json:"content"`
	Request     *request       `json:"request,omitempty"` // nil: made by itself
}

// request ties a release to the request that asked for it.
type request struct {
	By   deal.ID `json:"by"`   // the key
	Key  string  `json:"key"`  // the Idempotency-Key
	Hash string  `json:"hash"` // of what was asked
}

// objectRef names an object of the uploads bucket: gzipped JSON of a content.
type objectRef struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"` // of the object's bytes
}

// content is what a release says.
type content struct {
	Release disclosure.Release `json:"release"`
	// HeldBack lists the events that the release does not include although the log held them then.
	HeldBack []HeldBackEvent `json:"held_back"`
	MadeWith MadeWith        `json:"made_with"`
}

// HeldBackEvent is an event of the log that a release leaves out, because what it adds cannot be shown yet.
type HeldBackEvent struct {
	Sequence uint64  `json:"sequence" doc:"Of the event in the log"`
	DealID   deal.ID `json:"deal_id" doc:"The deal counts as it did before the first of its events that is held back"`
}

// errDamaged says that an object is not the one that was published.
var errDamaged = errors.New("its content is not what was published: restore the bucket " + stream.UploadsBucket + " from the backup")

// maxContent bounds what an object may unpack to.
const maxContent = 1 << 30

// shelf keeps releases.
type shelf struct {
	records *stream.Records
	js      jetstream.JetStream
}

func newShelf(nc *nats.Conn) (*shelf, error) {
	records, err := stream.NewRecords(nc)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	return &shelf{records: records, js: js}, nil
}

// on gives the releases on the subject in the order in which they were made.
func (s *shelf) on(ctx context.Context, subject string) ([]release, error) {
	var all []release
	err := s.records.Each(ctx, subject, func(sequence uint64, payload []byte) error {
		var r release
		if err := json.Unmarshal(payload, &r); err != nil {
			return fmt.Errorf("record %d is no release: %w", sequence, err)
		}
		all = append(all, r)
		return nil
	})
	return all, err
}

// lastOfAll is the sequence of the latest release of any association, 0 when there is none.
func (s *shelf) lastOfAll(ctx context.Context) (uint64, error) {
	sequence, _, err := s.records.Last(ctx, stream.StatementSubjects)
	if errors.Is(err, stream.ErrNoRecord) {
		return 0, nil
	}
	return sequence, err
}

// put writes the record behind the latest release of any association. Errors are stream.ErrConflict, when another release
// came first, and stream.ErrUnknown.
func (s *shelf) put(ctx context.Context, r release, behind uint64) error {
	payload, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode a release: %w", err)
	}
	_, err = s.records.PutStatement(ctx, r.Statement, behind, payload)
	return err
}

// keep stores a content under a name of its own.
func (s *shelf) keep(ctx context.Context, c content) (objectRef, error) {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	err := json.NewEncoder(zip).Encode(c)
	if err := errors.Join(err, zip.Close()); err != nil {
		return objectRef{}, fmt.Errorf("encode a release: %w", err)
	}
	sum := sha256.Sum256(packed.Bytes())
	ref := objectRef{Name: "statement-" + uuid.NewString(), SHA256: hex.EncodeToString(sum[:])}
	bucket, err := s.js.ObjectStore(ctx, stream.UploadsBucket)
	if err == nil {
		_, err = bucket.PutBytes(ctx, ref.Name, packed.Bytes())
	}
	if err != nil {
		return objectRef{}, fmt.Errorf("keep a release: %w", err)
	}
	return ref, nil
}

// drop deletes the content of a release that was not made. One that stays does no harm.
func (s *shelf) drop(ctx context.Context, ref objectRef) error {
	bucket, err := s.js.ObjectStore(ctx, stream.UploadsBucket)
	if err == nil {
		err = bucket.Delete(ctx, ref.Name)
	}
	return err
}

// content reads what the release says. An object that is not the one that the record names is an error.
func (s *shelf) content(ctx context.Context, r release) (content, error) {
	fail := func(err error) (content, error) {
		return content{}, fmt.Errorf("read release %s: %w", r.ID(), err)
	}
	bucket, err := s.js.ObjectStore(ctx, stream.UploadsBucket)
	if err != nil {
		return fail(err)
	}
	packed, err := bucket.GetBytes(ctx, r.Content.Name)
	if err != nil {
		return fail(err)
	}
	if sum := sha256.Sum256(packed); hex.EncodeToString(sum[:]) != r.Content.SHA256 {
		return fail(errDamaged)
	}
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return fail(err)
	}
	var c content
	if err := json.NewDecoder(io.LimitReader(zip, maxContent)).Decode(&c); err != nil {
		return fail(err)
	}
	return c, nil
}
