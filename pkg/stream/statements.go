package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dealreg/dealreg/pkg/deal"
)

// StatementSubjects is where the releases of all associations are.
const StatementSubjects = "records.statement.*.*"

// StatementSubject is where the releases of one year of an association are, r1 first. A release is never replaced: the
// next one is written behind it.
func StatementSubject(association deal.ID, year int) string {
	return "records.statement." + association.String() + "." + strconv.Itoa(year)
}

// YearsSubject is where the releases of all years of an association are.
func YearsSubject(association deal.ID) string {
	return "records.statement." + association.String() + ".*"
}

// Cause is why a release of a statement was made.
type Cause string

// The causes.
const (
	Scheduled Cause = "scheduled" // the first of a month
	Requested Cause = "requested" // by the registrar, before the year closed
	Close     Cause = "close"     // the year's last one: 90 days after its end
	Restated  Cause = "restated"  // by the registrar, after the close, with a reason
)

// Statement is what a record of a release says of it to everybody who follows the records: no figure. The record has
// more, which is the business of services/reports.
type Statement struct {
	Association  deal.ID   `json:"association_id"`
	Year         int       `json:"year"`    // the association's, by the calendar year in which it starts
	Release      int       `json:"release"` // from 1 in each year
	PublishedAt  time.Time `json:"published_at"`
	AsOfSequence uint64    `json:"as_of_sequence"` // of the last event of the log that it looked at
	Cause        Cause     `json:"cause"`
}

// ID names the release in events: <association id>:<year>:r<release>.
func (s Statement) ID() string { return fmt.Sprintf("%s:%d:r%d", s.Association, s.Year, s.Release) }

// DecodeStatement reads what everybody may know out of a record's payload.
func DecodeStatement(payload []byte) (Statement, error) {
	var s Statement
	if err := json.Unmarshal(payload, &s); err != nil {
		return Statement{}, fmt.Errorf("read the record of a statement: %w", err)
	}
	if s.Association.IsZero() || s.Release < 1 || s.Cause == "" {
		return Statement{}, errors.New("read the record of a statement: it names no release")
	}
	return s, nil
}

// PutStatement writes the record of a release behind the latest release of any association, which is at the sequence; 0
// when there is none yet. All releases come one after the other, since what one may show depends on those of associations
// that share deals with it. It returns the record's sequence once it is on the disk. Errors are ErrConflict, when another
// release came first, and ErrUnknown.
func (r *Records) PutStatement(ctx context.Context, s Statement, behind uint64, payload []byte) (uint64, error) {
	if err := connected(r.nc); err != nil {
		return 0, err
	}
	ack, err := r.js.Publish(ctx, StatementSubject(s.Association, s.Year), payload,
		jetstream.WithExpectStream(RecordsStream), jetstream.WithExpectLastSequenceForSubject(behind, StatementSubjects))
	switch {
	case err == nil:
		return ack.Sequence, nil
	case isConflict(err):
		return 0, fmt.Errorf("write release %s behind sequence %d: %w", s.ID(), behind, ErrConflict)
	}
	return 0, fmt.Errorf("write release %s: %w: %w", s.ID(), ErrUnknown, err)
}

// Each gives every record on the subject, which may have wildcards, to the function, the first one first. It asks the
// stream's leader for each of them. Errors are those of the function, ErrUnknown and those of the server.
func (r *Records) Each(ctx context.Context, subject string, do func(sequence uint64, payload []byte) error) error {
	for at := uint64(1); ; {
		m, err := askLeader(ctx, r.nc, RecordsStream, getRequest{Sequence: at, NextFor: subject})
		if errors.Is(err, ErrNoRecord) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the records: %w", err)
		}
		if err := do(m.Sequence, m.Data); err != nil {
			return err
		}
		at = m.Sequence + 1
	}
}
