package audit

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strings"

	"google.golang.org/protobuf/encoding/protodelim"
	"google.golang.org/protobuf/proto"

	dealregv1 "github.com/dealreg/dealreg/proto/dealreg/v1"
)

// newestSchema is the newest version of the log's contract that this code can judge.
const newestSchema = 1

const (
	shards   = 64      // of the subjects, by hash of the deal's id
	maxEntry = 8 << 20 // bytes of one message with its position
)

// ErrNewerSchema says that the log has an event of a newer release, which this one cannot judge.
var ErrNewerSchema = errors.New("the log has an event of a newer release: audit with that release")

// Fold reads the log from its first message to its last and checks every event. r is a sequence of LogEntry messages,
// each behind its length as a varint. What is wrong with an event is a finding in the Ledger; an error (a cut or
// unreadable stream, ErrNewerSchema) means that nothing can be said. Memory grows with the number of deals: about 120
// bytes for each, and for a won one its attributions as well; the events themselves are not kept.
func Fold(r io.Reader) (*Ledger, error) {
	f := fold{ledger: &Ledger{associations: map[ID]*association{}, all: newAssociation(allCurrency)}, deals: map[ID]before{}}
	if err := eachEntry(r, f.entry); err != nil {
		return nil, err
	}
	f.ledger.Deals = int64(len(f.deals))
	return f.ledger, nil
}

// errEnough ends eachEntry before the log does.
var errEnough = errors.New("enough of the log was read")

// eachEntry reads messages of the log until it ends or the function has had enough.
func eachEntry(r io.Reader, do func(*dealregv1.LogEntry) error) error {
	in := bufio.NewReaderSize(r, 1<<16)
	var entry dealregv1.LogEntry
	for last := uint64(0); ; last = entry.GetSequence() {
		err := protodelim.UnmarshalOptions{MaxSize: maxEntry}.UnmarshalFrom(in, &entry)
		if err == io.EOF { //nolint:errorlint // only the bare EOF is the end between two messages
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the log behind event %d: %w", last, err)
		}
		switch err := do(&entry); {
		case errors.Is(err, errEnough):
			return nil
		case err != nil:
			return fmt.Errorf("event %d: %w", entry.GetSequence(), err)
		}
	}
}

type fold struct {
	ledger *Ledger
	deals  map[ID]before
}

// before is what must be known of a deal's latest event to judge the next one.
type before struct {
	revision uint64
	hash     [sha256.Size]byte
	won      bool
	counts   string // its attributions and unduplicated, as a DealEvent with nothing else; empty when there are none
}

// counted is an event with nothing but the attributions and the unduplicated.
func (b before) counted() *dealregv1.DealEvent {
	var m dealregv1.DealEvent
	if b.counts == "" || proto.Unmarshal([]byte(b.counts), &m) != nil {
		return nil
	}
	return &m
}

func remember(event *dealregv1.DealEvent) string {
	if len(event.GetAttributions()) == 0 && event.GetUnduplicated() == nil {
		return ""
	}
	b, err := proto.Marshal(&dealregv1.DealEvent{Attributions: event.GetAttributions(), Unduplicated: event.GetUnduplicated()})
	if err != nil { // only text that is no UTF-8 could do this, and what was just decoded has none
		return ""
	}
	return string(b)
}

// entry folds one message. Its error is ErrNewerSchema.
func (f *fold) entry(entry *dealregv1.LogEntry) error {
	l := f.ledger
	sequence, payload := entry.GetSequence(), entry.GetPayload()
	if sequence != l.LastSequence+1 {
		f.report(sequence, ID{}, faulty(CheckSequence, l.LastSequence+1, sequence))
	}
	l.LastSequence = sequence
	l.Events++
	l.Bytes += int64(len(payload))

	var event dealregv1.DealEvent
	err := proto.Unmarshal(payload, &event)
	if err == nil && event.GetSchema() > newestSchema {
		return ErrNewerSchema
	}
	id, ok := toID(event.GetDealId())
	if err != nil || !ok || event.GetSchema() == 0 {
		f.skip(entry, err)
		return nil
	}
	if at := event.GetAt(); at.IsValid() {
		l.lastYear = at.AsTime().Year()
	}
	if want := subject(id); entry.GetSubject() != want {
		f.report(sequence, id, faulty(CheckSubject, want, quote(entry.GetSubject())))
	}
	last := f.deals[id]
	for _, x := range checkChain(&event, last) {
		f.report(sequence, id, x)
	}
	for _, x := range checkDeal(&event, last.won) {
		f.report(sequence, id, x)
	}
	faults := f.checkAttributions(&event)
	if len(faults) == 0 { // else what is wrong would follow from them
		faults = checkUnduplicated(&event)
	}
	for _, x := range faults {
		f.report(sequence, id, x)
	}
	f.count(id, &event, payload)
	return nil
}

// count takes back what the deal counted for before and adds what it counts for now.
func (f *fold) count(id ID, event *dealregv1.DealEvent, payload []byte) {
	last := f.deals[id]
	next := before{revision: event.GetRevision(), hash: sha256.Sum256(payload), counts: remember(event)}
	next.won = event.GetDeal().GetStatus() == dealregv1.Status_STATUS_WON
	f.ledger.post(last.counted(), -1)
	f.ledger.post(event, 1)
	if last.won {
		f.ledger.Won--
	}
	if next.won {
		f.ledger.Won++
	}
	f.deals[id] = next
}

// skip passes over a payload that is no event. Its subject still tells whose chain it is in, so that the deal's next
// event is not blamed for it; what the deal counted for stays.
func (f *fold) skip(entry *dealregv1.LogEntry, err error) {
	found := "no schema or no deal id of 16 bytes"
	if err != nil {
		found = "bytes that are no event"
	}
	_, name, _ := strings.Cut(strings.TrimPrefix(entry.GetSubject(), "deals."), ".")
	id, ok := parseID(name)
	f.report(entry.GetSequence(), id, faulty(CheckPayload, "an event of a deal", found))
	if ok {
		last := f.deals[id]
		last.revision++
		last.hash = sha256.Sum256(entry.GetPayload())
		f.deals[id] = last
	}
}

func (f *fold) report(sequence uint64, id ID, x *fault) {
	f.ledger.FindingCount++
	if len(f.ledger.Findings) < maxFindings {
		f.ledger.Findings = append(f.ledger.Findings,
			Finding{Sequence: sequence, DealID: id, Check: x.check, Expected: x.expected, Found: x.found})
	}
}

// subject is where a deal's events belong: the shard is FNV-1a of the id, modulo 64.
func subject(id ID) string {
	h := fnv.New32a()
	_, _ = h.Write(id[:])
	return fmt.Sprintf("deals.%d.%s", h.Sum32()%shards, id)
}

// quote makes text of unknown origin safe and short enough for a line.
func quote(text string) string { return fmt.Sprintf("%.80q", text) }
