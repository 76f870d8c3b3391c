package imports

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
)

// State is where an import stands.
type State string

// The states of an import.
const (
	Waiting State = "waiting"
	Running State = "running"
	Done    State = "done"
	Failed  State = "failed"
)

// Import is one import as the API shows it and as the records keep it.
type Import struct {
	ID            deal.ID    `json:"id"`
	AssociationID *deal.ID   `json:"association_id,omitempty" doc:"Whose registrar imports history"`
	CompanyID     *deal.ID   `json:"company_id,omitempty" doc:"Which company brings its own deals"`
	State         State      `json:"state" enum:"waiting,running,done,failed"`
	Error         string     `json:"error,omitempty" doc:"Why the import failed, and what to do"`
	DryRun        bool       `json:"dry_run,omitempty"`
	Reference     string     `json:"reference,omitempty" doc:"The documents on which the registrar attests"`
	BytesTotal    uint64     `json:"bytes_total"`
	BytesRead     uint64     `json:"bytes_read"`
	Rows          int        `json:"rows" doc:"Read so far"`
	Registered    int        `json:"registered" doc:"Rows that became deals"`
	Unchanged     int        `json:"unchanged" doc:"Rows that an earlier import brought"`
	Rejected      int        `json:"rejected" doc:"Rows with a fault; each with its reasons at .../rejects"`
	Companies     int        `json:"companies_created"`
	Chapters      int        `json:"chapters_created"`
	Members       int        `json:"members_created"`
	LastSequence  uint64     `json:"last_sequence,omitempty" doc:"The log's last sequence when the import ended: a report as of it holds all its deals"`
	CreatedAt     time.Time  `json:"created_at"`
	EndedAt       *time.Time `json:"ended_at,omitempty"`
}

// job is what the records keep of an import.
type job struct {
	Import
	Map    json.RawMessage `json:"map,omitempty"`
	Key    deal.ID         `json:"key"`    // that asked for it
	Upload string          `json:"upload"` // the file's name in the store
	Hash   []byte          `json:"hash"`   // of all that was asked, with the file: the same key may come again with nothing else
}

func (j job) actor() deal.Actor {
	a := deal.Actor{Key: j.Key}
	if j.AssociationID != nil {
		a.Association = *j.AssociationID
	} else {
		a.Company = *j.CompanyID
	}
	return a
}

// owner is the company or association whose external references the file uses.
func (j job) owner() deal.ID {
	a := j.actor()
	if !a.Association.IsZero() {
		return a.Association
	}
	return a.Company
}

// hash begins the job's hash with what was asked; the file follows.
func (j job) hash() (hash.Hash, error) {
	text, err := json.Marshal([]any{j.DryRun, j.Reference, j.Map})
	if err != nil {
		return nil, fmt.Errorf("hash the request: %w", err)
	}
	asked := sha256.Sum256(append([]byte(deal.Import+"\n"), text...))
	h := sha256.New()
	h.Write(asked[:])
	return h, nil
}

func (j *job) begin() {
	j.State, j.BytesRead = Running, 0
	j.Rows, j.Registered, j.Unchanged, j.Rejected, j.Companies, j.Chapters, j.Members = 0, 0, 0, 0, 0, 0, 0
}

// load reads where the import stands. jetstream.ErrMsgNotFound when there is none.
func (i *Importer) load(ctx context.Context, id deal.ID) (job, error) {
	records, err := i.cfg.JS.Stream(ctx, stream.RecordsStream)
	if err != nil {
		return job{}, fmt.Errorf("find the records: %w", err)
	}
	m, err := records.GetLastMsgForSubject(ctx, stream.ImportSubject(id))
	if err != nil {
		return job{}, fmt.Errorf("read import %s: %w", id, err)
	}
	var j job
	if err := json.Unmarshal(m.Data, &j); err != nil {
		return job{}, fmt.Errorf("read import %s: %w", id, err)
	}
	return j, nil
}

func (i *Importer) save(ctx context.Context, j job, options ...jetstream.PublishOpt) error {
	text, err := json.Marshal(j)
	if err != nil {
		return fmt.Errorf("write import %s: %w", j.ID, err)
	}
	if _, err := i.cfg.JS.Publish(ctx, stream.ImportSubject(j.ID), text, options...); err != nil {
		return fmt.Errorf("write import %s: %w", j.ID, err)
	}
	return nil
}

// unfinished lists the imports whose last record says neither done nor failed.
func (i *Importer) unfinished(ctx context.Context) ([]deal.ID, error) {
	consumer, err := i.cfg.JS.OrderedConsumer(ctx, stream.RecordsStream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{"records.import.*"}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy,
	})
	if err != nil {
		return nil, fmt.Errorf("list imports: %w", err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("list imports: %w", err)
	}
	var ids []deal.ID
	for range info.NumPending {
		m, err := consumer.Next(jetstream.FetchContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("list imports: %w", err)
		}
		var j job
		if err := json.Unmarshal(m.Data(), &j); err != nil {
			i.cfg.Log.Error("import record cannot be read", zap.String("subject", m.Subject()), zap.Error(err))
			continue
		}
		if j.State == Waiting || j.State == Running {
			ids = append(ids, j.ID)
		}
	}
	return ids, nil
}
