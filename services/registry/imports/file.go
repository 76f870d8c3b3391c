package imports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/dealreg/dealreg/pkg/stream"
)

// transferWithin bounds the way of one file into the store or out of it. Without a deadline of our own the client ends it
// after five seconds.
const transferWithin = 10 * time.Minute

// drop deletes a file that no import needs.
func (i *Importer) drop(ctx context.Context, upload string) {
	uploads, err := i.cfg.JS.ObjectStore(ctx, stream.UploadsBucket)
	if err == nil {
		err = uploads.Delete(ctx, upload)
	}
	if err != nil {
		i.cfg.Log.Warn("upload stays although nothing needs it", zap.String("upload", upload), zap.Error(err))
	}
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
