package stream

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/dealreg/dealreg/pkg/deal"
)

// Errors from which a caller decides.
var (
	// ErrNoDeal says that the log has no event of the deal.
	ErrNoDeal = errors.New("the log has no such deal")
	// ErrConflict says that another event of the deal came first: read the deal again and decide anew.
	ErrConflict = errors.New("another change of the deal came first")
	// ErrUnknown says that the log did not answer, so that the event may or may not be in it. The same command again
	// finds out.
	ErrUnknown = errors.New("the log did not answer in time")
)

// maxBatch is how many messages nats-server takes in one atomic batch.
const maxBatch = 1000

// Log writes and reads the stream of deals.
type Log struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	commit committer
	seen   atomic.Pointer[look] // the last one; nil while nobody keeps the end
}

// NewLog makes a Log on the connection. It asks nothing of the server yet. All writers of a process share one Log: only
// then do they share the syncs of the disk. Where KeepEnd runs, the connection is one without a nats.ReconnectBufSize: what
// the client keeps while it is away, it sends before anybody can look at the log.
func NewLog(nc *nats.Conn) (*Log, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	l := &Log{nc: nc, js: js}
	l.commit.log = l
	return l, nil
}

// Stored is one event as it lies in the log.
type Stored struct {
	Sequence uint64 // its position in the stream
	Payload  []byte
	Event
}

// Hash is the SHA-256 of the payload, which the deal's next event carries.
func (s Stored) Hash() []byte { return Hash(s.Payload) }

// Hash is the SHA-256 of an event's payload.
func Hash(payload []byte) []byte {
	sum := sha256.Sum256(payload)
	return sum[:]
}

// Draft is an event that is ready to be written behind the deal's event at sequence Behind; 0 for a new deal.
type Draft struct {
	Event   Event
	Behind  uint64
	Payload []byte
}

// NewDraft encodes the event, chained to the one before it; before is nil for a new deal.
func NewDraft(e Event, before *Stored) (Draft, error) {
	d := Draft{Event: e}
	if before != nil {
		d.Behind, d.Event.PreviousHash = before.Sequence, before.Hash()
	}
	var err error
	d.Payload, err = Encode(d.Event)
	return d, err
}

func (d *Draft) message() *nats.Msg {
	e := &d.Event
	id := e.Deal.ID.String()
	return &nats.Msg{
		Subject: Subject(e.Deal.ID),
		Data:    d.Payload,
		Header: nats.Header{
			jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatUint(d.Behind, 10)},
			// CloudEvents 1.0, binary mode, as its NATS protocol binding names the headers.
			"ce-specversion": {"1.0"},
			"ce-id":          {e.ID()},
			"ce-type":        {"dealreg.deal." + string(e.Type)},
			"ce-source":      {"/registry"},
			"ce-subject":     {id},
			"ce-time":        {e.At.UTC().Format(time.RFC3339Nano)},
			"Content-Type":   {"application/protobuf"},
		},
	}
}

// Append writes the event and returns its sequence once it is on the disk. Writers at the same time share syncs of the
// disk, and each gets the outcome of its own event. Errors are ErrConflict and ErrUnknown. When a former try of the same
// command did get through, that counts as success; to find it takes up to two seconds after ctx.
func (l *Log) Append(ctx context.Context, d Draft) (uint64, error) {
	sequence, err := l.commit.append(ctx, &d)
	if err == nil {
		return sequence, nil
	}
	done, findErr := l.find(context.WithoutCancel(ctx), d)
	switch {
	case findErr != nil:
		return 0, fmt.Errorf("%w: %w: %w", ErrUnknown, err, findErr)
	case done != 0:
		return done, nil
	case isConflict(err):
		return 0, fmt.Errorf("deal %s behind sequence %d: %w", d.Event.Deal.ID, d.Behind, ErrConflict)
	}
	return 0, fmt.Errorf("%w: %w", ErrUnknown, err)
}

// publish writes one event alone. After an error that is not the server's own it may be in the log.
func (l *Log) publish(ctx context.Context, m *nats.Msg) (uint64, error) {
	if err := l.writable(ctx); err != nil {
		return 0, err
	}
	ack, err := l.js.PublishMsg(ctx, m, jetstream.WithExpectStream(DealsStream))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// find gives the sequence of the event of this very command, 0 when it is not in the log. It can only be the next one
// behind the expected sequence.
func (l *Log) find(ctx context.Context, d Draft) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s, err := l.next(ctx, d.Event.Deal.ID, d.Behind+1)
	switch {
	case errors.Is(err, ErrNoDeal):
		return 0, nil
	case err != nil:
		return 0, err
	case !bytes.Equal(s.Payload, d.Payload):
		return 0, nil
	}
	return s.Sequence, nil
}

func isConflict(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// AppendBatch writes up to 1,000 events of different deals, all or none. Errors are ErrConflict, when any deal has an
// event that its draft does not know or comes twice, and ErrUnknown; after either, append the drafts singly.
func (l *Log) AppendBatch(ctx context.Context, drafts []Draft) error {
	if len(drafts) > maxBatch {
		return fmt.Errorf("a batch of %d events: at most %d", len(drafts), maxBatch)
	}
	if len(drafts) == 0 {
		return nil
	}
	messages := make([]*nats.Msg, len(drafts))
	for i := range drafts {
		messages[i] = drafts[i].message()
	}
	_, err := l.publishBatch(ctx, messages)
	switch {
	case err == nil:
		return nil
	case isConflict(err):
		return fmt.Errorf("%w: %w", ErrConflict, err)
	}
	return fmt.Errorf("%w: %w", ErrUnknown, err)
}

// publishBatch writes events of different deals, all or none, one behind the other, and gives the last one's sequence.
// After an error that is not the server's own they may be in the log.
func (l *Log) publishBatch(ctx context.Context, messages []*nats.Msg) (last uint64, err error) {
	if err := l.writable(ctx); err != nil {
		return 0, err
	}
	// Without flow control only the commit waits, as long as ctx does; an answer to the first message has a time of its own.
	ack, err := jetstreamext.PublishMsgBatch(ctx, l.js, messages, jetstreamext.BatchFlowControl{})
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// Last reads the deal's latest event from the stream's leader: what a decision rests on. Errors are ErrNoDeal when there
// is none, and ErrUnknown.
func (l *Log) Last(ctx context.Context, id deal.ID) (Stored, error) {
	return l.getOf(ctx, id, getRequest{LastFor: Subject(id)})
}

// First reads the deal's first event from the stream's leader. Errors are as for Last.
func (l *Log) First(ctx context.Context, id deal.ID) (Stored, error) {
	return l.getOf(ctx, id, getRequest{Sequence: 1, NextFor: Subject(id)})
}

// History reads all events of the deal up to its latest from the stream's leader, the first one first. Errors are as for
// Last; a history that lacks an event is an error.
func (l *Log) History(ctx context.Context, id deal.ID) ([]Stored, error) {
	last, err := l.Last(ctx, id)
	if err != nil {
		return nil, err
	}
	var events []Stored
	var hash []byte
	for at := uint64(1); ; {
		s := last
		if uint64(len(events))+1 < last.Deal.Revision {
			if s, err = l.next(ctx, id, at); err != nil && !errors.Is(err, ErrNoDeal) {
				return nil, err
			}
		}
		if err != nil || s.Deal.Revision != uint64(len(events))+1 || !bytes.Equal(s.PreviousHash, hash) {
			return nil, &DamagedError{Deal: id, Revision: uint64(len(events)) + 1}
		}
		events = append(events, s)
		if s.Sequence >= last.Sequence {
			return events, nil
		}
		at, hash = s.Sequence+1, s.Hash()
	}
}

// getOf reads one event of the deal. The server says of an event that it cannot read that there is none, but its index
// still has the deal: then the error is a DamagedError.
func (l *Log) getOf(ctx context.Context, id deal.ID, request getRequest) (Stored, error) {
	s, err := l.get(ctx, request)
	if !errors.Is(err, ErrNoDeal) {
		return s, err
	}
	if has, infoErr := l.has(ctx, id); infoErr != nil || !has {
		return Stored{}, cmp.Or(infoErr, err)
	}
	if s, err = l.get(ctx, request); errors.Is(err, ErrNoDeal) { // not one that came in between
		return Stored{}, &DamagedError{Deal: id}
	}
	return s, err
}

// has asks the stream's index for the deal.
func (l *Log) has(ctx context.Context, id deal.ID) (bool, error) {
	s, err := l.js.Stream(ctx, DealsStream)
	if err != nil {
		return false, fmt.Errorf("%w: find the log: %w", ErrUnknown, err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(Subject(id)))
	if err != nil {
		return false, fmt.Errorf("%w: look the deal up: %w", ErrUnknown, err)
	}
	return info.State.Subjects[Subject(id)] > 0, nil
}

func (l *Log) next(ctx context.Context, id deal.ID, from uint64) (Stored, error) {
	return l.get(ctx, getRequest{Sequence: from, NextFor: Subject(id)})
}

// writable fails at once while the log must not be written or is out of reach. On a new connection it waits until KeepEnd
// has looked at the log: it may have come back without its end.
func (l *Log) writable(ctx context.Context) error {
	for {
		seen := l.seen.Load()
		if seen != nil && seen.lost != nil {
			return seen.lost
		}
		if err := connected(l.nc); err != nil {
			return err
		}
		if seen == nil || seen.connection == l.connection() {
			return nil
		}
		select {
		case <-seen.next:
		case <-ctx.Done():
			return fmt.Errorf("wait until the log was looked at: %w", ctx.Err())
		}
	}
}

// connected fails at once while there is no connection: the client would keep a write and send it later, when nobody
// waits for it any more.
func connected(nc *nats.Conn) error {
	if nc.IsConnected() {
		return nil
	}
	return fmt.Errorf("%w: no connection to NATS", ErrUnknown)
}

// getRequest asks the leader of the stream for one message (JSApiMsgGetRequest). The client's own methods would use
// direct gets on this stream, which a replica may answer with an older state.
type getRequest struct {
	Sequence uint64 `json:"seq,omitempty"`
	LastFor  string `json:"last_by_subj,omitempty"`
	NextFor  string `json:"next_by_subj,omitempty"`
}

const codeNoMessage = 10037

func (l *Log) get(ctx context.Context, request getRequest) (Stored, error) {
	m, err := askLeader(ctx, l.nc, DealsStream, request)
	switch {
	case errors.Is(err, ErrNoRecord):
		return Stored{}, ErrNoDeal
	case err != nil:
		return Stored{}, fmt.Errorf("read the log: %w", err)
	}
	return stored(m.Sequence, m.Data)
}

// Message is one message of a stream.
type Message struct {
	Sequence uint64 `json:"seq"`
	Header   []byte `json:"hdrs"` // as on the wire; nil when it has none
	Data     []byte `json:"data"`
}

// LastMessage reads the latest message on the subject, which may have wildcards, from the stream's leader: a replica might
// not know yet what somebody else was told is stored. Errors are ErrNoRecord, ErrUnknown and those of the server.
func LastMessage(ctx context.Context, nc *nats.Conn, stream, subject string) (Message, error) {
	return askLeader(ctx, nc, stream, getRequest{LastFor: subject})
}

// askLeader reads one message from the stream's leader. Errors are those of LastMessage.
func askLeader(ctx context.Context, nc *nats.Conn, stream string, request getRequest) (Message, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return Message{}, fmt.Errorf("encode request: %w", err)
	}
	if err := connected(nc); err != nil {
		return Message{}, err
	}
	answer, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, body)
	if err != nil {
		return Message{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	var response struct {
		Error   *jetstream.APIError `json:"error"`
		Message Message             `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &response); err != nil {
		return Message{}, fmt.Errorf("decode answer: %w", err)
	}
	if response.Error != nil {
		if response.Error.ErrorCode == codeNoMessage {
			return Message{}, ErrNoRecord
		}
		return Message{}, fmt.Errorf("%w: %w", ErrUnknown, response.Error)
	}
	return response.Message, nil
}

// FirstFrom asks the leader of a stream for the sequence of its first message from a sequence on: a later one means that
// those between are missing. Errors are ErrNoRecord, when it has none, ErrUnknown and those of the server.
func FirstFrom(ctx context.Context, nc *nats.Conn, stream string, from uint64) (uint64, error) {
	first, err := askLeader(ctx, nc, stream, getRequest{Sequence: from, NextFor: ">"})
	return first.Sequence, err
}

func stored(sequence uint64, payload []byte) (Stored, error) {
	event, err := Decode(payload)
	if err != nil {
		return Stored{}, fmt.Errorf("event at sequence %d: %w", sequence, err)
	}
	return Stored{Sequence: sequence, Payload: payload, Event: event}, nil
}

// Latest reads the latest event of each deal by direct get, which a replica may answer with an older state: for lists
// and for finding what is there already, never for a decision. Deals without an event are left out. ErrUnknown when the
// answer is not whole.
func (l *Log) Latest(ctx context.Context, ids []deal.ID) (map[deal.ID]Stored, error) {
	if err := connected(l.nc); err != nil {
		return nil, err
	}
	found := make(map[deal.ID]Stored, len(ids))
	for start := 0; start < len(ids); start += maxBatch {
		some := ids[start:min(start+maxBatch, len(ids))]
		subjects := make([]string, len(some))
		for i, id := range some {
			subjects[i] = Subject(id)
		}
		messages, err := jetstreamext.GetLastMsgsFor(ctx, l.js, DealsStream, subjects)
		if err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		answered, complete := 0, false // the messages end without an error when the server falls silent
		for m, err := range messages {
			if errors.Is(err, jetstreamext.ErrNoMessages) {
				complete = answered == 0 // later it says that a message cannot be read
				break
			}
			if err != nil {
				return nil, fmt.Errorf("read the log: %w: %w", ErrUnknown, err)
			}
			answered++
			complete = m.Header.Get("Nats-Num-Pending") == "0"
			s, err := stored(m.Sequence, m.Data)
			if err != nil {
				return nil, err
			}
			found[s.Deal.ID] = s
		}
		if !complete {
			return nil, fmt.Errorf("read the latest events of %d deals: %w", len(some), ErrUnknown)
		}
	}
	return found, nil
}

// Read gives every message of the log from a sequence to the last that there was when it began, in order, with the
// payload as stored. It ends with the first error of fn, and with a GapError where a sequence is missing: the store is
// damaged there. When the last event is missing it gives none: nothing would come behind it to end the wait.
func (l *Log) Read(ctx context.Context, from uint64, fn func(sequence uint64, subject string, payload []byte) error) error {
	s, err := l.js.Stream(ctx, DealsStream)
	if err != nil {
		return fmt.Errorf("find the log: %w", err)
	}
	last, from := s.CachedInfo().State.LastSeq, max(from, 1)
	if from > last {
		return nil
	}
	if _, err := l.hashWithin(ctx, last, last); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	consumer, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
	})
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer messages.Stop()
	for want := from; want <= last; want++ {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if meta.Sequence.Stream != want {
			return fmt.Errorf("read the log: %w", &GapError{Want: want, Got: meta.Sequence.Stream})
		}
		if err := fn(want, m.Subject(), m.Data()); err != nil {
			return err
		}
	}
	return nil
}

// LastSequence is the stream's last sequence; 0 when it is empty.
func (l *Log) LastSequence(ctx context.Context) (uint64, error) {
	s, err := l.js.Stream(ctx, DealsStream)
	if err != nil {
		return 0, fmt.Errorf("find the log: %w", err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// ParseSubject gives the deal whose events are on the subject.
func ParseSubject(subject string) (deal.ID, error) {
	i := strings.LastIndexByte(subject, '.')
	id, err := deal.ParseID(subject[i+1:])
	if err != nil || Subject(id) != subject {
		return deal.ID{}, fmt.Errorf("%q is no subject of a deal", subject)
	}
	return id, nil
}
