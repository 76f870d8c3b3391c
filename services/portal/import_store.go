package portal

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/deal"
)

// The buckets of imports: files that wait to be imported, and how each company or association last had its file read.
const (
	draftsBucket = "portal_uploads"
	mapsBucket   = "portal_import_maps"
	keepDraft    = 24 * time.Hour
)

// draft is a file that waits between the steps, with what was said about it. It ends keepDraft after its upload.
type draft struct {
	ID        string            `json:"-"`
	File      string            `json:"file"` // the name that its sender gave it
	Rows      int               `json:"rows"`
	Reference string            `json:"reference,omitempty"` // of a registrar's documents
	Names     map[string]string `json:"names"`               // the entries of the map
	Create    bool              `json:"create,omitempty"`    // companies, chapters and members that are missing
	Check     deal.ID           `json:"check"`               // the latest dry run
}

// drafts keeps them in JetStream. Each is found only under the ID of the company or association that sent it.
type drafts struct {
	js       jetstream.JetStream
	replicas int

	mu    sync.Mutex
	files jetstream.ObjectStore
	maps  jetstream.KeyValue
}

// open makes the buckets that are missing.
func (d *drafts) open(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.maps != nil {
		return nil
	}
	files, err := d.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket: draftsBucket, Description: "dealreg portal: files that wait to be imported", TTL: keepDraft,
		Storage: jetstream.FileStorage, Replicas: max(1, d.replicas),
	})
	if err != nil {
		return fmt.Errorf("open the waiting files: %w", err)
	}
	maps, err := d.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: mapsBucket, Description: "dealreg portal: how each company or association had its file read", History: 1,
		MaxValueSize: 1 << 14, Storage: jetstream.FileStorage, Replicas: max(1, d.replicas),
	})
	if err != nil {
		return fmt.Errorf("open the maps of imports: %w", err)
	}
	d.files, d.maps = files, maps
	return nil
}

// Count is how many rows the file has.
func (f draft) Count() int64 { return int64(f.Rows) }

func objectName(owner deal.ID, id string) string { return owner.String() + "/" + id }

const draftEntry = "draft" // of an object's metadata

func (f draft) meta(owner deal.ID) (jetstream.ObjectMeta, error) {
	text, err := json.Marshal(f)
	return jetstream.ObjectMeta{Name: objectName(owner, f.ID), Metadata: map[string]string{draftEntry: string(text)}}, err
}

// put keeps a new file and gives it an ID that nobody guesses.
func (d *drafts) put(ctx context.Context, owner deal.ID, f *draft, file []byte) error {
	if err := d.open(ctx); err != nil {
		return err
	}
	f.ID = rand.Text()
	meta, err := f.meta(owner)
	if err != nil {
		return err
	}
	if _, err := d.files.Put(ctx, meta, bytes.NewReader(file)); err != nil {
		return fmt.Errorf("keep a file: %w", err)
	}
	return nil
}

// say keeps what was said about a file that is there.
func (d *drafts) say(ctx context.Context, owner deal.ID, f draft) error {
	meta, err := f.meta(owner)
	if err != nil {
		return err
	}
	if err := d.files.UpdateMeta(ctx, meta.Name, meta); err != nil {
		return fmt.Errorf("keep what was said about a file: %w", err)
	}
	return nil
}

// get reads what was said about a file. One of another owner, one that has ended and one that never was are errNotFound.
func (d *drafts) get(ctx context.Context, owner deal.ID, id string) (draft, error) {
	if err := d.open(ctx); err != nil {
		return draft{}, err
	}
	info, err := d.files.GetInfo(ctx, objectName(owner, id))
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return draft{}, errNotFound
	}
	if err != nil {
		return draft{}, fmt.Errorf("find a file: %w", err)
	}
	f := draft{}
	if err := json.Unmarshal([]byte(info.Metadata[draftEntry]), &f); err != nil {
		return draft{}, fmt.Errorf("find a file: %w", err)
	}
	f.ID = id
	return f, nil
}

// file reads the file of a draft.
func (d *drafts) file(ctx context.Context, owner deal.ID, id string) ([]byte, error) {
	text, err := d.files.GetBytes(ctx, objectName(owner, id))
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read a file: %w", err)
	}
	return text, nil
}

// remember keeps how an owner had its file read.
func (d *drafts) remember(ctx context.Context, owner deal.ID, names map[string]string) error {
	text, err := json.Marshal(names)
	if err != nil {
		return err
	}
	if _, err := d.maps.Put(ctx, owner.String(), text); err != nil {
		return fmt.Errorf("remember a map: %w", err)
	}
	return nil
}

// remembered is how the owner had its last file read; nil when none was.
func (d *drafts) remembered(ctx context.Context, owner deal.ID) (map[string]string, error) {
	if err := d.open(ctx); err != nil {
		return nil, err
	}
	entry, err := d.maps.Get(ctx, owner.String())
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read a map: %w", err)
	}
	var names map[string]string
	if err := json.Unmarshal(entry.Value(), &names); err != nil {
		return nil, fmt.Errorf("read a map: %w", err)
	}
	return names, nil
}
