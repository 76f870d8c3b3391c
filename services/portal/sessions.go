package portal

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	bucketName = "portal_sessions"
	// idleFor is how long a session lasts without a request, sessionFor how long at most.
	idleFor    = 2 * time.Hour
	sessionFor = 12 * time.Hour
	tokenSize  = 43 // of scs: 256 random bits in base64
)

// sessions keeps sessions in a JetStream KV bucket. An entry is found by the SHA-256 of the token that the browser
// holds, and sealed (AES-256-GCM) under a key derived from that token (HKDF-SHA256): who has the bucket but no token
// opens nothing. It is the scs.CtxStore of the portal.
type sessions struct {
	js       jetstream.JetStream
	replicas int
	now      func() time.Time

	mu sync.Mutex
	kv jetstream.KeyValue
}

var errAway = errors.New("no connection to NATS, which keeps the sessions")

// open gives the bucket and makes it when it is missing. The server drops entries that were not written for idleFor.
func (s *sessions) open(ctx context.Context) (jetstream.KeyValue, error) {
	if !s.js.Conn().IsConnected() {
		return nil, errAway // asking would only wait
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kv != nil {
		return s.kv, nil
	}
	kv, err := s.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: bucketName, Description: "dealreg portal: sealed sessions", TTL: idleFor, History: 1,
		MaxValueSize: 1 << 14, Storage: jetstream.FileStorage, Replicas: max(1, s.replicas),
	})
	if err != nil {
		return nil, fmt.Errorf("open the sessions: %w", err)
	}
	s.kv = kv
	return kv, nil
}

// FindCtx gives the data of a token. A token that is none, is unknown or has ended, and an entry that was tampered with,
// are not found.
func (s *sessions) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	if len(token) != tokenSize {
		return nil, false, nil
	}
	kv, err := s.open(ctx)
	if err != nil {
		return nil, false, err
	}
	name := nameOf(token)
	entry, err := kv.Get(ctx, name)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read a session: %w", err)
	}
	opened, err := sealOf(token).Open(nil, nil, entry.Value(), []byte(name))
	if err != nil || len(opened) < 8 {
		return nil, false, nil //nolint:nilerr // scs asks for this of tampered entries
	}
	ends := time.UnixMilli(int64(binary.BigEndian.Uint64(opened))) // #nosec G115 -- written by CommitCtx
	return opened[8:], s.now().Before(ends), nil
}

// CommitCtx keeps the data of a token until it ends.
func (s *sessions) CommitCtx(ctx context.Context, token string, data []byte, ends time.Time) error {
	kv, err := s.open(ctx)
	if err != nil {
		return err
	}
	name := nameOf(token)
	plain := binary.BigEndian.AppendUint64(nil, uint64(ends.UnixMilli())) // #nosec G115 -- after 1970
	sealed := sealOf(token).Seal(nil, nil, append(plain, data...), []byte(name))
	if _, err := kv.Put(ctx, name, sealed); err != nil {
		return fmt.Errorf("keep a session: %w", err)
	}
	return nil
}

// DeleteCtx forgets a token.
func (s *sessions) DeleteCtx(ctx context.Context, token string) error {
	kv, err := s.open(ctx)
	if err != nil {
		return err
	}
	if err := kv.Purge(ctx, nameOf(token)); err != nil {
		return fmt.Errorf("end a session: %w", err)
	}
	return nil
}

// Find is FindCtx for callers without a context; scs has none.
func (s *sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx for callers without a context; scs has none.
func (s *sessions) Commit(token string, data []byte, ends time.Time) error {
	return s.CommitCtx(context.Background(), token, data, ends)
}

// Delete is DeleteCtx for callers without a context; scs has none.
func (s *sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

func nameOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

func sealOf(token string) cipher.AEAD {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "dealreg portal session", 32)
	if err != nil {
		panic(err) // 32 bytes are never too many
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the key is of the right size
	}
	sealed, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // the block is of AES
	}
	return sealed
}
