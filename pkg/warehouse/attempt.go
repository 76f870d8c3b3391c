package warehouse

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/dealreg/dealreg/pkg/deal"
)

var (
	//go:embed queries/attempts_insert.sql
	insertAttemptsSQL string
	//go:embed queries/attempts.sql
	attemptsSQL string
	//go:embed queries/attempts_failed.sql
	failedSQL string
)

// Attempt is one try to deliver an event to an endpoint of webhooks. It is kept for thirty days.
type Attempt struct {
	EndpointID deal.ID       `json:"endpoint_id"`
	EventID    string        `json:"event_id"`
	EventType  string        `json:"event_type"`
	Source     string        `json:"source,omitempty"` // the stream of the event; empty for a test
	Sequence   uint64        `json:"sequence,omitempty"`
	Attempt    uint16        `json:"attempt"` // from 1
	At         time.Time     `json:"at"`      // of its start, in microseconds
	Took       time.Duration `json:"took"`
	Outcome    string        `json:"outcome"`
	Verdict    string        `json:"verdict"` // delivered, retrying or failed
	Words      string        `json:"words,omitempty"`
	Status     uint16        `json:"status,omitempty"`  // of the answer
	Excerpt    string        `json:"excerpt,omitempty"` // how the answer began
}

// InsertAttempts stores attempts. The same ones may be stored again and are found once.
func (w *Warehouse) InsertAttempts(ctx context.Context, attempts []Attempt) error {
	if len(attempts) == 0 {
		return nil
	}
	batch, err := w.conn.PrepareBatch(ctx, insertAttemptsSQL)
	if err != nil {
		return fmt.Errorf("begin insert of %d attempts: %w", len(attempts), err)
	}
	for _, a := range attempts {
		err := batch.Append(uuid.UUID(a.EndpointID), a.At.UTC(), a.EventID, a.Attempt, a.EventType, a.Source, a.Sequence,
			uint64(max(0, a.Took.Microseconds())), a.Outcome, a.Verdict, a.Words, a.Status, a.Excerpt) // #nosec G115 -- not negative
		if err != nil {
			_ = batch.Abort()
			return fmt.Errorf("fill insert of %d attempts: %w", len(attempts), err)
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("insert %d attempts: %w", len(attempts), err)
	}
	return nil
}

// AttemptFilter chooses attempts of one endpoint. A zero field chooses all.
type AttemptFilter struct {
	Endpoint deal.ID
	EventID  string
	Outcome  string // an outcome or a verdict
	Since    time.Time
}

// ErrPosition says that no page of attempts gave the position.
var ErrPosition = errors.New("not a position of attempts")

// FindAttempts gives up to limit attempts, the newest first, and the position of the next page, which is empty after the
// last one. position is empty for the first page. Errors are ErrPosition and those of the warehouse.
func (w *Warehouse) FindAttempts(ctx context.Context, f AttemptFilter, limit int, position string) ([]Attempt, string, error) {
	before, err := parseAttemptPosition(position)
	if err != nil {
		return nil, "", err
	}
	rows, err := w.conn.Query(ctx, attemptsSQL,
		clickhouse.Named("endpoint", f.Endpoint.String()), clickhouse.Named("event", f.EventID),
		clickhouse.Named("outcome", f.Outcome), clickhouse.Named("since", micro(f.Since)),
		clickhouse.Named("before", before.at), clickhouse.Named("before_event", before.event),
		clickhouse.Named("before_attempt", before.attempt), clickhouse.Named("limit", limit+1))
	if err != nil {
		return nil, "", fmt.Errorf("find attempts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var found []Attempt
	for rows.Next() {
		var a Attempt
		var endpoint uuid.UUID
		var took uint64
		err := rows.Scan(&endpoint, &a.At, &a.EventID, &a.Attempt, &a.EventType, &a.Source, &a.Sequence, &took, &a.Outcome,
			&a.Verdict, &a.Words, &a.Status, &a.Excerpt)
		if err != nil {
			return nil, "", fmt.Errorf("read attempts: %w", err)
		}
		a.EndpointID, a.Took = deal.ID(endpoint), time.Duration(min(took, math.MaxInt64/1000))*time.Microsecond // #nosec G115 -- bounded
		found = append(found, a)
	}
	if err := rows.Err(); err != nil {
		return nil, "", fmt.Errorf("read attempts: %w", err)
	}
	if len(found) <= limit {
		return found, "", nil
	}
	last := found[limit-1]
	return found[:limit], fmt.Sprintf("%d.%d.%s", last.At.UnixMicro(), last.Attempt, last.EventID), nil
}

// Place is where an event is: its stream and the sequence there.
type Place struct {
	Source   string
	Sequence uint64
}

// FindFailed gives up to limit events behind the place that failed for good at the endpoint since the time and did not
// arrive later, in the order of their places.
func (w *Warehouse) FindFailed(ctx context.Context, endpoint deal.ID, since time.Time, after Place, limit int) ([]Place, error) {
	rows, err := w.conn.Query(ctx, failedSQL, clickhouse.Named("endpoint", endpoint.String()), clickhouse.Named("since", micro(since)),
		clickhouse.Named("after_source", after.Source), clickhouse.Named("after", after.Sequence), clickhouse.Named("limit", limit))
	if err != nil {
		return nil, fmt.Errorf("find failed deliveries: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var found []Place
	for rows.Next() {
		var p Place
		if err := rows.Scan(&p.Source, &p.Sequence); err != nil {
			return nil, fmt.Errorf("read failed deliveries: %w", err)
		}
		found = append(found, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read failed deliveries: %w", err)
	}
	return found, nil
}

// micro is the time in microseconds since 1970, 0 for all times before.
func micro(t time.Time) int64 { return max(0, t.UnixMicro()) }

type attemptPosition struct {
	at      int64
	attempt uint16
	event   string
}

func parseAttemptPosition(text string) (attemptPosition, error) {
	if text == "" {
		return attemptPosition{at: lastMicro}, nil
	}
	at, rest, _ := strings.Cut(text, ".")
	attempt, event, _ := strings.Cut(rest, ".")
	micros, err := strconv.ParseInt(at, 10, 64)
	number, err2 := strconv.ParseUint(attempt, 10, 16)
	if err != nil || err2 != nil || micros < 0 || micros > lastMicro {
		return attemptPosition{}, ErrPosition
	}
	return attemptPosition{at: micros, attempt: uint16(number), event: event}, nil
}

// lastMicro is behind every time that the warehouse can hold: the year 2200.
const lastMicro = 7_258_118_400_000_000
