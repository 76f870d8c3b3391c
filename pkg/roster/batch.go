package roster

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/money"
)

// PutCompanies writes many companies without waiting for each, over their revisions. revisions[i] is 0 where a
// write failed; the error is the first failure.
func (s *Store) PutCompanies(ctx context.Context, companies []Company) (revisions []uint64, err error) {
	return batch(ctx, s, Companies, companies, func(c Company) (string, any, *uint64) { return c.ID.String(), c, &c.Revision })
}

// PutMemberships writes many memberships as PutCompanies does.
func (s *Store) PutMemberships(ctx context.Context, memberships []Membership) (revisions []uint64, err error) {
	return batch(ctx, s, Members, memberships, func(m Membership) (string, any, *uint64) {
		return memberSlot(m.AssociationID, m.CompanyID), m, &m.Revision
	})
}

// PutChapters writes many chapters as PutCompanies does.
func (s *Store) PutChapters(ctx context.Context, chapters []Chapter) (revisions []uint64, err error) {
	return batch(ctx, s, Chapters, chapters, func(c Chapter) (string, any, *uint64) { return c.ID.String(), c, &c.Revision })
}

// PutRates writes the rates of many days in place of whatever is known of those days.
func (s *Store) PutRates(ctx context.Context, days []money.Day) (revisions []uint64, err error) {
	return batch(ctx, s, Rates, days, func(d money.Day) (string, any, *uint64) {
		slot, value := ratesRecord(d)
		return slot, value, nil
	})
}

// window is how many writes are on their way at once.
const window = 256

func batch[T any](ctx context.Context, s *Store, b Bucket, items []T, entry func(T) (slot string, value any, over *uint64)) ([]uint64, error) {
	revisions := make([]uint64, len(items))
	if !s.js.Conn().IsConnected() {
		return revisions, errDisconnected
	}
	futures := make([]jetstream.PubAckFuture, len(items))
	var first error
	fail := func(err error) {
		if first == nil {
			first = err
		}
	}
	settle := func(i int) {
		if futures[i] == nil {
			return
		}
		select {
		case ack := <-futures[i].Ok():
			revisions[i] = ack.Sequence
		case err := <-futures[i].Err():
			fail(refusal(b, err))
		case <-ctx.Done():
			fail(fmt.Errorf("write to %s: %w", b, ctx.Err()))
		}
	}
	for i, item := range items {
		slot, value, over := entry(item)
		msg, err := message(b, slot, value, over)
		if err == nil {
			futures[i], err = s.js.PublishMsgAsync(msg)
		}
		if err != nil {
			fail(fmt.Errorf("write to %s: %w", b, err))
			break
		}
		if i >= window {
			settle(i - window)
		}
	}
	for i := max(0, len(items)-window); i < len(items); i++ {
		settle(i)
	}
	return revisions, first
}

func refusal(b Bucket, err error) error {
	if isConflict(err) {
		return &ConflictError{Bucket: b}
	}
	return fmt.Errorf("write to %s: %w", b, err)
}
