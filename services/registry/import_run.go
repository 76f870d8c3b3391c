package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/dealcsv"
	"github.com/dealreg/dealreg/pkg/stream"
)

// importBatch is how many rows are looked up and written at once.
const importBatch = 500

// transferWithin bounds the way of one file into the store or out of it. Without a deadline of our own the client ends it
// after five seconds.
const transferWithin = 10 * time.Minute

// importer works through imports, one after the other. An import that was cut off begins again: the rows that are
// deals already are found unchanged.
type importer struct {
	s *Service

	mu      sync.Mutex
	waiting []deal.ID
	more    chan struct{} // holds a token while something may be waiting
}

func newImporter(s *Service) *importer {
	return &importer{s: s, more: make(chan struct{}, 1)}
}

func (i *importer) enqueue(id deal.ID) {
	i.mu.Lock()
	i.waiting = append(i.waiting, id)
	i.mu.Unlock()
	select {
	case i.more <- struct{}{}:
	default:
	}
}

func (i *importer) next() (deal.ID, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.waiting) == 0 {
		return deal.ID{}, false
	}
	id := i.waiting[0]
	i.waiting = i.waiting[1:]
	return id, true
}

// run takes up what was cut off and then what comes in, until ctx ends.
func (i *importer) run(ctx context.Context) {
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

// unfinished lists the imports whose last record says neither done nor failed.
func (i *importer) unfinished(ctx context.Context) ([]deal.ID, error) {
	consumer, err := i.s.js.OrderedConsumer(ctx, stream.RecordsStream, jetstream.OrderedConsumerConfig{
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
			i.s.cfg.Log.Error("import record cannot be read", zap.String("subject", m.Subject()), zap.Error(err))
			continue
		}
		if j.State == ImportWaiting || j.State == ImportRunning {
			ids = append(ids, j.ID)
		}
	}
	return ids, nil
}

// work runs one import to its end. What a retry can mend is tried again; a fault of the file fails the import.
func (i *importer) work(ctx context.Context, id deal.ID) {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		j, err := i.load(ctx, id)
		if err != nil {
			return struct{}{}, err
		}
		if j.State == ImportDone || j.State == ImportFailed {
			return struct{}{}, nil
		}
		err = i.rows(ctx, &j)
		if fault, ok := errors.AsType[*fileFault](err); ok {
			j.State, j.Error = ImportFailed, fault.Error()
			err = nil
		}
		if err != nil {
			i.s.cfg.Log.Warn("import begins again", zap.Stringer("import", id), zap.Error(err))
			return struct{}{}, err
		}
		ended := i.s.cfg.Now().UTC()
		j.EndedAt = &ended
		i.s.cfg.Log.Info("import ended", zap.Stringer("import", id), zap.String("state", string(j.State)), zap.Int("rows", j.Rows),
			zap.Int("registered", j.Registered), zap.Int("unchanged", j.Unchanged), zap.Int("rejected", j.Rejected))
		return struct{}{}, i.save(ctx, j)
	}, backoff.WithMaxElapsedTime(0), backoff.WithMaxTries(100))
	if err != nil && ctx.Err() == nil {
		i.s.cfg.Log.Error("import given up until the next start", zap.Stringer("import", id), zap.Error(err))
	}
}

// fileFault is a fault of the uploaded file itself, which no second try mends.
type fileFault struct{ err error }

func (f *fileFault) Error() string { return f.err.Error() }
func (f *fileFault) Unwrap() error { return f.err }

// rows reads the file row by row and writes its deals in batches, with the rejected rows beside.
func (i *importer) rows(ctx context.Context, j *job) error {
	select { // an import that was cut off may begin before the directory is read
	case <-i.s.cfg.Roster.Loaded():
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := i.mayImport(*j); err != nil {
		return &fileFault{err}
	}
	uploads, err := i.s.js.ObjectStore(ctx, stream.UploadsBucket)
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
	if err := i.batches(ctx, j, reader, counted, newRowReader(i.s, *j, mapping.CreateCompanies), rejects); err != nil {
		return err
	}
	if err := rejects.Flush(); err != nil {
		return fmt.Errorf("spool the rejected rows: %w", err)
	}
	if err := putFile(ctx, uploads, rejectsName(j.ID), spooled); err != nil {
		return fmt.Errorf("store the rejected rows: %w", err)
	}
	j.State, j.BytesRead = ImportDone, j.BytesTotal
	j.LastSequence, err = i.s.log.LastSequence(ctx)
	return err
}

// spool copies an upload to a file, since the store's reader cannot wait as long as the rows may take.
func spool(ctx context.Context, uploads jetstream.ObjectStore, name string) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, transferWithin)
	defer cancel()
	upload, err := uploads.Get(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open the upload: %w", err)
	}
	defer upload.Close()
	file, err := scratchFile()
	if err != nil {
		return nil, fmt.Errorf("spool the upload: %w", err)
	}
	if _, err = io.Copy(file, upload); err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, fmt.Errorf("spool the upload: %w", errors.Join(err, file.Close()))
	}
	return file, nil
}

// putFile stores a file from its beginning.
func putFile(ctx context.Context, uploads jetstream.ObjectStore, name string, file *os.File) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, transferWithin)
	defer cancel()
	_, err := uploads.Put(ctx, jetstream.ObjectMeta{Name: name}, file)
	return err
}

// scratchFile is a file without a name, which is gone when it is closed, however the process ends.
func scratchFile() (*os.File, error) {
	file, err := os.CreateTemp("", "dealreg-import-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func (j *job) begin() {
	j.State, j.BytesRead = ImportRunning, 0
	j.Rows, j.Registered, j.Unchanged, j.Rejected, j.Companies, j.Chapters, j.Members = 0, 0, 0, 0, 0, 0, 0
}

// batches works through the rows, importBatch at a time, and records the progress at most once a second.
func (i *importer) batches(
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
		if now := i.s.cfg.Now(); now.Sub(saved) >= time.Second {
			saved = now
			if err := i.save(ctx, *j); err != nil {
				return err
			}
		}
	}
	return nil
}

// readFault tells a fault of the file from one of the store that it lies in.
func (i *importer) readFault(counted *counter, err error) error {
	if counted.err != nil && !errors.Is(counted.err, io.EOF) {
		return fmt.Errorf("read the upload: %w", counted.err)
	}
	return &fileFault{err}
}

// counter counts the bytes read and remembers how reading ended.
type counter struct {
	r   io.Reader
	n   uint64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += uint64(n) // #nosec G115 -- n is not negative
	c.err = err
	return n, err
}
