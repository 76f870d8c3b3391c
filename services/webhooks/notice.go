package webhooks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/dealreg/dealreg/pkg/deal"
	"github.com/dealreg/dealreg/pkg/stream"
	"github.com/dealreg/dealreg/pkg/webhook"
)

// notice is an event with its place and those who may hear of it: the audience that the event itself names.
type notice struct {
	event        webhook.Event
	source       string // the stream
	sequence     uint64
	companies    []deal.ID
	associations []deal.ID
	ofDeals      bool     // for a company, or for an association's endpoints that hear of deals
	types        []string // the event's own and those that it includes
}

func (n notice) matches(patterns []string) bool {
	return slices.ContainsFunc(n.types, func(t string) bool { return webhook.Matches(patterns, t) })
}

// source is a stream whose messages become notices. Messages of other subjects, and those that say nothing to anybody,
// become none.
type source struct {
	stream   string
	subjects []string
	whole    bool // whether these are all that the stream has
	read     func(subject string, payload []byte) (notice, bool, error)
}

// sources are the streams from which events come, in the order in which they are shown.
var sources = []source{
	{stream: stream.DealsStream, subjects: []string{"deals.*.*"}, whole: true, read: readDeal},
	{
		stream: stream.RecordsStream, read: readRecord,
		subjects: []string{stream.StatementSubjects, stream.ConflictSubjects, stream.EndpointSubjects},
	},
}

// notice reads one message.
func (s source) notice(sequence uint64, subject string, payload []byte) (notice, bool, error) {
	n, told, err := s.read(subject, payload)
	if err != nil {
		return notice{}, false, fmt.Errorf("%s sequence %d: %w", s.stream, sequence, err)
	}
	n.source, n.sequence = s.stream, sequence
	return n, told, nil
}

func readDeal(_ string, payload []byte) (notice, bool, error) {
	e, err := stream.Decode(payload)
	if err != nil {
		return notice{}, false, err
	}
	n := notice{
		event: webhook.Deal(e.Event), ofDeals: true, companies: e.Audience.Companies, associations: e.Audience.Associations,
		types: []string{webhook.DealType(e.Type)},
	}
	for _, t := range e.Includes {
		n.types = append(n.types, webhook.DealType(t))
	}
	return n, true, nil
}

func readRecord(subject string, payload []byte) (notice, bool, error) {
	kind, _, _ := strings.Cut(strings.TrimPrefix(subject, "records."), ".")
	var n notice
	switch kind {
	case "statement":
		s, err := stream.DecodeStatement(payload)
		if err != nil {
			return notice{}, false, err
		}
		n.event, n.associations = webhook.Statement(s.Association, s.Year, s.Release, s.PublishedAt), []deal.ID{s.Association}
	case "conflict":
		c, err := stream.DecodeConflict(payload)
		if err != nil || c.State != stream.ConflictUndecided {
			return notice{}, false, err
		}
		n.event, n.companies, n.ofDeals = webhook.Conflict(c.Deals[0], c.Deals[1], c.FlaggedAt), c.Companies, true
	case "endpoint":
		d, err := stream.DecodeEndpoint(payload)
		if err != nil {
			return notice{}, false, err
		}
		n.event, n.ofDeals = webhook.Disabled(d.Endpoint, d.Reason, d.At), d.Deals
		if d.Company.IsZero() {
			n.associations = []deal.ID{d.Association}
		} else {
			n.companies = []deal.ID{d.Company}
		}
	default:
		return notice{}, false, nil
	}
	n.types = []string{n.event.Type}
	return n, true, nil
}

// readBytes bounds what one read takes from a stream.
const readBytes = 4 << 20

// readRange gives up to limit messages of the stream from a sequence on, by direct get. None means that the stream, or
// the replica that answered, ends before it or has not the first one.
func readRange(ctx context.Context, js jetstream.JetStream, name string, from uint64, limit int) ([]*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	messages, err := jetstreamext.GetBatch(ctx, js, name, limit, jetstreamext.GetBatchSeq(from), jetstreamext.GetBatchMaxBytes(readBytes))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var found []*jetstream.RawStreamMsg
	for m, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if m.Sequence != from+uint64(len(found)) {
			break // the answer lost a message: what came before it is sound
		}
		found = append(found, m)
	}
	return found, nil
}

// sequenceAt gives the sequence of the stream's first message at or after the time, and the last sequence that there is.
// Without such a message the first is one behind the last.
func sequenceAt(ctx context.Context, js jetstream.JetStream, name string, at time.Time) (first, last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if last, err = lastOf(ctx, js, name); err != nil {
		return 0, 0, err
	}
	messages, err := jetstreamext.GetBatch(ctx, js, name, 1, jetstreamext.GetBatchStartTime(at))
	if err != nil {
		return 0, 0, fmt.Errorf("read %s: %w", name, err)
	}
	for m, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			break
		}
		if err != nil {
			return 0, 0, fmt.Errorf("read %s: %w", name, err)
		}
		return m.Sequence, last, nil
	}
	return last + 1, last, nil
}

func lastOf(ctx context.Context, js jetstream.JetStream, name string) (uint64, error) {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return 0, fmt.Errorf("find %s: %w", name, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}
