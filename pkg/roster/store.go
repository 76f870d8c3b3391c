package roster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/calendar"
	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/money"
)

// Store writes the directory. Each write names the revision that it replaces (0: none) and fails with a
// *ConflictError when another writer was first; any other error means that it is not known whether it was written.
// A Store checks no values: Clean and Validate first.
type Store struct {
	js jetstream.JetStream

	mu   sync.Mutex
	open map[Bucket]jetstream.KeyValue
}

// NewStore needs no server yet.
func NewStore(js jetstream.JetStream) *Store {
	return &Store{js: js, open: map[Bucket]jetstream.KeyValue{}}
}

// bucket asks the server for each bucket only once.
func (s *Store) bucket(ctx context.Context, b Bucket) (jetstream.KeyValue, error) {
	if !s.js.Conn().IsConnected() {
		return nil, errDisconnected // asking would only wait
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if kv := s.open[b]; kv != nil {
		return kv, nil
	}
	kv, err := s.js.KeyValue(ctx, string(b))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", b, err)
	}
	s.open[b] = kv
	return kv, nil
}

// PutCompany writes c over c.Revision and gives the new revision.
func (s *Store) PutCompany(ctx context.Context, c Company) (uint64, error) {
	return s.put(ctx, Companies, c.ID.String(), c, c.Revision)
}

// PutAssociation writes a over a.Revision and gives the new revision.
func (s *Store) PutAssociation(ctx context.Context, a Association) (uint64, error) {
	return s.put(ctx, Associations, a.ID.String(), a, a.Revision)
}

// PutChapter writes c over c.Revision and gives the new revision.
func (s *Store) PutChapter(ctx context.Context, c Chapter) (uint64, error) {
	return s.put(ctx, Chapters, c.ID.String(), c, c.Revision)
}

// PutMembership writes m over m.Revision and gives the new revision.
func (s *Store) PutMembership(ctx context.Context, m Membership) (uint64, error) {
	return s.put(ctx, Members, memberSlot(m.AssociationID, m.CompanyID), m, m.Revision)
}

// PutKey writes k over k.Revision and gives the new revision.
func (s *Store) PutKey(ctx context.Context, k Key) (uint64, error) {
	return s.put(ctx, Keys, k.entry(), k, k.Revision)
}

// Company reads the current company past the copy in memory, or ErrNotFound.
func (s *Store) Company(ctx context.Context, id deal.ID) (Company, error) {
	var c Company
	revision, err := s.get(ctx, Companies, id.String(), &c)
	c.Revision = revision
	return c, err
}

// Association reads the current association past the copy in memory, or ErrNotFound.
func (s *Store) Association(ctx context.Context, id deal.ID) (Association, error) {
	var a Association
	revision, err := s.get(ctx, Associations, id.String(), &a)
	a.Revision = revision
	return a, err
}

// Chapter reads the current chapter past the copy in memory, or ErrNotFound.
func (s *Store) Chapter(ctx context.Context, id deal.ID) (Chapter, error) {
	var c Chapter
	revision, err := s.get(ctx, Chapters, id.String(), &c)
	c.Revision = revision
	return c, err
}

// Membership reads the current membership past the copy in memory. One that was never written has no periods and
// revision 0.
func (s *Store) Membership(ctx context.Context, association, company deal.ID) (Membership, error) {
	m := Membership{AssociationID: association, CompanyID: company}
	revision, err := s.get(ctx, Members, memberSlot(association, company), &m)
	m.Revision = revision
	if errors.Is(err, ErrNotFound) {
		return m, nil
	}
	return m, err
}

// UpdateMembership changes a membership from what it is to what change makes of it, again when another writer was
// first. An error of change ends it and is returned as it is.
func (s *Store) UpdateMembership(ctx context.Context, association, company deal.ID, change func(Membership) (Membership, error)) (Membership, error) {
	for {
		current, err := s.Membership(ctx, association, company)
		if err != nil {
			return Membership{}, err
		}
		next, err := change(current)
		if err != nil {
			return Membership{}, err
		}
		next.Revision, err = s.PutMembership(ctx, next)
		var conflict *ConflictError
		if errors.As(err, &conflict) && ctx.Err() == nil {
			continue
		}
		return next, err
	}
}

// Issue makes a key for a scope, stores it and gives its token: the only time that anyone sees it.
func (s *Store) Issue(ctx context.Context, id deal.ID, scope Scope, at time.Time, pepper []byte) (Key, string, error) {
	key, token := issue(id, scope, at, pepper)
	revision, err := s.PutKey(ctx, key)
	if err != nil {
		return Key{}, "", err
	}
	key.Revision = revision
	return key, token, nil
}

// Revoke ends a key. A key that was revoked before, by whomever, stays as it was.
func (s *Store) Revoke(ctx context.Context, k Key, at time.Time) (Key, error) {
	at = at.UTC()
	for k.RevokedAt == nil {
		revoked := k
		revoked.RevokedAt = &at
		revision, err := s.PutKey(ctx, revoked)
		if _, conflict := errors.AsType[*ConflictError](err); !conflict {
			revoked.Revision = revision
			return revoked, err
		}
		current := Key{slot: k.entry()}
		if current.Revision, err = s.get(ctx, Keys, k.entry(), &current); err != nil {
			return Key{}, err
		}
		k = current
	}
	return k, nil
}

// firstOperator is the slot of the operator's first key: whoever creates it first made the first start.
const firstOperator = "operator"

// EnsureOperator issues the operator's first key when there never was one. Of any number of callers at once exactly
// one is told that it was created, and gets the token.
func (s *Store) EnsureOperator(ctx context.Context, id deal.ID, at time.Time, pepper []byte) (token string, created bool, err error) {
	key, token := issue(id, Scope{Role: RoleOperator, Label: "first start"}, at, pepper)
	key.slot = firstOperator
	_, err = s.PutKey(ctx, key)
	var conflict *ConflictError
	switch {
	case errors.As(err, &conflict):
		return "", false, nil
	case err != nil:
		return "", false, err
	}
	return token, true, nil
}

// ratesOfDay is an entry of the rates bucket.
type ratesOfDay struct {
	Source string                    `json:"source"`
	Rates  map[money.Currency]string `json:"rates"`
}

func ratesRecord(d money.Day) (slot string, value ratesOfDay) {
	return d.Date.String(), ratesOfDay{Source: d.Source, Rates: d.Rates}
}

func dayOf(slot string, r ratesOfDay) (money.Day, error) {
	on, err := calendar.ParseDate(slot)
	return money.Day{Date: on, Source: r.Source, Rates: r.Rates}, err
}

// put is the compare-and-set of one entry.
func (s *Store) put(ctx context.Context, b Bucket, slot string, v any, over uint64) (uint64, error) {
	msg, err := message(b, slot, v, &over)
	if err != nil {
		return 0, err
	}
	return s.publish(ctx, b, slot, msg, over)
}

// purge takes an entry out with all its earlier values, whatever is there, and gives the revision at which it is gone.
// Whoever read it before and writes it behind the purge meets a conflict.
func (s *Store) purge(ctx context.Context, b Bucket, slot string) (uint64, error) {
	msg := nats.NewMsg("$KV." + string(b) + "." + slot)
	msg.Header.Set("KV-Operation", "PURGE") // ADR-8 of NATS
	msg.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	return s.publish(ctx, b, slot, msg, 0)
}

func (s *Store) publish(ctx context.Context, b Bucket, slot string, msg *nats.Msg, over uint64) (uint64, error) {
	if !s.js.Conn().IsConnected() {
		return 0, errDisconnected // the client would keep the write and send it when nobody expects it any more
	}
	ack, err := s.js.PublishMsg(ctx, msg)
	if err != nil {
		return 0, s.explain(ctx, b, slot, over, err)
	}
	return ack.Sequence, nil
}

// explain makes a ConflictError of the server's refusal and names the current revision when it can be read.
// A refusal of a write of our own whose answer was lost is no conflict, but cannot be told from one here.
func (s *Store) explain(ctx context.Context, b Bucket, slot string, over uint64, err error) error {
	if !isConflict(err) {
		return fmt.Errorf("write to %s: %w", b, err)
	}
	conflict := &ConflictError{Bucket: b, Expected: over}
	if kv, err := s.bucket(ctx, b); err == nil {
		if entry, err := kv.Get(ctx, slot); err == nil {
			conflict.Current = entry.Revision()
		}
	}
	return conflict
}

// isConflict knows both codes of a refused expectation: replicated streams use the second one.
func isConflict(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// message is the write of one entry; a nil over replaces whatever is there.
func message(b Bucket, slot string, v any, over *uint64) (*nats.Msg, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode entry of %s: %w", b, err)
	}
	msg := nats.NewMsg("$KV." + string(b) + "." + slot)
	msg.Data = data
	if over != nil {
		msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(*over, 10))
	}
	return msg, nil
}

func (s *Store) get(ctx context.Context, b Bucket, slot string, v any) (uint64, error) {
	kv, err := s.bucket(ctx, b)
	if err != nil {
		return 0, err
	}
	entry, err := kv.Get(ctx, slot)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, ErrNotFound
	}
	if err != nil {
		return 0, fmt.Errorf("read from %s: %w", b, err)
	}
	if err := json.Unmarshal(entry.Value(), v); err != nil {
		return 0, fmt.Errorf("decode entry of %s: %w", b, err)
	}
	return entry.Revision(), nil
}

func ignoreExists(err error) error {
	if errors.Is(err, jetstream.ErrBucketExists) {
		return nil
	}
	return err
}
