package imports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealcsv"
	"github.com/dealreg/dealreg/pkg/stream"
)

// importBatch is how many rows are looked up and written at once.
const importBatch = 500

// Importer works through imports, one after the other. An import that was cut off begins again: the rows that are
// deals already are found unchanged.
type Importer struct {
	cfg Config

	mu      sync.Mutex
	waiting []deal.ID
	more    chan struct{} // holds a token while something may be waiting
}

// New makes the importer.
func New(cfg Config) *Importer { return &Importer{cfg: cfg, more: make(chan struct{}, 1)} }

func (i *Importer) enqueue(id deal.ID) {
	i.mu.Lock()
	i.waiting = append(i.waiting, id)
	i.mu.Unlock()
	select {
	case i.more <- struct{}{}:
	default:
	}
}

func (i *Importer) next() (deal.ID, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.waiting) == 0 {
		return deal.ID{}, false
	}
	id := i.waiting[0]
	i.waiting = i.waiting[1:]
	return id, true
}

// Run takes up what was cut off and then what comes in, until ctx ends.
func (i *Importer) Run(ctx context.Context) {
	unfinished, err := backoff.Retry(ctx, func() ([]deal.ID, error) { return i.unfinished(ctx) }, backoff.WithMaxElapsedTime(0))
	if err != nil {
		return // ctx ended
	}
	for _, id := range unfinished {
		i.enqueue(id)
	}
	for {
		id, some := i.next()
		if some {
			i.work(ctx, id)
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-i.more:
		}
	}
}

// work runs one import to its end. What a retry can mend is tried again; a fault of the file fails the import.
func (i *Importer) work(ctx context.Context, id deal.ID) {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		j, err := i.load(ctx, id)
		if err != nil {
			return struct{}{}, err
		}
		if j.State == Done || j.State == Failed {
			return struct{}{}, nil
		}
		err = i.rows(ctx, &j)
		if fault, ok := errors.AsType[*fileFault](err); ok {
			j.State, j.Error = Failed, fault.Error()
			err = nil
		}
		if err != nil {
			i.cfg.Log.Warn("import begins again", zap.Stringer("import", id), zap.Error(err))
			return struct{}{}, err
		}
		ended := i.cfg.Now().UTC()
		j.EndedAt = &ended
		i.cfg.Log.Info("import ended", zap.Stringer("import", id), zap.String("state", string(j.State)), zap.Int("rows", j.Rows),
			zap.Int("registered", j.Registered), zap.Int("unchanged", j.Unchanged), zap.Int("rejected", j.Rejected))
		return struct{}{}, i.save(ctx, j)
	}, backoff.WithMaxElapsedTime(0), backoff.WithMaxTries(100))
	if err != nil && ctx.Err() == nil {
		i.cfg.Log.Error("import given up until the next start", zap.Stringer("import", id), zap.Error(err))
	}
}

// fileFault is a fault of the uploaded file itself, which no second try mends.
type fileFault struct{ err error }

func (f *fileFault) Error() string { return f.err.Error() }
func (f *fileFault) Unwrap() error { return f.err }

// rows reads the file row by row and writes its deals in batches, with the rejected rows beside.
func (i *Importer) rows(ctx context.Context, j *job) error {
	select { // an import that was cut off may begin before the directory is read
	case <-i.cfg.Roster.Loaded():
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := i.mayImport(*j); err != nil {
		return &fileFault{err}
	}
	uploads, err := i.cfg.JS.ObjectStore(ctx, stream.UploadsBucket)
	if err != nil {
		return fmt.Errorf("find the uploads: %w", err)
	}
	file, err := spool(ctx, uploads, j.Upload)
	if err != nil {
		return err
	}
	defer file.Close()
	mapping, err := readMap(j.Map)
	if err != nil {
		return &fileFault{err}
	}
	counted := &counter{r: file}
	reader, err := dealcsv.NewReader(counted, mapping)
	if err != nil {
		return &fileFault{err}
	}
	spooled, err := scratchFile()
	if err != nil {
		return fmt.Errorf("spool the rejected rows: %w", err)
	}
	defer spooled.Close()
	j.begin()
	rejects := dealcsv.NewRejectWriter(spooled, reader.Header())
	if err := i.batches(ctx, j, reader, counted, newRowReader(i.cfg, *j, mapping.CreateCompanies), rejects); err != nil {
		return err
	}
	if err := rejects.Flush(); err != nil {
		return fmt.Errorf("spool the rejected rows: %w", err)
	}
	if err := putFile(ctx, uploads, rejectsName(j.ID), spooled); err != nil {
		return fmt.Errorf("store the rejected rows: %w", err)
	}
	j.State, j.BytesRead = Done, j.BytesTotal
	j.LastSequence, err = i.cfg.Deals.LastSequence(ctx)
	return err
}

// batches works through the rows, importBatch at a time, and records the progress at most once a second.
func (i *Importer) batches(
	ctx context.Context, j *job, reader *dealcsv.Reader, counted *counter, rr *rowReader, rejects *dealcsv.RejectWriter,
) error {
	var saved time.Time
	for end := false; !end; {
		var rows []dealcsv.Row
		for len(rows) < importBatch {
			row, err := reader.Next()
			if errors.Is(err, io.EOF) {
				end = true
				break
			}
			if err != nil {
				return i.readFault(counted, err)
			}
			rows = append(rows, row)
		}
		if err := rr.batch(ctx, j, rows); err != nil {
			return err
		}
		for _, row := range rows {
			if row.Sound() {
				continue
			}
			j.Rejected++
			if err := rejects.Write(row); err != nil {
				return fmt.Errorf("store the rejected rows: %w", err)
			}
		}
		j.Rows, j.BytesRead = j.Rows+len(rows), counted.n
		if now := i.cfg.Now(); now.Sub(saved) >= time.Second {
			saved = now
			if err := i.save(ctx, *j); err != nil {
				return err
			}
		}
	}
	return nil
}

// readFault tells a fault of the file from one of the store that it lies in.
func (i *Importer) readFault(counted *counter, err error) error {
	if counted.err != nil && !errors.Is(counted.err, io.EOF) {
		return fmt.Errorf("read the upload: %w", counted.err)
	}
	return &fileFault{err}
}
